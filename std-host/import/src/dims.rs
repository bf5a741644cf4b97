//! The dimensions of a graph's values, from the input to the output.

use std::collections::HashMap;

use super::form::{Form, Image};
use super::graph::{Layout, Node, Op, Pool, ValueId};
use super::window::Placed;
use crate::error::GraphError;

/// The forms of all values that can be known, by value.
pub type Forms = HashMap<ValueId, Form>;

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

/// The image that a node gets, and the window that it slides over it: of a convolution, a pool or a
/// mean.
///
/// # Errors
/// [`GraphError::Image`] if there is no image, or the window does not fit it.
pub fn placed(
    node: &Node,
    input: Option<&Form>,
    layout: Layout,
) -> Result<(Image, Placed), GraphError> {
    let image = image(node, input, layout)?;
    let placed = match &node.op {
        Op::Convolution { weights, stride, padding, .. } => {
            let &[_, _, rows, columns] = weights.dims.as_slice() else {
                return Err(node.wrong("has kernels of unknown size"));
            };
            Placed::new(&image, (rows, columns), *stride, *padding)
        }
        Op::AveragePool(pool) | Op::MaxPool(pool) => Placed::of_pool(&image, pool),
        Op::Mean { axes, .. } => {
            let size = input.and_then(|form| form.averaged(axes, layout)).ok_or_else(|| {
                node.wrong(
                    "is a mean over other dimensions than rows and columns; only those of an image \
                     are computed",
                )
            })?;
            Placed::of_pool(&image, &Pool { size: Some(size), ..Pool::WHOLE })
        }
        _ => return Err(node.misplaced()),
    };
    Ok((image, placed.ok_or_else(|| node.wrong("does not fit its image"))?))
}

/// The form of what a node computes; `None` if it cannot be known.
///
/// # Errors
/// [`GraphError::Image`] if the node does not take what it gets.
pub fn form_of(node: &Node, forms: &Forms, layout: Layout) -> Result<Option<Form>, GraphError> {
    let input = |index: usize| node.inputs.get(index).and_then(|input| forms.get(input)).cloned();
    if matches!(node.op, Op::Add) {
        same(node, input(0), input(1))?;
    }
    form(node, input(0), layout)
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
    let known = |form: Option<Form>, what: &str| form.map(Some).ok_or_else(|| node.wrong(what));
    match &node.op {
        Op::Dense { weights, .. } => {
            Ok(Some(Form::plain(vec![weights.matrix().map_or(0, |(outputs, _)| outputs)])))
        }
        Op::Convolution { .. } | Op::AveragePool(_) | Op::MaxPool(_) | Op::Mean { .. } => {
            let (image, placed) = placed(node, input.as_ref(), layout)?;
            let channels = match &node.op {
                Op::Convolution { weights, .. } => weights.dims.first().copied().unwrap_or(0),
                _ => image.channels,
            };
            let (rows, columns) = placed.outputs;
            if flat && rows != 1 {
                return Err(node.wrong(
                    "makes several rows of a signal that has one; give its kernel and padding one \
                     dimension",
                ));
            }
            let form = Form::of_image([channels, rows, columns], layout, flat);
            match &node.op {
                Op::Mean { axes, keep: false } => {
                    known(form.squeezed(axes), "drops dimensions that cannot be")
                }
                _ => Ok(Some(form)),
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
        Op::Transpose(order) => {
            let unknown = || node.wrong("puts values of unknown dimensions in another order");
            let what = "puts dimensions in an order that cannot be; export without it";
            known(input.ok_or_else(unknown)?.transposed(order), what)
        }
        op => match (op, input) {
            (Op::Unsqueeze(axes), Some(input)) => {
                known(input.unsqueezed(axes), "adds dimensions that cannot be")
            }
            (Op::Squeeze(axes), Some(input)) => {
                known(input.squeezed(axes), "drops dimensions that are not of one element")
            }
            (_, input) => Ok(input),
        },
    }
}
