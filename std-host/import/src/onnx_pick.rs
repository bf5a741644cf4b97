//! Parts of computed values in ONNX: Slice, Gather, Split.

use super::error::Refused;
use super::graph::Picked;
use super::onnx_fold::Constants;
use super::onnx_opset;
use super::onnx_proto::NodeProto;
use super::onnx_tensor::Constant;

/// The most dimensions that one node picks along.
const MAX_AXES: usize = 16;

/// What each output picks: along which axes, one after the other.
type Picks = Vec<Vec<(i64, Picked)>>;

/// Parts of the first input.
///
/// # Errors
/// [`Refused`] with the reason.
pub(super) fn read(
    node: &NodeProto,
    constants: &Constants<'_>,
    version: i64,
) -> Result<Picks, Refused> {
    onnx_opset::check(node, version)?;
    if node.given(0).is_none_or(|first| constants.has(first)) {
        return Err("what it picks is computed, and what it picks of is not".into());
    }
    let told = |name: &str, index: usize| {
        node.integers(name).or_else(|| constants.integers(node.given(index)))
    };
    let axis = node.integer("axis", 0);
    match node.op_type.as_str() {
        "Slice" => {
            let computed = "where it begins, ends, or goes is computed";
            let (starts, ends) =
                (told("starts", 1).ok_or(computed)?, told("ends", 2).ok_or(computed)?);
            let all: Vec<i64> = (0..).take(starts.len()).collect();
            let ones = vec![1; starts.len()];
            let or = |given: Option<&str>, told: Option<&[i64]>, other: &[i64]| match (given, told)
            {
                (_, Some(told)) => Ok(told.to_vec()),
                (None, None) => Ok(other.to_vec()),
                (Some(_), None) => Err(Refused::from(computed)),
            };
            let axes = or(node.given(3), told("axes", 3), &all)?;
            let steps = or(node.given(4), constants.integers(node.given(4)), &ones)?;
            if [ends.len(), axes.len(), steps.len()].iter().any(|&len| len != starts.len()) {
                return Err("it has not one end and one step for each start".into());
            }
            let slices = starts.iter().zip(ends).zip(axes.into_iter().zip(steps));
            let of = |((&start, &end), (axis, step))| (axis, Picked::Slice { start, end, step });
            // All of them, as `x[:, -1]` says it of the batch.
            let all = |(_, picked): &(i64, Picked)| match *picked {
                Picked::Slice { start: 0, end, step: 1 } => end >= i32::MAX.into(),
                _ => false,
            };
            let slices: Vec<_> = slices.map(of).filter(|slice| !all(slice)).collect();
            if slices.len() > MAX_AXES {
                return Err("it picks along more dimensions than there are".into());
            }
            Ok(vec![slices])
        }
        "Gather" => {
            let places = node.given(1).and_then(|name| constants.get(name));
            let Some(Constant::Whole(places)) = places else {
                return Err("which elements it picks is computed".into());
            };
            let picked = match (places.dims.len(), places.values.as_slice()) {
                (0, &[one]) => Picked::One(one),
                (1, several) => Picked::Numbers(several.to_vec()),
                _ => return Err("it makes several dimensions of one".into()),
            };
            Ok(vec![vec![(axis, picked)]])
        }
        _ => {
            let count = node.output.len();
            let sizes = told("split", 1);
            if sizes.is_none() && node.given(1).is_some() {
                return Err("how it is divided is computed".into());
            }
            let mut start = 0_i64;
            let sum =
                |sizes: &[i64]| sizes.iter().try_fold(0_i64, |sum, &size| sum.checked_add(size));
            let all = sizes.and_then(sum).unwrap_or(0);
            let mut part = |part: usize| match sizes {
                None => Some(Picked::Part { part, count }),
                Some(sizes) => {
                    let end = start.checked_add(*sizes.get(part).filter(|&&size| size >= 0)?)?;
                    let range = Picked::Range { start, end, all };
                    start = end;
                    Some(range)
                }
            };
            let parts: Option<Vec<Picked>> = (0..count).map(&mut part).collect();
            let parts = parts.ok_or("it has not one size for each part")?;
            Ok(parts.into_iter().map(|picked| vec![(axis, picked)]).collect())
        }
    }
}
