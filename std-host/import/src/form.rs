//! A value's dimensions in the file, and where its elements lie in a layer's vector.
//!
//! A layer's vector holds an image channel after channel; a file may order its dimensions
//! otherwise, transpose them, or flatten them. The vector stays as it is: what moves is the note of
//! where each element lies, and the weights of the next layer follow it.

use std::rc::Rc;

use super::array::{offset, strides};
use super::graph::Layout;

/// The most elements whose places are noted: as many as a vector may have.
const MAX_PLACES: usize = u16::MAX as usize;

/// A value's dimensions, without the batch, and its elements' places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    dims: Vec<usize>,
    /// Where the elements, in the order of the dimensions, lie in the vector; nothing if they lie
    /// in that order.
    places: Option<Rc<[usize]>>,
}

/// An image as a convolution takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether the vector holds pixel after pixel, as a reading in the order of the file may.
    pub interleaved: bool,
}

/// Channels, rows and columns of dimensions, in that order; `None` if they are not those of an
/// image.
fn sizes(dims: &[usize], layout: Layout) -> Option<[usize; 3]> {
    match (layout, dims) {
        (Layout::ChannelsFirst, &[channels, height, width])
        | (Layout::ChannelsLast, &[height, width, channels]) => Some([channels, height, width]),
        (Layout::ChannelsFirst, &[channels, width])
        | (Layout::ChannelsLast, &[width, channels]) => Some([channels, 1, width]),
        _ => None,
    }
}

/// Channel, row and column of every element of an image, in the order of the file.
fn pixels(
    [channels, height, width]: [usize; 3],
    layout: Layout,
) -> impl Iterator<Item = [usize; 3]> {
    (0..channels * height * width).map(move |index| match layout {
        Layout::ChannelsFirst => [index / (height * width), index / width % height, index % width],
        Layout::ChannelsLast => {
            [index % channels, index / channels / width, index / channels % width]
        }
    })
}

impl Form {
    /// Elements that lie in the order of their dimensions.
    #[must_use]
    pub fn plain(dims: Vec<usize>) -> Self {
        Self { dims, places: None }
    }

    /// An image that lies channel after channel; `flat` if the file has no dimension for its one
    /// row.
    #[must_use]
    pub fn of_image(image: [usize; 3], layout: Layout, flat: bool) -> Self {
        let [channels, height, width] = image;
        let dims = match (layout, flat) {
            (Layout::ChannelsFirst, false) => vec![channels, height, width],
            (Layout::ChannelsFirst, true) => vec![channels, width],
            (Layout::ChannelsLast, false) => vec![height, width, channels],
            (Layout::ChannelsLast, true) => vec![width, channels],
        };
        let form = Self::plain(dims);
        // A larger one is refused as a layer's result.
        if form.width().is_none_or(|width| width > MAX_PLACES) {
            return form;
        }
        form.placed(
            pixels(image, layout)
                .map(|[channel, row, column]| (channel * height + row) * width + column)
                .collect(),
        )
    }

    fn placed(self, places: Vec<usize>) -> Self {
        let in_order = places.iter().enumerate().all(|(index, &place)| index == place);
        Self { places: (!in_order).then(|| places.into()), ..self }
    }

    /// The dimensions.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Elements in all; `None` if there are too many to count.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.dims.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim))
    }

    /// Whether the vector holds the elements in the order of the file.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.places.is_none()
    }

    /// Where element `index` lies in the vector.
    #[must_use]
    pub fn place(&self, index: usize) -> usize {
        self.places.as_ref().map_or(index, |places| places.get(index).copied().unwrap_or(index))
    }

    /// The value as an image; `None` if it is none, or lies neither channel after channel nor pixel
    /// after pixel.
    #[must_use]
    pub fn image(&self, layout: Layout) -> Option<Image> {
        let sizes = sizes(&self.dims, layout).filter(|sizes| !sizes.contains(&0))?;
        let [channels, height, width] = sizes;
        if self.width()? > MAX_PLACES {
            // It is refused as too wide, whatever its order.
            return Some(Image { channels, height, width, interleaved: false });
        }
        let lies = |place: &dyn Fn([usize; 3]) -> usize| {
            pixels(sizes, layout)
                .enumerate()
                .all(|(index, pixel)| self.place(index) == place(pixel))
        };
        let interleaved =
            if lies(&|[channel, row, column]| (channel * height + row) * width + column) {
                false
            } else if lies(&|[channel, row, column]| (row * width + column) * channels + channel) {
                true
            } else {
                return None;
            };
        Some(Image { channels, height, width, interleaved })
    }

    /// Other dimensions of the same elements in the same order; -1 is what is left over, 0 a copy.
    #[must_use]
    pub fn reshaped(self, dims: &[i64]) -> Option<Self> {
        let width = self.width()?;
        let dims = resolved(&self.dims, width, dims)?;
        let form = Self { dims, ..self };
        (form.width()? == width).then_some(form)
    }

    /// With dimensions of one element added; axes count the batch, negative ones from the end of
    /// the result.
    #[must_use]
    pub fn unsqueezed(mut self, axes: &[i64]) -> Option<Self> {
        for place in places(axes, self.dims.len() + 1 + axes.len())? {
            if place > self.dims.len() {
                return None;
            }
            self.dims.insert(place, 1);
        }
        Some(self)
    }

    /// With dimensions of one element dropped; axes count the batch; all of them if none are named.
    #[must_use]
    pub fn squeezed(mut self, axes: &[i64]) -> Option<Self> {
        if axes.is_empty() {
            self.dims.retain(|&dim| dim != 1);
            return Some(self);
        }
        for place in places(axes, self.dims.len() + 1)?.into_iter().rev() {
            if self.dims.get(place) != Some(&1) {
                return None;
            }
            self.dims.remove(place);
        }
        Some(self)
    }

    /// With the dimensions in another order: the first is that at `order[0]`, and so on.
    #[must_use]
    pub fn transposed(&self, order: &[usize]) -> Option<Self> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        let width = self.width().filter(|&width| width <= MAX_PLACES)?;
        if sorted != (0..self.dims.len()).collect::<Vec<_>>() {
            return None;
        }
        let dims: Vec<usize> =
            order.iter().map(|&place| self.dims.get(place).copied()).collect::<Option<_>>()?;
        let strides = strides(&self.dims);
        let moved: Vec<usize> =
            order.iter().map(|&place| strides.get(place).copied()).collect::<Option<_>>()?;
        let places = (0..width).map(|index| self.place(offset(index, &dims, &moved))).collect();
        Some(Self { dims, places: None }.placed(places))
    }

    /// A constant, one number for every element of the vector: of dimensions `dims` that are
    /// aligned with the last of the value's, or one number per channel. `None` if it does not fit,
    /// or would make the value larger.
    #[must_use]
    pub fn spread(
        &self,
        values: &[f64],
        dims: Option<&[usize]>,
        layout: Layout,
    ) -> Option<Vec<f64>> {
        let width = self.width().filter(|&width| width <= MAX_PLACES)?;
        let channel =
            if layout == Layout::ChannelsFirst { 0 } else { self.dims.len().checked_sub(1)? };
        let per_channel: Vec<usize> = self
            .dims
            .iter()
            .enumerate()
            .map(|(place, &dim)| if place == channel { dim } else { 1 })
            .collect();
        let dims = dims.unwrap_or(&per_channel);
        // What a constant has more dimensions of, the batch among them, must be of one element.
        let (more, own) = dims.split_at_checked(dims.len().saturating_sub(self.dims.len()))?;
        let missing = self.dims.len() - own.len();
        let fits = own
            .iter()
            .zip(self.dims.iter().skip(missing))
            .all(|(&own, &dim)| own == 1 || own == dim);
        let count = own.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim))?;
        if !fits || more.iter().any(|&dim| dim != 1) || count != values.len() {
            return None;
        }
        let along =
            own.iter().zip(strides(own)).map(|(&dim, stride)| if dim == 1 { 0 } else { stride });
        let along: Vec<usize> = core::iter::repeat_n(0, missing).chain(along).collect();
        let mut spread = vec![0.0; width];
        for index in 0..width {
            let value = *values.get(offset(index, &self.dims, &along))?;
            *spread.get_mut(self.place(index))? = value;
        }
        Some(spread)
    }

    /// The rows and columns of an image that a mean over axes covers. `None` if the value is no
    /// image, or the axes are others than its rows and columns.
    #[must_use]
    pub fn averaged(&self, axes: &[i64], layout: Layout) -> Option<(usize, usize)> {
        let places = places(axes, self.dims.len() + 1)?;
        let image = self.image(layout)?;
        let channel = if layout == Layout::ChannelsFirst { 0 } else { self.dims.len() - 1 };
        if places.is_empty() || image.channels > 1 && places.contains(&channel) {
            return None;
        }
        let last = if layout == Layout::ChannelsFirst {
            self.dims.len() - 1
        } else {
            self.dims.len().checked_sub(2)?
        };
        let covered = |place: Option<usize>, size: usize| {
            if place.is_some_and(|p| places.contains(&p)) { size } else { 1 }
        };
        let rows = if self.dims.len() == 3 { last.checked_sub(1) } else { None };
        Some((covered(rows, image.height), covered(Some(last), image.width)))
    }
}

/// The dimensions that a reshape asks for. Without a negative one, nothing is left over.
pub(super) fn resolved(from: &[usize], width: usize, dims: &[i64]) -> Option<Vec<usize>> {
    let copied = dims.iter().enumerate().map(|(index, &dim)| match dim {
        0 => from.get(index).copied().map(Some),
        dim if dim < 0 => Some(None),
        dim => usize::try_from(dim).ok().map(Some),
    });
    let copied: Vec<Option<usize>> = copied.collect::<Option<_>>()?;
    let known = copied.iter().flatten().try_fold(1_usize, |all, &dim| all.checked_mul(dim))?;
    let left = width.checked_div(known)?;
    Some(copied.into_iter().map(|dim| dim.unwrap_or(left)).collect())
}

/// The places of axes among `rank` dimensions, of which the batch is one, in order and once each.
pub(super) fn places(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let count = i64::try_from(rank).ok()?;
    let place = |&axis: &i64| {
        usize::try_from(if axis < 0 { axis.checked_add(count)? } else { axis }).ok()?.checked_sub(1)
    };
    let mut places = axes.iter().map(place).collect::<Option<Vec<usize>>>()?;
    places.sort_unstable();
    places.dedup();
    places.iter().all(|&place| place + 1 < rank).then_some(places)
}
