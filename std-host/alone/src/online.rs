//! The online phase: an inference with halves that are there.
//!
//! ```text
//! first        P0 -> P1  d = h_0 - r
//! each layer   P0        y_0 = c_0       P1  y_1 = W (d + h_1) + b + c_1,  c_0 + c_1 = W r
//! each gate    P1 -> P0 -> P1 -> P0 -> P1     what the next layer takes, under its mask
//! ```
//!
//! `d` is one-time padded; the gate is that of `gate.rs`, of which `P0`'s share of the result is
//! the next layer's mask. Where no gate follows, `P0` has said ahead how its share differs from
//! that mask. All of it is exact: the shares of the answer add up to what the network's twin says,
//! bit for bit.

use sharelet_core::functions::engine::Link;
use sharelet_core::ring::{Ring as _, read_le_slice, write_le_slice};
use sharelet_core::session::network::Affine;
use sharelet_core::share::Party;
use zeroize::Zeroizing;

use crate::error::{AloneError, of_link};
use crate::half::{Half, Spending, add, words};
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
    half.check(Party::P0, task)?;
    let mut opened = Zeroizing::new(input.to_vec());
    add(&mut opened, half.masks.first().map_or(&[][..], Vec::as_slice), u32::wrapping_sub);
    let mut message = vec![0; size_of_val(&**opened)];
    write_le_slice(&opened, &mut message);
    say(&message, link).await?;
    let mut spending = Spending::new(&half.correlations, Party::P0);
    let mut answer = Zeroizing::new(Vec::new());
    for (layer, y) in half.shares.iter().enumerate() {
        let carried = half.carried(task, layer);
        let mask = half.masks.get(layer + 1).map_or(&[][..], Vec::as_slice);
        if let Some(gate) = task.gates.after(layer) {
            let mut out = Zeroizing::new(mask.to_vec());
            add(&mut out, &carried, u32::wrapping_sub);
            let mut gate = (gate, spending.next(gate).ok_or(AloneError::Half)?);
            for round in 0..gate.0.rounds() {
                let message = hear(gate.0.message_bytes(Party::P1, round), link).await?;
                say(&gate.1.answer(round, &message, y, &out), link).await?;
            }
            answer = Zeroizing::new(mask.to_vec());
        } else {
            answer = carried;
            add(&mut answer, y, u32::wrapping_add);
        }
    }
    Ok(answer)
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
    half.check(Party::P1, task)?;
    let message = hear(size_of_val(&**h), link).await?;
    let mut opened = vec![0; h.len()];
    read_le_slice(&message, &mut opened);
    add(&mut h, &opened, u32::wrapping_add);
    let mut spending = Spending::new(&half.correlations, Party::P1);
    let mut said = &*half.said;
    // What every layer takes, less its mask: later layers may ask for it again.
    let mut known: Vec<Zeroizing<Vec<u32>>> = Vec::with_capacity(half.shares.len());
    for (layer, shares) in half.shares.iter().enumerate() {
        known.push(h);
        let mut y = Zeroizing::new(vec![0; shares.len()]);
        let vector = |source: u16| known.get(usize::from(source)).map_or(&[][..], |known| known);
        model.affine(layer, &task.network.parts(layer), vector, &mut y);
        add(&mut y, shares, u32::wrapping_add);
        if let Some(gate) = task.gates.after(layer) {
            let mut running = spending.next(gate).ok_or(AloneError::Half)?;
            let (choices, rest) = said.split_at_checked(gate.choice_bytes()).unwrap_or_default();
            said = rest;
            let mut message = choices.to_vec();
            for round in 0..gate.rounds() {
                say(&running.ask(round, &message, &y), link).await?;
                message = hear(gate.message_bytes(Party::P0, round), link).await?;
            }
            running.finish(&message, &mut y);
        } else if layer + 1 < half.shares.len() {
            let opened = words(&mut said, y.len()).ok_or(AloneError::Half)?;
            add(&mut y, &opened, u32::wrapping_add);
        }
        if let Some(part) = task.network.carried(layer) {
            let (public, own) = (u32::from_u64(part.public), vector(part.source));
            part.shape.add_product(&[], public, own, &mut y);
        }
        h = y;
    }
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

async fn say<L: Link>(message: &[u8], link: &mut L) -> Result<(), AloneError<L::Error>> {
    link.exchange([message, &[]], [&mut [], &mut []]).await.map_err(of_link)
}

async fn hear<L: Link>(bytes: usize, link: &mut L) -> Result<Vec<u8>, AloneError<L::Error>> {
    let mut message = vec![0; bytes];
    link.exchange([&[], &[]], [&mut message, &mut []]).await.map_err(of_link)?;
    Ok(message)
}
