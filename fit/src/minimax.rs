//! The polynomial whose largest error on given points is least, by Remez's exchange.

const ROUNDS: usize = 30;
/// An error this close to the level of the exchange is the least one.
const SLACK: f64 = 1e-3;

/// Coefficients, lowest first, of the polynomial of `coefficients` coefficients that is nearest to
/// `points` `(s, value)`, which are in ascending order of `s`.
///
/// # Panics
/// If there are not more points than coefficients.
#[must_use]
pub fn minimax(points: &[(f64, f64)], coefficients: usize) -> Vec<f64> {
    let wanted = coefficients + 1;
    assert!(points.len() >= wanted, "{} points for {coefficients} coefficients", points.len());
    let mut reference: Vec<usize> =
        (0..wanted).map(|at| at * (points.len() - 1) / coefficients).collect();
    let mut best = (f64::INFINITY, vec![0.0; coefficients]);
    for _ in 0..ROUNDS {
        let Some((polynomial, level)) = levelled(points, &reference) else { break };
        let errors: Vec<f64> =
            points.iter().map(|(s, value)| value - evaluate(&polynomial, *s)).collect();
        let largest = errors.iter().fold(0.0, |largest: f64, error| largest.max(error.abs()));
        if largest < best.0 {
            best = (largest, polynomial);
        }
        if largest <= level.abs() * (1.0 + SLACK) {
            break;
        }
        match alternating(&errors, wanted) {
            Some(next) if next != reference => reference = next,
            // Fewer changes of sign than an exchange needs: what is left is rounding.
            _ => break,
        }
    }
    best.1
}

/// The value at `s` of the polynomial with these coefficients, lowest first.
#[must_use]
pub fn evaluate(polynomial: &[f64], s: f64) -> f64 {
    polynomial.iter().rev().fold(0.0, |sum, coefficient| sum * s + coefficient)
}

/// The polynomial whose errors at the reference are equal and of alternating sign, and that error.
fn levelled(points: &[(f64, f64)], reference: &[usize]) -> Option<(Vec<f64>, f64)> {
    let coefficients = reference.len() - 1;
    let mut sign = -1.0;
    let equations = reference.iter().map(|at| {
        let (s, value) = points[*at];
        sign = -sign;
        let mut row = vec![1.0; coefficients + 2];
        for power in 1..coefficients {
            row[power] = row[power - 1] * s;
        }
        (row[coefficients], row[coefficients + 1]) = (sign, value);
        row
    });
    let mut solution = solve(equations.collect())?;
    let level = solution.pop()?;
    Some((solution, level))
}

/// Gauss's elimination with row exchanges; the right-hand side is the last column.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = rows.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        let top = rows[column].clone();
        if top[column] == 0.0 {
            return None;
        }
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / top[column];
            for (entry, above) in row.iter_mut().zip(&top) {
                *entry -= factor * above;
            }
        }
    }
    let mut solution = vec![0.0; size];
    for (at, row) in rows.iter().enumerate().rev() {
        let known: f64 =
            row[at + 1..size].iter().zip(&solution[at + 1..]).map(|(a, b)| a * b).sum();
        solution[at] = (row[size] - known) / row[at];
    }
    Some(solution)
}

/// Where errors of alternating sign are largest: `wanted` places, the very largest among them.
fn alternating(errors: &[f64], wanted: usize) -> Option<Vec<usize>> {
    let mut peaks: Vec<usize> = Vec::new();
    for (at, error) in errors.iter().enumerate() {
        match peaks.last_mut() {
            Some(peak) if (errors[*peak] < 0.0) == (*error < 0.0) => {
                if error.abs() > errors[*peak].abs() {
                    *peak = at;
                }
            }
            _ => peaks.push(at),
        }
    }
    while peaks.len() > wanted {
        let (first, last) = (errors[peaks[0]].abs(), errors[peaks[peaks.len() - 1]].abs());
        if first < last {
            peaks.remove(0);
        } else {
            peaks.pop();
        }
    }
    (peaks.len() == wanted).then_some(peaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_leaves_the_chebyshev_polynomial() {
        let points: Vec<(f64, f64)> =
            (0..=2000).map(|at| f64::from(at) / 1000.0 - 1.0).map(|s| (s, s * s * s)).collect();
        let polynomial = minimax(&points, 3);
        for (found, expected) in polynomial.iter().zip([0.0, 0.75, 0.0]) {
            assert!((found - expected).abs() < 1e-3, "{polynomial:?}");
        }
        let largest = points
            .iter()
            .map(|(s, value)| (value - evaluate(&polynomial, *s)).abs())
            .fold(0.0, f64::max);
        assert!((largest - 0.25).abs() < 1e-3, "{largest}");
    }

    #[test]
    fn a_polynomial_is_its_own_best_fit() {
        let points: Vec<(f64, f64)> =
            (0..16).map(f64::from).map(|s| (s, 3.0 - 2.0 * s + 0.5 * s * s)).collect();
        for (found, expected) in minimax(&points, 3).iter().zip([3.0, -2.0, 0.5]) {
            assert!((found - expected).abs() < 1e-9);
        }
    }
}
