//! The public shapes of linear maps: which inputs an output adds up, and with which weights.
//!
//! Images are vectors: channel after channel, row after row. One-dimensional signals are images of
//! one row.

use core::fmt;
use core::num::NonZeroUsize;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::ring::{self, Ring};

/// The most words of an image's row, and of a kernel, that are handled at once.
pub const TILE_ELEMS: usize = 256;

/// A linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Shape {
    /// A private matrix, `outputs x inputs`.
    Dense {
        /// Columns.
        inputs: u16,
        /// Rows.
        outputs: u16,
    },
    /// Private kernels that slide over an image: a matrix of a row per filter, with the filter's
    /// channels one after the other.
    Convolution(Window),
    /// Every channel's own windows, all weights public and the same: a mean, up to the scale. As
    /// many filters as channels.
    Mean(Window),
    /// The vector itself, with a public weight.
    Identity {
        /// Elements.
        width: u16,
    },
    /// Of every channel's own windows the first word less the last: what the larger of the two is
    /// decided by. As many filters as channels.
    Pairs(Window),
    /// Of every channel's own windows the last word. As many filters as channels.
    Last(Window),
}

/// A window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Channels of the image.
    pub channels: u16,
    /// Rows of the image.
    pub height: u16,
    /// Columns of the image.
    pub width: u16,
    /// Channels of the result.
    pub filters: u16,
    /// Every filter sees `channels / groups` channels; 1 is a plain convolution, `channels` a
    /// depthwise one.
    pub groups: u16,
    /// Rows and columns of the window.
    pub kernel: (u8, u8),
    /// Steps of the window down and to the right.
    pub stride: (u8, u8),
    /// Rows and columns of zeros above and left of the image.
    pub before: (u8, u8),
    /// Rows and columns of zeros below and right of it.
    pub after: (u8, u8),
}

impl Shape {
    /// The parts of a layer that has this map alone, with private weights, of what layer `source`
    /// takes.
    #[must_use]
    pub fn alone(self, source: u16) -> Parts {
        [Part { source, shape: self, public: 0 }].into_iter().collect()
    }

    /// Elements of the input.
    #[must_use]
    pub const fn inputs(&self) -> u16 {
        match self {
            Self::Dense { inputs, .. } => *inputs,
            Self::Identity { width } => *width,
            Self::Convolution(window)
            | Self::Mean(window)
            | Self::Pairs(window)
            | Self::Last(window) => {
                elems([window.channels as usize, window.height as usize, window.width as usize])
            }
        }
    }

    /// Elements of the output.
    #[must_use]
    pub const fn outputs(&self) -> u16 {
        match self {
            Self::Dense { outputs, .. } => *outputs,
            Self::Identity { width } => *width,
            Self::Convolution(window)
            | Self::Mean(window)
            | Self::Pairs(window)
            | Self::Last(window) => {
                let (rows, columns) = window.outputs();
                elems([window.filters as usize, rows, columns])
            }
        }
    }

    /// Private weights: rows, and words of a row; none where all weights are public.
    #[must_use]
    pub const fn weights(&self) -> (usize, usize) {
        match self {
            Self::Dense { inputs, outputs } => (*outputs as usize, *inputs as usize),
            Self::Convolution(window) => {
                (window.filters as usize, window.depth() * window.kernel_elems())
            }
            Self::Mean(_) | Self::Identity { .. } | Self::Pairs(_) | Self::Last(_) => (0, 0),
        }
    }

    /// Whether there are private weights.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Dense { .. } | Self::Convolution(_))
    }

    /// Whether the shape is one that all of its users take: no size is zero, none leaves its
    /// bounds.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let sized = self.inputs() > 0 && self.outputs() > 0;
        match self {
            Self::Dense { .. } | Self::Identity { .. } => sized,
            // Blocks of weights are counted in 32 bits.
            Self::Convolution(window) => {
                let (rows, row) = self.weights();
                sized && window.is_valid() && u32::try_from(rows as u64 * row as u64).is_ok()
            }
            Self::Mean(window) | Self::Pairs(window) | Self::Last(window) => {
                sized
                    && window.is_valid()
                    && window.groups == window.channels
                    && window.filters == window.channels
            }
        }
    }

    /// `out += W x`, with private weights row-major in `weights`, or every weight `public`. Slices
    /// of other lengths than the shape's are cut.
    pub fn add_product<R: Ring>(&self, weights: &[R], public: R, x: &[R], out: &mut [R]) {
        match self {
            Self::Dense { .. } => ring::add_matrix_vector(weights, x, out),
            Self::Identity { .. } => {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = out.add(public.mul(x));
                }
            }
            Self::Convolution(window) => {
                let (depth, elems) = (window.depth(), window.kernel_elems());
                window.slide(x, out, |filter, channel| {
                    let start = (filter * depth + channel) * elems;
                    weights.get(start..start + elems).unwrap_or(&[])
                });
            }
            Self::Mean(window) | Self::Pairs(window) | Self::Last(window) => {
                let mut kernel = [R::ZERO; TILE_ELEMS];
                let kernel = kernel.get_mut(..window.kernel_elems()).unwrap_or(&mut []);
                self.public_kernel(public, kernel);
                window.slide(x, out, |_, _| kernel);
            }
        }
    }

    /// The kernel of a map of windows whose weights are public; a map of another kind has none.
    pub(crate) fn public_kernel<R: Ring>(&self, public: R, kernel: &mut [R]) {
        kernel.fill(if matches!(self, Self::Mean(_)) { public } else { R::ZERO });
        match (self, kernel) {
            (Self::Pairs(_), [first, .., last]) => (*first, *last) = (public, public.neg()),
            (Self::Last(_), [.., last]) => *last = public,
            _ => {}
        }
    }

    /// The window of a map that has one.
    #[must_use]
    pub const fn window(&self) -> Option<Window> {
        match self {
            Self::Convolution(window)
            | Self::Mean(window)
            | Self::Pairs(window)
            | Self::Last(window) => Some(*window),
            Self::Dense { .. } | Self::Identity { .. } => None,
        }
    }
}

/// `24 -> 16`, or for windows `1x28x28 -> 16x24x24 conv 5x5`, and the steps if they are not one:
/// `/2x2`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (window, kind) = match self {
            Self::Dense { inputs, outputs } => return write!(f, "{inputs} -> {outputs}"),
            Self::Identity { width } => return write!(f, "{width}"),
            Self::Mean(window) => (window, "mean"),
            Self::Pairs(window) => (window, "larger of"),
            Self::Last(window) => (window, "last of"),
            Self::Convolution(window) if window.groups == 1 => (window, "conv"),
            Self::Convolution(window) if window.groups == window.channels => (window, "depthwise"),
            Self::Convolution(window) => (window, "grouped"),
        };
        let Window { channels, height, width, filters, kernel, stride, .. } = window;
        let (rows, columns) = window.outputs();
        write!(
            f,
            "{channels}x{height}x{width} -> {filters}x{rows}x{columns} {kind} {}x{}",
            kernel.0, kernel.1
        )?;
        if *stride == (1, 1) { Ok(()) } else { write!(f, "/{}x{}", stride.0, stride.1) }
    }
}

/// A product of sizes, or 0 if it is no number of elements.
const fn elems(sizes: [usize; 3]) -> u16 {
    let [a, b, c] = sizes;
    // Sizes are at most a little above 2^16.
    let product = a as u64 * b as u64 * c as u64;
    #[allow(clippy::cast_possible_truncation)]
    if product > u16::MAX as u64 { 0 } else { product as u16 }
}

/// Steps of a window of `size` along `length`, 0 if it does not fit.
const fn steps(length: usize, size: u8, stride: u8) -> usize {
    if size == 0 || stride == 0 || size as usize > length {
        0
    } else {
        (length - size as usize) / stride as usize + 1
    }
}

impl Window {
    /// Rows and columns of the result.
    #[must_use]
    pub const fn outputs(&self) -> (usize, usize) {
        let height = self.height as usize + self.before.0 as usize + self.after.0 as usize;
        let width = self.width as usize + self.before.1 as usize + self.after.1 as usize;
        (steps(height, self.kernel.0, self.stride.0), steps(width, self.kernel.1, self.stride.1))
    }

    /// Words of a kernel of one channel.
    #[must_use]
    pub const fn kernel_elems(&self) -> usize {
        self.kernel.0 as usize * self.kernel.1 as usize
    }

    /// Channels that a filter sees.
    #[must_use]
    pub const fn depth(&self) -> usize {
        if self.groups == 0 { 0 } else { self.channels as usize / self.groups as usize }
    }

    fn is_valid(&self) -> bool {
        let divides = |number: u16| self.groups > 0 && number.is_multiple_of(self.groups);
        // No window lies in the padding alone.
        let padded = [self.before.0, self.after.0].iter().all(|&pad| pad < self.kernel.0)
            && [self.before.1, self.after.1].iter().all(|&pad| pad < self.kernel.1);
        divides(self.channels)
            && divides(self.filters)
            && padded
            && self.kernel_elems() <= TILE_ELEMS
    }

    /// The same map with images of one row, if the window is a single word that goes everywhere.
    pub(crate) fn flat(self) -> Self {
        let single = self.kernel == (1, 1) && self.stride == (1, 1);
        if single && self.before == (0, 0) && self.after == (0, 0) {
            Self { height: 1, width: elems([1, self.height.into(), self.width.into()]), ..self }
        } else {
            self
        }
    }

    /// The first of the channels that a filter sees.
    fn first_channel(&self, filter: usize) -> usize {
        let per_group =
            usize::from(self.filters).checked_div(usize::from(self.groups)).unwrap_or(1).max(1);
        filter / per_group * self.depth()
    }

    /// Slides the kernels, that `kernel` gives for a filter and one of its channels, over the
    /// image.
    fn slide<'k, R: Ring>(&self, x: &[R], out: &mut [R], kernel: impl Fn(usize, usize) -> &'k [R]) {
        let window = self.flat();
        let (rows, columns) = window.outputs();
        for (filter, out) in out.chunks_exact_mut((rows * columns).max(1)).enumerate() {
            let strip = Strip { filter, first: 0, len: out.len() };
            for channel in 0..window.depth() {
                let kernel = kernel(filter, channel);
                for load in window.loads(&strip, channel) {
                    window.add_load(
                        &strip,
                        &load,
                        x.get(load.words.clone()).unwrap_or(&[]),
                        kernel,
                        out,
                    );
                }
            }
        }
    }

    /// The strips that outputs `range` lie in. A strip's part of an image's row fits a tile.
    pub fn strips(&self, range: Range<usize>) -> impl Iterator<Item = Strip> + use<> {
        let (rows, columns) = self.outputs();
        // Of a type that no division by it can fail.
        let size = NonZeroUsize::new(rows * columns).unwrap_or(NonZeroUsize::MIN);
        let columns = NonZeroUsize::new(columns).unwrap_or(NonZeroUsize::MIN);
        let window = *self;
        let mut next = range.start;
        core::iter::from_fn(move || {
            if next >= range.end {
                return None;
            }
            let first = next % size;
            let mut len = (size.get() - first).min(range.end - next);
            if usize::from(window.width) > TILE_ELEMS {
                let fitting = (TILE_ELEMS - usize::from(window.kernel.1))
                    / usize::from(window.stride.1).max(1)
                    + 1;
                len = len.min(columns.get() - first % columns).min(fitting);
            }
            let strip = Strip { filter: next / size, first, len };
            next += len;
            Some(strip)
        })
    }

    /// The rows of the image, or their pieces, that a strip needs of one of its filter's channels.
    /// Whole rows follow each other: as many as a tile takes are one load.
    pub fn loads(&self, strip: &Strip, channel: usize) -> impl Iterator<Item = Load> + use<> {
        let (_, columns) = self.outputs();
        let columns = columns.max(1);
        let ((top, first), (bottom, last)) =
            (strip.place(0, columns), strip.place(strip.len.saturating_sub(1), columns));
        let (first, last) = if top == bottom { (first, last) } else { (0, columns - 1) };
        let span = |from: usize, to: usize, stride: u8, size: u8, before: u8, length: u16| {
            let start = (from * usize::from(stride)).saturating_sub(usize::from(before));
            let end =
                (to * usize::from(stride) + usize::from(size)).saturating_sub(usize::from(before));
            start..end.min(usize::from(length))
        };
        let rows = span(top, bottom, self.stride.0, self.kernel.0, self.before.0, self.height);
        let across = span(first, last, self.stride.1, self.kernel.1, self.before.1, self.width);
        let (height, width) = (usize::from(self.height), usize::from(self.width));
        let image = (self.first_channel(strip.filter) + channel) * height;
        let together = if across.len() == width {
            NonZeroUsize::new(TILE_ELEMS / width.max(1)).unwrap_or(NonZeroUsize::MIN)
        } else {
            NonZeroUsize::MIN
        };
        let end = rows.end;
        rows.step_by(together.get()).map(move |row| {
            let rows = together.get().min(end - row);
            let start = (image + row) * width;
            let last = start + (rows - 1) * width;
            Load {
                rows: row..row + rows,
                left: across.start,
                columns: across.len(),
                words: start + across.start..last + across.end,
            }
        })
    }

    /// Adds what the words of a load contribute to the strip's outputs. `kernel` is that of the
    /// load's channel.
    #[inline]
    pub fn add_load<R: Ring>(
        &self,
        strip: &Strip,
        load: &Load,
        words: &[R],
        kernel: &[R],
        out: &mut [R],
    ) {
        // Of a type that no division by it can fail.
        let steps = NonZeroUsize::new(self.stride.1.into()).unwrap_or(NonZeroUsize::MIN);
        self.for_each_meeting(strip, load, |meeting| {
            let stride = steps.get();
            let (Some(kernel), Some(words), Some(out)) = (
                kernel.get(meeting.weights.clone()),
                words.get(meeting.words.clone()),
                out.get_mut(meeting.outputs.clone()),
            ) else {
                return;
            };
            // The outputs whose windows lie in the row as a whole; left and right of them there
            // may be padding.
            let first = ((meeting.skip + stride - 1) / steps).min(out.len());
            let whole = (words.len() + meeting.skip).checked_sub(kernel.len());
            let end = whole.map_or(first, |last| (last / steps + 1).max(first).min(out.len()));
            let start = (first * stride).saturating_sub(meeting.skip);
            let (left, rest) = out.split_at_mut_checked(first).unwrap_or_default();
            let (inner, right) = rest.split_at_mut_checked(end - first).unwrap_or_default();
            let inside = words.get(start..).unwrap_or(&[]);
            match kernel {
                [weight] if stride == 1 => {
                    for (out, word) in inner.iter_mut().zip(inside) {
                        *out = out.add(weight.mul(*word));
                    }
                }
                [a, b, c] => add_dots([*a, *b, *c], stride, inside, inner),
                [a, b, c, d, e] => add_dots([*a, *b, *c, *d, *e], stride, inside, inner),
                _ => {
                    for (out, at) in inner.iter_mut().zip((0..).step_by(stride)) {
                        *out = ring::dot(*out, kernel, inside.get(at..).unwrap_or(&[]));
                    }
                }
            }
            let edges = [(0, left), (end, right)];
            for (x, out) in edges.into_iter().flat_map(|(x, outs)| (x..).zip(outs)) {
                let (weights, words) = meeting.of(x, stride, kernel, words);
                *out = ring::dot(*out, weights, words);
            }
        });
    }

    /// Calls `each` with an output of the strip, a piece of a row of the kernel, and the words of
    /// the load from where it lies on the image to the end of the row: of the pairs of weights and
    /// words that there are, products are to be added up.
    pub fn for_each_product(
        &self,
        strip: &Strip,
        load: &Load,
        mut each: impl FnMut(usize, Range<usize>, Range<usize>),
    ) {
        let stride = usize::from(self.stride.1);
        self.for_each_meeting(strip, load, |meeting| {
            for (x, output) in meeting.outputs.clone().enumerate() {
                let (skip, start) = meeting.place(x, stride);
                let Range { start: weight, end } = meeting.weights;
                each(output, weight + skip..end, meeting.words.start + start..meeting.words.end);
            }
        });
    }

    /// Calls `each` with every row of the kernel on every row of the load that it meets.
    #[inline(always)]
    fn for_each_meeting(&self, strip: &Strip, load: &Load, mut each: impl FnMut(Meeting)) {
        let (_, columns) = self.outputs();
        let columns = columns.max(1);
        let (stride, size) = (usize::from(self.stride.1), usize::from(self.kernel.1));
        for (row, begin) in load.rows.clone().zip((0..).step_by(load.columns.max(1))) {
            // Kernel row `t` meets the image's row `y s - before + t`.
            let padded = row + usize::from(self.before.0);
            for kernel_row in 0..usize::from(self.kernel.0) {
                let Some(down) = padded.checked_sub(kernel_row) else { break };
                let y = down / usize::from(self.stride.0).max(1);
                // Outputs of the strip that lie in row `y`.
                let from = (y * columns).max(strip.first);
                let to = ((y + 1) * columns).min(strip.first + strip.len);
                if y * usize::from(self.stride.0) != down || from >= to {
                    continue;
                }
                let left = usize::from(self.before.1) + load.left;
                let first = from % columns * stride;
                // Only the first output's window can begin right of the words' first column.
                let ahead = first.saturating_sub(left);
                each(Meeting {
                    weights: kernel_row * size..(kernel_row + 1) * size,
                    words: begin + ahead..begin + load.columns,
                    outputs: from - strip.first..to - strip.first,
                    skip: left.saturating_sub(first),
                });
            }
        }
    }
}

/// Adds to every output the inner product of a row of the kernel with the words that it lies on.
#[inline]
fn add_dots<R: Ring, const N: usize>(kernel: [R; N], stride: usize, words: &[R], out: &mut [R]) {
    let mut words = words;
    for out in out {
        let Some(under) = words.first_chunk::<N>() else { return };
        let pairs = kernel.iter().zip(under);
        *out = pairs.fold(*out, |sum, (weight, word)| sum.add(weight.mul(*word)));
        words = words.get(stride..).unwrap_or(&[]);
    }
}

/// A row of a kernel on a row of the image.
struct Meeting {
    /// The row, among the kernel's weights.
    weights: Range<usize>,
    /// What is there of the image's row, among the load's words.
    words: Range<usize>,
    /// The outputs.
    outputs: Range<usize>,
    /// Columns of padding under the first output's window.
    skip: usize,
}

impl Meeting {
    /// Weights that lie on padding, and the word under the first that does not, for output `x`.
    fn place(&self, x: usize, stride: usize) -> (usize, usize) {
        let skip = self.skip.saturating_sub(x * stride);
        (skip, (x * stride + skip).saturating_sub(self.skip))
    }

    /// The weights that do not, and the words from there on.
    fn of<'a, R>(
        &self,
        x: usize,
        stride: usize,
        kernel: &'a [R],
        words: &'a [R],
    ) -> (&'a [R], &'a [R]) {
        let (skip, start) = self.place(x, stride);
        (kernel.get(skip..).unwrap_or(&[]), words.get(start..).unwrap_or(&[]))
    }
}

/// Outputs of one filter that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// The filter.
    pub filter: usize,
    /// The first output, counted from the filter's first.
    pub first: usize,
    /// How many.
    pub len: usize,
}

impl Strip {
    /// Row and column of output `index`.
    fn place(&self, index: usize, columns: usize) -> (usize, usize) {
        ((self.first + index) / columns, (self.first + index) % columns)
    }
}

/// Rows of the image that follow each other, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The rows in the image.
    pub rows: Range<usize>,
    /// The first column.
    pub left: usize,
    /// How many columns.
    pub columns: usize,
    /// The words of the whole vector.
    pub words: Range<usize>,
}

/// The most parts of a layer's linear map.
pub const MAX_PARTS: usize = 2;

/// The parts of a layer's linear map, which add up; they have the same number of outputs.
pub type Parts = heapless::Vec<Part, MAX_PARTS>;

/// A part of a layer's linear map: of which vector, and with what weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The layer whose input is the argument.
    pub source: u16,
    /// The map.
    pub shape: Shape,
    /// Every weight, where they are public.
    pub public: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    pub(crate) const IMAGE: Window = Window {
        channels: 4,
        height: 7,
        width: 9,
        filters: 6,
        groups: 2,
        kernel: (3, 2),
        stride: (2, 1),
        before: (1, 0),
        after: (1, 1),
    };

    /// Of one group, without padding.
    const PLAIN: Window = Window { groups: 1, before: (0, 0), after: (0, 0), ..IMAGE };

    /// By the definition, with a padded image.
    fn schoolbook(window: &Window, weights: &[u32], x: &[u32]) -> Vec<u32> {
        let (rows, columns) = window.outputs();
        let at = |channel: usize, y: isize, x_at: isize| -> u32 {
            let inside = |value: isize, length: u16| {
                usize::try_from(value).ok().filter(|&value| value < usize::from(length))
            };
            match (inside(y, window.height), inside(x_at, window.width)) {
                (Some(y), Some(column)) => {
                    x[(channel * usize::from(window.height) + y) * usize::from(window.width)
                        + column]
                }
                _ => 0,
            }
        };
        let mut out = Vec::new();
        for filter in 0..usize::from(window.filters) {
            let group = filter / (usize::from(window.filters) / usize::from(window.groups));
            for y in 0..rows {
                for x in 0..columns {
                    let mut sum = 0_u32;
                    for channel in 0..window.depth() {
                        for ky in 0..usize::from(window.kernel.0) {
                            for kx in 0..usize::from(window.kernel.1) {
                                let weight = weights[((filter * window.depth() + channel)
                                    * usize::from(window.kernel.0)
                                    + ky)
                                    * usize::from(window.kernel.1)
                                    + kx];
                                let row = (y * usize::from(window.stride.0) + ky).cast_signed()
                                    - isize::from(window.before.0);
                                let column = (x * usize::from(window.stride.1) + kx).cast_signed()
                                    - isize::from(window.before.1);
                                sum = sum.wrapping_add(weight.wrapping_mul(at(
                                    group * window.depth() + channel,
                                    row,
                                    column,
                                )));
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    pub(crate) fn windows() -> Vec<Window> {
        vec![
            IMAGE,
            Window { groups: 1, ..IMAGE },
            Window { channels: 6, groups: 6, ..IMAGE },
            Window {
                channels: 3,
                groups: 3,
                kernel: (5, 5),
                stride: (1, 3),
                before: (2, 2),
                after: (2, 2),
                ..IMAGE
            },
            Window {
                channels: 1,
                height: 1,
                width: 600,
                kernel: (1, 9),
                stride: (1, 4),
                before: (0, 4),
                after: (0, 4),
                ..PLAIN
            },
            Window {
                channels: 2,
                height: 1,
                width: 300,
                kernel: (1, 255),
                stride: (1, 1),
                ..PLAIN
            },
            Window {
                channels: 2,
                height: 3,
                width: 300,
                kernel: (3, 3),
                stride: (1, 200),
                before: (1, 1),
                after: (1, 1),
                ..PLAIN
            },
            Window { kernel: (1, 1), stride: (1, 1), ..PLAIN },
            Window { kernel: (7, 9), stride: (1, 1), ..PLAIN },
            Window { kernel: (2, 2), stride: (3, 3), ..PLAIN },
        ]
    }

    fn words(count: usize, seed: u32) -> Vec<u32> {
        (0..count)
            .scan(seed, |state, _| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some(*state)
            })
            .collect()
    }

    #[test]
    fn convolutions_are_those_of_the_definition() {
        for window in windows() {
            let shape = Shape::Convolution(window);
            assert!(shape.is_valid(), "{window:?}");
            let (rows, row) = shape.weights();
            let (weights, x) = (words(rows * row, 1), words(usize::from(shape.inputs()), 2));
            let mut out = vec![0; usize::from(shape.outputs())];
            shape.add_product(&weights, 0, &x, &mut out);
            assert_eq!(out, schoolbook(&window, &weights, &x), "{window:?}");
        }
    }

    /// In pieces, as a device computes them.
    #[test]
    fn strips_cover_every_output_once_and_fit_a_tile() {
        for window in windows() {
            let shape = Shape::Convolution(window);
            let (rows, row) = shape.weights();
            let (weights, x) = (words(rows * row, 3), words(usize::from(shape.inputs()), 4));
            let outputs = usize::from(shape.outputs());
            let mut out = vec![0; outputs];
            for piece in (0..outputs).step_by(64) {
                let range = piece..outputs.min(piece + 64);
                let mut next = range.start;
                for strip in window.strips(range.clone()) {
                    let (rows, columns) = window.outputs();
                    assert_eq!(strip.filter * rows * columns + strip.first, next, "{window:?}");
                    let out = &mut out[next..next + strip.len];
                    next += strip.len;
                    for channel in 0..window.depth() {
                        let start =
                            (strip.filter * window.depth() + channel) * window.kernel_elems();
                        for load in window.loads(&strip, channel) {
                            assert!(load.words.len() <= TILE_ELEMS, "{window:?}: {load:?}");
                            let words = &x[load.words.clone()];
                            window.add_load(
                                &strip,
                                &load,
                                words,
                                &weights[start..start + window.kernel_elems()],
                                out,
                            );
                        }
                    }
                }
                assert_eq!(next, range.end, "{window:?}");
            }
            assert_eq!(out, schoolbook(&window, &weights, &x), "{window:?}");
        }
    }

    #[test]
    fn means_and_identities() {
        let window = Window {
            channels: 2,
            groups: 2,
            filters: 2,
            height: 4,
            width: 4,
            kernel: (2, 2),
            stride: (2, 2),
            ..PLAIN
        };
        let x: Vec<u32> = (0..32).collect();
        let mut out = [7; 8];
        assert!(Shape::Mean(window).is_valid());
        Shape::Mean(window).add_product(&[], 3, &x, &mut out);
        assert_eq!(out[0], 7 + 3 * (1 + 4 + 5));
        assert_eq!(out[7], 7 + 3 * (26 + 27 + 30 + 31));
        let mut pairs = [0; 8];
        Shape::Pairs(window).add_product(&[], 1, &x, &mut pairs);
        Shape::Last(window).add_product(&[], 1, &x, &mut pairs);
        assert_eq!(
            pairs,
            [0, 2, 8, 10, 16, 18, 24, 26],
            "the first, which is left when the last comes back"
        );
        Shape::Identity { width: 8 }.add_product(&[], 2, &x[..8], &mut out);
        assert_eq!(out[7], 7 + 3 * (26 + 27 + 30 + 31) + 14);
    }

    #[test]
    fn sizes_are_checked() {
        for window in [
            Window { channels: 0, ..IMAGE },
            Window { height: 0, ..IMAGE },
            Window { filters: 0, ..IMAGE },
            Window { groups: 0, ..IMAGE },
            Window { kernel: (0, 1), ..IMAGE },
            Window { stride: (1, 0), ..IMAGE },
            Window { groups: 3, ..IMAGE },
            Window { before: (3, 0), ..IMAGE },
            Window { kernel: (10, 1), ..PLAIN },
            Window { kernel: (16, 17), height: 100, width: 100, ..PLAIN },
            Window { channels: 60000, groups: 1, height: 60000, width: 60000, ..IMAGE },
        ] {
            assert!(!Shape::Convolution(window).is_valid(), "{window:?}");
        }
        assert!(!Shape::Mean(IMAGE).is_valid());
        assert!(!Shape::Dense { inputs: 0, outputs: 1 }.is_valid());
    }
}
