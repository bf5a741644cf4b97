//! Options of TFLite operators, and what goes wrong in reading them.

use super::error::{GraphError, Refused};
use super::function::Function;
use super::graph::Op;
use super::tflite_schema::{ConcatOptions, Operator, Options, WindowOptions};

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
