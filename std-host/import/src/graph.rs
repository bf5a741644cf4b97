//! Our own small graph: what the format readers produce and what lowering consumes.
//!
//! It knows values and the nodes that compute them, nothing of any file format and nothing of fixed
//! point. A node kind that is not known yet is a node like any other, so that all of them can be
//! listed at once.

use std::collections::{HashMap, HashSet};

use sharelet_model::Scores;

use super::array::{Array, steps_along};
use super::cell::Cell;
use super::form::Form;
pub use super::form::Layout;
use super::function::Function;
use super::layer::Map;
use super::steps::Steps;
use crate::error::{GraphError, Refused, UnsupportedNode};

/// Names a value computed by a node, or the input.
pub type ValueId = usize;

/// Constant numbers with dimensions.
pub type Tensor = Array<f64>;

/// What a node computes from its inputs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// `y = W x + b`.
    Dense {
        /// `W`, `outputs x inputs`.
        weights: Tensor,
        /// `b`, one per output; nothing is zero.
        bias: Option<Vec<f64>>,
    },
    /// `y_i = scale_i x_i + offset_i`; a vector of one element is for all.
    Elementwise {
        /// Factors.
        scale: Vec<f64>,
        /// Summands.
        offset: Vec<f64>,
        /// Dimensions of the longer vector, aligned with the value's last ones; one number per
        /// channel if there are none.
        dims: Option<Vec<usize>>,
    },
    /// Kernels that slide over an image.
    Convolution {
        /// Filters, channels that each of them sees, rows and columns of the kernel.
        weights: Tensor,
        /// One per filter; nothing is zero.
        bias: Option<Vec<f64>>,
        /// Groups of channels; a depthwise convolution has as many as channels.
        groups: usize,
        /// Steps.
        stride: (usize, usize),
        /// Zeros around the image.
        padding: Padding,
    },
    /// The mean of every window of every channel.
    AveragePool(Pool),
    /// The mean over some dimensions, which must be rows and columns of an image.
    Mean {
        /// Counted with the batch, negative ones from the end.
        axes: Vec<i64>,
        /// Whether they stay, with one element each.
        keep: bool,
    },
    /// The largest of every window of every channel.
    MaxPool(Pool),
    /// The sum of two computed values.
    Add,
    /// Computed values one behind the other.
    Concat {
        /// Along which dimension, counted with the batch, a negative one from the end.
        axis: i64,
    },
    /// Elements along one dimension.
    Pick {
        /// Which dimension, counted with the batch, a negative one from the end.
        axis: i64,
        /// Which of them.
        picked: Picked,
    },
    /// A cell that is given a sequence, step after step: the first dimension without the batch.
    Recurrent(Box<Cell>),
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0) + slope min(x, 0)`.
    LeakyRelu {
        /// Slopes; one is for all.
        slope: Vec<f64>,
        /// Their dimensions, as those of [`Op::Elementwise`].
        dims: Option<Vec<usize>>,
    },
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// Another activation function.
    Function(Function),
    /// The product of two computed values.
    Product,
    /// A power of a computed value; others than squares have to be part of a known function.
    Power(f64),
    /// A linear map of vectors as they lie, which this program made.
    Mapped {
        /// The map.
        map: Map,
        /// What is added, one per output.
        bias: Vec<f64>,
        /// The form of what it gives.
        form: Form,
    },
    /// The nearest step of a quantised value.
    Round(Steps),
    /// `e^x`, divided by its sum along an axis.
    Softmax {
        /// Which dimension, counted with the batch, a negative one from the end.
        axis: i64,
        /// Whether the sum is over all dimensions behind that one, too.
        trailing: bool,
        /// Whether it is the logarithm of that.
        log: bool,
    },
    /// A function of the answer that its recipient can compute, and that must be last.
    Last,
    /// One such function that is known by name, of all values of a row.
    Scores(Scores),
    /// One such function: values that are divided by the sum of all magnitudes.
    Shares,
    /// Other dimensions, the same values in the same order: reshape, flatten, squeeze, unsqueeze.
    Reshape {
        /// The dimensions without the batch, where the file states them; -1 is what is left over, 0
        /// a copy.
        dims: Option<Vec<i64>>,
    },
    /// Dimensions of one element that are added; counted with the batch, negative ones from the end
    /// of the result.
    Unsqueeze(Vec<i64>),
    /// Dimensions of one element that are dropped, counted likewise; all of them if none are named.
    Squeeze(Vec<i64>),
    /// The dimensions, without the batch, in another order.
    Transpose(Vec<usize>),
    /// The same value: identity, and dropout in inference.
    Identity,
    /// A node that this program cannot compute.
    Unsupported {
        /// Why, if more can be said than the kind.
        reason: Option<String>,
    },
}

/// Elements along a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picked {
    /// Each `step`-th one from `start` on, up to `end` without it; negative ones count from the
    /// end.
    Slice {
        /// The first one.
        start: i64,
        /// The end, which may lie beyond the dimension's.
        end: i64,
        /// From one to the next; may be negative.
        step: i64,
    },
    /// Those from `start` up to `end` without it, of as many as there are.
    Range {
        /// The first one.
        start: i64,
        /// The end.
        end: i64,
        /// How many there are.
        all: i64,
    },
    /// Those with these numbers; negative ones count from the end.
    Numbers(Vec<i64>),
    /// The one with this number; the dimension is dropped.
    One(i64),
    /// The `part`-th of so many equal parts, from 0.
    Part {
        /// Which of them.
        part: usize,
        /// How many there are.
        count: usize,
    },
}

impl Picked {
    /// Whether the dimension goes with what is picked.
    #[must_use]
    pub fn drops(&self) -> bool {
        matches!(self, Self::One(_))
    }

    /// Which elements of so many; `None` if there are none, or not all are there.
    #[must_use]
    pub fn of(&self, length: usize) -> Option<Vec<usize>> {
        let all = i64::try_from(length).ok()?;
        let place = |number: i64| {
            let place = if number < 0 { number.checked_add(all)? } else { number };
            usize::try_from(place).ok().filter(|&place| place < length)
        };
        let picked: Vec<usize> = match self {
            Self::One(number) => vec![place(*number)?],
            &Self::Range { start, end, all: told } => {
                let fits =
                    told == all && (0..=all).contains(&start) && (start..=all).contains(&end);
                Some(steps_along(length, start, end, 1)?).filter(|_| fits)?
            }
            Self::Numbers(numbers) => {
                numbers.iter().map(|&number| place(number)).collect::<Option<_>>()?
            }
            Self::Part { part, count } => {
                // The last part may be smaller.
                let each = length.div_ceil((*count).max(1));
                (part * each..length.min((part + 1) * each)).collect()
            }
            &Self::Slice { start, end, step } => steps_along(length, start, end, step)?,
        };
        (!picked.is_empty()).then_some(picked)
    }
}

/// Windows without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Rows and columns; the whole image if nothing is given.
    pub size: Option<(usize, usize)>,
    /// Steps.
    pub stride: (usize, usize),
    /// What lies around the image.
    pub padding: Padding,
    /// Whether the last windows may reach beyond all that.
    pub ceil: bool,
    /// Whether what lies around the image are zeros that count, also for the largest; else windows
    /// at the edge are smaller.
    pub count_padding: bool,
}

impl Pool {
    /// The whole image.
    pub const WHOLE: Self = Self {
        size: None,
        stride: (1, 1),
        padding: Padding::NONE,
        ceil: false,
        count_padding: true,
    };
}

/// What lies around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Rows and columns above and left, and below and right.
    Explicit {
        /// Above and left.
        before: (usize, usize),
        /// Below and right.
        after: (usize, usize),
    },
    /// As many as give `ceil(length / stride)` outputs; an odd one lies below and right.
    SameUpper,
    /// The same, but an odd one lies above and left.
    SameLower,
}

impl Padding {
    /// Nothing.
    pub const NONE: Self = Self::Explicit { before: (0, 0), after: (0, 0) };
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the file, or a made-up one that helps to find it.
    pub name: String,
    /// Kind as the file calls it.
    pub op_type: String,
    /// What it computes.
    pub op: Op,
    /// Computed inputs; constants are in `op`.
    pub inputs: Vec<ValueId>,
    /// The value it computes.
    pub output: ValueId,
}

/// A graph with one input and one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Name in the file, may be empty.
    pub name: String,
    /// The input.
    pub input: ValueId,
    /// Dimensions of a reading, without the batch, where the file states them.
    pub input_dims: Option<Vec<usize>>,
    /// The order of an image's dimensions.
    pub layout: Layout,
    /// The output.
    pub output: ValueId,
    /// Nodes in the order of the file.
    pub nodes: Vec<Node>,
    /// Names that the file has for the elements of a value: the classes of a classifier.
    pub labels: HashMap<ValueId, Vec<String>>,
}

impl Op {
    /// Whether it is a linear map with weights.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        matches!(self, Self::Dense { .. } | Self::Convolution { .. } | Self::Mapped { .. })
    }

    /// `-x`.
    #[must_use]
    pub fn negative() -> Self {
        Self::Elementwise { scale: vec![-1.0], offset: vec![0.0], dims: None }
    }

    /// Whether it is left to the recipient of the answer where it is last.
    #[must_use]
    pub fn is_left_off(&self) -> bool {
        match self {
            Self::Last | Self::Scores(_) | Self::Shares | Self::Softmax { .. } => true,
            Self::Function(function) => function.is_left_off(),
            _ => false,
        }
    }

    /// A node that is not computed, for the list of all of them.
    ///
    /// # Errors
    /// The file itself is at fault.
    pub fn refused(refused: Refused) -> Result<Self, GraphError> {
        match refused {
            Refused::File(error) => Err(error),
            Refused::Node(reason) => Ok(Self::Unsupported { reason }),
        }
    }

    /// `x kind operand` for `add`, `sub`, `mul`, `div` in any case, or `operand kind x` where the
    /// constant comes first.
    ///
    /// # Errors
    /// Says the reason why it cannot be computed.
    pub fn elementwise(
        kind: &str,
        constant: &Tensor,
        constant_first: bool,
    ) -> Result<Self, Refused> {
        let operand = &constant.values;
        let map = |f: fn(f64) -> f64| operand.iter().copied().map(f).collect::<Vec<f64>>();
        let (scale, offset) = match (kind.to_ascii_lowercase().as_str(), constant_first) {
            ("add", _) => (vec![1.0], operand.clone()),
            ("sub", false) => (vec![1.0], map(|value| -value)),
            ("sub", true) => (vec![-1.0], operand.clone()),
            ("mul", _) => (operand.clone(), vec![0.0]),
            ("div", false) => (map(|value| 1.0 / value), vec![0.0]),
            _ => return Err("it divides by a computed value".into()),
        };
        Ok(Self::Elementwise { scale, offset, dims: Some(constant.dims.clone()) })
    }
}

impl Node {
    /// What is wrong with the image or the dimensions that it gets, and what to do.
    #[must_use]
    pub fn wrong(&self, what: impl Into<String>) -> GraphError {
        GraphError::Image { node: self.name.clone(), what: what.into() }
    }

    /// The node stands where no layer can be made of it.
    #[must_use]
    pub fn misplaced(&self) -> GraphError {
        GraphError::NotAChain(self.name.clone())
    }

    /// The node in a list of those that cannot be imported.
    #[must_use]
    pub fn unsupported(&self, reason: Option<String>) -> UnsupportedNode {
        UnsupportedNode { op_type: self.op_type.clone(), name: self.name.clone(), reason }
    }
}

impl Graph {
    /// The number of a value that there is not.
    #[must_use]
    pub fn next_value(&self) -> ValueId {
        let values = self.nodes.iter().flat_map(|node| node.inputs.iter().chain([&node.output]));
        values.fold(self.input, |most, &value| most.max(value)).saturating_add(1)
    }

    /// The same network of other nodes, with another value as its output.
    #[must_use]
    pub fn with(&self, nodes: Vec<Node>, output: ValueId) -> Self {
        let (name, input_dims) = (self.name.clone(), self.input_dims.clone());
        let labels = self.labels.clone();
        Self { name, input_dims, output, nodes, labels, ..*self }
    }

    /// Indices of the nodes that a value depends on, in the order of the file.
    #[must_use]
    pub fn needed(&self, value: ValueId) -> Vec<usize> {
        let (values, producers) = (ancestors(&self.nodes, value), producers(&self.nodes));
        let mut needed: Vec<usize> =
            values.iter().filter_map(|value| producers.get(value).copied()).collect();
        needed.sort_unstable();
        needed
    }
}

/// A value and all that it depends on, as far as nodes compute it.
#[must_use]
pub fn ancestors(nodes: &[Node], value: ValueId) -> HashSet<ValueId> {
    let producers = producers(nodes);
    let (mut open, mut seen) = (vec![value], HashSet::from([value]));
    while let Some(value) = open.pop() {
        let node = producers.get(&value).and_then(|&index| nodes.get(index));
        let taken = node.into_iter().flat_map(|node| &node.inputs);
        open.extend(taken.copied().filter(|&value| seen.insert(value)));
    }
    seen
}

/// The node that computes each value; of several the first.
#[must_use]
pub fn producers(nodes: &[Node]) -> HashMap<ValueId, usize> {
    let mut producers = HashMap::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        producers.entry(node.output).or_insert(index);
    }
    producers
}
