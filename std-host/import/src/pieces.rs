//! Activation functions as layers of straight pieces: for every knot of a [`Spline`] a copy of each
//! value less the knot, with a ReLU; then their sum, with what the slope changes by at each knot as
//! weights.
//!
//! Copies are a convolution of one channel with kernels of one word: as many weights as knots. A
//! ReLU at every knot and a shift before and behind them is what it costs.

use sharelet_core::shape::{Shape, Window};

use super::fold::Factors;
use super::function::Function;
use super::layer::{Chain, Curve, Layer, Map, Skip};
use super::spline::Spline;

/// What was made of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Pieced {
    /// Name of the layer in the file.
    pub name: String,
    /// The function.
    pub function: Function,
    /// ReLUs for each value.
    pub knots: usize,
    /// Values that it is applied to.
    pub values: usize,
    /// What the pieces are off by at most, whatever the value.
    pub bound: f64,
}

/// A function for which there are too many values.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooWide {
    /// Index of its layer.
    pub(super) layer: usize,
    pub(super) function: Function,
    /// Values that it is applied to.
    pub(super) values: usize,
}

/// The chain with straight pieces in the place of functions, each off by at most `error`, and what
/// was made of each.
pub(super) fn pieced(chain: &Chain, error: f64) -> Result<(Chain, Vec<Pieced>), TooWide> {
    let (mut layers, mut made) = (Vec::new(), Vec::new());
    let mut fitted: Vec<(Function, Spline)> = Vec::new();
    // Where the layer is that takes each vector of the chain.
    let mut starts = Vec::new();
    for (index, layer) in chain.layers.iter().enumerate() {
        starts.push(layers.len());
        let mut moved = layer.clone();
        if let Some(Skip { from, .. }) = &mut moved.skip {
            *from = starts.get(*from).copied().unwrap_or(*from);
        }
        let Some(function) = moved.function() else {
            layers.push(moved);
            continue;
        };
        moved.curve = None;
        let (name, values) = (layer.name.clone(), layer.outputs());
        let too_wide = TooWide { layer: index, function, values };
        let known = fitted.iter().find(|(known, _)| *known == function);
        let spline = match known.map(|(_, spline)| spline) {
            Some(spline) => Spline::clone(spline),
            None => Spline::fit(function, error).ok_or(too_wide)?,
        };
        fitted.push((function, spline.clone()));
        let [copies, sum] =
            both(&name, layer.map.shape.outputs(), spline.clone()).ok_or(too_wide)?;
        // Sums that were pooled have more fraction bits than copies have room for.
        let pooled =
            layers.last().is_some_and(|layer: &Layer| matches!(layer.map.shape, Shape::Pairs(_)));
        if pooled || !moved.is_bare() {
            layers.push(moved);
        }
        layers.extend([copies, sum]);
        let Spline { knots, bound, .. } = spline;
        made.push(Pieced { name, function, knots: knots.len(), values, bound });
    }
    let (name, left_off) = (chain.name.clone(), chain.left_off.clone());
    Ok((Chain { name, layers, left_off, steps: Vec::new() }, made))
}

/// The copies and their sum; nothing if there are too many copies.
fn both(name: &str, width: u16, spline: Spline) -> Option<[Layer; 2]> {
    let knots = u16::try_from(spline.knots.len()).ok()?;
    width.checked_mul(knots)?;
    let one = Factors::ones(&[], width);
    let window = one.shape.window()?;
    let map = |window: Window, weights| Map { shape: Shape::Convolution(window), weights };
    let layer = |map, bias, relu, curve| {
        let name = name.to_owned();
        Layer { name, map, skip: None, bias, relu, curve }
    };
    let ones = map(Window { filters: knots, ..window }, vec![1.0; knots.into()]);
    let below = |knot: &f64| core::iter::repeat_n(-knot, width.into());
    let copies = layer(ones, spline.knots.iter().flat_map(below).collect(), true, None);
    let steps = map(Window { channels: knots, ..window }, spline.steps.clone());
    let base = vec![spline.base; width.into()];
    Some([copies, layer(steps, base, false, Some(Curve::Sum(spline)))])
}
