//! What a network applied to its answer at its end, and whoever gets the answer applies in its
//! place.

use serde::{Deserialize, Serialize};

/// A function of all values of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scores {
    /// `e^x`, divided by the sum of all.
    Softmax,
    /// The logarithm of that.
    LogSoftmax,
    /// `1 / (1 + e^-x)`, of each.
    Sigmoid,
    /// Hyperbolic tangent, of each.
    Tanh,
    /// `1 / (1 + e^-x)` of each, divided by the sum of all: classes, each against the rest.
    OneVsRest,
}

impl Scores {
    /// The function of these values.
    #[must_use]
    pub fn of(self, values: &[f64]) -> Vec<f64> {
        // Sums of exponentials do not overflow where the largest is 1.
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = values.iter().map(|value| (value - largest).exp()).sum();
        let logistic = |value: f64| {
            if value >= 0.0 {
                1.0 / (1.0 + (-value).exp())
            } else {
                value.exp() / (1.0 + value.exp())
            }
        };
        let all: f64 = values.iter().map(|value| logistic(*value)).sum();
        let score = |value: &f64| match self {
            Self::Softmax => (value - largest).exp() / sum,
            Self::LogSoftmax => value - largest - sum.ln(),
            Self::Sigmoid => logistic(*value),
            Self::Tanh => value.tanh(),
            // As ONNX's Normalizer has it, nothing of nothing is nothing.
            Self::OneVsRest if all == 0.0 => 0.0,
            Self::OneVsRest => logistic(*value) / all,
        };
        values.iter().map(score).collect()
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log-softmax",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::OneVsRest => "one-vs-rest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_their_definitions() {
        let values = [1.0_f64, -2.0, 0.5];
        let sum: f64 = values.iter().map(|value| value.exp()).sum();
        let logistic = |value: f64| 1.0 / (1.0 + (-value).exp());
        let all: f64 = values.iter().map(|value| logistic(*value)).sum();
        for (scores, definition) in [
            (Scores::Softmax, values.map(|value| value.exp() / sum)),
            (Scores::LogSoftmax, values.map(|value| (value.exp() / sum).ln())),
            (Scores::Sigmoid, values.map(|value| 1.0 / (1.0 + (-value).exp()))),
            (Scores::Tanh, values.map(f64::tanh)),
            (Scores::OneVsRest, values.map(|value| logistic(value) / all)),
        ] {
            let off = |(one, other): (f64, f64)| (one - other).abs() < 1e-12;
            assert!(scores.of(&values).into_iter().zip(definition).all(off), "{scores:?}");
        }
        // Of any size.
        assert_eq!(Scores::Softmax.of(&[1e6, -1e6]), [1.0, 0.0]);
        assert_eq!(Scores::Sigmoid.of(&[1e6, -1e6]), [1.0, 0.0]);
        assert_eq!(Scores::LogSoftmax.of(&[1e6, 0.0]), [0.0, -1e6]);
        assert_eq!(Scores::Softmax.of(&[]), [0.0; 0]);
        assert_eq!(Scores::OneVsRest.of(&[1e6, -1e6]), [1.0, 0.0]);
        assert_eq!(Scores::OneVsRest.of(&[-1e6, -1e6]), [0.0, 0.0]);
    }
}
