//! Products of matrices of which `P0` encrypts the right one, or both: its request, and its share
//! of the reply. What is between is in `respond.rs`.

use rand_core::CryptoRng;
use rayon::prelude::*;

use super::error::Error;
use super::fresh::{encrypt, write};
use super::layout::Layout;
use super::poly::Poly;
use super::reply::open;
use super::ring::Ring;
use super::sample::Seed;

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
pub struct Matrices<'a, T> {
    /// `rows x inner`.
    pub left: &'a [T],
    /// `inner x columns`.
    pub right: &'a [T],
}

impl Product {
    /// Ciphertexts of right blocks, which come first: block column by block column.
    pub fn right_count(&self) -> usize {
        let [_, inner, columns] = self.layout.blocks();
        inner * columns
    }

    /// Bytes of a block in the reply.
    pub fn block_bytes(&self) -> usize {
        self.ring.reply_bytes(self.layout.places().count())
    }

    /// `P0`'s request.
    pub fn request(
        &self,
        secret: &Poly,
        own: Matrices<'_, u64>,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let [_, inner, _] = self.layout.blocks();
        let (public, private) = (Seed::new(rng), Seed::new(rng));
        let mut message = vec![0; self.layout.request_bytes()];
        let Some((seed, rest)) = message.split_first_chunk_mut() else { return message };
        *seed = *public.bytes();
        rest.par_chunks_exact_mut(self.ring.fresh_bytes()).enumerate().for_each(|(number, to)| {
            let words = match number.checked_sub(self.right_count()) {
                None => self.layout.right(own.right, [number % inner, number / inner]),
                Some(left) => self.layout.left(own.left, [left / inner, left % inner]),
            };
            let mut streams = [public.stream(number), private.stream(number)];
            let [public, private] = &mut streams;
            let words = words.iter().copied();
            write(self.ring, &encrypt(self.ring, secret, public, private, words), to);
        });
        message
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
        let blocks = reply.par_chunks_exact(self.block_bytes());
        let blocks = blocks.map(|bytes| open(self.ring, secret, self.layout.places(), bytes));
        let mut shares = vec![0; rows * size_columns];
        for (number, words) in blocks.collect::<Result<Vec<_>, Error>>()?.iter().enumerate() {
            self.layout.put(words, [number / columns, number % columns], &mut shares);
        }
        Ok(shares)
    }
}
