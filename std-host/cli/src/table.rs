//! What to take from a file of training data, and as what.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use sharelet_host::data::Options;
use sharelet_host::data::labels::LabelKind;
use sharelet_train::labels::MAX_CLASSES;

/// Arguments of commands that read a table.
#[derive(Args, Debug, Clone)]
#[command(group = ArgGroup::new("labelled").args(["label", "labels"]))]
pub struct TableArgs {
    /// The columns of features, in this order; all but label and key if not given.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// The column of labels; several for regression of several numbers.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub label: Vec<String>,
    /// A file of labels instead: .npy or idx.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Labels are whole numbers from 0 to one below this; they are shared one-hot. Without it and
    /// --binary they are numbers.
    #[arg(
        long,
        value_name = "N",
        requires = "labelled",
        conflicts_with = "binary",
        value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_CLASSES)),
    )]
    pub classes: Option<u32>,
    /// Labels are 0 or 1.
    #[arg(long, requires = "labelled")]
    pub binary: bool,
    /// Multiply features by this number or fraction; 1/255 for bytes of idx files and 1 for others
    /// if not given.
    #[arg(long, value_name = "X", value_parser = parse_scale, allow_hyphen_values = true)]
    pub scale: Option<f64>,
    /// Multiply labels by this number or fraction.
    #[arg(
        long,
        value_name = "X",
        default_value = "1",
        value_parser = parse_scale,
        requires = "labelled",
        conflicts_with_all = ["classes", "binary"],
        allow_hyphen_values = true,
    )]
    pub label_scale: f64,
    /// Standardise features, and labels that are numbers: each column less its mean, over its
    /// standard deviation. Both stay secret, and the trained model takes values as they are. Tables
    /// (.csv) are standardised if nothing is said, arrays are not.
    #[arg(long, conflicts_with = "no_standardise")]
    pub standardise: bool,
    /// Take the values of a table as they are.
    #[arg(long)]
    pub no_standardise: bool,
}

impl TableArgs {
    /// Whether features and numbers as labels are standardised, as far as it is said.
    const fn standardise(&self) -> Option<bool> {
        match (self.standardise, self.no_standardise) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// Whether there is a label.
    pub(super) const fn is_labelled(&self) -> bool {
        !self.label.is_empty() || self.labels.is_some()
    }

    /// What to take from the file; `key` is the column that rows are joined by.
    #[must_use]
    pub fn options(&self, key: Option<String>) -> Options {
        let kind = match self.classes {
            Some(classes) => LabelKind::Classes(classes),
            None if self.binary => LabelKind::Binary,
            None => LabelKind::Numbers,
        };
        Options {
            columns: self.columns.clone(),
            labels: self.label.clone(),
            labels_file: self.labels.clone(),
            kind,
            key,
            scale: self.scale,
            label_scale: self.label_scale,
            standardise: self.standardise(),
        }
    }
}

/// A number such as `0.5`, or a fraction such as `1/255`.
fn parse_scale(text: &str) -> Result<f64, String> {
    let wrong =
        || "give a number other than zero such as 0.5, or a fraction such as 1/255".to_owned();
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    let value = match text.split_once('/') {
        Some((above, below)) => number(above)? / number(below)?,
        None => number(text)?,
    };
    if value.is_finite() && value != 0.0 { Ok(value) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        assert_eq!(parse_scale("1/255"), Ok(1.0 / 255.0));
        assert_eq!(parse_scale("-2.5"), Ok(-2.5));
        for wrong in ["", "0", "1/0", "0/1", "x", "1/2/3", "inf", "nan"] {
            assert!(parse_scale(wrong).is_err(), "{wrong}");
        }
    }
}
