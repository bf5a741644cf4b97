//! Questions by chapter, and their answers as JSON.

use serde::Serialize;

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::{bits, gate, layer, network, trace, train, transfer, worlds};

/// An error in place of an answer.
#[derive(Serialize)]
struct Refused {
    error: String,
}

/// Answers a question: with JSON, the chapter's, or an object with the one field `error`, a
/// sentence.
#[must_use]
pub fn answer(question: &str) -> String {
    answered(question).unwrap_or_else(|refusal| refused(refusal.0))
}

fn answered(question: &str) -> Result<String, Refusal> {
    let (chapter, text) = question.split_once(' ').unwrap_or((question, ""));
    let fields = Fields::of(text);
    match chapter {
        "gate" => json(gate::answer(&gate::Ask::read(fields)?)?),
        "worlds" => json(worlds::answer(&worlds::Ask::read(fields)?)?),
        "twice" => json(worlds::twice(&worlds::AskTwice::read(fields)?)?),
        "layer" => json(layer::answer(&layer::Ask::read(fields)?)?),
        "network" => json(network::answer(&network::Ask::read(fields)?)?),
        "train" => json(train::answer(&train::Ask::read(fields)?)?),
        "bits" => json(bits::answer(&bits::Ask::read(fields)?)?),
        "transfer" => json(transfer::answer(&transfer::Ask::read(fields)?)?),
        "trace" => json(trace::answer(text)?),
        _ => Err(Refusal::new("There is no such chapter: reload the page.")),
    }
}

/// What is said when an answer does not fit the page's buffer.
pub fn too_long() -> String {
    refused("The answer is longer than the page has room for: ask for less at once.".to_owned())
}

fn json(answer: impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(&answer).map_err(Refusal::of)
}

fn refused(error: String) -> String {
    json(Refused { error }).unwrap_or_else(|_| "{\"error\":\"\"}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_meaning_is_said() {
        let said = |question: &str| {
            let answer = answer(question);
            assert!(answer.starts_with("{\"error\":\""), "{question}: {answer}");
            answer
        };
        let seed = "5a".repeat(32);
        said("");
        said("poem");
        assert!(said("gate").contains("no `bits`"));
        let gate =
            |y: &str, seed: &str| said(&format!("gate bits=8 shift=2 y={y} seed={seed} session=0"));
        assert!(gate("many", &seed).contains("not a whole number"));
        assert!(gate("1.5", &seed).contains("not a whole number"));
        assert!(gate("128", &seed).contains("-128 to 127"));
        assert!(gate("1", "5a").contains("64 hexadecimal digits"));
        let layer = format!("layer input=1,2 weights=1,2,3,4,5,6 seed={seed} session=0");
        assert!(said(&layer).contains("2 numbers where 3 are wanted"));
    }
}
