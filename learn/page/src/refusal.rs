//! Why a question has no answer, as a sentence for whoever looks at the page.

use core::fmt;

use sharelet_core::SessionError;
use sharelet_core::correlation::LengthError;
use sharelet_core::session::gate::digits::PlanError;
use sharelet_core::session::network::NetworkError;
use sharelet_core::step::StepError;

/// A sentence; the page shows it in place of numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Refusal {
    /// One of the page's own.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// One of the core's errors, whose texts are sentences without a full stop.
    pub fn of(error: impl fmt::Display) -> Self {
        Self(format!("The core refuses: {error}."))
    }
}

macro_rules! from_core {
    ($($error:ty),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::of(error)
            }
        }
    )*};
}

from_core!(LengthError, NetworkError, PlanError, SessionError, StepError);
