//! Losses of one sample, and how they change with its outputs.

use crate::network::Loss;

/// The loss, and whether the answer is right; `slopes` becomes the derivative by each output.
/// Labels were checked to be as many as outputs.
pub(super) fn loss(
    loss: Loss,
    outputs: &[f64],
    targets: &[f32],
    slopes: &mut [f64],
) -> (f64, bool) {
    let margin = |of: fn(f64) -> (f64, f64), slopes: &mut [f64]| {
        let (output, up) = (
            outputs.first().copied().unwrap_or(0.0),
            targets.first().is_some_and(|target| *target != 0.0),
        );
        let sign = if up { 1.0 } else { -1.0 };
        let (loss, slope) = of(sign * output);
        slopes.fill(sign * slope);
        (loss, (output > 0.0) == up)
    };
    match loss {
        Loss::CrossEntropy => {
            (cross_entropy(outputs, targets, slopes), argmax(outputs) == argmax(targets))
        }
        Loss::SquaredError => {
            (squared_error(outputs, targets, slopes), argmax(outputs) == argmax(targets))
        }
        Loss::Logistic => margin(logistic, slopes),
        Loss::Hinge => margin(hinge, slopes),
    }
}

/// `ln(sum exp(y_j)) - sum t_j y_j`, with the largest output taken off first; slopes are
/// `softmax(y) - t`.
fn cross_entropy(outputs: &[f64], targets: &[f32], slopes: &mut [f64]) -> f64 {
    let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (slope, output) in slopes.iter_mut().zip(outputs) {
        *slope = libm::exp(output - largest);
    }
    let sum: f64 = slopes.iter().sum();
    let mut own = 0.0;
    for ((slope, output), &target) in slopes.iter_mut().zip(outputs).zip(targets) {
        *slope = *slope / sum - f64::from(target);
        own += f64::from(target) * output;
    }
    libm::log(sum) + largest - own
}

/// `1/2 sum (y_j - t_j)^2`.
fn squared_error(outputs: &[f64], targets: &[f32], slopes: &mut [f64]) -> f64 {
    let mut loss = 0.0;
    for ((slope, output), &target) in slopes.iter_mut().zip(outputs).zip(targets) {
        *slope = output - f64::from(target);
        loss += *slope * *slope / 2.0;
    }
    loss
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
fn argmax<F: PartialOrd>(values: &[F]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if values.get(best).is_some_and(|largest| value > largest) {
            best = index;
        }
    }
    best
}
