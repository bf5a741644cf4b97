//! Options of TFLite operators, and what goes wrong in reading them.

use super::error::{GraphError, Refused};
use super::function::Function;
use super::graph::{Op, Picked};
use super::tflite_schema::{ConcatOptions, Operator, Options, SliceOptions, WindowOptions};

impl From<planus::Error> for Refused {
    fn from(error: planus::Error) -> Self {
        Self::File(error.into())
    }
}

impl From<planus::Error> for GraphError {
    fn from(error: planus::Error) -> Self {
        Self::Corrupt { format: "TFLite", what: error.to_string() }
    }
}

/// An option; `None` if it is not told.
pub(super) fn told<O, T>(
    options: Option<O>,
    option: fn(&O) -> planus::Result<Option<T>>,
) -> planus::Result<Option<T>> {
    options.map_or(Ok(None), |options| option(&options))
}

/// What a strided slice picks, and along which dimension, counted with the batch; none if it picks
/// everything. `bounds` are where it begins and ends along each, and its steps.
///
/// # Errors
/// [`Refused`] where it picks of the batch, or along several dimensions.
pub(super) fn sliced(
    operator: Operator<'_>,
    dims: &[usize],
    [begins, ends, steps]: [&[i64]; 3],
) -> Result<Option<(i64, Picked)>, Refused> {
    let mask = |of| Ok::<_, Refused>(told(operator.slice_options()?, of)?.unwrap_or(0));
    if mask(SliceOptions::ellipsis_mask)? != 0 || mask(SliceOptions::new_axis_mask)? != 0 {
        return Err("it adds dimensions, or leaves some open".into());
    }
    let (begin, end) = (mask(SliceOptions::begin_mask)?, mask(SliceOptions::end_mask)?);
    let shrink = mask(SliceOptions::shrink_axis_mask)?;
    if [begins.len(), ends.len(), steps.len()].iter().any(|&len| len != dims.len()) {
        return Err("it does not say what it picks along every dimension".into());
    }
    let mut found = None;
    let bounds = dims.iter().zip(begins).zip(ends.iter().zip(steps)).enumerate();
    for (axis, ((&dim, &own_begin), (&own_end, &step))) in bounds {
        let set = |mask: i32| {
            u32::try_from(axis).is_ok_and(|axis| mask.checked_shr(axis).unwrap_or(0) & 1 == 1)
        };
        let far = if step < 0 { [i64::MAX, i64::MIN] } else { [0, i64::MAX] };
        let start = if set(begin) { far[0] } else { own_begin };
        let slice = Picked::Slice { start, end: if set(end) { far[1] } else { own_end }, step };
        let picked = if set(shrink) { Picked::One(own_begin) } else { slice };
        let all = picked.of(dim).is_some_and(|places| places.iter().copied().eq(0..dim));
        if all && !picked.drops() {
            continue;
        }
        if axis == 0 || found.is_some() {
            return Err("it picks of the batch, or along several dimensions".into());
        }
        found = Some((i64::try_from(axis).map_err(|_| "it has too many dimensions")?, picked));
    }
    Ok(found)
}

/// The activation that is fused into an operator, if it has one; an error if it is another than
/// ReLU, ReLU6, and limits of -1 and 1.
pub(super) fn fused(
    op_type: &str,
    operator: Operator<'_>,
) -> Result<Result<Option<Op>, ()>, GraphError> {
    let windows = |of| told(operator.window_options()?, of);
    let code = match op_type {
        "FULLY_CONNECTED" | "ADD" | "SUB" | "MUL" | "DIV" => {
            told(operator.options()?, Options::fused_activation)?
        }
        "CONCATENATION" => told(operator.concat_options()?, ConcatOptions::concat_fused)?,
        "CONV_2D" => windows(WindowOptions::conv_fused)?,
        "DEPTHWISE_CONV_2D" => windows(WindowOptions::depthwise_fused)?,
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" => windows(WindowOptions::pool_fused)?,
        _ => None,
    };
    // `ActivationFunctionType`
    Ok(match code.unwrap_or(0) {
        0 => Ok(None),
        1 => Ok(Some(Op::Relu)),
        2 => Ok(Some(Op::Function(Function::Clip { low: -1.0, high: 1.0 }))),
        3 => Ok(Some(Op::Relu6)),
        _ => Err(()),
    })
}
