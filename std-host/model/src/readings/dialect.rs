//! Dialects of CSV: what separates the columns, and what the decimals.
//!
//! Both are found out from the file, and what can be read in two ways is refused: a number must
//! never be read as another one.

use std::borrow::Cow;

/// Records from which the separator is found out.
const SAMPLE: usize = 200;
/// Characters of a cell that an error shows.
const SHOWN: usize = 40;
/// What may stand between columns, and what people call it.
const SEPARATORS: [(u8, &str); 3] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs")];

/// A file that can be read in two ways.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialectError {
    /// Two separators that are equally likely.
    #[error(
        "columns may be separated by {first} or by {second}; separate them by commas, and write \
         decimal points"
    )]
    Separator {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Decimal points and decimal commas.
    #[error(
        "line {point} has a decimal point, and line {comma} a decimal comma; write all numbers in \
         one way"
    )]
    Decimals {
        /// A line, from 1.
        point: u64,
        /// Another line, from 1.
        comma: u64,
    },
    /// A comma that may separate decimals or thousands.
    #[error(
        "line {line}: the comma in `{text}` may stand before decimals or thousands; write numbers \
         without separators of thousands, and with decimal points"
    )]
    Thousands {
        /// The line, from 1.
        line: u64,
        /// The cell.
        text: String,
    },
}

/// How a file is written, as far as it has been read.
#[derive(Clone, Debug)]
pub struct Dialect {
    separator: u8,
    name: &'static str,
    /// A line with a decimal point.
    point: Option<u64>,
    /// A line with a decimal comma.
    comma: Option<u64>,
    /// The first cell whose comma may stand before thousands, and whether another one tells that it
    /// does not.
    grouped: Option<(u64, String)>,
    proved: bool,
}

/// How well a separator fits the first records.
struct Fit {
    separator: (u8, &'static str),
    /// Cells of the first record.
    first: usize,
    /// Whether all records have as many cells as the first, and more than one.
    even: bool,
    numbers: usize,
    /// Cells of text with another separator in them.
    foreign: usize,
    cells: usize,
}

impl Fit {
    fn of(separator: (u8, &'static str), bytes: &[u8]) -> Self {
        let mut fit = Self { separator, first: 0, even: true, numbers: 0, foreign: 0, cells: 0 };
        let mut reader = reader(separator.0, bytes);
        for record in reader.byte_records().take(SAMPLE).map_while(Result::ok) {
            if fit.cells == 0 {
                fit.first = record.len();
            }
            fit.even &= record.len() == fit.first && fit.first > 1;
            fit.cells += record.len();
            for cell in &record {
                if core::str::from_utf8(cell).is_ok_and(is_number) {
                    fit.numbers += 1;
                } else if SEPARATORS.iter().any(|other| cell.contains(&other.0)) {
                    fit.foreign += 1;
                }
            }
        }
        fit
    }

    /// More of its cells are numbers, or fewer look like several cells.
    fn is_better_than(&self, other: &Self) -> bool {
        let (own, others) = (self.numbers * other.cells, other.numbers * self.cells);
        own > others || own == others && self.foreign < other.foreign
    }
}

impl Dialect {
    /// Finds out what separates the columns: that which gives every row as many cells, and the most
    /// numbers. Where nothing does, that which the first line has most of.
    ///
    /// # Errors
    /// [`DialectError::Separator`].
    pub fn of(bytes: &[u8]) -> Result<Self, DialectError> {
        let fits = SEPARATORS.map(|separator| Fit::of(separator, bytes));
        let mut even = fits.iter().filter(|fit| fit.even && fit.cells > 0);
        let best =
            even.clone().reduce(|best, fit| if fit.is_better_than(best) { fit } else { best });
        if let Some(best) = best
            && let Some(rival) = even.find(|fit| {
                fit.numbers > 0 && fit.separator != best.separator && !best.is_better_than(fit)
            })
        {
            return Err(DialectError::Separator {
                first: best.separator.1,
                second: rival.separator.1,
            });
        }
        let usual = SEPARATORS.first().copied().unwrap_or((b',', ""));
        let most = fits.iter().reduce(|most, fit| if fit.first > most.first { fit } else { most });
        let (separator, name) = best.or(most).map_or(usual, |fit| fit.separator);
        Ok(Self { separator, name, point: None, comma: None, grouped: None, proved: false })
    }

    /// A reader of records, whose cells are trimmed.
    #[must_use]
    pub fn reader<'b>(&self, bytes: &'b [u8]) -> csv::Reader<&'b [u8]> {
        reader(self.separator, bytes)
    }

    /// A cell as numbers are written in programs, with a decimal point; it need not be a number.
    ///
    /// # Errors
    /// [`DialectError::Decimals`] and [`DialectError::Thousands`].
    pub fn number<'t>(&mut self, text: &'t str, line: u64) -> Result<Cow<'t, str>, DialectError> {
        let plain = match text.split_once(',') {
            Some((whole, part)) if is_number(text) => {
                // Who separates columns by commas and quotes a number has perhaps grouped it.
                if self.separator == b',' && part.len() == 3 {
                    let text = text.chars().take(SHOWN).collect();
                    return Err(DialectError::Thousands { line, text });
                }
                let digits = whole.trim_start_matches(['-', '+']);
                let thousands = part.len() == 3 && digits.len() <= 3 && !digits.starts_with('0');
                if !thousands {
                    self.proved = true;
                } else if self.grouped.is_none() {
                    self.grouped = Some((line, text.chars().take(SHOWN).collect()));
                }
                self.comma.get_or_insert(line);
                Cow::Owned(format!("{whole}.{part}"))
            }
            _ => Cow::Borrowed(text),
        };
        if text.contains('.') && is_number(text) {
            self.point.get_or_insert(line);
        }
        match (self.point, self.comma) {
            (Some(point), Some(comma)) => Err(DialectError::Decimals { point, comma }),
            _ => Ok(plain),
        }
    }

    /// When all cells were read: whether their commas can only be decimal ones.
    ///
    /// # Errors
    /// [`DialectError::Thousands`].
    pub fn finish(&self) -> Result<(), DialectError> {
        match &self.grouped {
            Some((line, text)) if !self.proved => {
                Err(DialectError::Thousands { line: *line, text: text.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What is unusual, for the log; nothing is where columns have commas and numbers points.
    #[must_use]
    pub fn unusual(&self) -> Option<String> {
        let decimals = self.comma.map(|_| ", numbers have decimal commas").unwrap_or_default();
        let usual = self.separator == b',' && decimals.is_empty();
        (!usual).then(|| format!("columns are separated by {}{decimals}", self.name))
    }
}

/// Whether a cell is a number, with a decimal point or a decimal comma.
#[must_use]
pub fn is_number(text: &str) -> bool {
    match text.split_once(',') {
        None => text.parse::<f64>().is_ok(),
        Some((whole, part)) => {
            part.starts_with(|c: char| c.is_ascii_digit())
                && !text.contains('.')
                && format!("{whole}.{part}").parse::<f64>().is_ok()
        }
    }
}

/// The line that a record is on, from 1: the reader's position is before the blank lines above it.
#[must_use]
pub fn line(bytes: &[u8], record: &csv::StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let above = bytes
        .get(from..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + above.filter(|byte| **byte == b'\n').count() as u64
}

fn reader(separator: u8, bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(separator)
        .from_reader(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators() {
        for (text, expected) in [
            ("1,2\n3,4\n", "commas"),
            ("a,b\n", "commas"),
            ("5\n6\n", "commas"),
            ("1;2\n3;4\n", "semicolons"),
            ("1,5;2,5\n", "semicolons"),
            ("1,5\t2,5\n", "tabs"),
            ("1,\t2\n", "commas"),
            ("name;speed, km/h\nx;2,5\n", "semicolons"),
            ("id,note\n1,a;b\n2,c;d\n", "commas"),
            ("\"1,5\",\"2,5\"\n", "commas"),
            // Uneven rows are the reader's matter.
            ("1,2\n3\n", "commas"),
            ("1;2\n3\n", "semicolons"),
            ("", "commas"),
        ] {
            let dialect = Dialect::of(text.as_bytes()).expect(text);
            assert_eq!(dialect.name, expected, "{text:?}");
        }
        let refused = Dialect::of(b"1;a,2\n").expect_err("in two ways").to_string();
        assert!(refused.contains("by commas or by semicolons"), "{refused}");
    }

    #[test]
    fn decimals() {
        let dialect = |text: &str| Dialect::of(text.as_bytes()).expect(text);
        let mut semicolons = dialect("1;2\n");
        assert_eq!(semicolons.number("-1,250", 1).expect("one way"), "-1.250");
        assert_eq!(semicolons.number("7", 2).expect("one way"), "7");
        assert_eq!(semicolons.number("1.234,5", 2).expect("no number"), "1.234,5");
        let unusual = "columns are separated by semicolons, numbers have decimal commas";
        assert_eq!(semicolons.unusual().as_deref(), Some(unusual));
        // Three digits alone may be thousands; another cell tells.
        assert!(semicolons.finish().is_err());
        assert_eq!(semicolons.number("12,5", 2).expect("one way"), "12.5");
        semicolons.finish().expect("decimals");
        let refused = semicolons.number("0.5", 3).expect_err("mixed").to_string();
        assert!(refused.starts_with("line 3 has a decimal point, and line 1 a"), "{refused}");

        let mut commas = dialect("1,2\n");
        assert_eq!(commas.unusual(), None);
        assert_eq!(commas.number("1,5", 1).expect("one way"), "1.5");
        let refused = commas.number("1,234", 4).expect_err("grouped").to_string();
        assert!(refused.starts_with("line 4: the comma in `1,234` may"), "{refused}");
        let refused = commas.number("0.5e3", 5).expect_err("mixed").to_string();
        assert!(refused.starts_with("line 5 has a decimal point, and line 1 a"), "{refused}");
    }
}
