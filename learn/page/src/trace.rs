//! A trace of a session, as `sharelet explain MODEL.slt --json` writes it: read, held against
//! itself, and summed up.
//!
//! A trace comes from a file, so nothing in it is believed. Whatever contradicts itself is refused
//! with a sentence, so that no wrong number is shown.

use core::fmt;

use serde::Serialize;
use sharelet_core::session::wire::frame::HEADER_BYTES;

use crate::json::{self, Value};
use crate::refusal::Refusal;

/// The version that is read.
const VERSION: u64 = 1;
/// How a trace is made.
const COMMAND: &str = "`sharelet explain MODEL.slt --json`";
/// A trace of the built-in model.
const EXAMPLE: &str = include_str!("../example.json");
/// The first bytes of a message, as many as a trace of this version tells.
const TOLD_BYTES: u64 = 8;
/// A frame says its layer in a byte, and its length in four.
const LAYERS: u64 = 1 << 8;
const BODY_BYTES: u64 = 1 << 32;
/// Whole numbers below are exact in a browser.
const EXACT: u64 = 1 << 53;
/// Decimals that are compared: a word of the ring has at most 20.
const DECIMALS: usize = 24;

const PHASES: [&str; 3] = ["connect", "prepare", "online"];
/// `P0` and `P1`.
const SIDES: [&str; 2] = ["device", "host"];

/// A trace, and what is worked out from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    version: u64,
    model: String,
    layers: u64,
    /// Bytes from the dealer to the host, ahead.
    dealt_bytes: u64,
    messages: Vec<Message>,
    /// Bytes of the device and of the host in the whole session, whether it is listed or not.
    stated: [u64; 2],
    /// As they are written; none if the device is not to learn them.
    answer: Vec<String>,
    twin: Vec<String>,
    /// Whether these are the same, if there is an answer.
    same: Option<bool>,
    /// The layer whose messages alone are listed, if it is one.
    only: Option<u64>,
    /// Bytes of a frame's header, which no message counts.
    header_bytes: usize,
    /// Of the messages that are listed, by their phases and layers.
    phases: Vec<Sum>,
    by_layer: Vec<Sum>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Message {
    number: u64,
    /// Its number in the order of phases.
    phase: usize,
    /// Who sends it: the number of a side. The other one gets it.
    from: usize,
    name: String,
    layer: Option<u64>,
    bytes: u64,
    first_bytes: String,
    carries: String,
    hides: String,
    /// Bytes of the device and of the host, up to here.
    so_far: [u64; 2],
}

/// Messages that belong together: how many, and bytes of the device and of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Sum {
    messages: usize,
    bytes: [u64; 2],
}

impl Sum {
    /// Adds `message`. There are few, and their bytes are below [`BODY_BYTES`].
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        if let Some(bytes) = self.bytes.get_mut(message.from) {
            *bytes += message.bytes;
        }
    }
}

/// A refusal: what is wrong, and what to do.
fn refuse(what: impl fmt::Display) -> Refusal {
    Refusal::new(format!("{what}. Choose a file that {COMMAND} has written."))
}

fn contradicts(what: impl fmt::Display) -> Refusal {
    refuse(format_args!("The trace contradicts itself: {what}"))
}

/// An object, and what it is called in a refusal.
struct Fields<'t> {
    of: String,
    fields: Vec<(String, Value<'t>)>,
}

impl<'t> Fields<'t> {
    fn of(of: String, value: Value<'t>) -> Result<Self, Refusal> {
        match value {
            Value::Object(fields) => Ok(Self { of, fields }),
            _ => Err(refuse(format_args!("{of} is no object"))),
        }
    }

    /// Takes a field out.
    fn take(&mut self, name: &str) -> Result<Value<'t>, Refusal> {
        let wrong = |what| refuse(format_args!("{} has {what} `{name}`", self.of));
        let mut found = self.fields.iter().enumerate().filter(|(_, (found, _))| found == name);
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Ok(self.fields.swap_remove(index).1),
            (None, _) => Err(wrong("no")),
            _ => Err(wrong("more than one")),
        }
    }

    fn wrong(&self, name: &str, wanted: impl fmt::Display) -> Refusal {
        refuse(format_args!("`{name}` of {} is not {wanted}", self.of))
    }

    /// A whole number below `limit`.
    fn number(&mut self, name: &str, limit: u64) -> Result<u64, Refusal> {
        let number = match self.take(name)? {
            Value::Number(text) => text.parse().ok().filter(|number| *number < limit),
            _ => None,
        };
        number.ok_or_else(|| self.wrong(name, format_args!("a whole number below {limit}")))
    }

    fn text(&mut self, name: &str) -> Result<String, Refusal> {
        match self.take(name)? {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong(name, "a text")),
        }
    }

    /// The number of one of these words.
    fn one_of(&mut self, name: &str, words: &[&str]) -> Result<usize, Refusal> {
        let text = self.text(name)?;
        let found = words.iter().position(|word| *word == text);
        found.ok_or_else(|| self.wrong(name, format_args!("one of {}", words.join(", "))))
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value<'t>>, Refusal> {
        match self.take(name)? {
            Value::List(list) => Ok(list),
            _ => Err(self.wrong(name, "a list")),
        }
    }

    /// Values of words of the ring: as they are written, and in units of the last decimal.
    fn values(&mut self, name: &str) -> Result<(Vec<String>, Vec<i128>), Refusal> {
        let value = |value| match value {
            Value::Number(text) => Some((text.to_owned(), in_ring(text)?)),
            _ => None,
        };
        let values: Option<_> = self.list(name)?.into_iter().map(value).collect();
        values.ok_or_else(|| self.wrong(name, "a list of numbers that words of 32 bits can mean"))
    }
}

/// A decimal, in units of its 24th digit behind the point, if a word of 32 bits may mean it: with
/// `f` fraction bits, at most 31, it is below `2^(31 - f)`, and is written with `0.301 f` decimals,
/// rounded up.
fn in_ring(text: &str) -> Option<i128> {
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let down: usize = power.strip_prefix('-').unwrap_or(power).parse().ok()?;
    // Programs write large numbers so, beyond the ring.
    if down > 0 && !power.starts_with('-') {
        return None;
    }
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let zeros = DECIMALS.checked_sub(part.len().checked_add(down)?)?;
    let written = part.trim_end_matches('0').len();
    let decimals = if written > 0 || down > 0 { written + down } else { 0 };
    if decimals > 10 {
        return None;
    }
    // Rather too few.
    let frac_bits = decimals.saturating_sub(1) * 332 / 100;
    let digits = whole.bytes().chain(part.bytes()).filter_map(|digit| digit.checked_sub(b'0'));
    let zeros = core::iter::repeat_n(0, zeros);
    let units = digits
        .filter(|digit| *digit < 10)
        .chain(zeros)
        .try_fold(0, |units, digit| i128::checked_mul(units, 10)?.checked_add(digit.into()))?;
    let units = if number.starts_with('-') { -units } else { units };
    let half = (0..DECIMALS).fold(1 << (31 - frac_bits), |half, _| half * 10);
    (-half..half).contains(&units).then_some(units)
}

/// Reads a trace; `example` means the one that the page has.
///
/// # Errors
/// It is none, or contradicts itself.
pub fn answer(text: &str) -> Result<Trace, Refusal> {
    if text == "example" {
        return answer(EXAMPLE);
    }
    if text.trim().is_empty() {
        return Err(refuse("The file is empty"));
    }
    if text.starts_with("A session of ") {
        return Err(refuse("This is a trace as text, and the page reads JSON"));
    }
    let value = json::read(text).map_err(|at| {
        refuse(format_args!("This is no JSON: it cannot be read beyond byte {at}"))
    })?;
    let mut fields = Fields::of("This file".to_owned(), value)?;
    let version = fields.number("version", EXACT)?;
    // Another version's fields may mean anything.
    if version != VERSION {
        return Err(Refusal::new(format!(
            "The trace is of version {version}, and this page reads version {VERSION}. Take page \
             and program from the same release, and run {COMMAND} again."
        )));
    }
    fields.of = "The trace".to_owned();
    let layers = fields.number("layers", LAYERS)?;
    if layers == 0 {
        return Err(refuse("The model is empty: the trace says that it has no layers"));
    }
    let messages = messages(fields.list("messages")?, layers)?;
    let ((answer, words), (twin, twins)) = (fields.values("answer")?, fields.values("twin")?);
    if twins.is_empty() || ![0, twins.len()].contains(&words.len()) {
        return Err(contradicts(format_args!(
            "its answer has {} values, and its twin {}",
            words.len(),
            twins.len()
        )));
    }
    let trace = Trace {
        version,
        model: fields.text("model")?,
        layers,
        dealt_bytes: fields.number("dealt_bytes", EXACT)?,
        stated: [fields.number("device_bytes", EXACT)?, fields.number("host_bytes", EXACT)?],
        only: messages.first().filter(|first| first.number > 1).and_then(|first| first.layer),
        phases: sums(&messages, PHASES.len(), |message| Some(message.phase)),
        by_layer: sums(&messages, usize::try_from(layers).unwrap_or(0), |message| {
            usize::try_from(message.layer?).ok()
        }),
        messages,
        same: (!words.is_empty()).then(|| words == twins),
        answer,
        twin,
        header_bytes: HEADER_BYTES,
    };
    trace.check_sums()?;
    Ok(trace)
}

/// The messages, in their order.
fn messages(list: Vec<Value<'_>>, layers: u64) -> Result<Vec<Message>, Refusal> {
    let count = list.len();
    if count == 0 {
        return Err(refuse("The trace is empty: it has no messages"));
    }
    // A greeting, an order, an end, and for each layer a message of each kind.
    if u64::try_from(count).is_ok_and(|count| count > 8 + 4 * layers) {
        return Err(contradicts(format_args!(
            "{count} messages are more than a network of {layers} layers sends"
        )));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(count);
    for (index, value) in list.into_iter().enumerate() {
        let so_far = messages.last().map_or([0; 2], |before| before.so_far);
        messages.push(Message::read(index, value, layers, so_far)?);
    }
    check_order(&messages)?;
    Ok(messages)
}

impl Message {
    fn read(
        index: usize,
        value: Value<'_>,
        layers: u64,
        mut so_far: [u64; 2],
    ) -> Result<Self, Refusal> {
        let mut fields = Fields::of(format!("The message in place {}", index + 1), value)?;
        let number = fields.number("number", EXACT)?;
        fields.of = format!("Message {number}");
        let phase = fields.one_of("phase", &PHASES)?;
        let (from, to) = (fields.one_of("from", &SIDES)?, fields.one_of("to", &SIDES)?);
        if from == to {
            return Err(contradicts(format_args!("message {number} goes to who sends it")));
        }
        let layer = match fields.take("layer")? {
            Value::Word("null") => None,
            value => {
                fields.fields.push(("layer".to_owned(), value));
                Some(fields.number("layer", layers)?)
            }
        };
        let bytes = fields.number("bytes", BODY_BYTES)?;
        let first_bytes = fields.text("first_bytes")?;
        let digits = u64::try_from(first_bytes.len()).unwrap_or(u64::MAX);
        let are_digits = first_bytes.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !are_digits || digits != 2 * bytes.min(TOLD_BYTES) {
            return Err(contradicts(format_args!(
                "message {number} has {bytes} bytes, and `first_bytes` is not the first of them"
            )));
        }
        if let Some(sum) = so_far.get_mut(from) {
            *sum += bytes;
        }
        Ok(Self {
            number,
            phase,
            from,
            name: fields.text("name")?,
            layer,
            bytes,
            first_bytes,
            carries: fields.text("carries")?,
            hides: fields.text("hides")?,
            so_far,
        })
    }
}

/// Whether messages follow each other, from the first on; or are those of one layer.
fn check_order(messages: &[Message]) -> Result<(), Refusal> {
    let Some(first) = messages.first() else { return Ok(()) };
    let whole = first.number == 1;
    if !whole && (first.number == 0 || first.layer.is_none()) {
        return Err(contradicts(format_args!("it begins with message {}", first.number)));
    }
    for (before, message) in messages.iter().zip(messages.iter().skip(1)) {
        let [last, number] = [before, message].map(|message| message.number);
        if number <= last || (whole && number != last + 1) {
            return Err(contradicts(format_args!("message {number} follows message {last}")));
        }
        if message.phase < before.phase {
            return Err(contradicts(format_args!(
                "message {number} is of an earlier phase than message {last}"
            )));
        }
        if !whole && message.layer != first.layer {
            return Err(contradicts(format_args!(
                "without its first message it is of one layer, and message {number} is of another"
            )));
        }
    }
    Ok(())
}

/// Sums of messages, by the number of what they belong to.
fn sums(messages: &[Message], count: usize, of: impl Fn(&Message) -> Option<usize>) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); count];
    for message in messages {
        if let Some(sum) = of(message).and_then(|of| sums.get_mut(of)) {
            sum.add(message);
        }
    }
    sums
}

impl Trace {
    /// Whether the sums that are stated are those of the messages.
    fn check_sums(&self) -> Result<(), Refusal> {
        let sums = self.messages.last().map_or([0; 2], |last| last.so_far);
        for ((side, sum), stated) in SIDES.iter().zip(sums).zip(self.stated) {
            // Of one layer are not more than all.
            if sum > stated || (self.only.is_none() && sum != stated) {
                return Err(contradicts(format_args!(
                    "messages of the {side} have {sum} bytes together, and `{side}_bytes` is \
                     {stated}"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn example() -> Value {
        serde_json::from_str(EXAMPLE).expect("JSON")
    }

    /// The refusal of the example after a change.
    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut trace = example();
        change(&mut trace);
        answer(&trace.to_string()).expect_err("refused").0
    }

    #[test]
    fn the_example_is_read_and_summed_up() {
        let trace = answer("example").expect("is of this version");
        let file = example();
        assert_eq!((trace.layers, trace.only, trace.same), (3, None, Some(true)));
        assert_eq!(trace.answer, trace.twin);
        assert_eq!(json!(trace.answer).to_string().replace('"', ""), file["answer"].to_string());
        let listed = file["messages"].as_array().expect("messages");
        assert_eq!(trace.messages.len(), listed.len());
        let mut sums = [0; 2];
        for (message, listed) in trace.messages.iter().zip(listed) {
            for field in ["number", "name", "layer", "bytes", "first_bytes", "carries", "hides"] {
                assert_eq!(json!(message)[field], listed[field], "{field}");
            }
            assert_eq!(PHASES[message.phase], listed["phase"]);
            assert_eq!(SIDES[message.from], listed["from"]);
            assert_eq!(SIDES[1 - message.from], listed["to"]);
            sums[message.from] += listed["bytes"].as_u64().expect("bytes");
            assert_eq!(message.so_far, sums);
        }
        assert_eq!([&file["device_bytes"], &file["host_bytes"]], sums);
        let of = |sums: &[Sum], side: usize| sums.iter().map(|sum| sum.bytes[side]).sum::<u64>();
        assert_eq!([of(&trace.phases, 0), of(&trace.phases, 1)], sums);
        let layers: usize = trace.by_layer.iter().map(|sum| sum.messages).sum();
        assert_eq!(layers, listed.iter().filter(|message| !message["layer"].is_null()).count());
    }

    #[test]
    fn one_layer_and_the_hosts_own_answer_are_read() {
        let mut trace = example();
        trace["answer"] = json!([]);
        trace["messages"].as_array_mut().expect("list").retain(|message| message["layer"] == 1);
        let trace = answer(&trace.to_string()).expect("a trace of one layer");
        assert_eq!((trace.only, trace.same), (Some(1), None));
        assert_eq!(trace.messages.len(), trace.by_layer[1].messages);
        let mut trace = example();
        trace["twin"][2] = json!(13.0);
        assert_eq!(answer(&trace.to_string()).expect("is shown").same, Some(false));
    }

    #[test]
    fn what_is_no_trace_is_said() {
        let said = |text: &str| answer(text).expect_err("refused").0;
        for (text, expected) in [
            (" \n", "is empty"),
            ("A session of model.slt, a network", "trace as text"),
            ("SLTMODEL", "no JSON: it cannot be read beyond byte 8"),
            ("{\"version\":1,", "no JSON"),
            ("[]", "This file is no object"),
            ("{}", "has no `version`"),
            ("{\"version\":\"1\"}", "`version` of This file is not a whole number"),
        ] {
            assert!(said(text).contains(expected), "{}", said(text));
            assert!(said(text).ends_with("`sharelet explain MODEL.slt --json` has written."));
        }
        assert!(said("{\"version\":2}").contains("version 2, and this page reads version 1."));
        assert!(said(&EXAMPLE[..1000]).contains("no JSON"));
        let twice = EXAMPLE.replacen("\"layers\":3", "\"layers\":3,\"layers\":3", 1);
        assert!(said(&twice).contains("The trace has more than one `layers`"), "{}", said(&twice));
    }

    #[test]
    fn every_field_must_be_there_and_of_its_type() {
        let file = example();
        for (name, _) in file.as_object().expect("object") {
            let gone = refused(|trace| drop(trace.as_object_mut().map(|all| all.remove(name))));
            assert!(gone.contains(&format!("no `{name}`")), "{name}: {gone}");
            let wrong = refused(|trace| trace[name] = json!({}));
            assert!(wrong.contains(&format!("`{name}` of ")), "{name}: {wrong}");
        }
        for (name, _) in file["messages"][6].as_object().expect("object") {
            let gone = refused(|trace| {
                drop(trace["messages"][6].as_object_mut().map(|all| all.remove(name)));
            });
            assert!(gone.contains(&format!("has no `{name}`")), "{name}: {gone}");
            let wrong = refused(|trace| trace["messages"][6][name] = json!([]));
            assert!(wrong.contains(&format!("`{name}` of ")), "{name}: {wrong}");
        }
        assert!(refused(|trace| trace["messages"][2] = json!(3)).contains("place 3 is no object"));
    }

    #[test]
    fn what_contradicts_itself_is_said() {
        let of_message = |field: &'static str, value: Value| {
            refused(move |trace| trace["messages"][7][field] = value)
        };
        let of_trace =
            |field: &'static str, value: Value| refused(move |trace| trace[field] = value);
        for (said, expected) in [
            (of_trace("layers", json!(0)), "The model is empty"),
            (of_trace("layers", json!(256)), "`layers` of The trace is not a whole number below"),
            (of_trace("layers", json!(-1)), "not a whole number"),
            (of_trace("layers", json!(1)), "`layer` of Message 6 is not a whole number below 1"),
            (of_trace("messages", json!(vec![0; 21])), "more than a network of 3 layers"),
            (of_trace("layers", json!(2)), "`layer` of Message 11 is not a whole number below 2"),
            (of_trace("messages", json!([])), "The trace is empty"),
            (of_trace("dealt_bytes", json!(1_u64 << 53)), "not a whole number below"),
            (of_trace("dealt_bytes", json!(1.5)), "not a whole number"),
            (of_trace("device_bytes", json!(536)), "535 bytes together, and `device_bytes` is 536"),
            (of_trace("host_bytes", json!(302)), "304 bytes together, and `host_bytes` is 302"),
            (of_trace("answer", json!([1.0])), "its answer has 1 values, and its twin 4"),
            (of_trace("twin", json!([])), "its answer has 4 values, and its twin 0"),
            (of_trace("twin", json!([1, 2, 3, "4"])), "a list of numbers that words"),
            (of_trace("answer", json!([0, 0, 0, 2_147_483_648_u32])), "`answer` of The trace"),
            (of_message("bytes", json!(125)), "305 bytes together, and `host_bytes` is 304"),
            (of_message("bytes", json!(7)), "`first_bytes` is not the first of them"),
            (of_message("bytes", json!(1_u64 << 32)), "a whole number below 4294967296"),
            (of_message("first_bytes", json!("zz")), "`first_bytes` is not the first"),
            (of_message("first_bytes", json!("0011223344556677aa")), "is not the first"),
            (of_message("to", json!("host")), "message 8 goes to who sends it"),
            (of_message("from", json!("dealer")), "not one of device, host"),
            (of_message("phase", json!("later")), "not one of connect, prepare, online"),
            (of_message("phase", json!("connect")), "message 8 is of an earlier phase"),
            (of_message("number", json!(7)), "message 7 follows message 7"),
            (of_message("number", json!(9)), "message 9 follows message 7"),
        ] {
            assert!(said.contains(expected), "{said}, not {expected}");
        }
        let of_layer = |layer: u64, change: &dyn Fn(&mut Vec<Value>)| {
            refused(|trace| {
                let messages = trace["messages"].as_array_mut().expect("list");
                messages.retain(|message| message["layer"] == layer);
                change(messages);
            })
        };
        let said = of_layer(1, &|messages| messages[2]["layer"] = json!(0));
        assert!(said.contains("message 10 is of another"), "{said}");
        let said = of_layer(1, &|messages| messages.reverse());
        assert!(said.contains("message 9 follows message 10"), "{said}");
        let said = of_layer(1, &|messages| messages[0]["bytes"] = json!(5000));
        assert!(said.contains("bytes together, and `device_bytes` is 535"), "{said}");
        let said = of_layer(1, &|messages| messages[0]["number"] = json!(0));
        assert!(said.contains("begins with message 0"), "{said}");
        let said = refused(|trace| drop(trace["messages"].as_array_mut().map(|all| all.remove(0))));
        assert!(said.contains("begins with message 2"), "{said}");
        let said = refused(|trace| drop(trace["messages"].as_array_mut().map(Vec::pop)));
        assert!(said.contains("288 bytes together, and `host_bytes` is 304"), "{said}");
    }

    #[test]
    fn decimals_are_compared_as_numbers() {
        assert_eq!(in_ring("1.5"), in_ring("1.50"));
        assert_eq!((in_ring("1e-7"), in_ring("-0.0")), (in_ring("0.0000001"), in_ring("0")));
        assert_ne!(in_ring("0.0000000001"), in_ring("0"));
        assert!(in_ring("-2147483648").is_some() && in_ring("2047.9999999").is_some());
        // No word means these, wherever its point is.
        assert!(in_ring("2147483647.9999999").is_none() && in_ring("1e-11").is_none());
        for text in
            ["2147483648", "-2147483648.1", "1e3", "1E+3", "1e-25", "1e-99999999999999999999"]
        {
            assert_eq!(in_ring(text), None, "{text}");
        }
        let long = "9".repeat(400);
        assert!(in_ring(&long).is_none() && in_ring(&format!("0.{long}")).is_none());
    }
}
