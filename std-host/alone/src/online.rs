//! The online phase: an inference with halves that are there.
//!
//! ```text
//! each layer   P0 -> P1  d = h_0 - r          once per vector h, whoever takes it
//!              P0        y_0 = c_0            P1  y_1 = W (d + h_1) + b + c_1,  c_0 + c_1 = W r
//!              both      the gate, on their own shares
//! ```
//!
//! `d` is one-time padded; the gate is that of [`millionaire`]. All of it is exact: the shares of
//! the answer add up to what the network's twin says, bit for bit.
//!
//! [`millionaire`]: sharelet_core::functions::protocol::millionaire

use sharelet_core::correlation::LengthError;
use sharelet_core::functions::engine::party::{Party as Computing, Received};
use sharelet_core::functions::engine::{Comparison, EngineError, Link};
use sharelet_core::ring::{Ring as _, read_le_slice, write_le_slice};
use sharelet_core::session::network::Affine;

use zeroize::Zeroizing;

use crate::error::{AloneError, of_link};
use crate::half::Half;
use crate::network::gate;
use crate::task::Task;

/// `P0`'s share of the answer to an input of which `input` is its share.
///
/// # Errors
/// The link's; an input of another length; a half of another network.
pub async fn infer_p0<L: Link>(
    task: &Task,
    half: Half,
    input: &[u32],
    link: &mut L,
) -> Result<Zeroizing<Vec<u32>>, AloneError<L::Error>> {
    expect(task, input)?;
    let mut work = Vec::new();
    let mut run = Run::new(task, &half, link, &mut work);
    let mut h = Zeroizing::new(input.to_vec());
    for (layer, (masks, shares)) in half.masks.iter().zip(half.shares.iter()).enumerate() {
        add(&mut h, masks, u32::wrapping_sub);
        run.say(&h).await?;
        let mut y = Zeroizing::new(shares.clone());
        run.gate(layer, &mut y).await?;
        if let Some(part) = task.network.carried(layer) {
            part.shape.add_product(&[], u32::from_u64(part.public), masks, &mut y);
        }
        h = y;
    }
    run.finish()?;
    Ok(h)
}

/// `P1`'s share of the answer to an input of which `input` is its share: nothing where the peer has
/// all of it.
///
/// # Errors
/// As [`infer_p0`].
pub async fn infer_p1<L: Link>(
    task: &Task,
    half: Half,
    model: &impl Affine,
    input: Option<&[u32]>,
    link: &mut L,
) -> Result<Zeroizing<Vec<u32>>, AloneError<L::Error>> {
    let zeros = vec![0; task.network.inputs()];
    let mut h = Zeroizing::new(input.unwrap_or(&zeros).to_vec());
    expect(task, &h)?;
    let mut work = Vec::new();
    let mut run = Run::new(task, &half, link, &mut work);
    // `d + h_1` of every vector: later layers may ask for it again.
    let mut known: Vec<Zeroizing<Vec<u32>>> = Vec::with_capacity(half.shares.len());
    for (layer, shares) in half.shares.iter().enumerate() {
        let opened = run.hear(h.len()).await?;
        add(&mut h, &opened, u32::wrapping_add);
        known.push(h);
        let mut y = Zeroizing::new(vec![0; shares.len()]);
        let vector = |source: u16| known.get(usize::from(source)).map_or(&[][..], |known| known);
        model.affine(layer, &task.network.parts(layer), vector, &mut y);
        add(&mut y, shares, u32::wrapping_add);
        run.gate(layer, &mut y).await?;
        if let Some(part) = task.network.carried(layer) {
            let (public, own) = (u32::from_u64(part.public), vector(part.source));
            part.shape.add_product(&[], public, own, &mut y);
        }
        h = y;
    }
    run.finish()?;
    Ok(h)
}

fn expect<E>(task: &Task, input: &[u32]) -> Result<(), AloneError<E>> {
    let (expected_elems, found_elems) = (task.network.inputs(), input.len());
    if found_elems == expected_elems {
        Ok(())
    } else {
        Err(AloneError::Input { expected_elems, found_elems })
    }
}

fn add(to: &mut [u32], words: &[u32], with: impl Fn(u32, u32) -> u32) {
    to.iter_mut().zip(words).for_each(|(to, &word)| *to = with(*to, word));
}

/// A party in the middle of an inference: what both do alike.
struct Run<'r, L> {
    task: &'r Task,
    engine: Computing<'r, Received<'r>, Lent<'r, L>>,
}

/// A link that is lent.
struct Lent<'l, L>(&'l mut L);

impl<L: Link> Link for Lent<'_, L> {
    type Error = L::Error;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), L::Error> {
        self.0.exchange(own, peer).await
    }
}

impl<'r, L: Link> Run<'r, L> {
    fn new(task: &'r Task, half: &'r Half, link: &'r mut L, work: &'r mut Vec<u8>) -> Self {
        work.resize(task.gates.usage.work_bytes, 0);
        let source = Received::made(half.party, &half.records);
        Self { task, engine: Computing::new(source, Lent(link), work, Comparison::Ot) }
    }

    async fn say(&mut self, words: &[u32]) -> Result<(), AloneError<L::Error>> {
        let mut message = vec![0; size_of_val(words)];
        write_le_slice(words, &mut message);
        let said = self.engine.link().exchange([&message, &[]], [&mut [], &mut []]).await;
        said.map_err(of_link)
    }

    async fn hear(&mut self, elems: usize) -> Result<Vec<u32>, AloneError<L::Error>> {
        let (mut message, mut words) = (vec![0; elems * u32::BYTES], vec![0; elems]);
        let heard = self.engine.link().exchange([&[], &[]], [&mut message, &mut []]).await;
        heard.map_err(of_link)?;
        read_le_slice(&message, &mut words);
        Ok(words)
    }

    async fn gate(&mut self, layer: usize, y: &mut [u32]) -> Result<(), AloneError<L::Error>> {
        Ok(gate(&mut self.engine, &self.task.network, layer, y).await?)
    }

    /// Everything of a half must be spent.
    fn finish(self) -> Result<(), AloneError<L::Error>> {
        let found_bytes = self.engine.into_parts().0.left_bytes();
        let left = LengthError { expected_bytes: 0, found_bytes };
        if found_bytes == 0 { Ok(()) } else { Err(EngineError::from(left).into()) }
    }
}
