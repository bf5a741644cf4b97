//! Maps that are linear in each of two operands: what a correlation hides, whatever it is inside.

use super::channels::Channels;
use super::convolution::{Convolution, Direction};
use super::matrix::Matrix;
use super::parallel::add_product_on_all;
use super::sizes::{SizeError, elems};
use super::word::Word;

/// Which operand of a product lies transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `X Y`: `x` is `rows x inner`, `y` is `inner x columns`.
    Plain,
    /// `X^T Y`: `x` is `inner x rows`, `y` is `inner x columns`.
    FirstTransposed,
    /// `X Y^T`: `x` is `rows x inner`, `y` is `columns x inner`.
    SecondTransposed,
}

/// A product of matrices; the result is `rows x columns`, all row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// How the operands lie.
    pub form: Form,
    /// Rows of the result.
    pub rows: usize,
    /// Terms of each sum.
    pub inner: usize,
    /// Columns of the result.
    pub columns: usize,
}

/// A map of two operands `x` and `y`, linear in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bilinear {
    /// Two matrices to their product.
    Product(Product),
    /// Images `batch x channels x height x width` and kernels
    /// `filters x channels x kernel rows x kernel columns` to outputs
    /// `batch x filters x rows x columns`.
    Convolution(Convolution),
    /// Images and the gradient of the outputs to the gradient of the kernels.
    ByKernels(Convolution),
    /// The gradient of the outputs and kernels to the gradient of the images.
    ByImages(Convolution),
    /// Words and a factor per channel to the words times their channel's.
    Scale(Channels),
    /// Words and as many others to the sums of their products, a sum per channel.
    Dots(Channels),
}

impl Bilinear {
    /// Words of `x`, `y` and the result.
    ///
    /// # Errors
    /// [`SizeError`] if sizes are zero or too large, or no window fits.
    pub fn sizes(&self) -> Result<[usize; 3], SizeError> {
        Ok(match self {
            Self::Product(Product { rows, inner, columns, .. }) => {
                let elems = |a: usize, b: usize| elems(&[a, b]).ok_or(SizeError::Sizes);
                [elems(*rows, *inner)?, elems(*inner, *columns)?, elems(*rows, *columns)?]
            }
            Self::Convolution(convolution) => convolution.sizes()?,
            Self::ByKernels(convolution) => {
                let [images, kernels, outputs] = convolution.sizes()?;
                [images, outputs, kernels]
            }
            Self::ByImages(convolution) => {
                let [images, kernels, outputs] = convolution.sizes()?;
                [outputs, kernels, images]
            }
            Self::Scale(channels) => {
                let [words, each] = channels.sizes()?;
                [words, each, words]
            }
            Self::Dots(channels) => {
                let [words, each] = channels.sizes()?;
                [words, words, each]
            }
        })
    }

    /// Words of `x`; 0 for a map that [`Self::sizes`] refuses.
    #[must_use]
    pub fn x_elems(&self) -> usize {
        self.sizes().map_or(0, |[x, _, _]| x)
    }

    /// Words of `y`; 0 for a map that [`Self::sizes`] refuses.
    #[must_use]
    pub fn y_elems(&self) -> usize {
        self.sizes().map_or(0, |[_, y, _]| y)
    }

    /// Words of the result; 0 for a map that [`Self::sizes`] refuses.
    #[must_use]
    pub fn out_elems(&self) -> usize {
        self.sizes().map_or(0, |[_, _, out]| out)
    }

    /// Multiplications, each with an addition. Those with padding count.
    #[must_use]
    pub fn multiply_adds(&self) -> u64 {
        let product = |sizes: &[usize]| {
            sizes.iter().fold(1_u64, |work, &size| work.saturating_mul(size as u64))
        };
        match self {
            Self::Product(Product { rows, inner, columns, .. }) => {
                product(&[*rows, *inner, *columns])
            }
            Self::Convolution(convolution)
            | Self::ByKernels(convolution)
            | Self::ByImages(convolution) => {
                let (rows, columns) = convolution.places().unwrap_or_default();
                let kernel = convolution.window.kernel;
                product(&[
                    convolution.batch,
                    convolution.filters,
                    convolution.channels,
                    kernel.0,
                    kernel.1,
                    rows,
                    columns,
                ])
            }
            Self::Scale(Channels { batch, channels, places })
            | Self::Dots(Channels { batch, channels, places }) => {
                product(&[*batch, *channels, *places])
            }
        }
    }

    /// `out += map(x, y)`, modulo the ring. Large maps use the rayon pool that the call runs in.
    ///
    /// # Errors
    /// [`SizeError`] if the map is not valid, or a slice has another length than it takes: then
    /// `out` is as before.
    pub fn add<R: Word>(&self, x: &[R], y: &[R], out: &mut [R]) -> Result<(), SizeError> {
        self.add_as(x, y, out, self.multiply_adds())
    }

    /// The map on the calling thread alone: how sums of floats are rounded must not depend on the
    /// number of cores.
    pub(crate) fn apply_alone<R: Word>(&self, x: &[R], y: &[R]) -> Result<Vec<R>, SizeError> {
        let mut out = vec![R::ZERO; self.out_elems()];
        self.add_as(x, y, &mut out, 0)?;
        Ok(out)
    }

    /// `out += map(x, y)`, on as many threads as `work` multiplications are worth.
    fn add_as<R: Word>(&self, x: &[R], y: &[R], out: &mut [R], work: u64) -> Result<(), SizeError> {
        let sizes = self.sizes()?;
        for ((operand, found), expected) in
            [("x", x.len()), ("y", y.len()), ("the result", out.len())].into_iter().zip(sizes)
        {
            if found != expected {
                return Err(SizeError::Length { operand, expected, found });
            }
        }
        match self {
            Self::Product(Product { form, rows, inner, columns }) => {
                let x = match form {
                    Form::FirstTransposed => Matrix::by_rows(x, *inner, *rows).transposed(),
                    _ => Matrix::by_rows(x, *rows, *inner),
                };
                let y = match form {
                    Form::SecondTransposed => Matrix::by_rows(y, *columns, *inner).transposed(),
                    _ => Matrix::by_rows(y, *inner, *columns),
                };
                add_product_on_all(x, y, out, work);
                Ok(())
            }
            Self::Convolution(convolution) => convolution.add(Direction::Forward, x, y, out, work),
            Self::ByKernels(convolution) => convolution.add(Direction::ByKernels, x, y, out, work),
            Self::ByImages(convolution) => convolution.add(Direction::ByImages, x, y, out, work),
            Self::Scale(channels) => {
                channels.add_scaled(x, y, out);
                Ok(())
            }
            Self::Dots(channels) => {
                channels.add_dots(x, y, out);
                Ok(())
            }
        }
    }
}
