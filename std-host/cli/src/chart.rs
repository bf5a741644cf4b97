//! Curves of training runs as charts.

use sharelet_train::curve::{Curve, Epoch};

use crate::plot::{Chart, Series};

/// The two charts of a curve.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// The loss.
    Loss,
    /// The accuracy.
    Accuracy,
}

impl Of {
    fn value(self, epoch: &Epoch, test: bool) -> Option<f64> {
        match (self, test) {
            (Self::Loss, false) => epoch.train_loss,
            (Self::Loss, true) => epoch.test_loss,
            (Self::Accuracy, false) => epoch.train_accuracy,
            (Self::Accuracy, true) => epoch.test_accuracy,
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn series(name: &str, curve: &Curve, of: Of) -> impl Iterator<Item = Series> {
    [false, true].into_iter().filter_map(move |test| {
        let points =
            curve.0.iter().filter_map(|epoch| Some((epoch.epoch as f64, of.value(epoch, test)?)));
        let points: Vec<(f64, f64)> = points.collect();
        let rows = if test { "test" } else { "training" };
        (!points.is_empty()).then(|| Series { name: format!("{name}, {rows}"), points })
    })
}

/// A chart of named curves; `None` if they have nothing of the kind.
#[must_use]
pub fn chart(title: &str, curves: &[(&str, &Curve)], of: Of) -> Option<Chart> {
    let series: Vec<Series> =
        curves.iter().flat_map(|(name, curve)| series(name, curve, of)).collect();
    let y_label = match of {
        Of::Loss => "loss",
        Of::Accuracy => "accuracy",
    };
    let [title, x_label, y_label] = [title, "epoch", y_label].map(str::to_owned);
    (!series.is_empty()).then_some(Chart { title, x_label, y_label, series })
}
