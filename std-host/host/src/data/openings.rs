//! What an owner lets two servers open of what they compute on its data. It goes with the upload:
//! neither server begins a run that opens more.

use core::fmt::{self, Display, Formatter};
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use sharelet_train::config::Open;

use super::name::Name;

/// The fewest rows that a loss or an accuracy is a mean of, without a wish.
pub const DEFAULT_LEAST_ROWS: u32 = 10;

/// Something that a run may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The mean loss, after every epoch.
    Loss,
    /// The fraction of right answers, after every epoch.
    Accuracy,
    /// The model, at the end, to this owner.
    Model(Name),
}

impl FromStr for Opening {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("model=")) {
            ("loss", _) => Ok(Self::Loss),
            ("accuracy", _) => Ok(Self::Accuracy),
            (_, Some(name)) => Ok(Self::Model(name.parse()?)),
            _ => Err("there are `loss`, `accuracy` and `model=NAME`"),
        }
    }
}

impl Display for Opening {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss => f.write_str("loss"),
            Self::Accuracy => f.write_str("accuracy"),
            Self::Model(name) => write!(f, "model={name}"),
        }
    }
}

/// What may be opened of what is computed on an upload. By default nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Openings {
    /// See [`Opening::Loss`].
    pub loss: bool,
    /// See [`Opening::Accuracy`].
    pub accuracy: bool,
    /// The fewest rows that either is a mean of.
    pub least_rows: u32,
    /// See [`Opening::Model`].
    pub model: Option<Name>,
}

impl Default for Openings {
    fn default() -> Self {
        Self { loss: false, accuracy: false, least_rows: DEFAULT_LEAST_ROWS, model: None }
    }
}

impl Openings {
    /// These openings, and no others.
    ///
    /// # Errors
    /// If the model is to go to two owners.
    pub fn of(openings: &[Opening], least_rows: u32) -> Result<Self, &'static str> {
        let mut allowed = Self { least_rows, ..Self::default() };
        for opening in openings {
            match opening {
                Opening::Loss => allowed.loss = true,
                Opening::Accuracy => allowed.accuracy = true,
                Opening::Model(name)
                    if allowed.model.as_ref().is_none_or(|model| model == name) =>
                {
                    allowed.model = Some(name.clone());
                }
                Opening::Model(_) => return Err("a run gives its model to one owner"),
            }
        }
        Ok(allowed)
    }

    /// What a configuration opens, as its own words say it, that is not allowed here.
    #[must_use]
    pub fn exceeded_by(&self, open: &Open) -> Option<String> {
        let few =
            |open: &Open| u64::try_from(open.least_rows).is_ok_and(|n| n < self.least_rows.into());
        let model = open.model.as_ref();
        match () {
            () if open.loss && !self.loss => Some("open.loss".to_owned()),
            () if open.accuracy && !self.accuracy => Some("open.accuracy".to_owned()),
            () if (open.loss || open.accuracy) && few(open) => {
                Some(format!("open.least_rows = {}", open.least_rows))
            }
            () => model
                .filter(|model| self.model.as_ref().is_none_or(|name| name.as_str() != model.to))
                .map(|model| format!("open.model.to = \"{}\"", model.to)),
        }
    }
}

impl Display for Openings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut means = Vec::new();
        means.extend(self.loss.then_some("loss"));
        means.extend(self.accuracy.then_some("accuracy"));
        if !means.is_empty() {
            write!(f, "{} over at least {} rows", means.join(" and "), self.least_rows)?;
        }
        match &self.model {
            Some(name) if means.is_empty() => write!(f, "the model to {name}"),
            Some(name) => write!(f, ", and the model to {name}"),
            None if means.is_empty() => f.write_str("nothing"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_train::config::{ModelFormat, OpenModel};

    fn allowed(text: &str, least_rows: u32) -> Openings {
        let openings: Vec<Opening> = text
            .split(',')
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().unwrap())
            .collect();
        Openings::of(&openings, least_rows).unwrap()
    }

    fn model(to: &str) -> Option<OpenModel> {
        Some(OpenModel { to: to.to_owned(), format: ModelFormat::Onnx })
    }

    #[test]
    fn nothing_is_opened_that_was_not_allowed() {
        let every = || Open { loss: true, accuracy: true, least_rows: 10, model: model("lab") };
        for (allow, least, open, exceeds) in [
            ("", 10, Open::default(), None),
            ("", 10, Open { least_rows: 1, ..Open::default() }, None),
            ("", 10, Open { loss: true, ..Open::default() }, Some("open.loss")),
            ("loss", 10, Open { accuracy: true, ..Open::default() }, Some("open.accuracy")),
            ("loss", 10, Open { loss: true, ..Open::default() }, None),
            ("loss", 11, Open { loss: true, ..Open::default() }, Some("open.least_rows = 10")),
            ("accuracy", 11, Open { accuracy: true, least_rows: 11, ..Open::default() }, None),
            ("loss,accuracy", 10, every(), Some("open.model.to = \"lab\"")),
            ("loss,accuracy,model=south", 10, every(), Some("open.model.to = \"lab\"")),
            ("loss,accuracy,model=lab", 10, every(), None),
            ("model=lab", 10, Open { model: model("lab"), ..Open::default() }, None),
        ] {
            let found = allowed(allow, least).exceeded_by(&open);
            assert_eq!(found.as_deref(), exceeds, "{allow}: {open:?}");
        }
    }

    #[test]
    fn words() {
        for (text, says) in [
            ("", "nothing"),
            ("loss", "loss over at least 10 rows"),
            ("model=lab", "the model to lab"),
            (
                "accuracy,loss,model=lab",
                "loss and accuracy over at least 10 rows, and the model to lab",
            ),
        ] {
            assert_eq!(allowed(text, 10).to_string(), says);
        }
        for wrong in ["", "Loss", "model", "model=", "model=a b", "weights"] {
            assert!(wrong.parse::<Opening>().is_err(), "{wrong}");
        }
        let two = ["model=a", "model=b"].map(|word| word.parse().unwrap());
        assert!(Openings::of(&two, 10).is_err());
    }
}
