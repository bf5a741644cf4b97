//! `P1`'s reply to a request for a product of matrices: by blocks, in parallel.
//!
//! Per block of the product there is one ciphertext: the sum over the inner dimension of
//! `Enc(right of P0) left of P1`, and, if both are encrypted, `Enc(left of P0) right of P1`.

use core::ops::Range;

use rand_core::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::error::Error;
use super::fresh::read;
use super::pair::Pair;
use super::poly::Poly;
use super::product::{Matrices, Product};
use super::reply::seal;
use super::sample::{SEED_BYTES, Seed};

/// Bytes of right operands that are held at once, as long as one block column has no more.
const HELD_BYTES: usize = 80 << 20;

/// Operands of one block: `P0`'s ciphertext, where it has one, and `P1`'s factor.
struct Operands {
    pair: Option<Pair>,
    factor: Option<Poly>,
}

/// A block column, and `P1`'s share of a block in it.
type Shares = (usize, Zeroizing<Vec<u64>>);

/// What a reply is made from.
struct Response<'a> {
    product: &'a Product,
    own: Matrices<'a, i64>,
    /// The seed of the request's `a`.
    public: Seed,
    /// The request's ciphertexts.
    fresh: &'a [u8],
    zero: &'a Pair,
    private: Seed,
}

/// `P1`'s reply to a request, and its share, row by row. Its matrices are signed words.
///
/// # Errors
/// [`Error::Length`] and [`Error::Residue`] if the request is none.
pub fn respond(
    product: &Product,
    zero: &Pair,
    own: Matrices<'_, i64>,
    request: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Vec<u64>), Error> {
    let layout = &product.layout;
    let length = Error::Length { expected: layout.request_bytes(), found: request.len() };
    let (seed, fresh) = request.split_first_chunk::<SEED_BYTES>().ok_or(length)?;
    if request.len() != layout.request_bytes() {
        return Err(length);
    }
    let (public, private) = (Seed::from_bytes(*seed), Seed::new(rng));
    let response = Response { product, own, public, fresh, zero, private };
    let [_, inner, _] = layout.blocks();
    let operand_bytes = 3 * product.ring.residues() * size_of::<u64>();
    response.in_turns(HELD_BYTES / operand_bytes / inner)
}

impl Response<'_> {
    /// The reply and the share, with the right operands of so many block columns at once, or one.
    fn in_turns(&self, columns_at_once: usize) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let layout = &self.product.layout;
        let [_, _, columns] = layout.blocks();
        let [size_rows, _, size_columns] = layout.sizes();
        let mut reply = vec![0; layout.reply_bytes()];
        let mut shares = vec![0; size_rows * size_columns];
        let columns_at_once = columns_at_once.clamp(1, columns);
        for first in (0..columns).step_by(columns_at_once) {
            let some = first..columns.min(first + columns_at_once);
            let rights = self.rights(some.clone())?;
            let of_rows = reply.par_chunks_exact_mut(columns * self.product.block_bytes());
            let results =
                of_rows.enumerate().map(|(row, to)| self.row(row, some.clone(), &rights, to));
            for (row, results) in results.collect::<Vec<_>>().into_iter().enumerate() {
                for (column, words) in results? {
                    layout.put(&words, [row, column], &mut shares);
                }
            }
        }
        Ok((reply, shares))
    }

    /// A ciphertext of the request.
    fn pair(&self, number: usize) -> Result<Pair, Error> {
        let ring = self.product.ring;
        let bytes = self.fresh.chunks_exact(ring.fresh_bytes()).nth(number).unwrap_or_default();
        read(ring, &mut self.public.stream(number), bytes)
    }

    /// The right operands of some block columns, those of a column one after the other.
    fn rights(&self, columns: Range<usize>) -> Result<Vec<Operands>, Error> {
        let Product { ring, layout } = self.product;
        let [_, inner, _] = layout.blocks();
        let numbers = (columns.start * inner..columns.end * inner).into_par_iter();
        let right = |number: usize| {
            let factor = layout.both().then(|| {
                let block = [number % inner, number / inner];
                Poly::values_of(ring, &layout.right(self.own.right, block))
            });
            Ok(Operands { pair: Some(self.pair(number)?), factor })
        };
        numbers.map(right).collect()
    }

    /// The left operands of a block row.
    fn lefts(&self, row: usize) -> Result<Vec<Operands>, Error> {
        let Product { ring, layout } = self.product;
        let [_, inner, _] = layout.blocks();
        let left = |place: usize| {
            let number = self.product.right_count() + row * inner + place;
            let pair = layout.both().then(|| self.pair(number)).transpose()?;
            let block = layout.left(self.own.left, [row, place]);
            Ok(Operands { pair, factor: Some(Poly::values_of(ring, &block)) })
        };
        (0..inner).into_par_iter().map(left).collect()
    }

    /// Some blocks of a row of the reply, and `P1`'s shares of them.
    fn row(
        &self,
        row: usize,
        some: Range<usize>,
        rights: &[Operands],
        to: &mut [u8],
    ) -> Result<Vec<Shares>, Error> {
        let Product { ring, layout } = self.product;
        let [_, inner, columns] = layout.blocks();
        let lefts = self.lefts(row)?;
        let bytes = self.product.block_bytes();
        let to = to.get_mut(some.start * bytes..some.end * bytes).unwrap_or_default();
        let blocks = to.par_chunks_exact_mut(bytes).zip(rights.par_chunks_exact(inner)).zip(some);
        let results = blocks.map(|((to, rights), column)| {
            let mut private = self.private.stream(row * columns + column);
            let pair = Pair::sum(ring, &terms(&lefts, rights));
            (column, seal(ring, self.zero, &mut private, pair, layout.places(), to))
        });
        Ok(results.collect())
    }
}

/// Ciphertexts with their factors.
fn terms<'a>(lefts: &'a [Operands], rights: &'a [Operands]) -> Vec<(&'a Pair, &'a Poly)> {
    let crossed = lefts
        .iter()
        .zip(rights)
        .flat_map(|(left, right)| [(&right.pair, &left.factor), (&left.pair, &right.factor)]);
    crossed.filter_map(|(pair, factor)| pair.as_ref().zip(factor.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use sharelet_testkit::{Rng, printed_seed, rng};

    use super::*;
    use crate::keys::{Public, Secret};
    use crate::layout::Layout;
    use crate::ring::{Parameters as _, Words64};

    #[test]
    fn a_reply_in_turns_is_the_same() {
        let seed = printed_seed();
        let (mut rng, mut random) = (rng(seed), Rng(seed));
        let ring = Words64::ring();
        let product = Product { ring, layout: Layout::new(ring, [30, 20, 120], true).unwrap() };
        let [rows, _, columns] = product.layout.blocks();
        assert!(rows > 1 && columns > 2, "{rows} {columns}");
        let secret = Secret::<Words64>::new(&mut rng);
        let public = Public::<Words64>::read(&secret.public(&mut rng)).unwrap();
        let mut words = |count: usize| -> Vec<u64> { (0..count).map(|_| random.next()).collect() };
        let (left, right) = (words(600), words(2400));
        let own = Matrices { left: &left, right: &right };
        let request = product.request(secret.values(), own, &mut rng);
        let [left, right] = [left, right].map(|words| -> Vec<i64> {
            words.into_iter().map(|word| word.cast_signed()).collect()
        });
        let (seed, fresh) = request.split_first_chunk().unwrap();
        let response = Response {
            product: &product,
            own: Matrices { left: &left, right: &right },
            public: Seed::from_bytes(*seed),
            fresh,
            zero: public.zero(),
            private: Seed::new(&mut rng),
        };
        let at_once = response.in_turns(columns).unwrap();
        assert_eq!(response.in_turns(2).unwrap(), at_once);
        assert_eq!(response.in_turns(0).unwrap(), at_once);
    }
}
