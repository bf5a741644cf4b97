//! A synthetic table: rows of correlated columns, with a binary label or a number.
//!
//! Classes are two Gaussians that overlap: both have the same covariance, `L L^T` for a random
//! lower-triangular `L`, and means on either side of zero, so that a straight cut is the best there
//! is. The number of a regression is linear in the columns, with noise. Everything follows from the
//! seed, and is the same on every machine.

use core::fmt::Write as _;

use crate::rng::Rng;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Rows.
    pub rows: usize,
    /// Columns of features.
    pub columns: usize,
    /// Everything follows from it.
    pub seed: u64,
    /// The label.
    pub target: Target,
}

/// The label of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// 0 or 1, as often as each other: column `label`.
    Class,
    /// A number: column `value`.
    Number,
}

/// How far apart the means of the classes are, in deviations along the line that joins them: a cut
/// in the middle is right for about 93 rows of 100.
const APART: f64 = 3.0;
/// Deviation of the noise on a regression's number.
const NOISE: f64 = 0.1;

/// A table as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Rows of features.
    pub features: Vec<Vec<f64>>,
    /// A label or number per row.
    pub targets: Vec<f64>,
    target: Target,
}

/// Draws a table.
#[must_use]
pub fn table(request: &Request) -> Table {
    let Request { rows, columns, seed, target } = *request;
    let mut rng = Rng::new(seed);
    let factor = factor(columns, &mut rng);
    let direction: Vec<f64> = (0..columns).map(|_| rng.normal()).collect();
    let length = libm::sqrt(direction.iter().map(|x| x * x).sum());
    // A step along `L d`, `d` of length one, is a step of so many deviations for the best cut,
    // `d^T L^-1 x`.
    let direction: Vec<f64> = direction.iter().map(|x| x / length).collect();
    let mean = times(&factor, &direction);
    let mut drawn =
        Table { features: Vec::with_capacity(rows), targets: Vec::with_capacity(rows), target };
    for row in 0..rows {
        let normals: Vec<f64> = (0..columns).map(|_| rng.normal()).collect();
        let mut features = times(&factor, &normals);
        let value = match target {
            Target::Class => {
                let class = row % 2;
                let side = if class == 1 { APART / 2.0 } else { -APART / 2.0 };
                features.iter_mut().zip(&mean).for_each(|(x, mean)| *x += side * mean);
                if class == 1 { 1.0 } else { 0.0 }
            }
            Target::Number => {
                let linear: f64 = normals.iter().zip(&direction).map(|(x, d)| x * d).sum();
                linear + 0.5 + NOISE * rng.normal()
            }
        };
        drawn.features.push(features.into_iter().map(rounded).collect());
        drawn.targets.push(rounded(value));
    }
    // Rows in no order, so that a part of them is a sample.
    for last in (1..rows).rev() {
        let other = rng.below(last + 1);
        drawn.features.swap(last, other);
        drawn.targets.swap(last, other);
    }
    drawn
}

/// A lower-triangular factor whose rows have length one: columns of deviation 1, each correlated
/// with those before it.
fn factor(columns: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let row = |row: usize, rng: &mut Rng| {
        let mut entries: Vec<f64> = (0..row).map(|_| rng.between(-0.6, 0.6)).collect();
        entries.push(1.0);
        let length = libm::sqrt(entries.iter().map(|x| x * x).sum());
        entries.into_iter().map(|x| x / length).collect()
    };
    (0..columns).map(|index| row(index, rng)).collect()
}

fn times(factor: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    factor.iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

/// To six decimal places, as the file shows them.
fn rounded(value: f64) -> f64 {
    libm::round(value * 1e6) / 1e6
}

impl Table {
    /// The table as CSV: `x0`, `x1`, ... and `label` or `value`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let columns = self.features.first().map_or(0, Vec::len);
        let mut text: String = (0..columns).fold(String::new(), |mut names, column| {
            // Writing to a string does not fail.
            let _ = write!(names, "x{column},");
            names
        });
        text.push_str(match self.target {
            Target::Class => "label\n",
            Target::Number => "value\n",
        });
        for (row, target) in self.features.iter().zip(&self.targets) {
            for value in row {
                let _ = write!(text, "{value:.6},");
            }
            let _ = match self.target {
                Target::Class => writeln!(text, "{target}"),
                Target::Number => writeln!(text, "{target:.6}"),
            };
        }
        text
    }
}
