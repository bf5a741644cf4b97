//! Convolutions as products of matrices, one image at a time in memory that stays in the second
//! cache.
//!
//! A convolution is the product of the kernels, `filters x taps`, and a matrix `taps x places`
//! whose row says what one tap of the window sees at all places. That matrix is never written out:
//! an image is copied once for each *column* of the window, cut to what that column sees. Two rows
//! of the window then see the same copy, one a little later than the other, so each row of the
//! matrix is a run of the copy. For a stride of `s` the rows of the image are dealt to `s` such
//! copies.
//!
//! The gradients are products with the same matrix: on the right, transposed, or as what is added
//! to.

use super::block::{Scratch, Sum, add_product};
use super::matrix::{Matrix, Runs, Starts};
use super::parallel;
use super::sizes::{SizeError, elems};
use super::word::Word;
use crate::network::Window;

/// Sizes of a convolution. See [`Bilinear`](super::Bilinear) for what it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Images.
    pub batch: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels of an output.
    pub filters: usize,
    /// The window.
    pub window: Window,
}

/// Which of the three maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    ByKernels,
    ByImages,
}

impl Convolution {
    /// Rows and columns of an output.
    ///
    /// # Errors
    /// [`SizeError`] if no window fits.
    pub fn places(&self) -> Result<(usize, usize), SizeError> {
        let Self { window, height, width, .. } = *self;
        window.places(height, width).ok_or(SizeError::Window { window, height, width })
    }

    /// Words of images, kernels and outputs.
    pub(super) fn sizes(&self) -> Result<[usize; 3], SizeError> {
        let (rows, columns) = self.places()?;
        let kernel = self.window.kernel;
        let elems = |sizes: &[usize]| elems(sizes).ok_or(SizeError::Sizes);
        let images = elems(&[self.batch, self.channels, self.height, self.width])?;
        let kernels = elems(&[self.filters, self.channels, kernel.0, kernel.1])?;
        // The copies of an image are no more than all its windows.
        elems(&[self.channels, kernel.0, kernel.1, rows, columns])?;
        Ok([images, kernels, elems(&[self.batch, self.filters, rows, columns])?])
    }

    /// `out += map(x, y)` for slices of the right lengths.
    pub(super) fn add<R: Word>(
        &self,
        map: Direction,
        x: &[R],
        y: &[R],
        out: &mut [R],
        work: u64,
    ) -> Result<(), SizeError> {
        let copies = Copies::new(self)?;
        let Self { filters, .. } = *self;
        let image = self.channels * self.height * self.width;
        let (taps, places) = (copies.starts.len(), copies.places);
        match map {
            Direction::Forward => {
                parallel::over_samples(out, filters * places, work, |first, out| {
                    let (mut seen, mut scratch) = (copies.zeros(), Scratch::default());
                    for (image, words) in x
                        .chunks_exact(image)
                        .skip(first)
                        .zip(out.chunks_exact_mut(filters * places))
                    {
                        copies.copy(image, &mut seen);
                        let sum = Sum { words, starts: Starts::Even(places) };
                        add_product(
                            Matrix::by_rows(y, filters, taps),
                            copies.matrix(&seen),
                            sum,
                            &mut scratch,
                        );
                    }
                })
            }
            Direction::ByKernels => {
                // Transposed, `taps x filters`: so the copies are read in place.
                let sum = parallel::sum_over_samples(self.batch, work, |range| {
                    let (mut seen, mut scratch) = (copies.zeros(), Scratch::default());
                    let mut sum = vec![R::ZERO; taps * filters];
                    let gradients = y.chunks_exact(filters * places);
                    for (image, gradient) in
                        x.chunks_exact(image).zip(gradients).skip(range.start).take(range.len())
                    {
                        copies.copy(image, &mut seen);
                        let gradient = Matrix::by_rows(gradient, filters, places).transposed();
                        let sum = Sum { words: &mut sum, starts: Starts::Even(filters) };
                        add_product(copies.matrix(&seen), gradient, sum, &mut scratch);
                    }
                    sum
                });
                for (filter, out) in out.chunks_exact_mut(taps).enumerate() {
                    for (out, sum) in out.iter_mut().zip(sum.iter().skip(filter).step_by(filters)) {
                        *out = out.add(*sum);
                    }
                }
            }
            Direction::ByImages => parallel::over_samples(out, image, work, |first, out| {
                let (mut seen, mut scratch) = (copies.zeros(), Scratch::default());
                for (gradient, image) in
                    x.chunks_exact(filters * places).skip(first).zip(out.chunks_exact_mut(image))
                {
                    seen.fill(R::ZERO);
                    let sum = Sum { words: &mut seen, starts: Starts::Listed(&copies.starts) };
                    let kernels = Matrix::by_rows(y, filters, taps).transposed();
                    add_product(
                        kernels,
                        Matrix::by_rows(gradient, filters, places),
                        sum,
                        &mut scratch,
                    );
                    copies.add_back(&seen, image);
                }
            }),
        }
        Ok(())
    }
}

/// How an image is copied: for each channel, column of the window, and rest of rows by the stride,
/// rows of [`Copies::columns`] words.
struct Copies {
    shape: Convolution,
    columns: usize,
    places: usize,
    /// Rests of rows by the stride that some window sees.
    rests: usize,
    /// Rows of a copy.
    rows: usize,
    /// Where the row of the matrix that belongs to a tap begins.
    starts: Vec<usize>,
    elems: usize,
}

impl Copies {
    fn new(shape: &Convolution) -> Result<Self, SizeError> {
        let (out_rows, columns) = shape.places()?;
        let Window { kernel, stride, .. } = shape.window;
        let rests = stride.0.min(kernel.0);
        let rows = out_rows + (kernel.0 - 1) / stride.0;
        let elems =
            elems(&[shape.channels, kernel.1, rests, rows, columns]).ok_or(SizeError::Sizes)?;
        let mut starts = Vec::with_capacity(shape.channels * kernel.0 * kernel.1);
        for channel in 0..shape.channels {
            for down in 0..kernel.0 {
                for right in 0..kernel.1 {
                    let copy = (channel * kernel.1 + right) * rests + down % stride.0;
                    starts.push((copy * rows + down / stride.0) * columns);
                }
            }
        }
        Ok(Self { shape: *shape, columns, places: out_rows * columns, rests, rows, starts, elems })
    }

    fn zeros<R: Word>(&self) -> Vec<R> {
        vec![R::ZERO; self.elems]
    }

    /// The matrix `taps x places`.
    fn matrix<'a, R: Word>(&'a self, seen: &'a [R]) -> Matrix<'a, R> {
        let starts = Starts::Listed(&self.starts);
        Matrix {
            words: seen,
            starts,
            runs: Runs::Rows,
            rows: self.starts.len(),
            columns: self.places,
        }
    }

    /// Calls `each` with pairs of a run of the image and one of the copies, of so many words: their
    /// first words, and the length. The image's words are a horizontal stride apart. What no pair
    /// names is padding.
    #[inline(always)]
    fn each_run(&self, mut each: impl FnMut(usize, usize, usize)) {
        let Convolution {
            channels, height, width, window: Window { kernel, stride, padding }, ..
        } = self.shape;
        for right in 0..kernel.1 {
            let first = padding.1.saturating_sub(right).div_ceil(stride.1);
            let end =
                (width + padding.1).saturating_sub(right).div_ceil(stride.1).min(self.columns);
            let Some(len @ 1..) = end.checked_sub(first) else { continue };
            let from = first * stride.1 + right - padding.1;
            for rest in 0..self.rests {
                // Rows of a copy that lie in the image.
                let above = padding.0.saturating_sub(rest).div_ceil(stride.0);
                let below =
                    (height + padding.0).saturating_sub(rest).div_ceil(stride.0).min(self.rows);
                for channel in 0..channels {
                    let copy = ((channel * kernel.1 + right) * self.rests + rest) * self.rows;
                    for row in above..below {
                        let image_row = channel * height + row * stride.0 + rest - padding.0;
                        each(image_row * width + from, (copy + row) * self.columns + first, len);
                    }
                }
            }
        }
    }

    fn copy<R: Word>(&self, image: &[R], seen: &mut [R]) {
        let stride = self.shape.window.stride.1;
        self.each_run(|from, to, len| {
            let (Some(from), Some(to)) = (image.get(from..), seen.get_mut(to..to + len)) else {
                return;
            };
            if stride == 1 {
                copy_run(from, to);
            } else {
                for (to, from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                    *to = *from;
                }
            }
        });
    }

    /// The transposed map of [`Copies::copy`], added.
    fn add_back<R: Word>(&self, seen: &[R], image: &mut [R]) {
        let stride = self.shape.window.stride.1;
        self.each_run(|to, from, len| {
            let (Some(to), Some(from)) = (image.get_mut(to..), seen.get(from..from + len)) else {
                return;
            };
            if stride == 1 {
                parallel::add(to, from);
            } else {
                for (to, from) in to.iter_mut().step_by(stride).zip(from) {
                    *to = to.add(*from);
                }
            }
        });
    }
}

/// Copies `to.len()` words. Runs are short: eight words at a time cost less than a call of
/// `memcpy`.
#[inline(always)]
fn copy_run<R: Word>(from: &[R], to: &mut [R]) {
    let Some(from) = from.get(..to.len()) else { return };
    let (wholes, rest) = to.as_chunks_mut::<8>();
    let (from_wholes, from_rest) = from.as_chunks::<8>();
    for (to, from) in wholes.iter_mut().zip(from_wholes) {
        *to = *from;
    }
    for (to, from) in rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}
