//! Factors and summands that are folded into a linear map's weights and bias.

use sharelet_core::shape::{Shape, TILE_ELEMS};

use super::dims::Forms;
use super::graph::{Layout, Node, Op};
use super::layer::{Map, at};
use crate::error::GraphError;

/// `x_i -> scale_i x_i + offset_i`, by place in the vector; a vector of one element is for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    name: String,
    scale: Vec<f64>,
    offset: Vec<f64>,
}

impl Factors {
    /// Those of a node of the kind [`Op::Elementwise`]; the slopes of [`Op::LeakyRelu`].
    ///
    /// # Errors
    /// [`GraphError::Width`] if there are as many of them as fit none of the value's dimensions.
    pub fn of(node: &Node, forms: &Forms, layout: Layout) -> Result<Self, GraphError> {
        let name = node.name.clone();
        let (scale, offset, dims) = match &node.op {
            Op::Elementwise { scale, offset, dims } => (&scale[..], &offset[..], dims),
            Op::LeakyRelu { slope, dims } => (&slope[..], &[0.0][..], dims),
            _ => return Err(node.misplaced()),
        };
        let form = node.inputs.first().and_then(|input| forms.get(input));
        let spread = |values: &[f64]| match form {
            Some(form) if values.len() > 1 => {
                form.spread(values, dims.as_deref(), layout).ok_or_else(|| {
                    let found = form.width().unwrap_or(usize::MAX);
                    GraphError::Width { node: name.clone(), expected: values.len(), found }
                })
            }
            _ => Ok(values.to_vec()),
        };
        Ok(Self { scale: spread(scale)?, offset: spread(offset)?, name })
    }

    /// Other factors, without summands.
    #[must_use]
    pub fn with(&self, scale: impl Fn(f64) -> f64) -> Self {
        let scale = self.scale.iter().map(|&factor| scale(factor)).collect();
        Self { name: self.name.clone(), scale, offset: vec![0.0] }
    }

    /// A map of ones, with as few weights as these can be folded into one after the other.
    #[must_use]
    pub fn ones(factors: &[Self], width: u16) -> Map {
        let mut part = usize::from(width);
        for factors in factors {
            for (index, pair) in factors.scale.windows(2).enumerate() {
                if pair.first() != pair.last() {
                    part = greatest_divisor(part, index + 1);
                }
            }
        }
        let part = part.max(1);
        let row = (1..=TILE_ELEMS.min(part)).rev().find(|&row| part.is_multiple_of(row));
        let row = row.unwrap_or(1);
        // All of them divide the width.
        let size = |size: usize| u16::try_from(size).unwrap_or(width);
        let parts = usize::from(width) / part;
        Map::diagonal([size(parts), size(part / row), size(row)], vec![1.0; parts])
    }

    /// The value itself, or ones to fold these into.
    #[must_use]
    pub fn map(factors: &[Self], width: u16) -> Map {
        match factors.iter().all(|factors| factors.scale.iter().all(|&scale| scale == 1.0)) {
            true => Map::public(Shape::Identity { width }),
            false => Self::ones(factors, width),
        }
    }

    /// The factors.
    #[must_use]
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    fn check_width(&self, width: usize) -> Result<(), GraphError> {
        match [&self.scale, &self.offset]
            .iter()
            .map(|vector| vector.len())
            .find(|&len| len != 1 && len != width)
        {
            Some(expected) => {
                Err(GraphError::Width { node: self.name.clone(), expected, found: width })
            }
            None => Ok(()),
        }
    }

    fn too_fine(&self) -> GraphError {
        let what = "has factors that differ within a channel, which a convolution cannot take in; \
                    use one factor per channel";
        GraphError::Image { node: self.name.clone(), what: what.to_owned() }
    }

    /// One factor for each of `count` equal parts of the vector, if they are the same within a
    /// part.
    fn per_part(&self, count: usize, width: usize) -> Option<Vec<f64>> {
        if self.scale.len() == 1 {
            return Some(self.scale.clone());
        }
        let parts = self.scale.chunks_exact((width / count.max(1)).max(1));
        parts
            .map(|part| {
                part.first().copied().filter(|first| part.iter().all(|factor| factor == first))
            })
            .collect()
    }

    /// `s (W x + b) + t`.
    ///
    /// # Errors
    /// [`GraphError`] if that is no map of the same shape.
    pub fn fold_after(&self, map: &mut Map, bias: &mut [f64]) -> Result<(), GraphError> {
        self.check_width(bias.len())?;
        let (rows, row) = map.shape.weights();
        if rows == 0 && self.scale.iter().any(|&scale| scale != 1.0) {
            let what = "has factors of values that have no weights to take them in".to_owned();
            return Err(GraphError::Image { node: self.name.clone(), what });
        }
        if rows > 0 {
            let factors = self.per_part(rows, bias.len()).ok_or_else(|| self.too_fine())?;
            for (index, weights) in map.weights.chunks_exact_mut(row.max(1)).enumerate() {
                weights.iter_mut().for_each(|weight| *weight *= at(&factors, index));
            }
        }
        for (index, bias) in bias.iter_mut().enumerate() {
            *bias = *bias * at(&self.scale, index) + at(&self.offset, index);
        }
        Ok(())
    }

    /// `W (s x + t) + b = (W s) x + (W t + b)`; summands are not added to padding.
    ///
    /// # Errors
    /// [`GraphError`] if that is no map of the same shape.
    pub fn fold_before(&self, map: &mut Map, bias: &mut [f64]) -> Result<(), GraphError> {
        let inputs = usize::from(map.shape.inputs());
        self.check_width(inputs)?;
        if self.offset.iter().any(|&offset| offset != 0.0) {
            let constant: Vec<f64> = (0..inputs).map(|index| at(&self.offset, index)).collect();
            map.add_product(&constant, bias);
        }
        let Some(window) = map.shape.window() else {
            for row in map.weights.chunks_exact_mut(inputs.max(1)) {
                row.iter_mut()
                    .enumerate()
                    .for_each(|(index, weight)| *weight *= at(&self.scale, index));
            }
            return Ok(());
        };
        // A row of pixels of several channels is a row of single words, whose factors repeat: every
        // column of a kernel meets the same one if steps and padding are whole pixels.
        let (channels, width) =
            (usize::from(window.channels).max(1), usize::from(window.width).max(1));
        let period = greatest_divisor(usize::from(window.stride.1), window.before.1.into()).max(1);
        let (image, columns) = ((inputs / channels).max(1), usize::from(window.kernel.1).max(1));
        let factor = |channel: usize, column: usize| match column % period {
            column if column < width => at(&self.scale, channel * image + column),
            // It never meets the image.
            _ => 1.0,
        };
        let repeats = self
            .scale
            .iter()
            .enumerate()
            .all(|(index, &scale)| scale == factor(index / image, index % image % width));
        if !repeats {
            return Err(self.too_fine());
        }
        let (depth, elems) = (window.depth(), window.kernel_elems());
        let per_group = (usize::from(window.filters) / usize::from(window.groups).max(1)).max(1);
        for (number, kernel) in map.weights.chunks_exact_mut(elems.max(1)).enumerate() {
            let (filter, channel) = (number / depth.max(1), number % depth.max(1));
            let channel = filter / per_group * depth + channel;
            kernel
                .iter_mut()
                .enumerate()
                .for_each(|(place, weight)| *weight *= factor(channel, place % columns));
        }
        Ok(())
    }
}

/// The greatest common divisor.
pub(super) fn greatest_divisor<T>(a: T, b: T) -> T
where
    T: Copy + Default + PartialEq + core::ops::Rem<Output = T>,
{
    if b == T::default() { a } else { greatest_divisor(b, a % b) }
}
