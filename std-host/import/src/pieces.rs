//! Activation functions as layers of straight pieces: for every knot of a [`Spline`] a copy of each
//! value less the knot, with a ReLU; then their sum, with what the slope changes by at each knot as
//! weights.
//!
//! Copies are a convolution of one channel with kernels of one word: as many weights as knots. A
//! ReLU at every knot and a shift before and behind them is what it costs. Of a square there are
//! copies of either sign, and what adds and subtracts squares (`products`) adds up their pieces.

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
    /// What the pieces, or a product of squares, are off by at most, whatever the value; for usual
    /// ones if there are limits.
    pub bound: f64,
    /// The largest magnitude of a value that is squared with so small an error, and the largest
    /// with one that grows as the square does.
    pub limits: Option<[f64; 2]>,
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
/// was made of each. Products and squares are off by so much of a sixteenth of the largest: what
/// readings like those of calibration give is small beside the largest of them.
pub(super) fn pieced(chain: &Chain, error: f64) -> Result<(Chain, Vec<Pieced>), TooWide> {
    let (mut layers, mut made) = (Vec::new(), Vec::new());
    let mut fitted: Vec<((Function, f64), Spline)> = Vec::new();
    // Where the layer is that takes each vector of the chain.
    let mut starts = Vec::new();
    // Squares of which copies were made, and no sum.
    let mut squared: Option<Spline> = None;
    for (index, layer) in chain.layers.iter().enumerate() {
        starts.push(layers.len());
        let mut moved = layer.clone();
        if let Some(Skip { from, .. }) = &mut moved.skip {
            *from = starts.get(*from).copied().unwrap_or(*from);
        }
        let function = moved.curve.take().and(layer.function());
        if let Some(spline) = squared.take() {
            let values = layer.inputs();
            let function = Function::SQUARE;
            moved = squares(moved, &spline).ok_or(TooWide { layer: index, function, values })?;
        }
        let Some(function) = function else {
            layers.push(moved);
            continue;
        };
        let (name, values) = (layer.name.clone(), layer.outputs());
        // What the errors of squares that are added and subtracted come to.
        let product = of_squares(chain, index);
        let share = product.unwrap_or(1.0);
        let allowed = match function {
            Function::Square { usual, .. } => error / share * (usual / 8.0).powi(2),
            _ => error,
        };
        let too_wide = TooWide { layer: index, function, values };
        let known = fitted.iter().find(|(known, _)| *known == (function, allowed));
        let spline = match known.map(|(_, spline)| spline) {
            Some(spline) => Spline::clone(spline),
            None => Spline::fit(function, allowed).ok_or(too_wide)?,
        };
        fitted.push(((function, allowed), spline.clone()));
        let width = layer.map.shape.outputs();
        let copies = copies(&name, width, &spline).ok_or(too_wide)?;
        // Sums that were pooled have more fraction bits than copies have room for.
        let pooled =
            layers.last().is_some_and(|layer: &Layer| matches!(layer.map.shape, Shape::Pairs(_)));
        if pooled || !moved.is_bare() {
            layers.push(moved);
        }
        layers.push(copies);
        let (bound, knots) = (share * spline.bound, spline.knots.len());
        if product.is_some() {
            squared = Some(spline);
        } else {
            layers.push(sum(&name, width, spline).ok_or(too_wide)?);
        }
        let (knots, limits) = match function {
            Function::Square { limit, usual } => (2 * knots, Some([usual, limit])),
            _ => (knots, None),
        };
        made.push(Pieced { name, function, knots, values, bound, limits });
    }
    let (name, left_off) = (chain.name.clone(), chain.left_off.clone());
    let (scores, labels) = (chain.scores, chain.labels.clone());
    Ok((Chain { name, layers, left_off, scores, labels, steps: Vec::new() }, made))
}

/// If layer `index` of a chain gives squares, and the next one alone takes them and adds and
/// subtracts some: what an error of all of them comes to.
fn of_squares(chain: &Chain, index: usize) -> Option<f64> {
    let (layer, behind) = (chain.layers.get(index)?, chain.layers.get(index + 1)?);
    let carried = |layer: &Layer| layer.skip.as_ref().is_some_and(|skip| skip.from == index + 1);
    let (_, kernel) = same_kernel(&behind.map)?;
    let alone = matches!(layer.function(), Some(Function::Square { .. }))
        && !chain.layers.iter().any(carried);
    alone.then(|| kernel.iter().map(|weight| weight.abs()).sum::<f64>().max(f64::MIN_POSITIVE))
}

/// The window over one channel, and its kernel, that a map is whose kernels are alike: of as many
/// rows as a step.
fn same_kernel(map: &Map) -> Option<(Window, &[f64])> {
    let Shape::Convolution(window) = map.shape else { return None };
    let (rows, steps) = (window.kernel.0, window.stride.0);
    let one_by_one = window.groups == window.channels && window.filters == window.channels;
    let bare = window.before == (0, 0) && window.after == (0, 0) && window.stride.1 == 1;
    let whole = window.kernel.1 == 1 && window.height == u16::from(rows) && rows == steps;
    let (kernel, _) = map.weights.split_at_checked(rows.into())?;
    let alike = map.weights.chunks_exact(rows.into()).all(|other| other == kernel);
    let height = window.height.checked_mul(window.channels)?;
    let flat = Window { channels: 1, filters: 1, groups: 1, height, ..window };
    (one_by_one && bare && whole && alike).then_some((flat, kernel))
}

fn layer_of(name: &str, map: Map, bias: Vec<f64>, curve: Option<Curve>) -> Layer {
    Layer { name: name.to_owned(), map, skip: None, bias, relu: curve.is_none(), curve }
}

/// The window of one word that goes everywhere, and copies for each knot; nothing if there are too
/// many.
fn window(width: u16, spline: &Spline) -> Option<(Window, u16)> {
    let signs = if spline.mirrored { 2 } else { 1 };
    let copies = u16::try_from(signs * spline.knots.len()).ok()?;
    width.checked_mul(copies)?;
    Some((Factors::ones(&[], width).shape.window()?, copies))
}

/// What is above each knot; of `-x`, too, where pieces are mirrored.
fn copies(name: &str, width: u16, spline: &Spline) -> Option<Layer> {
    let (one, copies) = window(width, spline)?;
    let signs: &[f64] = if spline.mirrored { &[1.0, -1.0] } else { &[1.0] };
    let weights = signs.iter().flat_map(|&sign| spline.knots.iter().map(move |_| sign)).collect();
    let below = |knot: &f64| core::iter::repeat_n(-knot, width.into());
    let bias = signs.iter().flat_map(|_| spline.knots.iter().flat_map(below)).collect();
    let shape = Shape::Convolution(Window { filters: copies, ..one });
    Some(layer_of(name, Map { shape, weights }, bias, None))
}

/// The steps at all copies of a value.
fn steps(spline: &Spline) -> impl Iterator<Item = f64> {
    let signs = if spline.mirrored { 2 } else { 1 };
    (0..signs).flat_map(|_| spline.steps.iter().copied())
}

/// The sum of what is above each knot.
fn sum(name: &str, width: u16, spline: Spline) -> Option<Layer> {
    let (one, copies) = window(width, &spline)?;
    let shape = Shape::Convolution(Window { channels: copies, ..one });
    let map = Map { shape, weights: steps(&spline).collect() };
    let bias = vec![spline.base; width.into()];
    Some(layer_of(name, map, bias, Some(Curve::Sum(spline))))
}

/// A layer that takes squares, as one that takes copies.
fn squares(mut layer: Layer, spline: &Spline) -> Option<Layer> {
    let (window, kernel) = same_kernel(&layer.map)?;
    let copies = u16::try_from(2 * spline.knots.len()).ok()?;
    let shape = Shape::Convolution(Window { channels: copies, ..window });
    let weights = steps(spline).flat_map(|step| kernel.iter().map(move |weight| step * weight));
    let base = spline.base * kernel.iter().sum::<f64>();
    let map = Map { shape, weights: weights.collect() };
    layer.bias.iter_mut().for_each(|bias| *bias += base);
    layer.map = map;
    layer.curve = Some(Curve::Squares);
    Some(layer)
}
