//! TFLite operators that slide windows over images.

use super::graph::{Op, Padding, Pool, Tensor};
use super::kernel;
use super::tflite_schema::Operator;
use crate::error::Refused;

/// A size or a step; one that is not positive is none.
fn positive(value: Option<i32>) -> Option<usize> {
    value.and_then(|value| usize::try_from(value).ok()).filter(|&value| value > 0)
}

fn padding(code: Option<i8>) -> Padding {
    if code == Some(1) { Padding::NONE } else { Padding::SameUpper }
}

/// `[filters, rows, columns, depth]` (depthwise: `[1, rows, columns, filters]`) as filters, depth,
/// rows, columns.
fn reordered(weights: &Tensor, depthwise: bool) -> Option<Tensor> {
    let &[outer, rows, columns, inner] = weights.dims.as_slice() else { return None };
    let (filters, depth) = if depthwise { (inner, 1) } else { (outer, inner) };
    if depthwise && outer != 1 {
        return None;
    }
    let mut values = Vec::with_capacity(weights.values.len());
    for filter in 0..filters {
        for channel in 0..depth {
            for pixel in 0..rows * columns {
                let place = if depthwise {
                    pixel * inner + filter
                } else {
                    (filter * rows * columns + pixel) * inner + channel
                };
                values.push(*weights.values.get(place)?);
            }
        }
    }
    Tensor::new(vec![filters, depth, rows, columns], values)
}

/// A convolution of an image of dimensions batch, rows, columns, channels, depthwise or not.
///
/// # Errors
/// [`Refused`].
pub fn convolution(
    operator: Operator<'_>,
    weights: Tensor,
    bias: Option<Vec<f64>>,
    depthwise: bool,
    image: &[usize],
) -> Result<Op, Refused> {
    let options = operator.window_options()?.ok_or("it has no options")?;
    let steps = (positive(options.stride_h()?), positive(options.stride_w()?));
    let (Some(stride_down), Some(stride_across)) = steps else {
        return Err("its steps are not positive".into());
    };
    let stride = (stride_down, stride_across);
    let (dilation, multiplier) = if depthwise {
        let dilation = [options.depthwise_dilation_h()?, options.depthwise_dilation_w()?];
        (dilation, positive(options.depth_multiplier()?))
    } else {
        ([options.conv_dilation_h()?, options.conv_dilation_w()?], None)
    };
    let weights = reordered(&weights, depthwise).ok_or("its kernel has not four dimensions")?;
    let [down, across] =
        dilation.map(|dilation| dilation.map_or(Some(1), |step| usize::try_from(step).ok()));
    let gaps = down.zip(across).ok_or("its kernel has gaps of no size (dilation)")?;
    let weights = kernel::with_gaps(weights, gaps)?;
    let filters = weights.dims.first().copied().unwrap_or(0);
    // A file that does not say how many filters a channel has leaves that to the image.
    let groups = match (depthwise, multiplier, image) {
        (false, ..) => 1,
        (true, Some(multiplier), _) if filters.is_multiple_of(multiplier) => filters / multiplier,
        (true, None, &[_, _, _, channels]) if channels > 0 && filters.is_multiple_of(channels) => {
            channels
        }
        (true, None, &[]) => filters,
        _ => return Err("it has not the same number of filters per channel".into()),
    };
    let padding = padding(options.padding()?);
    Ok(Op::Convolution { weights, bias, groups, stride, padding })
}

/// A pool over an image of dimensions batch, rows, columns, channels.
///
/// # Errors
/// [`Refused`].
pub fn pool(operator: Operator<'_>, image: &[usize], average: bool) -> Result<Op, Refused> {
    let options = operator.window_options()?.ok_or("it has no options")?;
    let sizes = [
        options.filter_height()?,
        options.filter_width()?,
        options.stride_h()?,
        options.stride_w()?,
    ]
    .map(positive);
    let [Some(rows), Some(columns), Some(down), Some(across)] = sizes else {
        return Err("its window or its steps are not positive".into());
    };
    let padding = padding(options.padding()?);
    let fills = |length: usize, size: usize, stride: usize| {
        length.div_ceil(stride).saturating_sub(1) * stride + size <= length
    };
    let bare = match *image {
        [_, height, width, _] => fills(height, rows, down) && fills(width, columns, across),
        _ => false,
    };
    // Windows that end with the image are not padded.
    let padding = if bare { Padding::NONE } else { padding };
    let pool = Pool {
        size: Some((rows, columns)),
        stride: (down, across),
        padding,
        ceil: false,
        // What is around the image is smaller than any number to a max-pool.
        count_padding: padding == Padding::NONE,
    };
    match (average, padding == Padding::NONE) {
        (true, false) => Err("its windows at the edge have another size (padding SAME)".into()),
        (true, true) => Ok(Op::AveragePool(pool)),
        (false, _) => Ok(Op::MaxPool(pool)),
    }
}
