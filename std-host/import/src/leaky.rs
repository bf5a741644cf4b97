//! Leaky ReLU as layers: a ReLU, and beside it what went into it.
//!
//! With a slope `a` up to one, `max(y, 0) + a min(y, 0) = max((1 - a) y, 0) + a y`; with a larger
//! one, `y - max((1 - a) y, 0)`. The second layer adds to the first one's result what is carried
//! over around it: `a y`, as the map that gave `y` where that has weights.

use super::fold::Factors;
use super::layer::{Layer, Map, Skip};
use crate::error::GraphError;
use sharelet_core::shape::Shape;

/// The layers of a layer that a leaky ReLU follows; `index` is that of the first.
pub(super) fn layers(
    layer: Layer,
    index: usize,
    slopes: &Factors,
) -> Result<Vec<Layer>, GraphError> {
    let steep = slopes.scale().iter().any(|&slope| slope > 1.0);
    if steep || layer.skip.is_some() || layer.map.weights.is_empty() {
        return around(layer, index, slopes);
    }
    let (mut first, mut carried) = (layer.clone(), layer);
    let folded = slopes.with(|slope| 1.0 - slope).fold_after(&mut first.map, &mut first.bias);
    if folded.and_then(|()| slopes.fold_after(&mut carried.map, &mut carried.bias)).is_err() {
        return around(carried, index, slopes);
    }
    first.relu = true;
    let map = Map::public(Shape::Identity { width: first.map.shape.outputs() });
    let skip = Some(Skip { from: index, map: carried.map });
    let second =
        Layer { name: first.name.clone(), map, skip, bias: carried.bias, relu: false, curve: None };
    Ok(vec![first, second])
}

/// The same around a layer of its own.
fn around(layer: Layer, index: usize, slopes: &Factors) -> Result<Vec<Layer>, GraphError> {
    let (name, width) = (layer.name.clone(), layer.map.shape.outputs());
    let of = |factors: Factors| {
        let mut map = Factors::map(core::slice::from_ref(&factors), width);
        factors.fold_after(&mut map, &mut vec![0.0; usize::from(width)])?;
        Ok::<_, GraphError>(map)
    };
    let mut layers = if layer.is_bare() { vec![] } else { vec![Layer { relu: false, ..layer }] };
    let carried = of(slopes.with(|slope| if slope > 1.0 { 1.0 } else { slope }))?;
    let skip = Some(Skip { from: index + layers.len(), map: carried });
    let bias = vec![0.0; usize::from(width)];
    let plain = |map, skip, relu| Layer {
        name: name.clone(),
        map,
        skip,
        bias: bias.clone(),
        relu,
        curve: None,
    };
    layers.push(plain(of(slopes.with(|slope| 1.0 - slope))?, None, true));
    let sign = slopes.with(|slope| if slope > 1.0 { -1.0 } else { 1.0 });
    layers.push(plain(of(sign)?, skip, false));
    Ok(layers)
}
