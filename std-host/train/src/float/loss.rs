//! Losses of one sample, and how they change with its outputs.

use super::samples::Target;
use crate::network::Loss;

/// The loss, and whether the answer is right; `slopes` becomes the derivative by each output.
/// Labels were checked to fit.
pub(super) fn loss(
    loss: Loss,
    outputs: &[f64],
    target: Target<'_>,
    slopes: &mut [f64],
) -> (f64, Option<bool>) {
    match loss {
        Loss::CrossEntropy => cross_entropy(outputs, target, slopes),
        Loss::SquaredError => squared_error(outputs, target, slopes),
        Loss::Logistic | Loss::Hinge => {
            let (sign, up) = match target {
                Target::Class(1) => (1.0, true),
                _ => (-1.0, false),
            };
            let output = outputs.first().copied().unwrap_or(0.0);
            let margin = sign * output;
            let (loss, slope) =
                if loss == Loss::Logistic { logistic(margin) } else { hinge(margin) };
            slopes.fill(sign * slope);
            (loss, Some((output > 0.0) == up))
        }
    }
}

/// `ln(sum exp(y_j)) - y_class`, with the largest output taken off first; slopes are
/// `softmax(y) - one-hot`.
fn cross_entropy(outputs: &[f64], target: Target<'_>, slopes: &mut [f64]) -> (f64, Option<bool>) {
    let Target::Class(class) = target else { return (f64::NAN, None) };
    let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (slope, output) in slopes.iter_mut().zip(outputs) {
        *slope = libm::exp(output - largest);
    }
    let sum: f64 = slopes.iter().sum();
    slopes.iter_mut().for_each(|slope| *slope /= sum);
    if let Some(slope) = slopes.get_mut(class) {
        *slope -= 1.0;
    }
    let own = outputs.get(class).copied().unwrap_or(f64::NAN);
    (libm::log(sum) + largest - own, Some(argmax(outputs) == class))
}

/// `1/2 sum (y_j - t_j)^2`.
fn squared_error(outputs: &[f64], target: Target<'_>, slopes: &mut [f64]) -> (f64, Option<bool>) {
    let wanted = |index: usize| match target {
        Target::Class(class) => f64::from(u8::from(index == class)),
        Target::Numbers(numbers) => numbers.get(index).copied().map_or(f64::NAN, f64::from),
    };
    let mut loss = 0.0;
    for (index, (slope, output)) in slopes.iter_mut().zip(outputs).enumerate() {
        *slope = output - wanted(index);
        loss += *slope * *slope / 2.0;
    }
    let right = match target {
        Target::Class(class) => Some(argmax(outputs) == class),
        Target::Numbers(_) => None,
    };
    (loss, right)
}

/// `ln(1 + exp(-m))` and its derivative, for any `m` without overflow.
fn logistic(margin: f64) -> (f64, f64) {
    let small = libm::exp(-margin.abs());
    let slope = if margin >= 0.0 { -small / (1.0 + small) } else { -1.0 / (1.0 + small) };
    ((-margin).max(0.0) + libm::log1p(small), slope)
}

/// `max(0, 1 - m)`.
fn hinge(margin: f64) -> (f64, f64) {
    if margin < 1.0 { (1.0 - margin, -1.0) } else { ((1.0 - margin).max(0.0), 0.0) }
}

/// The first largest.
fn argmax(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if values.get(best).is_some_and(|largest| value > largest) {
            best = index;
        }
    }
    best
}
