//! Columns are compared by name: rows whose columns come in another order are put in order, and
//! rows with other columns are refused.

use serde::{Deserialize, Serialize};

/// Names of the columns that a model was trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Of features, in their order.
    pub features: Vec<String>,
    /// Of labels.
    pub labels: Vec<String>,
}

impl Columns {
    /// Where the features are among the columns of rows that are asked. Labels may be there, and
    /// are left out. Features of an array have no names of their own: then the columns are as they
    /// come.
    ///
    /// # Errors
    /// [`OtherColumns`] if a feature is missing, or there is a column that is neither.
    pub fn find(&self, header: &[String]) -> Result<Vec<usize>, OtherColumns> {
        let Self { features, labels } = self;
        let known = header.iter().any(|name| features.contains(name));
        if !known && are_unnamed(features) && header.len() == features.len() {
            return Ok((0..header.len()).collect());
        }
        let is_label = |name: &String| labels.contains(name) && !features.contains(name);
        let (places, found): (Vec<usize>, Vec<String>) =
            (0..).zip(header.iter().cloned()).filter(|(_, name)| !is_label(name)).unzip();
        let order = order(features, &found)?;
        let placed = |order: Vec<usize>| {
            order.iter().filter_map(|&index| places.get(index).copied()).collect()
        };
        Ok(order.map_or_else(|| places.clone(), placed))
    }

    /// The first of a list of columns that differs from another's, for an error.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let lists = [("column", &self.features, &other.features)];
        let labels = [("label", &self.labels, &other.labels)];
        lists.into_iter().chain(labels).find(|(_, ours, theirs)| ours != theirs).map(
            |(what, ours, theirs)| {
                let name = |names: &[String], index: usize| {
                    names.get(index).map_or_else(|| "none".to_owned(), |name| format!("`{name}`"))
                };
                let index = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
                let (ours, theirs) = (name(ours, index), name(theirs, index));
                format!("{what} {}: {ours} here and {theirs} at the other server", index + 1)
            },
        )
    }
}

/// What columns of an array are called: `c0`, `c1`, ...
#[must_use]
pub fn unnamed(width: usize) -> Vec<String> {
    (0..width).map(|column| format!("c{column}")).collect()
}

/// Whether these are names of columns of an array, which say nothing.
fn are_unnamed(names: &[String]) -> bool {
    names.iter().all(|name| {
        let digits = name.strip_prefix('c').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether labels are of the same columns, as far as they have names.
#[must_use]
pub fn same_labels(wanted: &[String], found: &[String]) -> bool {
    wanted == found || are_unnamed(wanted) || are_unnamed(found)
}

/// What keeps rows with some columns from being taken as rows with others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", say(missing, unknown))]
pub struct OtherColumns {
    /// Columns that are wanted and not there.
    pub missing: Vec<String>,
    /// Columns that are there and not wanted.
    pub unknown: Vec<String>,
}

fn say(missing: &[String], unknown: &[String]) -> String {
    match (missing, unknown) {
        ([], unknown) => format!("it has other columns: {} is not wanted", list(unknown)),
        (missing, []) => format!("it has not all columns: {} is missing", list(missing)),
        (missing, unknown) => {
            format!("it has other columns: {} instead of {}", list(unknown), list(missing))
        }
    }
}

/// Names for an error, not more than a few.
#[must_use]
pub fn list(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown =
        names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// Where each of the `wanted` columns is among those that were `found`; `None` if they are in order
/// already.
///
/// # Errors
/// [`OtherColumns`] unless both are the same names.
pub fn order(wanted: &[String], found: &[String]) -> Result<Option<Vec<usize>>, OtherColumns> {
    if wanted == found {
        return Ok(None);
    }
    let places: std::collections::HashMap<&String, usize> = found.iter().zip(0..).collect();
    let order: Vec<usize> = wanted.iter().filter_map(|name| places.get(name).copied()).collect();
    if order.len() == wanted.len() && wanted.len() == found.len() {
        return Ok(Some(order));
    }
    let without = |these: &[String], others: &[String]| -> Vec<String> {
        let others: std::collections::HashSet<&String> = others.iter().collect();
        these.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    Err(OtherColumns { missing: without(wanted, found), unknown: without(found, wanted) })
}

/// Rows whose columns are put in an order.
#[must_use]
pub fn reorder<T: Copy + Default>(rows: &[T], order: &[usize]) -> Vec<T> {
    let row = |row: &[T]| {
        order.iter().map(|&at| row.get(at).copied().unwrap_or_default()).collect::<Vec<T>>()
    };
    rows.chunks_exact(order.len().max(1)).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(order(&names("abc"), &names("abc")), Ok(None));
        let found = order(&names("abc"), &names("cab")).expect("the same names").expect("turned");
        assert_eq!(reorder(&[3, 1, 2, 6, 4, 5], &found), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn other_columns_are_refused_by_name() {
        let refused = |wanted, found, expected: &str| {
            let error = order(&names(wanted), &names(found)).expect_err("other columns");
            assert_eq!(error.to_string(), expected);
        };
        refused("ab", "xb", "it has other columns: `x` instead of `a`");
        refused("ab", "b", "it has not all columns: `a` is missing");
        refused("ab", "abc", "it has other columns: `c` is not wanted");
    }
}
