//! JSON of a file: read into a tree, numbers as they are written.
//!
//! `serde_json` would take 50 KB of the page to read one, a sixth of it, and turn decimals into
//! floats. Tests hold this reader against it.

use core::str::Chars;

/// Lists and objects that may lie in each other.
const MOST_DEEP: u32 = 8;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'t> {
    /// `null`, `true` or `false`.
    Word(&'t str),
    /// As it is written.
    Number(&'t str),
    Text(String),
    List(Vec<Self>),
    /// In the order of the file.
    Object(Vec<(String, Self)>),
}

/// Reads a file.
///
/// # Errors
/// It is no JSON: where reading has come to, in bytes.
pub fn read(text: &str) -> Result<Value<'_>, usize> {
    let mut reader = Reader(text.chars());
    let value = reader.value(MOST_DEEP);
    reader.skip();
    let rest = reader.0.as_str();
    value.filter(|_| rest.is_empty()).ok_or(text.len() - rest.len())
}

/// What is still to be read.
struct Reader<'t>(Chars<'t>);

impl<'t> Reader<'t> {
    /// What stands there as long as letters are wanted.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let text = self.0.as_str();
        let end = text.find(|letter| !wanted(letter)).unwrap_or(text.len());
        let (run, rest) = text.split_at_checked(end).unwrap_or_default();
        self.0 = rest.chars();
        run
    }

    fn skip(&mut self) {
        self.run(|letter| " \t\r\n".contains(letter));
    }

    /// The next letter behind white space, if it is one of these.
    fn next_of(&mut self, wanted: &str) -> Option<char> {
        self.skip();
        let letter = self.0.clone().next().filter(|letter| wanted.contains(*letter))?;
        self.0.next();
        Some(letter)
    }

    fn value(&mut self, deep: u32) -> Option<Value<'t>> {
        let deep = deep.checked_sub(1)?;
        match self.next_of("[{\"") {
            Some('[') => self.items("]", |reader| reader.value(deep)).map(Value::List),
            Some('{') => self.items("}", |reader| reader.field(deep)).map(Value::Object),
            Some(_) => self.text().map(Value::Text),
            None => {
                match self.run(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter)) {
                    word @ ("null" | "true" | "false") => Some(Value::Word(word)),
                    number => is_number(number).then_some(Value::Number(number)),
                }
            }
        }
    }

    fn field(&mut self, deep: u32) -> Option<(String, Value<'t>)> {
        self.next_of("\"")?;
        let name = self.text()?;
        self.next_of(":")?;
        Some((name, self.value(deep)?))
    }

    /// What stands between commas, up to `end`.
    fn items<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if self.next_of(end).is_some() {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.next_of(",").is_none() {
                return self.next_of(end).map(|_| items);
            }
        }
    }

    /// A text, behind its first quotation mark.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            text.push_str(self.run(|letter| letter >= ' ' && letter != '"' && letter != '\\'));
            match self.0.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                _ => return None,
            }
        }
    }

    /// What is meant by the letters behind a backslash.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            letter @ ('"' | '\\' | '/') => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match self.unit()? {
                // Two units are a letter.
                high @ 0xd800..0xdc00 => {
                    let mark = [self.0.next()?, self.0.next()?];
                    let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    let letter = 0x10000 + ((high - 0xd800) << 10) + low;
                    char::from_u32(letter).filter(|_| mark == ['\\', 'u'])?
                }
                unit => char::from_u32(unit)?,
            },
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | self.0.next()?.to_digit(16)?))
    }
}

/// Whether it is written as JSON writes a number.
fn is_number(text: &str) -> bool {
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    are_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && are_digits(part)
        && are_digits(power.strip_prefix(['+', '-']).unwrap_or(power))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use serde_json::Value as Theirs;

    use super::*;

    fn same(ours: &Value<'_>, theirs: &Theirs) -> bool {
        match (ours, theirs) {
            (Value::Word("null"), Theirs::Null) => true,
            (Value::Word(word), Theirs::Bool(bool)) => *word == bool.to_string(),
            (Value::Number(text), Theirs::Number(number)) => {
                // Theirs rounds twice where the exponent is large.
                let (ours, theirs) = (text.parse::<f64>().unwrap(), number.as_f64().unwrap());
                (ours - theirs).abs() <= 1e-14 * ours.abs() || ours == theirs
            }
            (Value::Text(ours), Theirs::String(theirs)) => ours == theirs,
            (Value::List(ours), Theirs::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
            }
            // Of a field that is there twice they know the last one.
            (Value::Object(ours), Theirs::Object(theirs)) => {
                theirs.iter().all(|(name, theirs)| {
                    let found = ours.iter().rev().find(|(found, _)| found == name);
                    found.is_some_and(|(_, ours)| same(ours, theirs))
                }) && ours.iter().all(|(name, _)| theirs.contains_key(name))
            }
            _ => false,
        }
    }

    /// Reads as they do, or refuses as they do.
    fn compare(text: &str) -> bool {
        let (ours, theirs) = (read(text), serde_json::from_str::<Theirs>(text));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => assert!(same(ours, theirs), "{text}: {ours:?}"),
            (Err(at), Err(_)) => assert!(*at <= text.len(), "{text}: {at}"),
            // They have numbers out of range, which here are judged where they are used.
            (Ok(_), Err(error)) => assert!(error.to_string().contains("out of range"), "{text}"),
            (Err(at), Ok(_)) => panic!("{text}: refused at {at}"),
        }
        ours.is_ok()
    }

    #[test]
    fn json_is_read_as_serde_does() {
        for text in [
            "null",
            " true\t",
            "\r\nfalse",
            "0",
            "-0",
            "-1.5e-7",
            "1E+3",
            "[]",
            "[ ]",
            "{}",
            "[1 , 2]",
            r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00é""#,
            r#"{"a":[{}],"a":null}"#,
        ] {
            assert!(compare(text), "{text}");
        }
        for text in [
            "",
            " ",
            "nul",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "0x1",
            "[1,]",
            "[,]",
            "[1 2]",
            "{1:2}",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "1 2",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\ud800\n1234""#,
            r#""\udc00""#,
            "\"\n\"",
            "\"",
            "[",
            "{\"a\":",
            "\u{a0}1",
        ] {
            assert!(!compare(text), "{text}");
        }
        assert_eq!(read("[1, x]"), Err(5));
        // Deeper than a trace is; without a bound a file could use up the stack.
        assert!(read(&"[".repeat(1 << 16)).is_err() && read(&"[".repeat(9)).is_err());
        assert!(read("[[[[[[[8]]]]]]]").is_ok() && read("[[[[[[[[9]]]]]]]]").is_err());
    }

    /// A trace with some letters changed, `SHARELET_SEED` repeats it: nothing panics, and what is
    /// read is what serde reads.
    #[test]
    fn damaged_json_is_read_as_serde_does() {
        let seed = std::env::var("SHARELET_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| {
            std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs())
        });
        println!("SHARELET_SEED={seed}");
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let text = include_str!("../example.json");
        let letters: Vec<char> = "{}[]\",:\\u0019eE+-. \nntf\u{1}é".chars().collect();
        let mut below = |limit: usize| rng.next_u32() as usize % limit;
        let mut read = 0;
        for _ in 0..2_000 {
            let begin = below(text.len());
            let mut damaged: Vec<char> = match below(2) {
                0 => text.chars().collect(),
                _ => text.chars().skip(begin).take(below(60)).collect(),
            };
            for _ in 0..below(3) {
                let (at, letter) = (below(damaged.len() + 1), letters[below(letters.len())]);
                match below(3) {
                    0 => damaged.insert(at, letter),
                    _ if at == damaged.len() => {}
                    1 => damaged[at] = letter,
                    _ => drop(damaged.remove(at)),
                }
            }
            read += u32::from(compare(&damaged.into_iter().collect::<String>()));
        }
        assert!((200..1_900).contains(&read), "{read} are JSON");
    }
}
