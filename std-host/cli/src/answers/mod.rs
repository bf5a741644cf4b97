//! Answers as people and programs read them: a line each, as text, JSON or CSV. `docs/answers.md`
//! has the fields.

mod decimal;
mod labels;

use std::io;

use clap::{Args, ValueEnum};
use serde::Serialize;
use sharelet_core::DeviceId;
use sharelet_core::ring::Ring;
use sharelet_core::session::wire::query::QueryId;
use sharelet_model::{Scores, classes_of_pairs, largest};

pub use self::decimal::decimal;
pub use self::labels::Labels;
use super::common::WrongArguments;

/// How answers are printed.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Answers")]
pub struct AnswerArgs {
    /// Print one JSON object per line.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV with a header.
    #[arg(long)]
    pub csv: bool,
    /// Print the words of the ring, which are whole numbers: divide by 2^frac_bits for reals.
    #[arg(long)]
    pub raw: bool,
    /// Print what a network ended in, too: softmax or log-softmax of all values, sigmoid or tanh
    /// of each, sigmoids divided by their sum, or the votes of pairs of classes, which elect the
    /// class. Of a model that is here it is known, unless `none` is given.
    #[arg(long, value_enum, value_name = "FUNCTION")]
    pub scores: Option<ScoresArg>,
    /// Names of the outputs: a text file with one per line, or names separated by commas.
    #[arg(long, value_name = "FILE|A,B,C", value_parser = Labels::parse)]
    pub labels: Option<Labels>,
}

/// What a network ended in.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoresArg {
    /// Nothing.
    None,
    /// `e^x`, divided by the sum of all.
    Softmax,
    /// The logarithm of that.
    LogSoftmax,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)` of each, divided by the sum of all.
    OneVsRest,
    /// Votes for classes, of values for pairs of them.
    OneVsOne,
}

impl ScoresArg {
    fn scores(self) -> Option<Scores> {
        match self {
            Self::None => None,
            Self::Softmax => Some(Scores::Softmax),
            Self::LogSoftmax => Some(Scores::LogSoftmax),
            Self::Sigmoid => Some(Scores::Sigmoid),
            Self::Tanh => Some(Scores::Tanh),
            Self::OneVsRest => Some(Scores::OneVsRest),
            Self::OneVsOne => Some(Scores::OneVsOne),
        }
    }
}

/// What an answer is an answer to.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// A reading of this command, counted from 0.
    Reading(usize),
    /// A query of a data party.
    Query(QueryId),
    /// A session of a device.
    Session(DeviceId, u64),
}

impl Asked {
    /// Names of fields and what is in them, in their order.
    fn fields(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Reading(index) => vec![("index", index.to_string())],
            Self::Query(id) => vec![("query", id.to_string())],
            Self::Session(device, session) => {
                vec![("device", device.to_string()), ("session", session.to_string())]
            }
        }
    }
}

/// An answer; the fields are those of the JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    values: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Vec<f64>>,
    frac_bits: u8,
    class: Option<usize>,
    label: Option<&'a str>,
}

/// A value in JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Value {
    Word(i64),
    Number(f64),
}

/// Turns answers into lines.
#[derive(Debug)]
pub struct Printer {
    args: AnswerArgs,
    labels: Vec<String>,
    /// Whether the labels were given, and go before those of models.
    given: bool,
    scores: Option<Scores>,
    begun: bool,
    /// Columns of values and scores of a table that was begun.
    columns: Option<[usize; 2]>,
}

impl Printer {
    /// A printer; `labels` and `scores` are those of the model, if it is known; `--labels` and
    /// `--scores` go before them.
    #[must_use]
    pub fn new(mut args: AnswerArgs, labels: &[String], scores: Option<Scores>) -> Self {
        let scores = args.scores.map_or(scores, ScoresArg::scores);
        let given = args.labels.take().map(Labels::names);
        let is_given = given.is_some();
        let labels = given.unwrap_or_else(|| labels.to_vec());
        Self { args, labels, given: is_given, scores, begun: false, columns: None }
    }

    /// The answers that follow are those of a model with these labels and scores.
    pub fn of_model(&mut self, labels: &[String], scores: Option<Scores>) {
        if self.args.scores.is_none() {
            self.scores = scores;
        }
        if !self.given && self.labels != labels {
            self.labels = labels.to_vec();
        }
    }

    /// Refuses labels that are not as many as there are outputs.
    ///
    /// # Errors
    /// [`WrongArguments`].
    pub fn expect_outputs(&self, outputs: usize) -> Result<(), WrongArguments> {
        let (expected, what) = match self.scores {
            Some(Scores::OneVsOne) => (classes_of_pairs(outputs).unwrap_or(outputs), "classes"),
            _ => (outputs, "outputs"),
        };
        match self.labels.len() {
            0 => Ok(()),
            found if found == expected => Ok(()),
            found => Err(WrongArguments(format!(
                "--labels: {found} labels for {expected} {what}; give one for each"
            ))),
        }
    }

    /// The line of an answer, with its end; before the first of CSV, the header.
    ///
    /// # Errors
    /// It cannot be written as JSON or CSV, which does not happen.
    pub fn line<R: Ring>(
        &mut self,
        asked: Asked,
        frac_bits: u8,
        answer: &[R],
    ) -> io::Result<String> {
        if !self.begun
            && let Err(error) = self.expect_outputs(answer.len())
        {
            tracing::warn!("{error}");
        }
        let words = answer.iter().map(|word| word.to_i64());
        let reals: Vec<f64> =
            words.clone().map(|word| word as f64 / f64::from(frac_bits).exp2()).collect();
        // A single number has no class, unless it is of a pair.
        let elected = self.scores.and_then(|scores| scores.elected(&reals));
        let class = elected.or_else(|| largest(answer).filter(|_| answer.len() > 1));
        let label = class.and_then(|class| self.labels.get(class)).map(String::as_str);
        let scores = self.scores.map(|scores| scores.of(&reals));
        let line = if self.args.json {
            let number = |word: i64| {
                if self.args.raw {
                    return Value::Word(word);
                }
                // What is printed as text is a number for every reader of JSON, too.
                Value::Number(decimal(word, frac_bits).parse().unwrap_or_default())
            };
            let (index, query, device, session) = match asked {
                Asked::Reading(index) => (Some(index), None, None, None),
                Asked::Query(id) => (None, Some(id.to_string()), None, None),
                Asked::Session(device, session) => {
                    (None, None, Some(device.to_string()), Some(session))
                }
            };
            let values = words.map(number).collect();
            let line =
                Line { index, query, device, session, values, scores, frac_bits, class, label };
            serde_json::to_string(&line)? + "\n"
        } else {
            let raw = self.args.raw;
            let values: Vec<String> = words
                .map(|word| if raw { word.to_string() } else { decimal(word, frac_bits) })
                .collect();
            let scores = scores.unwrap_or_default();
            let scores: Vec<String> = scores.iter().map(|score| format!("{score:.6}")).collect();
            if self.args.csv {
                // A table has one header: what another model has less of is left empty.
                let has = [values.len(), scores.len()];
                let columns = *self.columns.get_or_insert(has);
                let fitted = |mut cells: Vec<String>, [has, most]: [usize; 2]| {
                    if has > most {
                        tracing::warn!("{has} numbers for {most} columns: use --json");
                    }
                    cells.resize(most, String::new());
                    cells
                };
                let values = fitted(values, [has[0], columns[0]]);
                let scores = fitted(scores, [has[1], columns[1]]);
                csv(asked, frac_bits, [&values, &scores], (class, label), !self.begun)?
            } else {
                text(asked, raw.then_some(frac_bits), [&values, &scores], (class, label))
            }
        };
        self.begun = true;
        Ok(line)
    }
}

/// `key=value` with blanks between them; a label may have blanks, and comes last.
fn text(
    asked: Asked,
    frac_bits: Option<u8>,
    [values, scores]: [&[String]; 2],
    (class, label): (Option<usize>, Option<&str>),
) -> String {
    let mut pairs = asked.fields();
    pairs.extend(frac_bits.map(|bits| ("frac_bits", bits.to_string())));
    pairs.push(("values", values.join(",")));
    if !scores.is_empty() {
        pairs.push(("scores", scores.join(",")));
    }
    pairs.extend(class.map(|class| ("class", class.to_string())));
    pairs.extend(label.map(|label| ("label", label.to_owned())));
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ") + "\n"
}

/// A record, and the header before it.
fn csv(
    asked: Asked,
    frac_bits: u8,
    [values, scores]: [&[String]; 2],
    (class, label): (Option<usize>, Option<&str>),
    header: bool,
) -> io::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let asked = asked.fields();
    if header {
        let columns = (0..values.len()).map(|column| format!("value_{column}"));
        let fixed = ["class", "label", "frac_bits"].map(str::to_owned);
        let columns = columns.chain((0..scores.len()).map(|column| format!("score_{column}")));
        let names = asked.iter().map(|(name, _)| (*name).to_owned()).chain(fixed).chain(columns);
        writer.write_record(names)?;
    }
    let class = class.map_or_else(String::new, |class| class.to_string());
    let fixed = [class, label.unwrap_or_default().to_owned(), frac_bits.to_string()];
    let fields = asked.iter().map(|(_, value)| value).chain(&fixed).chain(values).chain(scores);
    writer.write_record(fields)?;
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [u32; 3] = [384, (-64_i32).cast_unsigned(), 1];

    fn line(args: AnswerArgs, asked: Asked, words: &[u32]) -> String {
        let labels = ["idle, cold", "normal", "worn"].map(str::to_owned);
        let labels = if words.len() == 3 { &labels[..] } else { &[] };
        Printer::new(args, labels, None).line(asked, 8, words).expect("prints")
    }

    #[test]
    fn text_json_and_csv() {
        let (index, pump) = (Asked::Reading(7), DeviceId::new("pump").expect("a name"));
        let (session, one) = (Asked::Session(pump, 12), [1_u32]);
        let text = AnswerArgs::default;
        let raw = || AnswerArgs { raw: true, ..text() };
        let json = || AnswerArgs { json: true, ..text() };
        let csv = || AnswerArgs { csv: true, ..text() };
        for (args, asked, words, expected) in [
            (text(), index, &WORDS[..], "index=7 values=1.5,-0.25,0.004 class=0 label=idle, cold"),
            (
                raw(),
                index,
                &WORDS[..],
                "index=7 frac_bits=8 values=384,-64,1 class=0 label=idle, cold",
            ),
            (text(), session, &one, "device=pump session=12 values=0.004"),
            (
                json(),
                index,
                &WORDS[..],
                concat!(
                    r#"{"index":7,"values":[1.5,-0.25,0.004],"frac_bits":8,"#,
                    r#""class":0,"label":"idle, cold"}"#
                ),
            ),
            (
                AnswerArgs { raw: true, ..json() },
                session,
                &one,
                concat!(
                    r#"{"device":"pump","session":12,"values":[1],"frac_bits":8,"#,
                    r#""class":null,"label":null}"#
                ),
            ),
            (
                csv(),
                index,
                &WORDS[..],
                "index,class,label,frac_bits,value_0,value_1,value_2\n\
                 7,0,\"idle, cold\",8,1.5,-0.25,0.004",
            ),
            (
                AnswerArgs { raw: true, ..csv() },
                session,
                &one,
                "device,session,class,label,frac_bits,value_0\npump,12,,,8,1",
            ),
        ] {
            assert_eq!(line(args, asked, words), format!("{expected}\n"));
        }
    }

    #[test]
    fn scores_stand_behind_values() {
        let printed = |args: AnswerArgs, scores| {
            let mut printer = Printer::new(args, &[], scores);
            printer.line(Asked::Reading(0), 8, &[256_u32, 0]).expect("prints")
        };
        let text = AnswerArgs::default;
        let softmax = Some(Scores::Softmax);
        let line = printed(text(), softmax);
        assert_eq!(line, "index=0 values=1,0 scores=0.731059,0.268941 class=0\n");
        let none = AnswerArgs { scores: Some(ScoresArg::None), ..text() };
        assert_eq!(printed(none, softmax), "index=0 values=1,0 class=0\n");
        let tanh = AnswerArgs { scores: Some(ScoresArg::Tanh), raw: true, ..text() };
        let line = printed(tanh, softmax);
        assert_eq!(line, "index=0 frac_bits=8 values=256,0 scores=0.761594,0.000000 class=0\n");
        let csv = printed(AnswerArgs { csv: true, ..text() }, softmax);
        let header = "index,class,label,frac_bits,value_0,value_1,score_0,score_1\n";
        assert_eq!(csv, format!("{header}0,0,,8,1,0,0.731059,0.268941\n"));
        let json = printed(AnswerArgs { json: true, ..text() }, softmax);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert!((json["scores"][0].as_f64().expect("a number") - 0.731_058_578).abs() < 1e-8);
    }

    /// The largest of three pairs is the first; two of them vote for the last class.
    #[test]
    fn pairs_elect_the_class() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let mut printer = Printer::new(AnswerArgs::default(), &labels, Some(Scores::OneVsOne));
        let words = [-256_i32, -512, -768].map(i32::cast_unsigned);
        let line = printer.line(Asked::Reading(0), 8, &words).expect("prints");
        let expected =
            "index=0 values=-1,-2,-3 scores=0.000000,1.000000,2.000000 class=2 label=c\n";
        assert_eq!(line, expected);
        let one = printer.line(Asked::Reading(1), 8, &[256_u32]).expect("prints");
        assert!(one.contains("scores=1.000000,0.000000 class=0 label=a"), "{one}");
        assert!(printer.expect_outputs(6).is_err_and(|error| error.0.contains("4 classes")));
    }

    #[test]
    fn a_table_keeps_the_columns_that_it_began_with() {
        let csv = AnswerArgs { csv: true, ..AnswerArgs::default() };
        let mut printer = Printer::new(csv, &[], None);
        let mut printed = |scores, words: &[u32]| {
            printer.of_model(&[], scores);
            printer.line(Asked::Reading(0), 8, words).expect("prints")
        };
        let begun = printed(Some(Scores::Tanh), &[256, 0]);
        assert_eq!(begun.lines().last(), Some("0,0,,8,1,0,0.761594,0.000000"));
        assert_eq!(printed(None, &[256, 0]), "0,0,,8,1,0,,\n");
        assert_eq!(printed(Some(Scores::Sigmoid), &[0, 0]), "0,0,,8,0,0,0.500000,0.500000\n");
        assert_eq!(printed(Some(Scores::Tanh), &[256]), "0,,,8,1,,0.761594,\n");
        assert_eq!(printed(None, &[256, 0, 512]), "0,2,,8,1,0,,\n");
    }

    #[test]
    fn csv_has_one_header() {
        let mut printer =
            Printer::new(AnswerArgs { csv: true, ..AnswerArgs::default() }, &[], None);
        let mut printed = |index| printer.line(Asked::Reading(index), 8, &WORDS).expect("prints");
        assert_eq!(printed(0).lines().count(), 2);
        assert_eq!(printed(1), "1,0,,8,1.5,-0.25,0.004\n");
    }

    #[test]
    fn a_label_for_each_output() {
        let labels = Labels::parse("a,b").expect("labels");
        let args = AnswerArgs { labels: Some(labels), ..AnswerArgs::default() };
        let printer = Printer::new(args, &[], None);
        assert!(printer.expect_outputs(2).is_ok());
        let refused = printer.expect_outputs(3).expect_err("refused").to_string();
        assert!(refused.contains("2 labels for 3 outputs"), "{refused}");
    }
}
