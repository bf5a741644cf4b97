//! Everything that speaks against a graph, node by node and at once.

use std::collections::HashSet;

use super::dims::{self, Forms};
use super::error::{GraphError, UnsupportedNode};
use super::form::Form;
use super::graph::{Graph, Node, Op, Tensor, ValueId};
use super::maps::Maps;
use super::{joins, products, recurrent, softmax};

/// The most nodes of a graph, those aside that change nothing.
const MAX_NODES: usize = 4096;

/// Nodes that are not computed and keep the dimensions of what they take, so that what follows can
/// be looked at, too.
const KEEPING: &str = "Abs Celu Clip Elu Exp Gelu HardSigmoid HardTanh Log Neg Round Selu Sign Sin \
    Cos Sqrt Swish ThresholdedRelu ABS EXP SIN COS LOG SQRT RSQRT SQUARE NEG L2_NORMALIZATION \
    LOCAL_RESPONSE_NORMALIZATION LRN InstanceNormalization LayerNormalization";

/// Why an activation function of a quantised network is not computed.
const COUNTED: &str = "of networks that were quantised before, ReLU, ReLU6 and leaky ReLU are \
                       computed, and no products; import the network as it was before";

/// What speaks against a node.
enum Fault<'g> {
    Unsupported(UnsupportedNode),
    Other(&'g Node, GraphError),
}

/// Whether there are no more nodes than are looked at.
///
/// # Errors
/// [`GraphError::TooManyNodes`] if there are.
pub(super) fn count(graph: &Graph, answer: ValueId) -> Result<(), GraphError> {
    let needed = graph.needed(answer);
    let nodes = needed.iter().filter_map(|&index| graph.nodes.get(index));
    let found = nodes.filter(|node| node.op != Op::Identity).count();
    match found > MAX_NODES {
        true => Err(GraphError::TooManyNodes { found, limit: MAX_NODES }),
        false => Ok(()),
    }
}

/// The forms of all values that `answer` depends on.
///
/// # Errors
/// [`GraphError::Unsupported`] with every node that cannot be computed. What is wrong with one node
/// alone has its own variant.
pub(super) fn check(graph: &Graph, answer: ValueId) -> Result<Forms, GraphError> {
    let nodes: Vec<&Node> =
        graph.needed(answer).into_iter().filter_map(|index| graph.nodes.get(index)).collect();
    let counted = nodes.iter().any(|node| matches!(node.op, Op::Round(_)));
    let mut forms = Forms::new();
    if let Some(dims) = &graph.input_dims {
        forms.insert(graph.input, Form::plain(dims.clone()));
    }
    let (mut faults, mut tainted) = (Vec::new(), HashSet::new());
    for node in nodes {
        let input = node.inputs.first().and_then(|input| forms.get(input)).cloned();
        let unknown = node.inputs.iter().any(|input| tainted.contains(input));
        let mut fault = None;
        let form = match &node.op {
            Op::Unsupported { reason } => {
                fault = Some(Fault::Unsupported(node.unsupported(reason.clone())));
                let keeps = KEEPING.split_whitespace().any(|kind| node.op_type == kind);
                input.filter(|_| keeps)
            }
            Op::Last | Op::Scores(_) | Op::Shares => {
                let reason = "it may only be last, where the recipient of the answer applies it";
                fault = Some(Fault::Unsupported(node.unsupported(Some(reason.to_owned()))));
                input
            }
            Op::Product | Op::Power(_) => {
                let reason = if counted { COUNTED } else { products::APART };
                let reason = Some(reason.to_owned());
                fault = Some(Fault::Unsupported(node.unsupported(reason)));
                input
            }
            Op::Function(_) if counted => {
                let reason = Some(COUNTED.to_owned());
                fault = Some(Fault::Unsupported(node.unsupported(reason)));
                input
            }
            // Those that can be are maps already.
            Op::Concat { .. } | Op::Pick { .. } if !unknown => {
                fault = Some(match dims::form_of(node, &forms, graph.layout) {
                    Err(error) => Fault::Other(node, error),
                    Ok(_) => Fault::Unsupported(node.unsupported(Some(joins::APART.to_owned()))),
                });
                None
            }
            Op::Softmax { .. } => {
                let reason = Some(softmax::APART.to_owned());
                fault = Some(Fault::Unsupported(node.unsupported(reason)));
                input
            }
            Op::Recurrent(_) => {
                let reason = Some(recurrent::APART.to_owned());
                fault = Some(Fault::Unsupported(node.unsupported(reason)));
                None
            }
            // What is not known because of an earlier node is that one's fault.
            _ if unknown => None,
            _ => match dims::form_of(node, &forms, graph.layout) {
                Ok(form) => {
                    let maps = Maps { forms: &forms, layout: graph.layout };
                    let own = finite(node).and_then(|()| maps.check(node));
                    fault = own.err().map(|error| Fault::Other(node, error));
                    form
                }
                Err(error) => {
                    fault = Some(Fault::Other(node, error));
                    None
                }
            },
        };
        match form {
            Some(form) => {
                forms.insert(node.output, form);
            }
            None if fault.is_some() || unknown => {
                tainted.insert(node.output);
            }
            None => {}
        }
        faults.extend(fault);
    }
    refused(faults).map_or(Ok(forms), Err)
}

fn finite(node: &Node) -> Result<(), GraphError> {
    let all = |values: &[f64]| values.iter().all(|value| value.is_finite());
    let weights = |weights: &Tensor, bias: &Option<Vec<f64>>| {
        all(&weights.values) && bias.as_ref().is_none_or(|bias| all(bias))
    };
    let finite = match &node.op {
        Op::Dense { weights: w, bias } | Op::Convolution { weights: w, bias, .. } => {
            weights(w, bias)
        }
        Op::Elementwise { scale, offset, .. } => all(scale) && all(offset),
        Op::LeakyRelu { slope, .. } => all(slope),
        _ => true,
    };
    if finite { Ok(()) } else { Err(GraphError::NotFinite(node.name.clone())) }
}

/// One error of all faults; none without any.
fn refused(mut faults: Vec<Fault<'_>>) -> Option<GraphError> {
    if let [Fault::Other(..)] = faults.as_slice()
        && let Some(Fault::Other(_, error)) = faults.pop()
    {
        return Some(error);
    }
    let mut listed: Vec<UnsupportedNode> = Vec::new();
    for fault in faults {
        let node = match fault {
            Fault::Unsupported(node) => node,
            Fault::Other(node, error) => node.unsupported(Some(error.of_node())),
        };
        // A node of several outputs is one node.
        if !listed.contains(&node) {
            listed.push(node);
        }
    }
    (!listed.is_empty()).then_some(GraphError::Unsupported(listed))
}
