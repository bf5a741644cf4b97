//! Steps as layers: factors and summands folded into weights and biases.
//!
//! Normalisation (of the input, of batches) and biases that stand apart are folded into the linear
//! map before them or, behind an activation, into the one after them; where neither is possible
//! they become a layer of one factor per value. A max-pool becomes layers that take the larger of
//! two; ReLU6 is two layers, `6 - max(6 - max(6 - y, 0), 0)` with the signs in the weights; leaky
//! ReLU is two as well (`leaky`). Other activations stay functions until scales are chosen
//! (`pieces`).

use std::collections::{HashMap, HashSet};

use sharelet_core::shape::{Shape, Window};
use sharelet_model::{Scores, classes_of_pairs};

use super::dims::Forms;
use super::fold::{Factors, greatest_divisor};
use super::form::Form;
use super::graph::{Graph, Node, Op, ValueId};
use super::layer::{Chain, Curve, Layer, Map, Skip};
use super::maps::{Maps, check_width, narrow};
use super::steps::Steps;
use super::walk::{self, Step};
use super::{check, joins, leaky, means, pointwise, products, recurrent, softmax, stack};
use crate::error::GraphError;

/// Lowers a graph, refusing all that it cannot compute before anything else.
///
/// # Errors
/// [`GraphError::Unsupported`] lists every node that cannot be computed; other variants name the
/// node.
pub fn lower(graph: &Graph) -> Result<Chain, GraphError> {
    let answer = walk::answer(graph)?;
    check::count(graph, answer.value)?;
    let fused = pointwise::fused(graph, answer.value);
    let graph = fused.as_ref().unwrap_or(graph);
    let unrolled = recurrent::unrolled(graph, answer.value);
    let graph = unrolled.as_ref().unwrap_or(graph);
    let divided = means::divided(graph, answer.value);
    let graph = divided.as_ref().unwrap_or(graph);
    let paired = softmax::paired(graph, answer.value);
    let graph = paired.as_ref().unwrap_or(graph);
    let squared = products::squared(graph, answer.value);
    let graph = squared.as_ref().unwrap_or(graph);
    let stacked = stack::stacked(graph, answer.value);
    let graph = stacked.as_ref().unwrap_or(graph);
    let summed = joins::summed(graph, answer.value);
    let graph = summed.as_ref().unwrap_or(graph);
    check::count(graph, answer.value)?;
    let forms = check::check(graph, answer.value)?;
    let steps = walk::walk(graph, answer.value)?;
    if let Some(form) = forms.get(&answer.value).filter(|form| !form.is_in_order()) {
        let what = format!(
            "answers {:?}, several pixels of several channels in another order than they are \
             computed in; let the network end in a dense layer or a mean",
            form.dims()
        );
        return Err(GraphError::Image {
            node: steps.last().map_or_else(|| graph.name.clone(), |step| step.name.clone()),
            what,
        });
    }
    // A softmax of several rows is none of all values.
    let is_row = |form: &Form| form.dims().len() == 1 && !form.is_open();
    let is_row = forms.get(&answer.value).is_some_and(is_row);
    let scores =
        answer.scores.filter(|scores| is_row || matches!(scores, Scores::Sigmoid | Scores::Tanh));
    let skipped = steps.iter().filter_map(|step| step.skip.as_ref()).map(|(from, ..)| *from);
    let carried = skipped.chain(steps.iter().filter_map(|step| step.beside)).collect();
    let vectors = HashMap::new();
    let mut lowering = Lowering {
        graph,
        forms,
        layers: Vec::new(),
        steps: Vec::new(),
        vectors,
        carried,
        zeros: 0,
    };
    for step in &steps {
        lowering.vectors.insert(step.input, lowering.layers.len());
        lowering.step(step)?;
        lowering.round(step)?;
    }
    let Lowering { layers, steps, .. } = lowering;
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
    let name = graph.name.clone();
    let mut labels = answer.labels;
    let named = match scores {
        Some(Scores::OneVsOne) => width.and_then(classes_of_pairs),
        _ => width,
    };
    if named != Some(labels.len()) {
        labels.clear();
    }
    Ok(Chain { name, layers, left_off: answer.left_off, scores, labels, steps })
}

struct Lowering<'g> {
    graph: &'g Graph,
    forms: Forms,
    layers: Vec<Layer>,
    /// What results are rounded to, for each layer.
    steps: Vec<Option<Steps>>,
    /// The layer that takes a value.
    vectors: HashMap<ValueId, usize>,
    /// Values that a later layer asks for.
    carried: HashSet<ValueId>,
    /// Weights of maps that give zeros.
    zeros: usize,
}

impl Lowering<'_> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), GraphError> {
        let name = &step.name;
        if self.is_rounded(step) {
            return Ok(());
        }
        if step.linear.is_none() && step.activation.is_some() && self.layers.is_empty() {
            return Err(GraphError::ReluOnInput(name.clone()));
        }
        let activation = step.activation.map(|node| &node.op);
        if step.linear.is_none()
            && matches!(activation, Some(Op::Relu))
            && step.skip.is_none()
            && step.round.is_none()
            && step.after.is_empty()
            && self.rectify_before_pool()
        {
            return Ok(());
        }
        let (mut map, mut bias) = match step.linear.map(|node| (node, &node.op)) {
            Some((node, Op::MaxPool(_))) => return self.max_pool(node),
            Some((node, _)) => self.maps().linear(node)?,
            None => self.alone(step)?,
        };
        for node in step.before.iter().rev() {
            self.factors(node)?.fold_before(&mut map, &mut bias)?;
        }
        for node in &step.after {
            self.factors(node)?.fold_after(&mut map, &mut bias)?;
        }
        let mut skip = self.skip(step, &map, &mut bias)?;
        if let Some(from) = step.beside {
            let from = self.vectors.get(&from).copied();
            let from = from.ok_or_else(|| GraphError::NotAChain(name.clone()))?;
            let own = usize::from(map.shape.inputs());
            check_width(name, own, self.layers.get(from).map_or(own, Layer::inputs))?;
            let width = self.layers.last().map_or(0, Layer::outputs);
            let nothing = nothing(name, narrow(name, width)?, map.shape.outputs())?;
            self.zeros += nothing.weights.len();
            if self.zeros > MAX_NOTHING {
                return Err(apart(name));
            }
            skip = Some(Skip { from, map: core::mem::replace(&mut map, nothing) });
        }
        let curve = match activation {
            Some(&Op::Function(function)) => Some(Curve::Whole(function)),
            _ => None,
        };
        let relu = activation.is_some() && curve.is_none();
        let mut layer = Layer { name: name.clone(), map, skip, bias, relu, curve };
        match (activation, step.activation) {
            // Its limit is one of the steps.
            (Some(Op::Relu6), _) if step.round.is_some() => self.layers.push(layer),
            (Some(Op::Relu6), _) => {
                // A factor per value does not care what is a channel.
                let image = [layer.map.shape.outputs(), 1, 1];
                let turned = layer.skip.is_none() && !layer.map.weights.is_empty();
                if turned {
                    // 6 - y, as far as that is not negative.
                    layer.map.weights.iter_mut().for_each(|weight| *weight = -*weight);
                    layer.bias.iter_mut().for_each(|bias| *bias = 6.0 - *bias);
                }
                self.layers.push(layer);
                let mirrors = 2 - usize::from(turned);
                self.layers.extend((0..mirrors).map(|_| mirrored(name, image)));
            }
            (Some(Op::LeakyRelu { .. }), Some(node)) => {
                let slopes = self.factors(node)?;
                self.layers.extend(leaky::layers(layer, self.layers.len(), &slopes)?);
            }
            _ => self.layers.push(layer),
        }
        Ok(())
    }

    /// Whether a step does nothing but round what is rounded so already.
    fn is_rounded(&self, step: &Step<'_>) -> bool {
        let bare = step.linear.is_none()
            && step.skip.is_none()
            && step.after.is_empty()
            && step.activation.is_none();
        bare && step.round.is_some() && step.round == self.steps.last().copied().flatten()
    }

    /// Notes what the last layer's results are rounded to.
    fn round(&mut self, step: &Step<'_>) -> Result<(), GraphError> {
        let before = self.steps.last().copied().flatten();
        let pool = matches!(step.linear.map(|node| &node.op), Some(Op::MaxPool(_)));
        // The larger of two steps is a step.
        self.steps.resize(self.layers.len(), before.filter(|_| pool));
        if step.is_copy() {
            // As many as what it is a copy of.
            let made = step.beside.and_then(|value| self.vectors.get(&value)?.checked_sub(1));
            let steps = made.and_then(|made| self.steps.get(made).copied().flatten());
            self.steps.last_mut().into_iter().for_each(|last| *last = steps);
        }
        let Some(mut steps) = step.round else { return Ok(()) };
        match step.activation.map(|node| &node.op) {
            Some(Op::Relu) => steps = steps.within(f64::INFINITY),
            Some(Op::Relu6) => steps = steps.within(6.0),
            _ => {}
        }
        if pool && before != step.round {
            let width = self.layers.last().map_or(0, Layer::outputs);
            let map = Map::public(Shape::Identity { width: narrow(&step.name, width)? });
            let (name, bias) = (step.name.clone(), vec![0.0; width]);
            self.layers.push(Layer { name, map, skip: None, bias, relu: false, curve: None });
            self.steps.push(None);
        }
        if let (Some(layer), Some(last)) = (self.layers.last_mut(), self.steps.last_mut())
            && !matches!(layer.map.shape, Shape::Pairs(_))
        {
            layer.relu = steps.low == 0.0;
            *last = Some(steps);
        }
        Ok(())
    }

    /// What is carried over to a step, its summands added to `bias`.
    fn skip(
        &self,
        step: &Step<'_>,
        map: &Map,
        bias: &mut [f64],
    ) -> Result<Option<Skip>, GraphError> {
        let Some((from, linear, after)) = &step.skip else { return Ok(None) };
        let (name, width) = (&step.name, map.shape.outputs());
        let factors = after.iter().map(|node| self.factors(node)).collect::<Result<Vec<_>, _>>()?;
        let (mut skipped, mut offset) = match linear {
            Some(node) => self.maps().linear(node)?,
            None => (Factors::map(&factors, width), vec![0.0; bias.len()]),
        };
        for factors in &factors {
            factors.fold_after(&mut skipped, &mut offset)?;
        }
        check_width(name, usize::from(width), usize::from(skipped.shape.outputs()))?;
        bias.iter_mut().zip(&offset).for_each(|(bias, offset)| *bias += offset);
        let lost = || GraphError::NotAChain(name.clone());
        let from = self.vectors.get(from).copied().ok_or_else(lost)?;
        let own = usize::from(map.shape.inputs());
        let taken = self.layers.get(from).map_or(own, Layer::inputs);
        check_width(name, usize::from(skipped.shape.inputs()), taken)?;
        Ok(Some(Skip { from, map: skipped }))
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
            // Where there is a function already, a ReLU of what it gives is a layer of its own.
            Some(layer) if pools > 0 && !kept && layer.curve.is_none() => {
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
        let beside = step.beside.and_then(|value| self.vectors.get(&value));
        let before = match beside {
            Some(&layer) => self.layers.get(layer).map(Layer::inputs),
            None => self.layers.last().map(Layer::outputs),
        };
        let width = match (before, form.and_then(Form::width)) {
            (Some(width), _) => width,
            (None, Some(width)) => width,
            (None, None) => return Err(GraphError::NotAChain(name.clone())),
        };
        let factors =
            step.after.iter().map(|node| self.factors(node)).collect::<Result<Vec<_>, _>>()?;
        let map = if step.skip.is_none() && !step.after.is_empty() {
            // It is the layer itself that has to have weights.
            Factors::ones(&factors, narrow(name, width)?)
        } else {
            Factors::map(&factors, narrow(name, width)?)
        };
        Ok((map, vec![0.0; width]))
    }

    fn factors(&self, node: &Node) -> Result<Factors, GraphError> {
        Factors::of(node, &self.forms, self.graph.layout)
    }

    fn maps(&self) -> Maps<'_> {
        Maps { forms: &self.forms, layout: self.graph.layout }
    }

    /// The larger of neighbours, of these the larger, and so on.
    fn max_pool(&mut self, node: &Node) -> Result<(), GraphError> {
        let (first, shapes) = self.maps().pairs(node)?;
        let layer = |map: Map, relu| {
            let bias = vec![0.0; usize::from(map.shape.outputs())];
            Layer { name: node.name.clone(), map, skip: None, bias, relu, curve: None }
        };
        self.layers.extend(first.map(|map| layer(map, false)));
        self.layers.extend(shapes.into_iter().map(|shape| layer(Map::public(shape), true)));
        Ok(())
    }
}

/// A map that gives zeros, whatever it takes, with as few weights as that takes.
fn nothing(name: &str, inputs: u16, outputs: u16) -> Result<Map, GraphError> {
    // Both are so many channels of as many pixels as divide both.
    let pixels = greatest_divisor(inputs, outputs).max(1);
    let (channels, filters) = (inputs / pixels, outputs / pixels);
    let mut map = Factors::ones(&[], pixels);
    if let Shape::Convolution(one) = map.shape {
        map.shape = Shape::Convolution(Window { channels, filters, groups: 1, ..one });
    }
    let elems = usize::from(channels) * usize::from(filters);
    if elems > MAX_NOTHING {
        return Err(apart(name));
    }
    map.weights = vec![0.0; elems];
    Ok(map)
}

fn apart(name: &str) -> GraphError {
    let what = "stands beside a branch of another size, with which it has no large divisor in \
                common; give both sizes that are multiples of one number";
    GraphError::Image { node: name.to_owned(), what: what.to_owned() }
}

/// Weights of all maps that give zeros, at most.
const MAX_NOTHING: usize = 1 << 22;

/// `max(6 - x, 0)`: with `x = max(6 - y, 0)` this is `y` between 0 and 6.
fn mirrored(name: &str, image: [u16; 3]) -> Layer {
    let [channels, ..] = image;
    let map = Map::diagonal(image, vec![-1.0; usize::from(channels)]);
    let bias = vec![6.0; usize::from(map.shape.outputs())];
    Layer { name: name.to_owned(), map, skip: None, bias, relu: true, curve: None }
}
