//! Products of matrices of which `P0` encrypts the right one, or both: by blocks, in parallel.
//!
//! Per block of the product there is one ciphertext in the reply: the sum over the inner dimension
//! of `Enc(right of P0) left of P1`, and, of both, `Enc(left of P0) right of P1`.

use rand_core::CryptoRng;
use rayon::prelude::*;

use super::error::Error;
use super::fresh::{encrypt, read, write};
use super::layout::Layout;
use super::pair::Pair;
use super::poly::Poly;
use super::reply::{open, seal};
use super::ring::Ring;
use super::sample::{SEED_BYTES, Seed};

/// Bytes of right operands that are held at once, as long as one block column has no more.
const HELD_BYTES: usize = 80 << 20;

/// A product, and its ring.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// The ring of its words.
    pub ring: &'static Ring,
    /// Its sizes and blocks.
    pub layout: Layout,
}

/// One party's matrices. Of a product with one encrypted matrix `P0` has the right one, `P1` the
/// left one, and the other slice is empty.
#[derive(Clone, Copy)]
pub struct Matrices<'a, L, R> {
    /// `rows x inner`.
    pub left: &'a [L],
    /// `inner x columns`.
    pub right: &'a [R],
}

/// Operands of one block: `P0`'s ciphertext, where it has one, and `P1`'s factor.
struct Operands {
    pair: Option<Pair>,
    factor: Option<Poly>,
}

impl Product {
    /// Ciphertexts of right blocks, which come first: block column by block column.
    fn right_count(&self) -> usize {
        let [_, inner, columns] = self.layout.blocks();
        inner * columns
    }

    /// `P0`'s request.
    pub fn request(
        &self,
        secret: &Poly,
        own: Matrices<'_, u64, u64>,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let [_, inner, _] = self.layout.blocks();
        let (public, private) = (Seed::new(rng), Seed::new(rng));
        let mut message = vec![0; self.layout.request_bytes()];
        let Some((seed, rest)) = message.split_first_chunk_mut() else { return message };
        *seed = *public.bytes();
        rest.par_chunks_exact_mut(self.ring.fresh_bytes()).enumerate().for_each(|(number, to)| {
            let words = match number.checked_sub(self.right_count()) {
                None => self.layout.right(own.right, [number % inner, number / inner], |word| word),
                Some(left) => self.layout.left(own.left, [left / inner, left % inner], |word| word),
            };
            let mut streams = [public.stream(number), private.stream(number)];
            let [public, private] = &mut streams;
            let words = words.iter().copied();
            write(self.ring, &encrypt(self.ring, secret, public, private, words), to);
        });
        message
    }

    /// `P1`'s reply to a request, and its share, row by row.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Residue`] if the request is none.
    pub fn respond<L: Copy + Sync, R: Copy + Sync>(
        &self,
        zero: &Pair,
        own: Matrices<'_, L, R>,
        signed: (impl Fn(L) -> i64 + Sync, impl Fn(R) -> i64 + Sync),
        request: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let expected = self.layout.request_bytes();
        let length = Error::Length { expected, found: request.len() };
        let (seed, fresh) = request.split_first_chunk::<SEED_BYTES>().ok_or(length)?;
        if request.len() != expected {
            return Err(length);
        }
        let (public, private) = (Seed::from_bytes(*seed), Seed::new(rng));
        let [rows, inner, columns] = self.layout.blocks();
        let pair = |number: usize| {
            let size = self.ring.fresh_bytes();
            let bytes = fresh.chunks_exact(size).nth(number).unwrap_or_default();
            read(self.ring, &mut public.stream(number), bytes)
        };
        let right = |column: usize, place: usize| {
            let factor = self.layout.both().then(|| {
                Poly::values_of(
                    self.ring,
                    &self.layout.right(own.right, [place, column], &signed.1),
                )
            });
            Ok(Operands { pair: Some(pair(column * inner + place)?), factor })
        };
        let left = |row: usize, place: usize| {
            let coefficients = self.layout.left(own.left, [row, place], &signed.0);
            let number = self.right_count() + row * inner + place;
            let pair = self.layout.both().then(|| pair(number)).transpose()?;
            Ok(Operands { pair, factor: Some(Poly::values_of(self.ring, &coefficients)) })
        };

        let reply_bytes = self.ring.reply_bytes(self.layout.places().count());
        let mut reply = vec![0; self.layout.reply_bytes()];
        let [size_rows, _, size_columns] = self.layout.sizes();
        let mut shares = vec![0; size_rows * size_columns];
        let operand_bytes = 3 * self.ring.residues() * size_of::<u64>();
        let held = (HELD_BYTES / operand_bytes / inner).clamp(1, columns);
        for first in (0..columns).step_by(held) {
            let some = first..columns.min(first + held);
            let places = some
                .clone()
                .into_par_iter()
                .flat_map_iter(|column| (0..inner).map(move |place| (column, place)));
            let rights: Vec<Operands> =
                places.map(|(column, place)| right(column, place)).collect::<Result<_, Error>>()?;
            let row_of_reply = |(row, to): (usize, &mut [u8])| {
                let lefts = (0..inner).into_par_iter().map(|place| left(row, place));
                let lefts = lefts.collect::<Result<Vec<Operands>, Error>>()?;
                let some_to = to.get_mut(first * reply_bytes..some.end * reply_bytes);
                let results = some_to.unwrap_or_default().par_chunks_exact_mut(reply_bytes);
                let result = |((to, rights), column): ((&mut [u8], &[Operands]), usize)| {
                    let pair = self.sum(&lefts, rights);
                    let mut private = private.stream(row * columns + column);
                    let places = self.layout.places();
                    (column, seal(self.ring, zero, &mut private, pair, places, to))
                };
                let results = results.zip(rights.par_chunks_exact(inner)).zip(some.clone());
                Ok((row, results.map(result).collect::<Vec<_>>()))
            };
            let of_rows = reply.par_chunks_exact_mut(columns * reply_bytes).take(rows).enumerate();
            for row in of_rows.map(row_of_reply).collect::<Vec<Result<_, Error>>>() {
                let (row, results) = row?;
                for (column, words) in results {
                    self.layout.put(&words, [row, column], &mut shares);
                }
            }
        }
        Ok((reply, shares))
    }

    /// A block of the product.
    fn sum(&self, lefts: &[Operands], rights: &[Operands]) -> Pair {
        let pairs = lefts
            .iter()
            .zip(rights)
            .flat_map(|(left, right)| [(&right.pair, &left.factor), (&left.pair, &right.factor)]);
        let pairs = pairs.filter_map(|(pair, factor)| pair.as_ref().zip(factor.as_ref()));
        Pair::sum(self.ring, &pairs.collect::<Vec<_>>())
    }

    /// `P0`'s share, row by row.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Filling`] if the reply is none.
    pub fn finish(&self, secret: &Poly, reply: &[u8]) -> Result<Vec<u64>, Error> {
        let expected = self.layout.reply_bytes();
        if reply.len() != expected {
            return Err(Error::Length { expected, found: reply.len() });
        }
        let [_, _, columns] = self.layout.blocks();
        let [rows, _, size_columns] = self.layout.sizes();
        let reply_bytes = self.ring.reply_bytes(self.layout.places().count());
        let blocks = reply.par_chunks_exact(reply_bytes);
        let blocks = blocks.map(|bytes| open(self.ring, secret, self.layout.places(), bytes));
        let mut shares = vec![0; rows * size_columns];
        for (number, words) in blocks.collect::<Result<Vec<_>, Error>>()?.iter().enumerate() {
            self.layout.put(words, [number / columns, number % columns], &mut shares);
        }
        Ok(shares)
    }
}
