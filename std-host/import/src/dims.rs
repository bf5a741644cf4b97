//! The dimensions of a graph's values, from the input to the output.

use std::collections::HashMap;

use super::form::{self, Form, Image};
use super::graph::{Graph, Layout, Node, Op, Pool, ValueId};
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

/// The forms of all values that nodes compute, as far as they can be known.
#[must_use]
pub fn known<'g>(graph: &Graph, nodes: impl Iterator<Item = &'g Node>) -> Forms {
    let mut forms = Forms::new();
    if let Some(dims) = &graph.input_dims {
        forms.insert(graph.input, Form::plain(dims.clone()));
    }
    for node in nodes {
        let form = form_of(node, &forms, graph.layout).ok().flatten();
        forms.extend(form.map(|form| (node.output, form)));
    }
    forms
}

/// The form of what a node computes; `None` if it cannot be known.
///
/// # Errors
/// [`GraphError::Image`] if the node does not take what it gets.
pub fn form_of(node: &Node, forms: &Forms, layout: Layout) -> Result<Option<Form>, GraphError> {
    let input = |index: usize| node.inputs.get(index).and_then(|input| forms.get(input)).cloned();
    match node.op {
        Op::Add => same(node, input(0), input(1))?,
        // The larger one has as many elements as the product.
        Op::Product => {
            let of = [input(0), input(1)].map(|form| form.filter(|form| !form.is_open()));
            let of = of.map(|form| form.and_then(|form| form.width()));
            return Ok(if of[1] > of[0] { input(1) } else { input(0) });
        }
        Op::Concat { axis } => return joined(node, axis, forms, layout),
        Op::Pick { axis, ref picked } => {
            let Some(form) = input(0) else { return Ok(None) };
            let found = form.along(axis).and_then(|length| picked.of(length));
            let found = found.and_then(|found| form.picked(axis, &found, picked.drops(), layout));
            let what = "picks elements that are not there, or of dimensions that are not known, or \
                        of the batch";
            return found.map(|(form, _)| Some(form)).ok_or_else(|| node.wrong(what));
        }
        Op::Recurrent(ref cell) => {
            let steps = input(0).and_then(|form| form.along(1));
            return Ok(steps.map(|steps| Form::plain(vec![steps, 1, cell.hidden])));
        }
        _ => {}
    }
    form(node, input(0), layout)
}

/// Values one behind the other.
fn joined(
    node: &Node,
    axis: i64,
    forms: &Forms,
    layout: Layout,
) -> Result<Option<Form>, GraphError> {
    let parts: Option<Vec<&Form>> = node.inputs.iter().map(|input| forms.get(input)).collect();
    let Some(parts) = parts else { return Ok(None) };
    form::joined(&parts, axis, layout).map(Some).ok_or_else(|| {
        let dims: Vec<&[usize]> = parts.iter().map(|form| form.dims()).collect();
        node.wrong(format!("joins values of dimensions {dims:?} that do not fit or lie otherwise"))
    })
}

/// Two values that are added must be of the same dimensions and lie in the same order.
fn same(node: &Node, first: Option<Form>, second: Option<Form>) -> Result<(), GraphError> {
    let (Some(first), Some(second)) = (first, second) else { return Ok(()) };
    // One of them might be spread along dimensions that nobody knows.
    if first.is_open() || second.is_open() {
        return Err(node.wrong(
            "adds values of dimensions that are not known; export with the input's dimensions \
             stated, and flatten along the first dimension",
        ));
    }
    if first.dims() != second.dims() {
        let (first, second) = (first.dims(), second.dims());
        let what = format!(
            "adds values of dimensions {first:?} and {second:?}; bring both to the same dimensions"
        );
        return Err(node.wrong(what));
    }
    let what = "adds the input's pixels of several channels, or what was transposed, to values \
                that lie otherwise; put a convolution between";
    if first.lies_as(&second) { Ok(()) } else { Err(node.wrong(what)) }
}

fn form(node: &Node, input: Option<Form>, layout: Layout) -> Result<Option<Form>, GraphError> {
    let flat = input.as_ref().is_some_and(|form| form.dims().len() == 2);
    let known = |form: Option<Form>, what: &str| form.map(Some).ok_or_else(|| node.wrong(what));
    match &node.op {
        Op::Dense { weights, .. } => {
            let (outputs, inputs) = weights.matrix().unwrap_or((0, 0));
            // Dimensions of one element before the last one stay.
            // Of these the file says that they take and give rows.
            if matches!(node.op_type.as_str(), "Gemm" | "FULLY_CONNECTED") {
                return Ok(Some(Form::plain(vec![outputs])));
            }
            let Some(input) = input.filter(|form| !form.is_open()) else {
                return Ok(Some(Form::plain(vec![outputs]).opened()));
            };
            let dims = match input.dims().split_last() {
                Some((&last, ones)) if last == inputs && ones.iter().all(|&dim| dim == 1) => {
                    [ones, &[outputs]].concat()
                }
                _ => vec![outputs],
            };
            Ok(Some(Form::plain(dims)))
        }
        Op::Convolution { .. } | Op::AveragePool(_) | Op::MaxPool(_) | Op::Mean { .. } => {
            if let (Op::Mean { axes, keep }, Some(form)) = (&node.op, &input)
                && form.averaged(axes, layout).is_none()
                && let Some((form, _)) = form.along_axes(axes, *keep)
            {
                return Ok(Some(form));
            }
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
        Op::Mapped { form, .. } => Ok(Some(form.clone())),
        Op::Reshape { dims } => match (input, dims) {
            (Some(input), Some(dims)) => {
                known(input.reshaped(dims), "asks for other dimensions than there are values")
            }
            // The values keep their order, and that is all that is known.
            (Some(input), None) => Ok(input.reshaped(&[-1]).map(Form::opened)),
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
        // Dimensions of one element more or less, of how many nobody knows.
        Op::Unsqueeze(_) | Op::Squeeze(_) if input.as_ref().is_some_and(Form::is_open) => Ok(input),
        op => match (op, input) {
            (Op::Unsqueeze(axes), Some(input)) => {
                known(input.unsqueezed(axes), "adds dimensions that cannot be")
            }
            (Op::Squeeze(axes), Some(input)) => {
                let squeezed = input.squeezed(axes);
                // Without axes the batch may go, too.
                let squeezed =
                    squeezed.map(|form| if axes.is_empty() { form.opened() } else { form });
                known(squeezed, "drops dimensions that are not of one element")
            }
            // A constant of more dimensions adds some in front of the batch.
            (Op::Elementwise { dims: Some(dims), .. }, Some(input))
                if dims.len() > input.dims().len() + 1 =>
            {
                Ok(Some(input.opened()))
            }
            (_, input) => Ok(input),
        },
    }
}
