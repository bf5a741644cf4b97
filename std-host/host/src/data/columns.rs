//! Columns are compared by name: rows whose columns come in another order are put in order, and
//! rows with other columns are refused.

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
pub(super) fn list(names: &[String]) -> String {
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
