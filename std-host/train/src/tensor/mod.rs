//! Shared tensors between two servers: opened once under a mask, multiplied as often as one likes.
//!
//! A tensor `X` in `Z_2^64` is [opened](Machine::open) under a dealt mask `A`: `E = X - A` is
//! public afterwards. Any bilinear map of two opened tensors, a product of matrices or one of the
//! three of a convolution, then costs no message: both parties compute alone, with a dealt share of
//! the map of the masks.
//!
//! ```text
//! E = X - A,  F = Y - B                                   public
//! [X Y] = E [Y] + [A] F + [A B]                           X Y = (E + A) Y,  A Y = A F + A B
//! ```
//!
//! So one opening of a layer's weights serves the way forward and the way back, and one of the data
//! serves all epochs. Masks come from seeds that either party shares with the dealer; only the maps
//! of masks are sent, to `P1`.
//!
//! Element-wise protocols are those of the core, run by the [`Engine`] inside. One program, read by
//! [`party`], [`offline`] and [`Plain`].

pub mod alone;
mod dealing;
pub mod local;
mod lowered;
mod memory;
pub mod offline;
pub mod party;
pub mod together;
mod words;

use core::future::Future;

use sharelet_core::correlation::LengthError;
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::twin::Twin;
use sharelet_core::functions::engine::{Comparison, Engine, Settings, Truncation};
use sharelet_core::functions::program::choice;
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::functions::protocol::activate::{Activate, Activated, Kept};
use sharelet_core::functions::protocol::matrix::{self, MaskMatrix};
use sharelet_core::functions::protocol::millionaire::Millionaire;
use sharelet_core::functions::protocol::millionaire::activation::Activation;
use sharelet_core::functions::protocol::rescale::Rescaled;
use sharelet_core::functions::protocol::select::{Select, Selected};
use sharelet_core::ring::Ring;
use sharelet_core::share;

use crate::kernel::Bilinear;

/// Up to so many elements a comparison is folded at once, in one message less; beyond, tables are
/// kept small.
const FEW_ELEMS: usize = 4096;

/// A tensor that was opened under a mask.
pub struct Masked {
    /// `E = X - A`, public.
    opened: Vec<u64>,
    /// A share of `A`; for the dealer `A` itself.
    mask: Vec<u64>,
    /// A share of `X`.
    share: Vec<u64>,
    /// Whether it was opened in an earlier session than what it is multiplied in.
    known: bool,
}

impl Masked {
    /// The same for sessions to come, which can multiply by it before they begin: see
    /// [`party::Prepared::foresee`].
    #[must_use]
    pub fn known(self) -> Self {
        Self { known: true, ..self }
    }

    /// The share of the tensor itself.
    #[must_use]
    pub fn share(&self) -> &[u64] {
        &self.share
    }

    /// Some of its rows, of `columns` words each: as opened as the whole. Rows that there are not
    /// come out as nothing.
    #[must_use]
    pub fn rows(&self, columns: usize, rows: &[usize]) -> Self {
        let pick = |words: &[u64]| {
            let row =
                |&row: &usize| words.get(row * columns..(row + 1) * columns).unwrap_or_default();
            rows.iter().flat_map(row).copied().collect()
        };
        Self {
            opened: pick(&self.opened),
            mask: pick(&self.mask),
            share: pick(&self.share),
            known: self.known,
        }
    }
}

redacted!(Masked);

/// What a gate kept for the way back: spent by value, on one selection.
pub struct Bits {
    bit: Vec<u64>,
    mask: Vec<u64>,
    product: Vec<u64>,
}

impl Bits {
    /// The bits themselves, 0 or 1, shared.
    #[must_use]
    pub fn share(&self) -> &[u64] {
        &self.bit
    }
}

redacted!(Bits);

/// Where masks come from, and the maps of masks.
pub trait Tensors {
    /// A share of the next mask, of so many words.
    ///
    /// # Errors
    /// [`LengthError`] if the correlations are used up.
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError>;

    /// A share of the map of two opened tensors.
    ///
    /// # Errors
    /// [`LengthError`] if the correlations are used up, or the tensors have not the map's sizes.
    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError>;
}

/// Runs programs over tensors: an engine for what is done element by element, and the tensors'
/// correlations.
#[derive(Debug)]
pub struct Machine<E, T> {
    engine: E,
    tensors: T,
}

/// An engine that programs over tensors run on.
pub trait Runner: Engine<Error: From<LengthError>> {}

impl<E: Engine<Error: From<LengthError>>> Runner for E {}

/// A program over tensors, written once for all machines.
pub trait Program {
    /// What it leaves.
    type Output;

    /// Runs it.
    ///
    /// # Errors
    /// The engine's.
    fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> impl Future<Output = Result<Self::Output, E::Error>>;
}

impl<E: Runner, T: Tensors> Machine<E, T> {
    /// A machine.
    pub const fn new(engine: E, tensors: T) -> Self {
        Self { engine, tensors }
    }

    /// The engine and the tensors, when the program is over.
    pub fn into_parts(self) -> (E, T) {
        (self.engine, self.tensors)
    }

    /// The engine, for programs of the core.
    pub const fn engine(&mut self) -> &mut E {
        &mut self.engine
    }

    /// A public constant as a share of it.
    pub fn constant(&self, value: u64) -> u64 {
        self.engine.constant(value)
    }

    /// As [`Machine::open`], of one tensor.
    ///
    /// # Errors
    /// The engine's.
    pub async fn open_one(&mut self, words: Vec<u64>) -> Result<Masked, E::Error> {
        let opened = self.open(vec![words]).await?.pop();
        opened.ok_or_else(|| LengthError { expected_bytes: 1, found_bytes: 0 }.into())
    }

    /// Opens tensors under fresh masks, in one message: 8 bytes per word and party.
    ///
    /// # Errors
    /// The engine's.
    pub async fn open(&mut self, tensors: Vec<Vec<u64>>) -> Result<Vec<Masked>, E::Error> {
        let lengths: Vec<usize> = tensors.iter().map(Vec::len).collect();
        let words: usize = lengths.iter().sum();
        let mask = self.tensors.mask(words)?;
        let matrix = match <[Vec<u64>; 1]>::try_from(tensors) {
            Ok([only]) => only,
            Err(several) => several.concat(),
        };
        let mut opened = vec![0; words];
        self.engine
            .run(
                &MaskMatrix::new(),
                matrix::Masked { matrix: &matrix, mask: &mask, opened: &mut opened },
            )
            .await?;
        if let [_] = lengths.as_slice() {
            return Ok(vec![Masked { opened, mask, share: matrix, known: false }]);
        }
        let mut first = 0;
        let mut part = |len| {
            let places = first..first + len;
            first += len;
            let copied = |words: &[u64]| words.get(places.clone()).unwrap_or_default().to_vec();
            Masked {
                opened: copied(&opened),
                mask: copied(&mask),
                share: copied(&matrix),
                known: false,
            }
        };
        Ok(lengths.into_iter().map(&mut part).collect())
    }

    /// The map of two opened tensors, without a message.
    ///
    /// # Errors
    /// The correlations are used up, or the tensors have not the map's sizes.
    pub fn product(
        &mut self,
        map: &Bilinear,
        x: &Masked,
        y: &Masked,
    ) -> Result<Vec<u64>, E::Error> {
        Ok(self.tensors.product(map, x, y)?)
    }

    /// Drops `shift` bits; without any, the words as they are.
    ///
    /// # Errors
    /// The engine's; a shift of 63 bits and more.
    pub async fn truncate(&mut self, words: Vec<u64>, shift: u32) -> Result<Vec<u64>, E::Error> {
        if shift == 0 {
            return Ok(words);
        }
        match self.engine.truncation() {
            Truncation::OneUnit => {
                let mut out = vec![0; words.len()];
                let data = Rescaled { x: &words, out: &mut out };
                choice::rescale_to(&mut self.engine, shift, data).await?;
                Ok(out)
            }
            Truncation::Exact => self.truncate_exactly(words, shift).await,
        }
    }

    /// As [`Machine::truncate`], downwards whatever else is.
    ///
    /// # Errors
    /// The engine's; a shift of 63 bits and more.
    pub async fn truncate_exactly(
        &mut self,
        mut words: Vec<u64>,
        shift: u32,
    ) -> Result<Vec<u64>, E::Error> {
        choice::truncate(&mut self.engine, shift, &mut words).await?;
        Ok(words)
    }

    /// Drops `shift` bits, and keeps 32 of what is left: of values that have no more.
    ///
    /// # Errors
    /// The engine's; a shift of 63 bits and more.
    pub async fn narrow(&mut self, words: Vec<u64>, shift: u32) -> Result<Vec<u32>, E::Error> {
        let mut narrow = vec![0; words.len()];
        if shift > 0 && self.engine.truncation() == Truncation::OneUnit {
            let data = Rescaled { x: &words, out: &mut narrow };
            choice::rescale_to(&mut self.engine, shift, data).await?;
        } else {
            share::reduce(&self.truncate(words, shift).await?, &mut narrow);
        }
        Ok(narrow)
    }

    /// `max(y >> shift, 0)`, and with `keeps` the bits that decided. `y >> shift` must have less
    /// than 32 bits.
    ///
    /// # Errors
    /// The engine's; a shift of more than 32 bits.
    pub async fn activate(
        &mut self,
        words: Vec<u64>,
        shift: u32,
        keeps: bool,
    ) -> Result<(Vec<u64>, Bits), E::Error> {
        if shift > 0 && self.engine.truncation() == Truncation::OneUnit {
            if self.engine.comparison() == Comparison::Ot {
                let gate = Millionaire::<Activation<u64>>::truncating(shift, keeps)?;
                return self.decide(&gate, words, keeps).await;
            }
            let gate = Activate::truncating(shift, folding(words.len()), keeps)?;
            return self.decide(&gate, words, keeps).await;
        }
        let narrow = self.narrow(words, shift).await?;
        self.activate_narrow(narrow, keeps).await
    }

    /// `max(y, 0)`, and with `keeps` the bits that decided.
    ///
    /// # Errors
    /// The engine's.
    pub async fn activate_narrow(
        &mut self,
        words: Vec<u32>,
        keeps: bool,
    ) -> Result<(Vec<u64>, Bits), E::Error> {
        if self.engine.comparison() == Comparison::Ot {
            let gate = Millionaire::<Activation<u32>>::exact(keeps);
            return self.decide(&gate, words, keeps).await;
        }
        self.decide(&Activate::exact(folding(words.len()), keeps), words, keeps).await
    }

    /// As [`Machine::activate_narrow`], for results that stay narrow.
    ///
    /// # Errors
    /// The engine's.
    pub async fn positive(
        &mut self,
        words: Vec<u32>,
        keeps: bool,
    ) -> Result<(Vec<u32>, Bits), E::Error> {
        if !keeps {
            if self.engine.comparison() == Comparison::Ot {
                let gate = Millionaire::<Activation<u32, u32>>::narrow();
                return self.decide(&gate, words, false).await;
            }
            return self.decide(&Activate::narrow(folding(words.len())), words, false).await;
        }
        let (lifted, bits) = self.activate_narrow(words, true).await?;
        let mut narrow = vec![0; lifted.len()];
        share::reduce(&lifted, &mut narrow);
        Ok((narrow, bits))
    }

    async fn decide<R: Ring, W: Ring>(
        &mut self,
        gate: &impl for<'d> Protocol<Data<'d> = Activated<'d, R, W>>,
        mut y: Vec<R>,
        keeps: bool,
    ) -> Result<(Vec<W>, Bits), E::Error> {
        let mut out = vec![W::ZERO; y.len()];
        let kept = if keeps { y.len() } else { 0 };
        let mut bits = Bits { bit: vec![0; kept], mask: vec![0; kept], product: vec![0; kept] };
        let kept = Kept { bit: &mut bits.bit, mask: &mut bits.mask, product: &mut bits.product };
        self.engine.run(gate, Activated { y: &mut y, out: &mut out, kept }).await?;
        Ok((out, bits))
    }

    /// Values where the bits are 1, zero elsewhere: one message.
    ///
    /// # Errors
    /// The engine's; bits that are not as many as values.
    pub async fn select(&mut self, values: &mut [u64], bits: Bits) -> Result<(), E::Error> {
        let Bits { bit, mask, product } = bits;
        self.engine
            .run(&Select::new(), Selected { values, bit: &bit, mask: &mask, product: &product })
            .await
    }
}

/// How so many comparisons are folded.
const fn folding(elems: usize) -> Folding {
    if elems <= FEW_ELEMS { Folding::Direct } else { Folding::Staged }
}

/// The plaintext twin's tensors: no mask, and plain products.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Tensors for Plain {
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        Ok(vec![0; elems])
    }

    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError> {
        let mut out = vec![0; map.out_elems()];
        add(map, &x.share, &y.share, &mut out)?;
        Ok(out)
    }
}

/// Whether a map takes operands of so many words.
fn check(map: &Bilinear, x: usize, y: usize) -> Result<(), LengthError> {
    let wrong = [(x, map.x_elems()), (y, map.y_elems())]
        .into_iter()
        .find(|(found, expected)| found != expected);
    wrong.map_or(Ok(()), |(found, expected)| {
        Err(LengthError { expected_bytes: 8 * expected, found_bytes: 8 * found })
    })
}

/// Adds the map of two operands.
fn add(map: &Bilinear, x: &[u64], y: &[u64], out: &mut [u64]) -> Result<(), LengthError> {
    check(map, x.len(), y.len())?;
    // All else fits: the result has the map's size.
    map.add(x, y, out).map_err(|_| LengthError { expected_bytes: 8, found_bytes: 0 })
}

/// The twin's machine.
#[must_use]
pub fn twin(settings: impl Into<Settings>) -> Machine<Twin, Plain> {
    Machine::new(Twin { settings: settings.into() }, Plain)
}
