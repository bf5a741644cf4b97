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
    /// Votes for each class, where values are of pairs of classes: 0 and 1, 0 and 2, up to the last
    /// two. A positive one is a vote for the first of its pair (LIBSVM: Chang and Lin, 2011,
    /// section 6).
    OneVsOne,
}

/// How many classes have so many pairs; `None` if there are no such.
#[must_use]
pub fn classes_of_pairs(pairs: usize) -> Option<usize> {
    let pairs_of = |classes: &usize| classes * (classes - 1) / 2;
    let classes = (2..=pairs.saturating_add(1)).find(|classes| pairs_of(classes) >= pairs)?;
    (pairs_of(&classes) == pairs).then_some(classes)
}

/// The votes for each class; nothing where the values are not of pairs.
fn votes(values: &[f64]) -> Vec<f64> {
    let mut votes = vec![0.0; classes_of_pairs(values.len()).unwrap_or(0)];
    let classes = votes.len();
    let pairs =
        (0..classes).flat_map(|first| (first + 1..classes).map(move |other| (first, other)));
    for ((first, other), value) in pairs.zip(values) {
        if let Some(votes) = votes.get_mut(if *value > 0.0 { first } else { other }) {
            *votes += 1.0;
        }
    }
    votes
}

impl Scores {
    /// The function of these values.
    #[must_use]
    pub fn of(self, values: &[f64]) -> Vec<f64> {
        if self == Self::OneVsOne {
            return votes(values);
        }
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
            Self::OneVsOne => *value,
        };
        values.iter().map(score).collect()
    }

    /// The class that has the most votes, the first of equals; `None` for functions of values that
    /// are a class's each: there it is that of the largest.
    #[must_use]
    pub fn elected(self, values: &[f64]) -> Option<usize> {
        let votes = if self == Self::OneVsOne { votes(values) } else { Vec::new() };
        let most = votes.iter().copied().fold(0.0, f64::max);
        votes.iter().position(|votes| *votes >= most)
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
            Self::OneVsOne => "one-vs-one",
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

    #[test]
    fn pairs_vote_for_classes() {
        for (pairs, classes) in [(1, 2), (3, 3), (6, 4), (45, 10)] {
            assert_eq!(classes_of_pairs(pairs), Some(classes));
        }
        assert!([0, 2, 4, 5, 44].into_iter().all(|pairs| classes_of_pairs(pairs).is_none()));
        let pairs = Scores::OneVsOne;
        assert_eq!((pairs.of(&[-1.0]), pairs.elected(&[-1.0])), (vec![0.0, 1.0], Some(1)));
        assert_eq!(pairs.elected(&[0.5]), Some(0));
        // 1 against 0, 2 against 0, 2 against 1.
        let values = [-3.8, -1.7, -2.9];
        assert_eq!((pairs.of(&values), pairs.elected(&values)), (vec![0.0, 1.0, 2.0], Some(2)));
        // One vote each: the first.
        assert_eq!(pairs.elected(&[1.0, -1.0, 1.0]), Some(0));
        assert_eq!((pairs.of(&[1.0, 2.0]), pairs.elected(&[1.0, 2.0])), (vec![], None));
        assert_eq!(Scores::Softmax.elected(&[1.0, 2.0]), None);
    }
}
