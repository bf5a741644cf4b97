//! Triples of matrices modulo `2^64`: shares of `A0 B1 + A1 B0`, where `P0` holds `A0`, `B0` and
//! `P1` holds `A1`, `B1`. Each party adds its own `A_i B_i`, then the shares are of
//! `(A0 + A1)(B0 + B1)`.
//!
//! One message each way, `request` and `reply`, after `P0`'s public key. Matrices are row-major;
//! `A` has `rows x inner` words, `B` has `inner x columns`.
//!
//! The model: both parties follow the protocol. `P1` learns nothing, under RLWE; `P0` learns
//! nothing up to what `noise.rs` says.
//!
//! `P1`'s memory: its matrices' blocks and `P0`'s ciphertexts of one matrix, some 66 MB at
//! `128 x 784 x 128`; beyond 80 MB in turns, as long as one block column has less. It does not
//! fall below `0.6 MB inner / v` with blocks of `v`: split a very long inner dimension, and add up
//! shares.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::error::Error;
use super::keys::{Public, Secret};
use super::layout::Layout;
use super::noise::{check, noise_bits};
use super::product::{Matrices, Product};
use super::respond::respond as respond_to;
use super::ring::{Parameters as _, Words64};

/// Public sizes of a triple.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    product: Product,
    noise_bits: f64,
}

impl Shape {
    /// Of `rows x inner` times `inner x columns` words.
    ///
    /// # Errors
    /// [`Error::Sizes`] if one is 0 or messages would be too long; [`Error::Noise`] if the inner
    /// dimension is too large (some 100,000 for wide matrices): split it, and add up shares.
    pub fn new(rows: usize, inner: usize, columns: usize) -> Result<Self, Error> {
        let ring = Words64::ring();
        let layout = Layout::new(ring, [rows, inner, columns], true)?;
        let [block_rows, _, block_columns] = layout.block();
        // Words are signed: up to 2^63. A result's ciphertext is made from so many of them.
        #[allow(clippy::cast_precision_loss)]
        let squares = (block_rows + block_columns) as f64 * inner as f64 * 2_f64.powi(126);
        check(ring, squares)?;
        let noise_bits = noise_bits(ring, squares);
        Ok(Self { product: Product { ring, layout }, noise_bits })
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

    /// Bits of the bound of the noise before flooding, whatever the words are.
    #[must_use]
    pub fn noise_bits(&self) -> f64 {
        self.noise_bits
    }

    /// Whether two matrices have these sizes.
    fn check(&self, a: &[u64], b: &[u64]) -> Result<(), Error> {
        let [rows, inner, columns] = self.product.layout.sizes();
        for (operand, found, expected) in
            [("A", a.len(), rows * inner), ("B", b.len(), inner * columns)]
        {
            if found != expected {
                return Err(Error::Operand { operand, expected, found });
            }
        }
        Ok(())
    }
}

/// `P0`'s request, of `A0` and `B0`.
///
/// # Errors
/// [`Error::Operand`] if a matrix has another size.
pub fn request(
    secret: &Secret<Words64>,
    shape: &Shape,
    a: &[u64],
    b: &[u64],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, Error> {
    shape.check(a, b)?;
    Ok(shape.product.request(secret.values(), Matrices { left: a, right: b }, rng))
}

/// `P1`'s reply, of `A1` and `B1`, and its share: `rows x columns` words.
///
/// # Errors
/// [`Error::Operand`] if a matrix has another size; [`Error::Length`] or [`Error::Residue`] if the
/// request is not one of this shape.
pub fn respond(
    public: &Public<Words64>,
    shape: &Shape,
    a: &[u64],
    b: &[u64],
    request: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Vec<u64>), Error> {
    shape.check(a, b)?;
    let [left, right] = [a, b].map(|words| {
        Zeroizing::new(words.iter().map(|word| word.cast_signed()).collect::<Vec<i64>>())
    });
    let own = Matrices { left: &left, right: &right };
    respond_to(&shape.product, public.zero(), own, request, rng)
}

/// `P0`'s share: `rows x columns` words.
///
/// # Errors
/// [`Error::Length`] or [`Error::Filling`] if the reply is not one of this shape.
pub fn finish(secret: &Secret<Words64>, shape: &Shape, reply: &[u8]) -> Result<Vec<u64>, Error> {
    shape.product.finish(secret.values(), reply)
}
