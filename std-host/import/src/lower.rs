//! Steps as layers: shapes in the core's order, factors and summands folded into weights and
//! biases.
//!
//! Normalisation (of the input, of batches) and biases that stand apart are folded into the linear
//! map before them or, behind an activation, into the one after them; where neither is possible
//! they become a layer of one factor per value. A max-pool becomes layers that take the larger of
//! two; ReLU6 is two layers, `6 - max(6 - max(6 - y, 0), 0)` with the signs in the weights.

use std::collections::{HashMap, HashSet};

use sharelet_core::shape::{Shape, TILE_ELEMS, Window};

use super::dims::{self, Forms};
use super::fold::Factors;
use super::form::{Form, Image};
use super::graph::{Graph, Node, Op, Tensor, ValueId};
use super::layer::{Chain, Layer, Map, Skip, at};
use super::walk::{self, Step};
use super::window::Placed;
use crate::error::GraphError;

/// Lowers a graph, refusing all that it cannot compute before anything else.
///
/// # Errors
/// [`GraphError::Unsupported`] lists every node that cannot be computed; other variants name the
/// node.
pub fn lower(graph: &Graph) -> Result<Chain, GraphError> {
    let unsupported = graph.unsupported();
    if !unsupported.is_empty() {
        return Err(GraphError::Unsupported(unsupported));
    }
    let way = walk::walk(graph)?;
    let forms = dims::forms(graph)?;
    if let Some(form) = forms.get(&way.answer).filter(|form| !form.is_in_order()) {
        let what = format!(
            "answers {:?}, several pixels of several channels in another order than they are \
             computed in; let the network end in a dense layer or a mean",
            form.dims()
        );
        return Err(GraphError::Image {
            node: way.steps.last().map_or_else(|| graph.name.clone(), |step| step.name.clone()),
            what,
        });
    }
    let carried =
        way.steps.iter().filter_map(|step| step.skip.as_ref()).map(|(from, ..)| *from).collect();
    let mut lowering =
        Lowering { graph, forms, layers: Vec::new(), vectors: HashMap::new(), carried };
    for step in &way.steps {
        lowering.vectors.insert(step.input, lowering.layers.len());
        lowering.step(step)?;
    }
    let layers = lowering.layers;
    if layers.is_empty()
        || layers.iter().all(|layer| layer.map.weights.is_empty() && layer.skip.is_none())
    {
        return Err(GraphError::NoLayers);
    }
    let mut width = None;
    for layer in &layers {
        check_width(&layer.name, layer.inputs(), width.unwrap_or_else(|| layer.inputs()))?;
        width = Some(layer.outputs());
        let skipped = layer.skip.iter().flat_map(|skip| &skip.map.weights);
        let mut values = layer.map.weights.iter().chain(skipped).chain(&layer.bias);
        if !values.all(|value| value.is_finite()) {
            return Err(GraphError::NotFinite(layer.name.clone()));
        }
    }
    Ok(Chain { name: graph.name.clone(), layers, left_off: way.left_off })
}

struct Lowering<'g> {
    graph: &'g Graph,
    forms: Forms,
    layers: Vec<Layer>,
    /// The layer that takes a value.
    vectors: HashMap<ValueId, usize>,
    /// Values that a later layer asks for.
    carried: HashSet<ValueId>,
}

/// Channels, rows and columns of an image.
type Chw = [u16; 3];

/// A size as a description has it: in one or two bytes.
fn narrow<T: TryFrom<usize>>(node: &str, width: usize) -> Result<T, GraphError> {
    let limit = (1 << (8 * size_of::<T>())) - 1;
    T::try_from(width).map_err(|_| GraphError::TooWide { node: node.to_owned(), width, limit })
}

impl Lowering<'_> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), GraphError> {
        let name = &step.name;
        if step.linear.is_none() && step.activation.is_some() && self.layers.is_empty() {
            return Err(GraphError::ReluOnInput(name.clone()));
        }
        let rectified = matches!(step.activation.map(|node| &node.op), Some(Op::Relu));
        if step.linear.is_none()
            && rectified
            && step.skip.is_none()
            && step.after.is_empty()
            && self.rectify_before_pool()
        {
            return Ok(());
        }
        let (mut map, mut bias) = match step.linear.map(|node| (node, &node.op)) {
            Some((node, Op::MaxPool(_))) => return self.max_pool(node),
            Some((node, _)) => self.linear(node)?,
            None => self.alone(step)?,
        };
        for node in step.before.iter().rev() {
            self.factors(node)?.fold_before(&mut map, &mut bias)?;
        }
        for node in &step.after {
            self.factors(node)?.fold_after(&mut map, &mut bias)?;
        }
        let skip = match &step.skip {
            None => None,
            Some((from, linear, after)) => {
                let (mut skipped, mut offset) = match linear {
                    Some(node) => self.linear(node)?,
                    None => (
                        Map::public(Shape::Identity { width: map.shape.outputs() }),
                        vec![0.0; bias.len()],
                    ),
                };
                for node in after {
                    self.factors(node)?.fold_after(&mut skipped, &mut offset)?;
                }
                check_width(
                    name,
                    usize::from(map.shape.outputs()),
                    usize::from(skipped.shape.outputs()),
                )?;
                bias.iter_mut().zip(&offset).for_each(|(bias, offset)| *bias += offset);
                let lost = || GraphError::NotAChain(name.clone());
                let from = self.vectors.get(from).copied().ok_or_else(lost)?;
                let own = usize::from(map.shape.inputs());
                let taken = self.layers.get(from).map_or(own, Layer::inputs);
                check_width(name, usize::from(skipped.shape.inputs()), taken)?;
                Some(Skip { from, map: skipped })
            }
        };
        let relu = step.activation.is_some();
        let clamped = step.activation.is_some_and(|node| matches!(node.op, Op::Relu6));
        // A factor per value does not care what is a channel.
        let image = [map.shape.outputs(), 1, 1];
        let mut layer = Layer { name: name.clone(), map, skip, bias, relu };
        let turned = clamped && layer.skip.is_none() && !layer.map.weights.is_empty();
        if turned {
            // 6 - y, as far as that is not negative.
            layer.map.weights.iter_mut().for_each(|weight| *weight = -*weight);
            layer.bias.iter_mut().for_each(|bias| *bias = 6.0 - *bias);
        }
        self.layers.push(layer);
        let mirrors = if clamped { 2 - usize::from(turned) } else { 0 };
        self.layers.extend((0..mirrors).map(|_| mirrored(name, image)));
        Ok(())
    }

    /// A ReLU behind a max-pool is one before it, where it costs nothing; unless what lies between
    /// is asked for again.
    fn rectify_before_pool(&mut self) -> bool {
        let is_pool = |layer: &Layer| matches!(layer.map.shape, Shape::Pairs(_));
        let pools = self.layers.iter().rev().take_while(|layer| is_pool(layer)).count();
        let before = self.layers.len() - pools;
        let kept = self
            .vectors
            .iter()
            .any(|(value, &layer)| layer >= before && self.carried.contains(value));
        match before.checked_sub(1).and_then(|before| self.layers.get_mut(before)) {
            Some(layer) if pools > 0 && !kept => {
                layer.relu = true;
                true
            }
            _ => false,
        }
    }

    /// A layer without a linear node: the value itself, or a factor per value.
    fn alone(&self, step: &Step<'_>) -> Result<(Map, Vec<f64>), GraphError> {
        let name = &step.name;
        let form = self.forms.get(&step.input);
        let width = match (self.layers.last(), form.and_then(Form::width)) {
            (Some(layer), _) => layer.outputs(),
            (None, Some(width)) => width,
            (None, None) => return Err(GraphError::NotAChain(name.clone())),
        };
        let outputs: u16 = narrow(name, width)?;
        if step.skip.is_some() || step.after.is_empty() {
            return Ok((Map::public(Shape::Identity { width: outputs }), vec![0.0; width]));
        }
        let image =
            form.and_then(|form| form.image(self.graph.layout)).filter(|image| !image.interleaved);
        let factors =
            step.after.iter().map(|node| self.factors(node)).collect::<Result<Vec<_>, _>>()?;
        // One factor per channel is fewer weights, where that is enough.
        let enough = |image: &Image| {
            factors.iter().all(|factors| factors.is_per_channel(image.channels, width))
        };
        let image = match image.filter(enough) {
            Some(image) => [
                narrow(name, image.channels)?,
                narrow(name, image.height)?,
                narrow(name, image.width)?,
            ],
            None => [outputs, 1, 1],
        };
        Ok((
            Map::diagonal(image, vec![1.0; usize::from(image.first().copied().unwrap_or(0))]),
            vec![0.0; width],
        ))
    }

    fn factors(&self, node: &Node) -> Result<Factors, GraphError> {
        Factors::of(node, &self.forms, self.graph.layout)
    }

    /// A linear node's map, and its bias per output.
    fn linear(&self, node: &Node) -> Result<(Map, Vec<f64>), GraphError> {
        let input = node.inputs.first().and_then(|input| self.forms.get(input));
        match &node.op {
            Op::Dense { weights, bias } => dense(node, weights, bias.as_deref(), input),
            Op::Convolution { weights, bias, groups, .. } => {
                let (image, placed) = dims::placed(node, input, self.graph.layout)?;
                let &[filters, depth, ..] = weights.dims.as_slice() else {
                    return Err(node.wrong("has kernels of unknown size"));
                };
                check_width(&node.name, depth.saturating_mul(*groups), image.channels)?;
                let (window, weights) = match image.interleaved {
                    false => {
                        (window(node, &image, &placed, filters, *groups)?, weights.values.clone())
                    }
                    true => interleaved(node, &image, &placed, weights, *groups)?,
                };
                let shape = checked(node, Shape::Convolution(window))?;
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
                let (image, placed) = self.apart(node)?;
                let window = window(node, &image, &placed, image.channels, image.channels)?;
                let shape = checked(node, Shape::Mean(window))?;
                Ok((Map::public(shape), vec![0.0; usize::from(shape.outputs())]))
            }
            _ => Err(node.misplaced()),
        }
    }

    /// The window of a node that takes the channels of its image apart.
    fn apart(&self, node: &Node) -> Result<(Image, Placed), GraphError> {
        let input = node.inputs.first().and_then(|input| self.forms.get(input));
        let (image, placed) = dims::placed(node, input, self.graph.layout)?;
        if image.interleaved {
            return Err(node.wrong(
                "takes the input's channels apart, which only a convolution does here; begin with \
                 a convolution",
            ));
        }
        Ok((image, placed))
    }

    /// The larger of neighbours, of these the larger, and so on: along the rows, then along the
    /// columns.
    fn max_pool(&mut self, node: &Node) -> Result<(), GraphError> {
        let (mut image, placed) = self.apart(node)?;
        if !placed.is_bare() {
            return Err(node
                .wrong("pads its image; leave the padding off, or put it before the convolution"));
        }
        for (across, size, stride) in
            [(true, placed.size.1, placed.stride.1), (false, placed.size.0, placed.stride.0)]
        {
            let mut covered = 1;
            while covered < size || (size == 1 && stride > 1) {
                let reach = covered.min(size - covered);
                covered += reach;
                let last = covered >= size;
                let along = |value: usize| if across { (1, value) } else { (value, 1) };
                let step = Placed::new(
                    &image,
                    along(reach + 1),
                    along(if last { stride } else { 1 }),
                    super::graph::Padding::NONE,
                );
                let step = step.ok_or_else(|| does_not_fit(node))?;
                let window = window(node, &image, &step, image.channels, image.channels)?;
                let shape = checked(node, Shape::Pairs(window))?;
                let bias = vec![0.0; usize::from(shape.outputs())];
                self.layers.push(Layer {
                    name: node.name.clone(),
                    map: Map::public(shape),
                    skip: None,
                    bias,
                    relu: true,
                });
                (image.height, image.width) = step.outputs;
                if size == 1 {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn does_not_fit(node: &Node) -> GraphError {
    node.wrong("does not fit its image")
}

fn check_width(node: &str, expected: usize, found: usize) -> Result<(), GraphError> {
    if expected == found && expected > 0 {
        return Ok(());
    }
    Err(GraphError::Width { node: node.to_owned(), expected: expected.max(1), found })
}

/// `max(6 - x, 0)`: with `x = max(6 - y, 0)` this is `y` between 0 and 6.
fn mirrored(name: &str, image: Chw) -> Layer {
    let [channels, ..] = image;
    let map = Map::diagonal(image, vec![-1.0; usize::from(channels)]);
    let bias = vec![6.0; usize::from(map.shape.outputs())];
    Layer { name: name.to_owned(), map, skip: None, bias, relu: true }
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

/// A dense layer; what was flattened from an image that lies otherwise is put in order.
fn dense(
    node: &Node,
    weights: &Tensor,
    bias: Option<&[f64]>,
    input: Option<&Form>,
) -> Result<(Map, Vec<f64>), GraphError> {
    let (outputs, inputs) = weights.matrix().ok_or(GraphError::NoLayers)?;
    if let Some(width) = input.and_then(Form::width) {
        check_width(&node.name, inputs, width)?;
    }
    let shape =
        Shape::Dense { inputs: narrow(&node.name, inputs)?, outputs: narrow(&node.name, outputs)? };
    check_width(&node.name, inputs, usize::from(shape.inputs()))?;
    check_width(&node.name, outputs, usize::from(shape.outputs()))?;
    let bias = bias.map_or_else(|| vec![0.0; outputs], <[f64]>::to_vec);
    check_width(&node.name, outputs, bias.len())?;
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

/// A convolution over rows of pixels of several channels, as one over rows of single words.
fn interleaved(
    node: &Node,
    image: &Image,
    placed: &Placed,
    weights: &Tensor,
    groups: usize,
) -> Result<(Window, Vec<f64>), GraphError> {
    let &[filters, depth, rows, columns] = weights.dims.as_slice() else {
        return Err(does_not_fit(node));
    };
    if groups != 1 {
        return Err(node.wrong(
            "takes the input's channels apart; begin with a convolution over all channels",
        ));
    }
    let wide = Image {
        channels: 1,
        height: image.height,
        width: image.width * image.channels,
        interleaved: false,
    };
    let words = |(down, across): (usize, usize)| (down, across.saturating_mul(image.channels));
    let outputs = placed.outputs;
    let placed = Placed {
        size: words(placed.size),
        stride: words(placed.stride),
        before: words(placed.before),
        after: words(placed.after),
        outputs,
    };
    let mut values = Vec::with_capacity(weights.values.len());
    for filter in 0..filters {
        for row in 0..rows {
            for column in 0..columns {
                let place =
                    |channel: usize| ((filter * depth + channel) * rows + row) * columns + column;
                values.extend((0..depth).map(|channel| at(&weights.values, place(channel))));
            }
        }
    }
    Ok((window(node, &wide, &placed, filters, 1)?, values))
}
