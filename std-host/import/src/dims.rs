//! The dimensions of a graph's values, from the input to the output.

use std::collections::HashMap;

use super::form::{Form, Image};
use super::graph::{Graph, Layout, Node, Op, ValueId};
use super::window::Placed;
use crate::error::GraphError;

/// The forms of all values that can be known, by value.
pub type Forms = HashMap<ValueId, Form>;

/// Follows the dimensions from the input to the output.
///
/// # Errors
/// [`GraphError`] names the node that does not take what it gets.
pub fn forms(graph: &Graph) -> Result<Forms, GraphError> {
    let mut forms = Forms::new();
    if let Some(dims) = &graph.input_dims {
        forms.insert(graph.input, Form::plain(dims.clone()));
    }
    for index in graph.needed() {
        let Some(node) = graph.nodes.get(index) else { continue };
        let input =
            |index: usize| node.inputs.get(index).and_then(|input| forms.get(input)).cloned();
        if matches!(node.op, Op::Add) {
            same(node, input(0), input(1))?;
        }
        if let Some(form) = form(node, input(0), graph.layout)? {
            forms.insert(node.output, form);
        }
    }
    Ok(forms)
}

/// The image that a node gets.
///
/// # Errors
/// [`GraphError::Image`] if it gets none.
pub fn image(node: &Node, input: Option<&Form>, layout: Layout) -> Result<Image, GraphError> {
    input.and_then(|form| form.image(layout)).ok_or_else(|| {
        node.wrong(
            "gets no image, or one of unknown size or order; export with the input's dimensions \
             stated",
        )
    })
}

/// Two values that are added must be of the same dimensions and lie in the same order.
fn same(node: &Node, first: Option<Form>, second: Option<Form>) -> Result<(), GraphError> {
    let (Some(first), Some(second)) = (first, second) else { return Ok(()) };
    if first.dims() != second.dims() {
        let (first, second) = (first.dims(), second.dims());
        let what = format!(
            "adds values of dimensions {first:?} and {second:?}; bring both to the same dimensions"
        );
        return Err(node.wrong(what));
    }
    let what = "adds the input's pixels of several channels, or what was transposed, to values \
                that lie otherwise; put a convolution between";
    if first == second { Ok(()) } else { Err(node.wrong(what)) }
}

fn form(node: &Node, input: Option<Form>, layout: Layout) -> Result<Option<Form>, GraphError> {
    let flat = input.as_ref().is_some_and(|form| form.dims().len() == 2);
    let image = || image(node, input.as_ref(), layout);
    let imaged = |sizes: [usize; 3]| match sizes {
        [_, rows, _] if flat && rows != 1 => Err(node.wrong(
            "makes several rows of a signal that has one; give its kernel and padding one \
             dimension",
        )),
        sizes => Ok(Form::of_image(sizes, layout, flat)),
    };
    let known = |form: Option<Form>, what: &str| form.map(Some).ok_or_else(|| node.wrong(what));
    match &node.op {
        Op::Dense { weights, .. } => {
            Ok(Some(Form::plain(vec![weights.matrix().map_or(0, |(outputs, _)| outputs)])))
        }
        Op::Convolution { weights, stride, padding, .. } => {
            let &[filters, _, rows, columns] = weights.dims.as_slice() else {
                return Err(node.wrong("has kernels of unknown size"));
            };
            let placed = Placed::new(&image()?, (rows, columns), *stride, *padding);
            let (rows, columns) =
                placed.ok_or_else(|| node.wrong("does not fit its image"))?.outputs;
            imaged([filters, rows, columns]).map(Some)
        }
        Op::AveragePool(pool) | Op::MaxPool(pool) => {
            let image = image()?;
            let (rows, columns) =
                Placed::of_pool(&image, pool).map_err(|what| node.wrong(what))?.outputs;
            imaged([image.channels, rows, columns]).map(Some)
        }
        Op::Mean { axes, keep } => {
            let image = image()?;
            let (_, (rows, columns)) =
                input.as_ref().and_then(|form| form.averaged(axes, layout)).ok_or_else(|| {
                    node.wrong(
                        "is a mean over other dimensions than rows and columns; only those of an \
                         image are computed",
                    )
                })?;
            let left = [image.channels, image.height / rows.max(1), image.width / columns.max(1)];
            let form = imaged(left)?;
            if *keep {
                Ok(Some(form))
            } else {
                known(form.squeezed(axes), "drops dimensions that cannot be")
            }
        }
        Op::Reshape { dims } => match (input, dims) {
            (Some(input), Some(dims)) => {
                known(input.reshaped(dims), "asks for other dimensions than there are values")
            }
            // The values keep their order, and that is all that is known.
            (Some(input), None) => Ok(input.reshaped(&[-1])),
            (None, Some(dims)) => {
                let dims: Option<Vec<usize>> = dims
                    .iter()
                    .map(|&dim| usize::try_from(dim).ok().filter(|&dim| dim > 0))
                    .collect();
                Ok(dims.map(Form::plain))
            }
            (None, None) => Ok(None),
        },
        Op::Unsqueeze(axes) => match input {
            Some(input) => known(input.unsqueezed(axes), "adds dimensions that cannot be"),
            None => Ok(None),
        },
        Op::Squeeze(axes) => match input {
            Some(input) => {
                known(input.squeezed(axes), "drops dimensions that are not of one element")
            }
            None => Ok(None),
        },
        Op::Transpose(order) => match input {
            Some(input) => known(
                input.transposed(order),
                "puts dimensions in an order that cannot be; export without it",
            ),
            None => Err(node.wrong("puts values of unknown dimensions in another order")),
        },
        _ => Ok(input),
    }
}
