//! A graph as a chain of dense layers in floating point.
//!
//! Element-wise factors and summands (normalisation of the input, batch normalisation, a bias added apart) are folded
//! into the dense layer before them, or, behind a ReLU or the input, into the one after them.

use super::GraphError;
use super::graph::{Graph, Node, Op};

/// One dense layer, `y = W x + b`, then `max(y, 0)` if `relu`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Name in the file.
    pub name: String,
    /// Values it takes.
    pub inputs: usize,
    /// Values it gives.
    pub outputs: usize,
    /// `W`, row-major `outputs x inputs`.
    pub weights: Vec<f64>,
    /// `b`, one per output.
    pub bias: Vec<f64>,
    /// Whether a ReLU follows.
    pub relu: bool,
}

/// Dense layers, each taking what the one before gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Name of the network.
    pub name: String,
    /// At least one.
    pub layers: Vec<Dense>,
}

/// The widest layer that is made up only to hold factors that fold into no other.
const MAX_DIAGONAL: usize = 4096;

/// `x_i -> scale_i x_i + offset_i`, waiting for the dense layer that takes it.
#[derive(Default)]
struct Pending(Option<(Vec<f64>, Vec<f64>)>);

/// Lowers a graph, refusing all that it cannot compute before anything else.
///
/// # Errors
/// [`GraphError::Unsupported`] lists every node that cannot be computed; other variants name the node.
pub fn lower(graph: &Graph) -> Result<Chain, GraphError> {
    let unsupported = graph.unsupported();
    if !unsupported.is_empty() {
        return Err(GraphError::Unsupported(unsupported));
    }
    let mut layers: Vec<Dense> = Vec::new();
    let mut pending = Pending::default();
    let mut width = graph.input_width;
    for node in walk(graph)? {
        match &node.op {
            Op::Dense { weights, bias } => {
                let (outputs, inputs) = weights.matrix().ok_or(GraphError::NoLayers)?;
                check_width(node, inputs, width)?;
                let bias = bias.clone().unwrap_or_else(|| vec![0.0; outputs]);
                check_width(node, outputs, Some(bias.len()))?;
                let name = node.name.clone();
                let mut dense = Dense { name, inputs, outputs, weights: weights.values.clone(), bias, relu: false };
                pending.fold_into(&mut dense)?;
                check_size(&dense)?;
                layers.push(dense);
                width = Some(outputs);
            }
            Op::Elementwise { scale, offset } => {
                for vector in [scale, offset] {
                    if let (&[_, _, ..], Some(width)) = (vector.as_slice(), width) {
                        check_width(node, vector.len(), Some(width))?;
                    }
                }
                match layers.last_mut() {
                    Some(dense) if !dense.relu => dense.rescale(scale, offset),
                    _ => pending.push(node, scale, offset)?,
                }
            }
            Op::Relu => match layers.last_mut() {
                Some(dense) if pending.0.is_none() => dense.relu = true,
                Some(last) => {
                    let mut dense = Dense::diagonal(&node.name, last.outputs)?;
                    pending.fold_into(&mut dense)?;
                    dense.relu = true;
                    layers.push(dense);
                }
                None => return Err(GraphError::ReluOnInput { node: node.name.clone() }),
            },
            Op::Reshape | Op::Identity => {}
            Op::Unsupported { .. } => return Err(GraphError::Unsupported(graph.unsupported())),
        }
    }
    let Some(last) = layers.last() else { return Err(GraphError::NoLayers) };
    if pending.0.is_some() {
        let mut dense = Dense::diagonal(&format!("scale after {}", last.name), last.outputs)?;
        pending.fold_into(&mut dense)?;
        layers.push(dense);
    }
    let broken = layers.iter().find(|dense| !dense.weights.iter().chain(&dense.bias).all(|value| value.is_finite()));
    if let Some(dense) = broken {
        return Err(GraphError::NotFinite { node: dense.name.clone() });
    }
    Ok(Chain { name: graph.name.clone(), layers })
}

/// The nodes from the input to the output.
fn walk(graph: &Graph) -> Result<Vec<&Node>, GraphError> {
    let mut chain = Vec::new();
    let mut value = graph.output;
    while value != graph.input {
        let node = graph.producer(value).and_then(|index| graph.nodes.get(index));
        let at = || chain.last().map_or_else(|| "the output".to_owned(), |node: &&Node| node.name.clone());
        let node = node.ok_or_else(|| GraphError::NotAChain { at: at() })?;
        let [input] = *node.inputs else { return Err(GraphError::NotAChain { at: node.name.clone() }) };
        // A longer way than there are nodes runs in a circle.
        if chain.len() >= graph.nodes.len() {
            return Err(GraphError::NotAChain { at: node.name.clone() });
        }
        chain.push(node);
        value = input;
    }
    chain.reverse();
    Ok(chain)
}

fn check_width(node: &Node, expected: usize, found: Option<usize>) -> Result<(), GraphError> {
    match found {
        Some(found) if found != expected => Err(GraphError::Width { node: node.name.clone(), expected, found }),
        _ if expected == 0 => Err(GraphError::Width { node: node.name.clone(), expected: 1, found: 0 }),
        _ => Ok(()),
    }
}

fn check_size(dense: &Dense) -> Result<(), GraphError> {
    let (width, limit) = (dense.inputs.max(dense.outputs), usize::from(u16::MAX));
    if width > limit { Err(GraphError::TooWide { node: dense.name.clone(), width, limit }) } else { Ok(()) }
}

/// Element `index`, or the only one.
fn at(vector: &[f64], index: usize) -> f64 {
    vector.get(index).or(vector.first()).copied().unwrap_or(0.0)
}

impl Pending {
    fn push(&mut self, node: &Node, scale: &[f64], offset: &[f64]) -> Result<(), GraphError> {
        let (old_scale, old_offset) = self.0.take().unwrap_or_else(|| (vec![1.0], vec![0.0]));
        let length = [old_scale.len(), old_offset.len(), scale.len(), offset.len()].into_iter().max().unwrap_or(1);
        for vector in [old_scale.as_slice(), &old_offset, scale, offset] {
            if vector.len() != 1 {
                check_width(node, vector.len(), Some(length))?;
            }
        }
        let (scale, offset) =
            (0..length).map(|i| (at(scale, i) * at(&old_scale, i), at(scale, i) * at(&old_offset, i) + at(offset, i))).unzip();
        self.0 = Some((scale, offset));
        Ok(())
    }

    /// `W (s x + t) + b = (W s) x + (W t + b)`.
    fn fold_into(&mut self, dense: &mut Dense) -> Result<(), GraphError> {
        let Some((scale, offset)) = self.0.take() else { return Ok(()) };
        if scale.len() != 1 && scale.len() != dense.inputs {
            return Err(GraphError::Width { node: dense.name.clone(), expected: dense.inputs, found: scale.len() });
        }
        for (row, bias) in dense.weights.chunks_exact_mut(dense.inputs.max(1)).zip(&mut dense.bias) {
            for (index, weight) in row.iter_mut().enumerate() {
                *bias += *weight * at(&offset, index);
                *weight *= at(&scale, index);
            }
        }
        Ok(())
    }
}

impl Dense {
    /// The layer that changes nothing.
    fn diagonal(name: &str, width: usize) -> Result<Self, GraphError> {
        if width > MAX_DIAGONAL {
            return Err(GraphError::TooWide { node: name.to_owned(), width, limit: MAX_DIAGONAL });
        }
        let weights = (0..width * width).map(|index| if index / width == index % width { 1.0 } else { 0.0 }).collect();
        Ok(Self { name: name.to_owned(), inputs: width, outputs: width, weights, bias: vec![0.0; width], relu: false })
    }

    /// `s (W x + b) + t`.
    fn rescale(&mut self, scale: &[f64], offset: &[f64]) {
        let rows = self.weights.chunks_exact_mut(self.inputs.max(1)).zip(&mut self.bias);
        for (index, (row, bias)) in rows.enumerate() {
            row.iter_mut().for_each(|weight| *weight *= at(scale, index));
            *bias = *bias * at(scale, index) + at(offset, index);
        }
    }

    /// `W x + b`, without the activation.
    #[must_use]
    pub fn accumulate(&self, input: &[f64]) -> Vec<f64> {
        let rows = self.weights.chunks_exact(self.inputs.max(1)).zip(&self.bias);
        rows.map(|(row, bias)| row.iter().zip(input).fold(*bias, |sum, (weight, value)| sum + weight * value)).collect()
    }
}

impl Chain {
    /// The float answer to a reading.
    #[must_use]
    pub fn infer(&self, reading: &[f32]) -> Vec<f64> {
        let mut hidden: Vec<f64> = reading.iter().map(|&value| f64::from(value)).collect();
        for dense in &self.layers {
            hidden = dense.accumulate(&hidden);
            if dense.relu {
                hidden.iter_mut().for_each(|value| *value = value.max(0.0));
            }
        }
        hidden
    }
}
