//! The sessions of a run that the two servers prepare together, without a dealer.

use std::sync::Arc;

use sharelet_core::share::Party;
use sharelet_link::exchange::Exchange;
use sharelet_link::{Reader, Writer};
use sharelet_train::course::{Course, Session};
use sharelet_train::state::State;
use sharelet_train::tensor::party::Prepared;

use crate::server::together::{Together, TogetherError};

/// A server's side of the preparation of a run.
pub(super) struct OfRun {
    course: Arc<Course>,
    together: Together,
}

impl OfRun {
    pub(super) const fn new(party: Party, course: Arc<Course>) -> Self {
        Self { course, together: Together::new(party) }
    }

    /// The correlations of the next session of a run in this state.
    pub(super) async fn next(
        &mut self,
        state: &State,
        session: Session,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Prepared, TogetherError> {
        // What is not opened yet is not needed, but for its size.
        let mut sizes = match session {
            Session::Standardise(_) | Session::OpenTrain | Session::OpenTest => {
                State::empty(self.course.clone())?
            }
            _ => state.beside()?,
        };
        let truncation = self.course.truncation();
        self.together.prepare(&mut sizes.turn(session), truncation, link).await
    }
}
