//! No line of Rust is longer than 100 columns, comments and strings included; rustfmt keeps to its
//! width only where it can.

use super::source;

const COLUMNS: usize = 100;

#[test]
fn no_line_is_longer_than_100_columns() {
    let sources = source::files("");
    assert!(sources.len() > 300, "{} files", sources.len());
    let mut long = String::new();
    for source in sources {
        for (number, line) in (1..).zip(source.text.lines()) {
            if line.chars().count() > COLUMNS {
                long += &format!("{}:{number}\n", source.path.display());
            }
        }
    }
    assert!(long.is_empty(), "{long}");
}
