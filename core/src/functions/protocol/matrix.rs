//! Products of shared matrices; and of one shared matrix, masked once, with many vectors.
//!
//! * Computes: shares of `X Y`, `X` of `m x k` and `Y` of `k x n` words of `Z_2^l`, row-major; or
//!   of `W v` for many `v`.
//! * Model: semi-honest parties and dealer; messages are one-time padded.
//! * Reference: Beaver triples of matrices, as in `SecureML` (S&P '17); a fixed matrix is opened
//!   once, under a mask that stays.
//! * Consumes: one record `A, B, A B` for a whole product; of a fixed matrix, one record `a, B a`
//!   per vector.
//! * Costs: 1 message; `m k + k n` ring elements per product and party, where an element-wise
//!   product of all pairs would take `2 m k n`; of a fixed matrix `m k` once, then `k` per vector.
//! * Error bound: exact, modulo `2^l`.
//!
//! ```text
//! product:  D = X - A,  E = Y - B           public afterwards
//!           X Y = [A B] + [X] E + D [B]
//! fixed:    F = W - B                       public once and for all
//!           e = v - a                       public afterwards, for every v
//!           W v = F [v] + [B] e + [B a]
//! ```
//!
//! **Who holds what of a fixed matrix.** The mask `B` is drawn by the dealer, who keeps it for as
//! long as the matrix is used: each vector's record contains `B a`. `P0`'s share of `B` is
//! keystream ([`crate::share::expand`], under a session of its own), `P1`'s is what
//! [`crate::share::split`] makes of `B`. Both parties keep their share and the public `F`; the
//! dealer never sees `F`, which together with `B` is the matrix. A mask is for one matrix: when the
//! matrix changes, it takes a new one.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{Messages, Protocol, read, write};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::ring::{Ring, dot};
use crate::step::{StepError, expect_len};

/// The most bytes of a record of this file.
pub const MAX_RECORD_BYTES: u32 = 1 << 31;

/// Words of matrices that lie in one record.
fn record_words<R: Ring>(sizes: &[(usize, usize)]) -> Result<u32, StepError> {
    let limit_elems = (MAX_RECORD_BYTES / word_bytes::<R>()) as usize;
    let mut found_elems = 0_usize;
    for (rows, columns) in sizes {
        let words = super::checked_size(rows.saturating_mul(*columns), limit_elems)?;
        found_elems = found_elems.saturating_add(words as usize);
    }
    super::checked_size(found_elems, limit_elems)
}

/// Where matrix elements lie in a record, in bytes.
#[allow(clippy::cast_possible_truncation)]
fn place<R: Ring>(words: usize) -> u32 {
    // Records are bounded by `MAX_RECORD_BYTES`.
    words as u32 * word_bytes::<R>()
}

/// `X Y` of two shared matrices. The whole product is one element.
#[derive(Clone, Copy, Debug)]
pub struct MatrixMultiply<R> {
    rows: usize,
    inner: usize,
    columns: usize,
    words: u32,
    ring: PhantomData<R>,
}

/// Factors and product, row-major.
pub struct MatrixFactors<'d, R> {
    /// `rows x inner`.
    pub x: &'d [R],
    /// `inner x columns`.
    pub y: &'d [R],
    /// `rows x columns`, overwritten.
    pub out: &'d mut [R],
}

crate::correlation::redacted!([R] MatrixFactors<'_, R>);

impl<R: Ring> MatrixMultiply<R> {
    /// The product of `rows x inner` and `inner x columns`.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if a size is 0, or the record would be larger than
    /// [`MAX_RECORD_BYTES`].
    pub fn new(rows: usize, inner: usize, columns: usize) -> Result<Self, StepError> {
        let words = record_words::<R>(&[(rows, inner), (inner, columns), (rows, columns)])?;
        Ok(Self { rows, inner, columns, words, ring: PhantomData })
    }

    fn x_elems(&self) -> usize {
        self.rows * self.inner
    }

    fn y_elems(&self) -> usize {
        self.inner * self.columns
    }
}

impl<R: Ring> Protocol for MatrixMultiply<R> {
    type Data<'d> = MatrixFactors<'d, R>;

    fn elements(&self, data: &MatrixFactors<'_, R>) -> Result<usize, StepError> {
        expect_len(data.x.len(), self.x_elems())?;
        expect_len(data.y.len(), self.y_elems())?;
        expect_len(data.out.len(), self.rows * self.columns)?;
        Ok(1)
    }

    fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        layout.words::<R>(self.words);
        layout
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        (self.x_elems() + self.y_elems()) * R::BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        // So many columns at a time that the sums stay in registers.
        const TILE: usize = 16;
        let (b_at, c_at) = (self.x_elems(), self.x_elems() + self.y_elems());
        for word in 0..c_at {
            truth.set_word(place::<R>(word), R::from_u64(rng.next_u64()));
        }
        for row in 0..self.rows {
            for first in (0..self.columns).step_by(TILE) {
                let mut sums = [R::ZERO; TILE];
                for i in 0..self.inner {
                    let a: R = truth.word(place::<R>(row * self.inner + i));
                    for (column, sum) in (first..self.columns).zip(&mut sums) {
                        *sum = sum
                            .add(a.mul(truth.word(place::<R>(b_at + i * self.columns + column))));
                    }
                }
                for (column, sum) in (first..self.columns).zip(sums) {
                    truth.set_word(place::<R>(c_at + row * self.columns + column), sum);
                }
            }
        }
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut MatrixFactors<'_, R>,
        messages: &mut Messages<'_>,
    ) {
        let factors = || data.x.iter().chain(data.y).enumerate();
        if round == 0 {
            for (word, &factor) in factors() {
                write(messages.own, word * R::BYTES, factor.sub(half.word(0, place::<R>(word))));
            }
            return;
        }
        // D and E in place of what was opened, one's share of the masks in place of one's message.
        for (word, &factor) in factors() {
            let at = word * R::BYTES;
            write(messages.opened, at, messages.opened::<R>(at));
            write(messages.own, at, factor.sub(read(messages.own, at)));
        }
        let x_bytes = self.x_elems() * R::BYTES;
        let y_words =
            |message| <[u8]>::get(message, x_bytes..).unwrap_or(&[]).chunks_exact(R::BYTES);
        let c_at = self.x_elems() + self.y_elems();
        let out = data.out.chunks_exact_mut(self.columns.max(1)).enumerate();
        for ((row, out), x) in out.zip(data.x.chunks_exact(self.inner.max(1))) {
            for (column, out) in out.iter_mut().enumerate() {
                *out = half.word(0, place::<R>(c_at + row * self.columns + column));
            }
            let (mut e, mut b) = (y_words(messages.opened), y_words(messages.own));
            for (i, &x) in x.iter().enumerate() {
                let d: R = read(messages.opened, (row * self.inner + i) * R::BYTES);
                for ((out, e), b) in out.iter_mut().zip(&mut e).zip(&mut b) {
                    *out = out.add(x.mul(R::read_le(e))).add(d.mul(R::read_le(b)));
                }
            }
        }
    }

    fn twin_rounded(&self, data: &mut MatrixFactors<'_, R>, _up: &mut impl FnMut() -> bool) {
        for (out, x) in data
            .out
            .chunks_exact_mut(self.columns.max(1))
            .zip(data.x.chunks_exact(self.inner.max(1)))
        {
            out.fill(R::ZERO);
            for (&x, y) in x.iter().zip(data.y.chunks_exact(self.columns.max(1))) {
                for (out, &y) in out.iter_mut().zip(y) {
                    *out = out.add(x.mul(y));
                }
            }
        }
    }
}

/// Opens a fixed matrix under its mask: `F = W - B`. Spends no record: the mask was handed out with
/// the matrix.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaskMatrix<R>(PhantomData<R>);

/// A matrix, its mask, and their difference; of the same length.
pub struct Masked<'d, R> {
    /// Shares of `W`.
    pub matrix: &'d [R],
    /// Shares of `B`, used for no other matrix.
    pub mask: &'d [R],
    /// Overwritten with `F`, the same for both parties.
    pub opened: &'d mut [R],
}

crate::correlation::redacted!([R] Masked<'_, R>);

impl<R: Ring> MaskMatrix<R> {
    /// The protocol; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R: Ring> Protocol for MaskMatrix<R> {
    type Data<'d> = Masked<'d, R>;

    fn elements(&self, data: &Masked<'_, R>) -> Result<usize, StepError> {
        expect_len(data.mask.len(), data.matrix.len())?;
        expect_len(data.opened.len(), data.matrix.len())?;
        Ok(data.matrix.len())
    }

    fn layout(&self) -> Layout {
        Layout::default()
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        R::BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, _truth: &mut Truth<'_>, _rng: &mut G) {}

    fn step<H: Half>(
        &self,
        round: usize,
        _half: &mut H,
        data: &mut Masked<'_, R>,
        messages: &mut Messages<'_>,
    ) {
        if round == 0 {
            for (word, (&matrix, &mask)) in data.matrix.iter().zip(data.mask).enumerate() {
                write(messages.own, word * R::BYTES, matrix.sub(mask));
            }
            return;
        }
        messages.open(0, data.opened);
    }

    fn twin_rounded(&self, data: &mut Masked<'_, R>, _up: &mut impl FnMut() -> bool) {
        for ((opened, &matrix), &mask) in data.opened.iter_mut().zip(data.matrix).zip(data.mask) {
            *opened = matrix.sub(mask);
        }
    }
}

/// `W v` for a matrix that [`MaskMatrix`] has opened, and any number of vectors `v`. A vector is an
/// element.
#[derive(Clone, Copy)]
pub struct ApplyMatrix<'m, R> {
    rows: usize,
    columns: usize,
    opened: &'m [R],
    mask: &'m [R],
    words: u32,
}

/// Vectors and what the matrix makes of them.
pub struct Vectors<'d, R> {
    /// Vectors of as many words as the matrix has columns, one after the other.
    pub x: &'d [R],
    /// As many vectors of as many words as the matrix has rows, overwritten.
    pub out: &'d mut [R],
}

crate::correlation::redacted!([R] Vectors<'_, R>);

impl<'m, R: Ring> ApplyMatrix<'m, R> {
    /// The protocol for a matrix of `rows x columns`. `opened` is `F`; `mask` is a party's share of
    /// `B`, and for the dealer `B` itself. What does not deal, nor compute, may pass anything of
    /// the right length.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if a size is 0 or too large; [`StepError::LengthMismatch`] if
    /// a slice has not `rows * columns` elements.
    pub fn new(
        rows: usize,
        columns: usize,
        opened: &'m [R],
        mask: &'m [R],
    ) -> Result<Self, StepError> {
        let words = record_words::<R>(&[(columns, 1), (rows, 1)])?;
        expect_len(opened.len(), rows.saturating_mul(columns))?;
        expect_len(mask.len(), opened.len())?;
        Ok(Self { rows, columns, opened, mask, words })
    }
}

impl<R> core::fmt::Debug for ApplyMatrix<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ApplyMatrix({} x {}, <redacted>)", self.rows, self.columns)
    }
}

impl<R: Ring> Protocol for ApplyMatrix<'_, R> {
    type Data<'d> = Vectors<'d, R>;

    fn elements(&self, data: &Vectors<'_, R>) -> Result<usize, StepError> {
        let vectors = data.x.len() / self.columns.max(1);
        expect_len(data.x.len(), vectors * self.columns)?;
        expect_len(data.out.len(), vectors.saturating_mul(self.rows))?;
        Ok(vectors)
    }

    fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        layout.words::<R>(self.words);
        layout
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        self.columns * R::BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        for column in 0..self.columns {
            truth.set_word(place::<R>(column), R::from_u64(rng.next_u64()));
        }
        for (row, mask) in self.mask.chunks_exact(self.columns.max(1)).enumerate() {
            let product = mask.iter().enumerate().fold(R::ZERO, |sum, (column, &mask)| {
                sum.add(mask.mul(truth.word(place::<R>(column))))
            });
            truth.set_word(place::<R>(self.columns + row), product);
        }
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut Vectors<'_, R>,
        messages: &mut Messages<'_>,
    ) {
        let columns = self.columns.max(1);
        if round == 0 {
            for (element, x) in data.x.chunks_exact(columns).enumerate() {
                for (column, &x) in x.iter().enumerate() {
                    let at = (element * columns + column) * R::BYTES;
                    write(messages.own, at, x.sub(half.word(element, place::<R>(column))));
                }
            }
            return;
        }
        let vectors = data.x.chunks_exact(columns).zip(data.out.chunks_exact_mut(self.rows.max(1)));
        let bytes = columns * R::BYTES;
        let pieces = messages
            .own
            .chunks_exact(bytes)
            .zip(messages.peer.chunks_exact(bytes))
            .zip(messages.opened.chunks_exact_mut(bytes));
        for (element, ((x, out), ((own, peer), opened))) in vectors.zip(pieces).enumerate() {
            for ((opened, own), peer) in opened
                .chunks_exact_mut(R::BYTES)
                .zip(own.chunks_exact(R::BYTES))
                .zip(peer.chunks_exact(R::BYTES))
            {
                R::read_le(own).add(R::read_le(peer)).write_le(opened);
            }
            let rows = self.opened.chunks_exact(columns).zip(self.mask.chunks_exact(columns));
            for (row, (out, (f, b))) in out.iter_mut().zip(rows).enumerate() {
                let public = dot(half.word(element, place::<R>(columns + row)), f, x);
                *out = b
                    .iter()
                    .zip(opened.chunks_exact(R::BYTES))
                    .fold(public, |sum, (&b, e)| sum.add(b.mul(R::read_le(e))));
            }
        }
    }

    /// The matrix is `opened + mask`.
    fn twin_rounded(&self, data: &mut Vectors<'_, R>, _up: &mut impl FnMut() -> bool) {
        let columns = self.columns.max(1);
        for (x, out) in
            data.x.chunks_exact(columns).zip(data.out.chunks_exact_mut(self.rows.max(1)))
        {
            let rows = self.opened.chunks_exact(columns).zip(self.mask.chunks_exact(columns));
            for (out, (opened, mask)) in out.iter_mut().zip(rows) {
                *out = dot(dot(R::ZERO, opened, x), mask, x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlation::Position;
    use crate::functions::protocol::check;
    use crate::keystream::{ChaCha8, Key, Keystream};
    use crate::ring::Small;
    use crate::share;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    /// Schoolbook, written another way than the twin.
    fn schoolbook<R: Ring>(
        (rows, inner, columns): (usize, usize, usize),
        x: &[R],
        y: &[R],
    ) -> Vec<R> {
        let entry = |row: usize, column: usize| {
            (0..inner)
                .fold(R::ZERO, |sum, i| sum.add(x[row * inner + i].mul(y[i * columns + column])))
        };
        (0..rows * columns).map(|at| entry(at / columns, at % columns)).collect()
    }

    fn words<R: Ring>(count: usize, rng: &mut ChaCha20Rng) -> Vec<R> {
        let random = check::words::<R>(count, rng);
        let skip = (rng.next_u32() as usize) % 7;
        random.into_iter().cycle().skip(skip).take(count).collect()
    }

    fn products<R: Ring>() {
        let shapes = [
            (1, 1, 1),
            (1, 5, 1),
            (3, 1, 4),
            (2, 3, 4),
            (7, 11, 5),
            (4, 9, 33),
            (16, 16, 16),
            (1, 200, 1),
        ];
        for (seed, shape) in (0..).zip(shapes) {
            let mut rng = ChaCha20Rng::from_seed([seed; 32]);
            let (rows, inner, columns) = shape;
            let (x, y): (Vec<R>, Vec<R>) =
                (words(rows * inner, &mut rng), words(inner * columns, &mut rng));
            let ((x_0, x_1), (y_0, y_1)) = (check::share(&x, &mut rng), check::share(&y, &mut rng));
            let [mut out_0, mut out_1, mut twin] =
                core::array::from_fn(|_| vec![R::ONE; rows * columns]);
            let protocol = MatrixMultiply::new(rows, inner, columns).expect("in range");
            let data_0 = MatrixFactors { x: &x_0, y: &y_0, out: &mut out_0 };
            check::run(
                &protocol,
                &mut rng,
                data_0,
                MatrixFactors { x: &x_1, y: &y_1, out: &mut out_1 },
            );
            protocol.twin(&mut MatrixFactors { x: &x, y: &y, out: &mut twin });
            assert_eq!(check::open(&out_0, &out_1), twin, "{shape:?}, seed {seed}");
            assert_eq!(twin, schoolbook(shape, &x, &y), "{shape:?}, seed {seed}");
        }
    }

    #[test]
    fn products_are_exact() {
        products::<u32>();
        products::<u64>();
        products::<Small<5>>();
    }

    /// Masks a matrix as the parts of a system would, and applies it to vectors, twice.
    fn fixed<R: Ring>(rows: usize, columns: usize, vectors: usize, seed: u8) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let keystream = Keystream::<ChaCha8>::new(&Key::from_bytes([seed; 32]));
        let matrix: Vec<R> = words(rows * columns, &mut rng);
        let mask: Vec<R> = (0..rows * columns).map(|_| R::from_u64(rng.next_u64())).collect();
        let (mut mask_0, mut mask_1) = (mask.clone(), mask.clone());
        share::split(&keystream, 1, &mut mask_1);
        share::expand(&keystream, 1, &mut mask_0);
        let (matrix_0, matrix_1) = check::share(&matrix, &mut rng);
        let [mut opened_0, mut opened_1, mut opened] =
            core::array::from_fn(|_| vec![R::ONE; rows * columns]);
        let data_0 = Masked { matrix: &matrix_0, mask: &mask_0, opened: &mut opened_0 };
        let data_1 = Masked { matrix: &matrix_1, mask: &mask_1, opened: &mut opened_1 };
        check::run(&MaskMatrix::new(), &mut rng, data_0, data_1);
        MaskMatrix::new().twin(&mut Masked { matrix: &matrix, mask: &mask, opened: &mut opened });
        assert_eq!(opened_0, opened_1);
        assert_eq!(opened_0, opened);
        for round in 0..2 {
            let x: Vec<R> = words(vectors * columns, &mut rng);
            let (x_0, x_1) = check::share(&x, &mut rng);
            let [mut out_0, mut out_1, mut twin] =
                core::array::from_fn(|_| vec![R::ONE; vectors * rows]);
            let apply = |mask| ApplyMatrix::new(rows, columns, &opened, mask).expect("in range");
            // The dealer knows all of the mask, the parties a share of it each.
            check::run_under(
                (&keystream, Position { session: 2, layer: round }),
                [&apply(&mask), &apply(&mask_0), &apply(&mask_1)],
                &mut rng,
                Vectors { x: &x_0, out: &mut out_0 },
                Vectors { x: &x_1, out: &mut out_1 },
            );
            apply(&mask).twin(&mut Vectors { x: &x, out: &mut twin });
            assert_eq!(
                check::open(&out_0, &out_1),
                twin,
                "{rows} x {columns}, {vectors} vectors, seed {seed}"
            );
            for (x, out) in x.chunks(columns).zip(twin.chunks(rows)) {
                assert_eq!(
                    out,
                    schoolbook((rows, columns, 1), &matrix, x),
                    "{rows} x {columns}, seed {seed}"
                );
            }
        }
    }

    #[test]
    fn a_fixed_matrix_serves_many_vectors() {
        for (seed, (rows, columns, vectors)) in
            (0..).zip([(1, 1, 1), (3, 5, 4), (7, 2, 1), (20, 33, 3), (1, 9, 12)])
        {
            fixed::<u32>(rows, columns, vectors, seed);
            fixed::<u64>(rows, columns, vectors, seed);
            fixed::<Small<5>>(rows, columns, vectors, seed);
        }
    }

    /// The same vector, twice in a batch and in two uses: no two messages agree, so no mask of a
    /// vector is used twice.
    #[test]
    fn a_vector_mask_is_used_once() {
        let mut rng = ChaCha20Rng::from_seed([11; 32]);
        let keystream = Keystream::<ChaCha8>::new(&Key::from_bytes([12; 32]));
        let (opened, mask) = ([5_u64; 12], [7_u64; 12]);
        let apply = ApplyMatrix::new(3, 4, &opened, &mask).expect("in range");
        let mut messages: [Vec<Vec<u8>>; 2] = Default::default();
        for layer in 0..2 {
            let [mut out_0, mut out_1] = [vec![0; 9], vec![0; 9]];
            let sent = check::run_under(
                (&keystream, Position { session: 1, layer }),
                [&apply; 3],
                &mut rng,
                Vectors { x: &[1; 12], out: &mut out_0 },
                Vectors { x: &[2; 12], out: &mut out_1 },
            );
            for (all, sent) in messages.iter_mut().zip(sent) {
                all.extend(sent.chunks(8).map(<[u8]>::to_vec));
            }
        }
        for mut sent in messages {
            assert_eq!(sent.len(), 2 * 12);
            sent.sort();
            sent.dedup();
            assert_eq!(sent.len(), 2 * 12, "a mask came back");
        }
    }

    #[test]
    fn sizes_are_checked() {
        assert!(MatrixMultiply::<u32>::new(0, 1, 1).is_err());
        assert!(MatrixMultiply::<u32>::new(usize::MAX, usize::MAX, 2).is_err());
        assert!(MatrixMultiply::<u32>::new(1 << 15, 1 << 15, 1).is_err());
        let product = MatrixMultiply::<u64>::new(2, 3, 4).expect("in range");
        assert_eq!(
            (product.layout().bytes(), product.message_bytes(0, 1)),
            (8 * (6 + 12 + 8), 8 * (6 + 12))
        );
        assert!(
            product.elements(&MatrixFactors { x: &[0; 6], y: &[0; 12], out: &mut [0; 7] }).is_err()
        );
        assert!(ApplyMatrix::<u32>::new(2, 3, &[0; 6], &[0; 5]).is_err());
        let apply = ApplyMatrix::<u32>::new(2, 3, &[0; 6], &[0; 6]).expect("in range");
        assert_eq!((apply.layout().bytes(), apply.message_bytes(0, 7)), (4 * (3 + 2), 7 * 4 * 3));
        assert!(apply.elements(&Vectors { x: &[0; 4], out: &mut [0; 2] }).is_err());
        assert!(
            MaskMatrix::new()
                .elements(&Masked { matrix: &[1_u32], mask: &[], opened: &mut [0] })
                .is_err()
        );
    }
}
