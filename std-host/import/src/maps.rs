//! Nodes of the graph as maps of the core: shapes, weights in the core's order, biases.

use sharelet_core::shape::{Shape, TILE_ELEMS, Window};

use super::dims::{self, Forms};
use super::form::{Form, Image};
use super::graph::{Layout, Node, Op, Padding, Tensor};
use super::layer::{Map, count};
use super::window::Placed;
use crate::error::GraphError;

/// What a node is computed from: the forms of all values.
#[derive(Clone, Copy)]
pub(super) struct Maps<'g> {
    pub(super) forms: &'g Forms,
    pub(super) layout: Layout,
}

/// A size as a description has it: in one or two bytes.
pub(super) fn narrow<T: TryFrom<usize>>(node: &str, width: usize) -> Result<T, GraphError> {
    let limit = (1 << (8 * size_of::<T>())) - 1;
    T::try_from(width).map_err(|_| GraphError::TooWide { node: node.to_owned(), width, limit })
}

/// Whether a node takes as many values as it gets.
pub(super) fn check_width(node: &str, expected: usize, found: usize) -> Result<(), GraphError> {
    if expected == found && expected > 0 {
        return Ok(());
    }
    Err(GraphError::Width { node: node.to_owned(), expected: expected.max(1), found })
}

fn does_not_fit(node: &Node) -> GraphError {
    node.wrong("does not fit its image")
}

impl Maps<'_> {
    fn input(&self, node: &Node) -> Option<&Form> {
        node.inputs.first().and_then(|input| self.forms.get(input))
    }

    /// Whether a node can be computed of what it gets, as far as that is the node's own matter.
    pub(super) fn check(&self, node: &Node) -> Result<(), GraphError> {
        match &node.op {
            Op::Dense { weights, bias } => {
                dense_shape(node, weights, bias.as_deref(), self.input(node)).map(|_| ())
            }
            Op::Convolution { weights, .. } => self.convolution(node, weights).map(|_| ()),
            Op::AveragePool(_) | Op::Mean { .. } => self.mean(node).map(|_| ()),
            Op::MaxPool(_) => self.pairs(node).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// A linear node's map, and its bias per output.
    pub(super) fn linear(&self, node: &Node) -> Result<(Map, Vec<f64>), GraphError> {
        match &node.op {
            Op::Dense { weights, bias } => dense(node, weights, bias.as_deref(), self.input(node)),
            Op::Convolution { weights, bias, groups, .. } => {
                let (shape, image) = self.convolution(node, weights)?;
                let filters = weights.dims.first().copied().unwrap_or(0);
                let weights = match image.interleaved {
                    false => weights.values.clone(),
                    true => interleaved(&apart(weights, *groups, &image)),
                };
                let per_filter = bias.clone().unwrap_or_else(|| vec![0.0; filters]);
                check_width(&node.name, filters, per_filter.len())?;
                let pixels = usize::from(shape.outputs()) / filters.max(1);
                let bias = per_filter
                    .iter()
                    .flat_map(|&bias| core::iter::repeat_n(bias, pixels))
                    .collect();
                Ok((Map { shape, weights }, bias))
            }
            Op::AveragePool(_) | Op::Mean { .. } => {
                let (shape, image) = self.mean(node)?;
                let bias = vec![0.0; usize::from(shape.outputs())];
                if !image.interleaved {
                    return Ok((Map::public(shape), bias));
                }
                // A mean of each channel, as a convolution that sees all of them.
                let (_, placed) = dims::placed(node, self.input(node), self.layout)?;
                let (rows, columns) = placed.size;
                let one = 1.0 / count(rows * columns);
                let dims = vec![image.channels, 1, rows, columns];
                let values = vec![one; image.channels * rows * columns];
                let kernels = apart(&Tensor { dims, values }, image.channels, &image);
                Ok((Map { shape, weights: interleaved(&kernels) }, bias))
            }
            Op::Mapped { map, bias, .. } => {
                if let Some(width) = self.input(node).and_then(Form::width) {
                    check_width(&node.name, usize::from(map.shape.inputs()), width)?;
                }
                Ok((map.clone(), bias.clone()))
            }
            _ => Err(node.misplaced()),
        }
    }

    fn convolution(&self, node: &Node, weights: &Tensor) -> Result<(Shape, Image), GraphError> {
        let (image, placed) = dims::placed(node, self.input(node), self.layout)?;
        let (Op::Convolution { groups, .. }, &[filters, depth, ..]) =
            (&node.op, weights.dims.as_slice())
        else {
            return Err(node.wrong("has kernels of unknown size"));
        };
        let groups = *groups;
        check_width(&node.name, depth.saturating_mul(groups), image.channels)?;
        if groups == 0 || !filters.is_multiple_of(groups) {
            return Err(node.wrong("has not the same number of filters in each group"));
        }
        let window = match image.interleaved {
            false => window(node, &image, &placed, filters, groups)?,
            true => window(node, &as_rows(&image), &in_words(&placed, &image), filters, 1)?,
        };
        Ok((checked(node, Shape::Convolution(window))?, image))
    }

    fn mean(&self, node: &Node) -> Result<(Shape, Image), GraphError> {
        let (image, placed) = dims::placed(node, self.input(node), self.layout)?;
        if let Op::AveragePool(pool) = &node.op {
            if let Some(what) = placed.fault_of_pool(&image, pool) {
                return Err(node.wrong(what));
            }
            if !pool.count_padding && !placed.is_bare() {
                return Err(node.wrong(
                    "has windows of another size at the edge (padding with count_include_pad = \
                     0); count the padding or leave it off",
                ));
            }
        }
        let shape = match image.interleaved {
            false => Shape::Mean(window(node, &image, &placed, image.channels, image.channels)?),
            true => {
                let (wide, placed) = (as_rows(&image), in_words(&placed, &image));
                Shape::Convolution(window(node, &wide, &placed, image.channels, 1)?)
            }
        };
        Ok((checked(node, shape)?, image))
    }

    /// The steps of a max-pool, each the larger of two: of neighbours, of these, and so on: along
    /// the rows, then along the columns. Before them, a map that puts an image channel after
    /// channel if it lies otherwise.
    pub(super) fn pairs(&self, node: &Node) -> Result<(Option<Map>, Vec<Shape>), GraphError> {
        let (mut image, placed) = dims::placed(node, self.input(node), self.layout)?;
        let Op::MaxPool(pool) = &node.op else { return Err(node.misplaced()) };
        if let Some(what) = placed.fault_of_pool(&image, pool) {
            return Err(node.wrong(what));
        }
        if !pool.count_padding && !placed.is_bare() {
            return Err(node
                .wrong("pads its image; leave the padding off, or put it before the convolution"));
        }
        let first = image.interleaved.then(|| separated(node, &image)).transpose()?;
        image.interleaved = false;
        let mut shapes = Vec::new();
        for across in [true, false] {
            let pick = |(down, along): (usize, usize)| if across { along } else { down };
            let (size, stride) = (pick(placed.size), pick(placed.stride));
            let (mut before, mut after) = (pick(placed.before), pick(placed.after));
            // The first step sees two neighbours, of which one may be padding.
            if before.max(after) > 1 || size == 1 && before.max(after) > 0 {
                return Err(node.wrong(
                    "pads by more than one; put the padding before the \
                                       convolution",
                ));
            }
            let mut covered = 1;
            while covered < size || (size == 1 && stride > 1) {
                let reach = covered.min(size - covered);
                covered += reach;
                let last = covered >= size;
                let along =
                    |value: usize, other| if across { (other, value) } else { (value, other) };
                let padding =
                    Padding::Explicit { before: along(before, 0), after: along(after, 0) };
                (before, after) = (0, 0);
                let stride = if last { stride } else { 1 };
                let step = Placed::new(&image, along(reach + 1, 1), along(stride, 1), padding);
                let step = step.ok_or_else(|| does_not_fit(node))?;
                let window = window(node, &image, &step, image.channels, image.channels)?;
                shapes.push(checked(node, Shape::Pairs(window))?);
                (image.height, image.width) = step.outputs;
                if size == 1 {
                    break;
                }
            }
        }
        Ok((first, shapes))
    }
}

/// An image that lies pixel after pixel, as rows of single words.
fn as_rows(image: &Image) -> Image {
    let width = image.width.saturating_mul(image.channels);
    Image { channels: 1, height: image.height, width, interleaved: false }
}

/// The same window over rows of single words.
fn in_words(placed: &Placed, image: &Image) -> Placed {
    let words = |(down, across): (usize, usize)| (down, across.saturating_mul(image.channels));
    Placed {
        size: words(placed.size),
        stride: words(placed.stride),
        before: words(placed.before),
        after: words(placed.after),
        outputs: placed.outputs,
    }
}

/// Kernels that see one group of channels, as kernels that see all and have zeros elsewhere.
fn apart(weights: &Tensor, groups: usize, image: &Image) -> Tensor {
    let &[filters, depth, rows, columns] = weights.dims.as_slice() else { return weights.clone() };
    if groups <= 1 {
        return weights.clone();
    }
    let (elems, per_group) = (rows * columns, (filters / groups).max(1));
    let mut values = vec![0.0; filters * image.channels * elems];
    let rows_of = (image.channels * elems).max(1);
    for (filter, to) in values.chunks_exact_mut(rows_of).enumerate() {
        let from = weights.values.iter().skip(filter * depth * elems).take(depth * elems);
        let to = to.iter_mut().skip(filter / per_group * depth * elems);
        to.zip(from).for_each(|(to, &from)| *to = from);
    }
    Tensor { dims: vec![filters, image.channels, rows, columns], values }
}

/// Kernels over several channels, as kernels over rows of single words.
fn interleaved(weights: &Tensor) -> Vec<f64> {
    let &[filters, depth, rows, columns] = weights.dims.as_slice() else { return Vec::new() };
    let mut values = Vec::with_capacity(weights.values.len());
    for filter in 0..filters {
        for row in 0..rows {
            for column in 0..columns {
                let place =
                    |channel: usize| ((filter * depth + channel) * rows + row) * columns + column;
                values.extend(
                    (0..depth)
                        .map(|channel| weights.values.get(place(channel)).copied().unwrap_or(0.0)),
                );
            }
        }
    }
    values
}

/// A map that puts an image that lies pixel after pixel channel after channel.
fn separated(node: &Node, image: &Image) -> Result<Map, GraphError> {
    let pixel = Placed {
        size: (1, 1),
        stride: (1, 1),
        before: (0, 0),
        after: (0, 0),
        outputs: (image.height, image.width),
    };
    let (channels, rows) = (image.channels, as_rows(image));
    let window = window(node, &rows, &in_words(&pixel, image), channels, 1)?;
    let unit = |index: usize| if index.is_multiple_of(channels + 1) { 1.0 } else { 0.0 };
    let shape = checked(node, Shape::Convolution(window))?;
    Ok(Map { shape, weights: (0..channels * channels).map(unit).collect() })
}

/// A window of the core.
fn window(
    node: &Node,
    image: &Image,
    placed: &Placed,
    filters: usize,
    groups: usize,
) -> Result<Window, GraphError> {
    let name = &node.name;
    let pair = |(down, across): (usize, usize)| {
        Ok::<_, GraphError>((narrow(name, down)?, narrow(name, across)?))
    };
    Ok(Window {
        channels: narrow(name, image.channels)?,
        height: narrow(name, image.height)?,
        width: narrow(name, image.width)?,
        filters: narrow(name, filters)?,
        groups: narrow(name, groups)?,
        kernel: pair(placed.size)?,
        stride: pair(placed.stride)?,
        before: pair(placed.before)?,
        after: pair(placed.after)?,
    })
}

fn checked(node: &Node, shape: Shape) -> Result<Shape, GraphError> {
    if !shape.is_valid() {
        return Err(node.wrong(format!(
            "is not one of the windows that are computed: at most 65535 values, kernels of \
             {TILE_ELEMS} words, less padding than kernel"
        )));
    }
    Ok(shape)
}

fn dense_shape(
    node: &Node,
    weights: &Tensor,
    bias: Option<&[f64]>,
    input: Option<&Form>,
) -> Result<Shape, GraphError> {
    let (outputs, inputs) = weights.matrix().ok_or(GraphError::NoLayers)?;
    if let Some(width) = input.and_then(Form::width) {
        check_width(&node.name, inputs, width)?;
    }
    let shape =
        Shape::Dense { inputs: narrow(&node.name, inputs)?, outputs: narrow(&node.name, outputs)? };
    check_width(&node.name, inputs, usize::from(shape.inputs()))?;
    check_width(&node.name, outputs, usize::from(shape.outputs()))?;
    check_width(&node.name, outputs, bias.map_or(outputs, <[f64]>::len))?;
    Ok(shape)
}

/// A dense layer; what was flattened from an image that lies otherwise is put in order.
fn dense(
    node: &Node,
    weights: &Tensor,
    bias: Option<&[f64]>,
    input: Option<&Form>,
) -> Result<(Map, Vec<f64>), GraphError> {
    let shape = dense_shape(node, weights, bias, input)?;
    let (inputs, outputs) = (usize::from(shape.inputs()), usize::from(shape.outputs()));
    let bias = bias.map_or_else(|| vec![0.0; outputs], <[f64]>::to_vec);
    let mut values = weights.values.clone();
    if let Some(form) = input.filter(|form| !form.is_in_order()) {
        for (to, from) in
            values.chunks_exact_mut(inputs.max(1)).zip(weights.values.chunks_exact(inputs.max(1)))
        {
            for (index, &weight) in from.iter().enumerate() {
                if let Some(to) = to.get_mut(form.place(index)) {
                    *to = weight;
                }
            }
        }
    }
    Ok((Map { shape, weights: values }, bias))
}
