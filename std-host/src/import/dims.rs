//! The dimensions of a graph's values, and how a value lies in a layer's vector.
//!
//! A layer's vector holds an image channel after channel. A file that orders its dimensions otherwise gets its answers right by
//! other means: what is flattened is taken apart by the weights of the dense layer that follows, and a first convolution
//! reads rows of pixels of several channels as longer rows of single words.

use super::GraphError;
use super::graph::{Graph, Layout, Node, Op, Padding, Pool, ValueId};

/// A value's dimensions in the file, without the batch, and its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Dimensions.
    pub dims: Vec<usize>,
    /// Channels, rows and columns, where the vector's order is not that of the dimensions.
    pub apart: Option<[usize; 3]>,
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
    /// Whether the vector holds pixel after pixel, as a reading in the order of the file does.
    pub interleaved: bool,
}

impl Form {
    fn flat(width: usize) -> Self {
        Self { dims: vec![width], apart: None }
    }

    /// Values in all; `None` if there are too many to count.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.dims.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim))
    }

    /// The value as an image; `None` if it is none.
    #[must_use]
    pub fn image(&self, layout: Layout) -> Option<Image> {
        if let Some([channels, height, width]) = self.apart {
            return (self.dims == [height, width, channels]).then_some(Image { channels, height, width, interleaved: false });
        }
        let (channels, height, width) = match (layout, self.dims.as_slice()) {
            (Layout::ChannelsFirst, &[channels, height, width]) => (channels, height, width),
            (Layout::ChannelsFirst, &[channels, width]) => (channels, 1, width),
            (Layout::ChannelsLast, &[height, width, channels]) => (channels, height, width),
            (Layout::ChannelsLast, &[width, channels]) => (channels, 1, width),
            _ => return None,
        };
        Some(Image { channels, height, width, interleaved: layout == Layout::ChannelsLast && channels > 1 && height * width > 1 })
    }

    /// The form of an image in a layer's vector; `flat` if the file has one row only and no dimension for it.
    #[must_use]
    pub fn of_image([channels, height, width]: [usize; 3], layout: Layout, flat: bool) -> Self {
        let apart = (layout == Layout::ChannelsLast && channels > 1 && height * width > 1).then_some([channels, height, width]);
        let dims = match (layout, flat) {
            (Layout::ChannelsFirst, false) => vec![channels, height, width],
            (Layout::ChannelsFirst, true) => vec![channels, width],
            (Layout::ChannelsLast, _) => vec![height, width, channels],
        };
        Self { dims, apart }
    }
}

/// The forms of all values that can be known, by value.
pub type Forms = std::collections::HashMap<ValueId, Form>;

/// Follows the dimensions from the input to the output.
///
/// # Errors
/// [`GraphError`] names the node that does not take what it gets.
pub fn forms(graph: &Graph) -> Result<Forms, GraphError> {
    let mut forms = Forms::new();
    if let Some(dims) = &graph.input_dims {
        forms.insert(graph.input, Form { dims: dims.clone(), apart: None });
    }
    for index in graph.needed() {
        let Some(node) = graph.nodes.get(index) else { continue };
        let first = node.inputs.first().and_then(|input| forms.get(input)).cloned();
        if let Some(form) = form(node, first, graph.layout)? {
            forms.insert(node.output, form);
        }
    }
    Ok(forms)
}

fn form(node: &Node, input: Option<Form>, layout: Layout) -> Result<Option<Form>, GraphError> {
    let wrong = |what: &str| GraphError::Image { node: node.name.clone(), what: what.to_owned() };
    let flat = layout == Layout::ChannelsFirst && input.as_ref().is_some_and(|form| form.dims.len() == 2);
    let image =
        || input.as_ref().and_then(|form| form.image(layout)).ok_or_else(|| wrong("gets no image, or one of unknown size"));
    Ok(match &node.op {
        Op::Dense { weights, .. } => Some(Form::flat(weights.matrix().map_or(0, |(outputs, _)| outputs))),
        Op::Convolution { weights, stride, padding, .. } => {
            let &[filters, _, rows, columns] = weights.dims.as_slice() else { return Err(wrong("has kernels of unknown size")) };
            let image = image()?;
            let window =
                Placed::new(&image, (rows, columns), *stride, *padding).ok_or_else(|| wrong("does not fit its image"))?;
            Some(Form::of_image([filters, window.outputs.0, window.outputs.1], layout, flat))
        }
        Op::AveragePool(pool) | Op::MaxPool(pool) => {
            let image = image()?;
            let window = Placed::of_pool(&image, pool).ok_or_else(|| wrong("does not fit its image"))?;
            Some(Form::of_image([image.channels, window.outputs.0, window.outputs.1], layout, flat))
        }
        Op::Reshape { dims } => match (input, dims) {
            (Some(input), Some(dims)) => {
                Some(reshaped(&input, dims).ok_or_else(|| wrong("asks for other dimensions than there are values"))?)
            }
            // The values keep their order, and that is all that is known.
            (Some(input), None) => input.width().map(|width| Form { dims: vec![width], apart: input.apart }),
            (None, Some(dims)) => {
                let known: Option<Vec<usize>> =
                    dims.iter().map(|&dim| usize::try_from(dim).ok().filter(|&dim| dim > 0)).collect();
                known.map(|dims| Form { dims, apart: None })
            }
            (None, None) => None,
        },
        Op::Unsqueeze(axes) => match input {
            Some(input) => Some(unsqueezed(input, axes).ok_or_else(|| wrong("adds dimensions that cannot be"))?),
            None => None,
        },
        Op::Squeeze(axes) => match input {
            Some(input) => Some(squeezed(input, axes).ok_or_else(|| wrong("drops dimensions that are not of one element"))?),
            None => None,
        },
        Op::Transpose(order) => match input {
            Some(input) => {
                Some(transposed(&input, order).ok_or_else(|| wrong("puts values in another order; export without it"))?)
            }
            None => return Err(wrong("puts values of unknown dimensions in another order")),
        },
        _ => input,
    })
}

/// Other dimensions of the same values.
fn reshaped(input: &Form, dims: &[i64]) -> Option<Form> {
    let width = input.width()?;
    let copied = dims.iter().enumerate().map(|(index, &dim)| match dim {
        0 => input.dims.get(index).copied().and_then(|dim| i64::try_from(dim).ok()),
        dim => Some(dim),
    });
    let copied = copied.collect::<Option<Vec<i64>>>()?;
    let known =
        copied.iter().filter(|&&dim| dim > 0).try_fold(1_usize, |all, &dim| all.checked_mul(usize::try_from(dim).ok()?))?;
    let left = width.checked_div(known)?;
    let dims: Vec<usize> = copied.iter().map(|&dim| usize::try_from(dim).unwrap_or(left)).collect();
    let form = Form { dims, apart: input.apart };
    // An image that lies otherwise may be flattened, or keep its dimensions.
    let allowed = input.apart.is_none() || form.dims == input.dims || form.dims.iter().filter(|&&dim| dim > 1).count() <= 1;
    (form.width()? == width && allowed).then_some(form)
}

/// The places of axes among `rank` dimensions, of which the batch is one.
fn places(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let count = i64::try_from(rank).ok()?;
    let place = |&axis: &i64| usize::try_from(if axis < 0 { axis + count } else { axis }).ok()?.checked_sub(1);
    let mut places = axes.iter().map(place).collect::<Option<Vec<usize>>>()?;
    places.sort_unstable();
    places.iter().all(|&place| place + 1 < rank).then_some(places)
}

fn unsqueezed(mut input: Form, axes: &[i64]) -> Option<Form> {
    for place in places(axes, input.dims.len() + 1 + axes.len())? {
        if place > input.dims.len() {
            return None;
        }
        input.dims.insert(place, 1);
    }
    Some(input)
}

fn squeezed(mut input: Form, axes: &[i64]) -> Option<Form> {
    if axes.is_empty() {
        input.dims.retain(|&dim| dim != 1);
        return Some(input);
    }
    for place in places(axes, input.dims.len() + 1)?.into_iter().rev() {
        if input.dims.get(place) != Some(&1) {
            return None;
        }
        input.dims.remove(place);
    }
    Some(input)
}

/// The dimensions in another order, which must not be one of the values.
fn transposed(input: &Form, order: &[usize]) -> Option<Form> {
    let dims = order.iter().map(|&place| input.dims.get(place).copied()).collect::<Option<Vec<usize>>>()?;
    let moved: Vec<usize> = order.iter().copied().filter(|&place| input.dims.get(place).is_some_and(|&dim| dim > 1)).collect();
    (input.apart.is_none() && dims.len() == input.dims.len() && moved.is_sorted()).then_some(Form { dims, apart: None })
}

/// A window with its padding, and the outputs it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Rows and columns.
    pub size: (usize, usize),
    /// Steps.
    pub stride: (usize, usize),
    /// Zeros above and left.
    pub before: (usize, usize),
    /// Zeros below and right.
    pub after: (usize, usize),
    /// Rows and columns of the result.
    pub outputs: (usize, usize),
}

impl Placed {
    /// `None` if the window does not fit.
    #[must_use]
    pub fn new(image: &Image, size: (usize, usize), stride: (usize, usize), padding: Padding) -> Option<Self> {
        let along = |length: usize, size: usize, stride: usize, explicit: Option<(usize, usize)>| {
            let (before, after) = match (explicit, padding) {
                (Some(explicit), _) => explicit,
                (None, padding) => {
                    let whole = (length.div_ceil(stride.max(1)).saturating_sub(1) * stride + size).saturating_sub(length);
                    if padding == Padding::SameLower { (whole.div_ceil(2), whole / 2) } else { (whole / 2, whole.div_ceil(2)) }
                }
            };
            let padded = length.checked_add(before)?.checked_add(after)?;
            let outputs = padded.checked_sub(size)?.checked_div(stride)? + 1;
            Some((before, after, outputs))
        };
        let explicit = match padding {
            Padding::Explicit { before, after } => Some((before, after)),
            Padding::SameUpper | Padding::SameLower => None,
        };
        let (top, bottom, rows) = along(image.height, size.0, stride.0, explicit.map(|(before, after)| (before.0, after.0)))?;
        let (left, right, columns) = along(image.width, size.1, stride.1, explicit.map(|(before, after)| (before.1, after.1)))?;
        Some(Self { size, stride, before: (top, left), after: (bottom, right), outputs: (rows, columns) })
    }

    /// The window of a pool.
    #[must_use]
    pub fn of_pool(image: &Image, pool: &Pool) -> Option<Self> {
        match pool.size {
            Some(size) => Self::new(image, size, pool.stride, pool.padding),
            None => Self::new(image, (image.height, image.width), (1, 1), Padding::NONE),
        }
    }

    /// Whether no zeros lie around the image.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.before == (0, 0) && self.after == (0, 0)
    }
}
