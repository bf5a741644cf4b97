//! Private weights times masks, modulo `2^32`: shares of `W r`, where `P0` holds `r` and `P1` holds
//! `W`. It is the correlation of a linear layer of one session (Cheetah, eprint 2022/207): of a
//! vector, or of the columns that windows cut out of an image.
//!
//! `W` has `outputs x inputs` signed weights, `r` has `inputs x columns` words, both row-major. For
//! many sessions of one model see [`batch`](super::batch), which takes a thirtieth of the bytes per
//! session.
//!
//! Weights of 16 bits are never refused; larger ones may be, by [`Shape::noise_bits`].

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::error::Error;
use super::keys::{Public, Secret};
use super::layout::Layout;
use super::modulus::lower_half;
use super::noise::{check as check_noise, noise_bits};
use super::product::{Matrices, Product};
use super::respond::respond as respond_to;
use super::ring::{Parameters as _, Words32};

/// Public sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    product: Product,
}

impl Shape {
    /// Of `outputs x inputs` weights and as many columns of masks.
    ///
    /// # Errors
    /// [`Error::Sizes`] if one is 0 or messages would be too long.
    pub fn new(outputs: usize, inputs: usize, columns: usize) -> Result<Self, Error> {
        let ring = Words32::ring();
        let layout = Layout::new(ring, [outputs, inputs, columns], false)?;
        Ok(Self { product: Product { ring, layout } })
    }

    /// Bytes of a request.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.product.layout.request_bytes()
    }

    /// Bytes of a reply.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        self.product.layout.reply_bytes()
    }

    /// Bits of the bound of the noise before flooding: the largest of a block of rows.
    ///
    /// # Errors
    /// [`Error::Operand`] if there are more or fewer weights; [`Error::Noise`] if flooding does not
    /// hide it: then [`respond`] refuses them, too.
    pub fn noise_bits(&self, weights: &[i32]) -> Result<f64, Error> {
        Ok(noise_bits(self.product.ring, self.squares(weights)?))
    }

    /// The largest sum of squares of a block of rows, if its noise is hidden.
    fn squares(&self, weights: &[i32]) -> Result<f64, Error> {
        let [outputs, inputs, _] = self.product.layout.sizes();
        check("W", weights.len(), outputs * inputs)?;
        let [block_rows, ..] = self.product.layout.block();
        let squares = |rows: &[i32]| rows.iter().map(|&weight| f64::from(weight).powi(2)).sum();
        let largest = weights.chunks(block_rows * inputs).map(squares).fold(0.0, f64::max);
        check_noise(self.product.ring, largest)?;
        Ok(largest)
    }
}

fn check(operand: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Operand { operand, expected, found }) }
}

/// `P0`'s request, of `r`.
///
/// # Errors
/// [`Error::Operand`] if `r` has another length.
pub fn request(
    secret: &Secret<Words32>,
    shape: &Shape,
    r: &[u32],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, Error> {
    let [_, inputs, columns] = shape.product.layout.sizes();
    check("r", r.len(), inputs * columns)?;
    let words = Zeroizing::new(r.iter().map(|&word| word.into()).collect::<Vec<u64>>());
    Ok(shape.product.request(secret.values(), Matrices { left: &[], right: &words }, rng))
}

/// `P1`'s reply, of `W`, and its share: `outputs x columns` words.
///
/// # Errors
/// As [`Shape::noise_bits`]; [`Error::Length`] or [`Error::Residue`] if the request is not one of
/// this shape.
pub fn respond(
    public: &Public<Words32>,
    shape: &Shape,
    weights: &[i32],
    request: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Vec<u32>), Error> {
    let _ = shape.squares(weights)?;
    let left = Zeroizing::new(weights.iter().map(|&weight| weight.into()).collect::<Vec<i64>>());
    let own = Matrices { left: &left, right: &[] };
    let (reply, shares) = respond_to(&shape.product, public.zero(), own, request, rng)?;
    let shares = Zeroizing::new(shares);
    Ok((reply, shares.iter().map(|&word| lower_half(word)).collect()))
}

/// `P0`'s share: `outputs x columns` words.
///
/// # Errors
/// [`Error::Length`] or [`Error::Filling`] if the reply is not one of this shape.
pub fn finish(secret: &Secret<Words32>, shape: &Shape, reply: &[u8]) -> Result<Vec<u32>, Error> {
    let shares = Zeroizing::new(shape.product.finish(secret.values(), reply)?);
    Ok(shares.iter().map(|&word| lower_half(word)).collect())
}
