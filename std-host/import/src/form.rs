//! A value's dimensions in the file, and where its elements lie in a layer's vector.
//!
//! A layer's vector holds an image channel after channel; a file may order its dimensions
//! otherwise, transpose them, or flatten them. The vector stays as it is: what moves is the note of
//! where each element lies, and the weights of the next layer follow it.

use std::rc::Rc;

use super::array::{offset, strides};

/// The most elements whose places are noted: as many as a vector may have.
const MAX_PLACES: usize = u16::MAX as usize;

/// How a file orders the dimensions of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Channels, rows, columns (ONNX); a signal is channels, columns.
    ChannelsFirst,
    /// Rows, columns, channels (TFLite).
    ChannelsLast,
}

/// A value's dimensions, without the batch, and its elements' places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    dims: Vec<usize>,
    /// Where the elements, in the order of the dimensions, lie in the vector; nothing if they lie
    /// in that order.
    places: Option<Rc<[usize]>>,
    /// Whether the elements' order is known, and their dimensions are not.
    open: bool,
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
        Self { dims, places: None, open: false }
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

    /// The same elements in the same order, of dimensions that are not known.
    #[must_use]
    pub(super) fn opened(self) -> Self {
        let dims = vec![self.width().unwrap_or(usize::MAX)];
        Self { dims, open: true, ..self }
    }

    /// Whether the dimensions are not known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether elements of both have the same dimensions and lie in the same order, as far as that
    /// is known.
    pub(super) fn lies_as(&self, other: &Self) -> bool {
        (&self.dims, &self.places) == (&other.dims, &other.places)
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
        let sizes = sizes(&self.dims, layout).filter(|sizes| !sizes.contains(&0) && !self.open)?;
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
        // A copy of a dimension that is not known is none.
        if self.open && dims.contains(&0) {
            return None;
        }
        let dims = resolved(&self.dims, width, dims)?;
        let form = Self { dims, open: false, ..self };
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
        if sorted != (0..self.dims.len()).collect::<Vec<_>>() || self.open {
            return None;
        }
        let dims: Vec<usize> =
            order.iter().map(|&place| self.dims.get(place).copied()).collect::<Option<_>>()?;
        let strides = strides(&self.dims);
        let moved: Vec<usize> =
            order.iter().map(|&place| strides.get(place).copied()).collect::<Option<_>>()?;
        let places = (0..width).map(|index| self.place(offset(index, &dims, &moved))).collect();
        Some(Self { dims, places: None, open: false }.placed(places))
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
        if self.open && dims.is_none() {
            return None;
        }
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

/// The place of an axis among the dimensions, without the batch; `None` if they are not known, or
/// too many elements have them.
fn along(axis: i64, form: &Form) -> Option<usize> {
    let fits = form.width().is_some_and(|width| (1..=MAX_PLACES).contains(&width)) && !form.open;
    let place = places(&[axis], form.dims.len() + 1)?;
    place.first().copied().filter(|_| fits)
}

/// Values one behind the other along an axis, which is counted with the batch. Images whose
/// channels are joined lie channel after channel; of others the vector has the order of the
/// dimensions. `None` if they do not fit, or lie otherwise.
pub(super) fn joined(parts: &[&Form], axis: i64, layout: Layout) -> Option<Form> {
    let first = parts.first()?;
    let rank = first.dims.len();
    let at = along(axis, first)?;
    let others = |form: &Form| {
        form.dims
            .iter()
            .enumerate()
            .all(|(place, dim)| place == at || first.dims.get(place) == Some(dim))
    };
    if !parts.iter().all(|form| form.dims.len() == rank && others(form) && !form.open) {
        return None;
    }
    let mut lengths = parts.iter().map(|form| form.dims.get(at).copied());
    let length = lengths.try_fold(0_usize, |sum, length| sum.checked_add(length?))?;
    let mut dims = first.dims.clone();
    *dims.get_mut(at)? = length;
    // A larger one is none of a layer's.
    Form::plain(dims.clone()).width().filter(|width| (1..=MAX_PLACES).contains(width))?;
    if let Some([_, height, width]) = channels_joined(parts, at, layout) {
        return Some(Form::of_image([length, height, width], layout, rank == 2));
    }
    parts.iter().all(|form| form.is_in_order()).then(|| Form::plain(dims))
}

/// Channels of all, rows and columns of images of which the channels are joined, dimension `at`;
/// `None` if they are none, or lie otherwise.
pub(super) fn channels_joined(parts: &[&Form], at: usize, layout: Layout) -> Option<[usize; 3]> {
    let images: Vec<Image> = parts.iter().map(|form| form.image(layout)).collect::<Option<_>>()?;
    let first = images.first()?;
    let rank = parts.first()?.dims.len();
    let channel = if layout == Layout::ChannelsFirst { 0 } else { rank.checked_sub(1)? };
    let lie = images.iter().all(|image| !image.interleaved);
    let mut channels = images.iter().map(|image| image.channels);
    let channels = channels.try_fold(0_usize, |sum, own| sum.checked_add(own))?;
    (at == channel && lie).then_some([channels, first.height, first.width])
}

impl Form {
    /// The elements along an axis, for each place of the others: where they lie in the vector. With
    /// `trailing`, those along the axis and all behind it. `None` if there is no such axis.
    pub(super) fn groups(&self, axis: i64, trailing: bool) -> Option<Vec<Vec<usize>>> {
        let at = along(axis, self)?;
        let (outer, inner) = self.dims.split_at_checked(at)?;
        let (&length, behind) = inner.split_first()?;
        let behind: usize = behind.iter().product();
        let (length, stride) = if trailing { (length * behind, 1) } else { (length, behind) };
        let group =
            |first: usize| (0..length).map(move |n| self.place(first + n * stride)).collect();
        let firsts = |outer: usize| (0..stride).map(move |inner| outer * length * stride + inner);
        Some((0..outer.iter().product()).flat_map(firsts).map(group).collect())
    }

    /// What is left of the dimensions without some axes, which are counted with the batch, or with
    /// one element along each; and for each element of that, in its order, where all that differ
    /// along the axes lie in the vector.
    pub(super) fn along_axes(&self, axes: &[i64], keep: bool) -> Option<(Self, Vec<Vec<usize>>)> {
        let fits =
            self.width().is_some_and(|width| (1..=MAX_PLACES).contains(&width)) && !self.open;
        let axes = places(axes, self.dims.len() + 1).filter(|axes| fits && !axes.is_empty())?;
        let dims = self.dims.iter().enumerate();
        let kept: Vec<usize> =
            dims.map(|(at, &dim)| if axes.contains(&at) { 1 } else { dim }).collect();
        let along = strides(&kept).into_iter().zip(&kept);
        let along: Vec<usize> =
            along.map(|(stride, &dim)| if dim == 1 { 0 } else { stride }).collect();
        let mut groups = vec![Vec::new(); kept.iter().product()];
        for index in 0..self.width()? {
            groups.get_mut(offset(index, &self.dims, &along))?.push(self.place(index));
        }
        let left = kept.iter().enumerate().filter(|(at, _)| keep || !axes.contains(at));
        Some((Self::plain(left.map(|(_, &dim)| dim).collect()), groups))
    }

    /// How many elements there are along an axis, which is counted with the batch.
    pub(super) fn along(&self, axis: i64) -> Option<usize> {
        self.dims.get(along(axis, self)?).copied()
    }

    /// Some elements along an axis, which is counted with the batch; `drop` if the dimension goes
    /// with them. The form of what is picked, and for each element, in the order of its vector,
    /// where it lies in this one's. `None` if they are not there.
    pub(super) fn picked(
        &self,
        axis: i64,
        picked: &[usize],
        drop: bool,
        layout: Layout,
    ) -> Option<(Self, Vec<usize>)> {
        let at = along(axis, self)?;
        let length = *self.dims.get(at)?;
        let count = self.width()?.checked_div(length)?.checked_mul(picked.len())?;
        if count > MAX_PLACES {
            return None;
        }
        let mut dims = self.dims.clone();
        *dims.get_mut(at)? = picked.len();
        let form = match channels_joined(&[self], at, layout) {
            Some([_, height, width]) if !drop => {
                Self::of_image([picked.len(), height, width], layout, dims.len() == 2)
            }
            _ => Self::plain(dims.clone()),
        };
        let inner = self.dims.iter().skip(at + 1).product::<usize>().max(1);
        let mut sources = vec![0; count];
        for index in 0..sources.len() {
            let (outer, own) = (index / (picked.len() * inner), index / inner % picked.len());
            let from = (outer * length + picked.get(own)?) * inner + index % inner;
            *sources.get_mut(form.place(index))? = self.place(from);
        }
        if drop {
            dims.remove(at);
            return Some((Self::plain(dims), sources));
        }
        Some((form, sources))
    }
}

/// For each element of each part, in the order of its vector, where it lies in what is joined.
pub(super) fn joined_places(parts: &[&Form], axis: i64, whole: &Form) -> Option<Vec<Vec<usize>>> {
    let at = along(axis, whole)?;
    let moved = strides(&whole.dims);
    let mut before = 0;
    let of = |form: &&Form| {
        let first = before * moved.get(at)?;
        before += form.dims.get(at)?;
        let mut places = vec![0; form.width().filter(|&width| width <= MAX_PLACES)?];
        for index in 0..places.len() {
            *places.get_mut(form.place(index))? =
                whole.place(first + offset(index, &form.dims, &moved));
        }
        Some(places)
    };
    parts.iter().map(of).collect()
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
