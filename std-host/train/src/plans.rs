//! What the sessions of a course spend, counted once per kind.

use core::convert::Infallible;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use sharelet_core::functions::engine::EngineError;

use super::course::{Course, Kind};
use super::network::NetworkError;
use super::state::State;
use crate::tensor;

/// What every kind of session of a course spends.
#[derive(Debug)]
pub struct Plans(HashMap<Kind, Arc<tensor::offline::Plan>>);

impl Plans {
    /// Counts every kind of session once.
    ///
    /// # Errors
    /// The network's sizes are beyond what a session can have.
    pub fn new(course: &Arc<Course>) -> Result<Self, PlanError> {
        let (mut plans, mut state) = (HashMap::new(), State::empty(course.clone())?);
        for session in course.sessions(0) {
            if let Entry::Vacant(place) = plans.entry(course.kind(session)) {
                let plan =
                    tensor::offline::Plan::of(&mut state.turn(session), course.truncation())?;
                place.insert(Arc::new(plan));
            }
        }
        Ok(Self(plans))
    }

    /// The plan of a kind; empty for one that the course has not.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Arc<tensor::offline::Plan> {
        self.0.get(&kind).cloned().unwrap_or_default()
    }

    /// All kinds and their plans.
    pub fn iter(&self) -> impl Iterator<Item = (&Kind, &Arc<tensor::offline::Plan>)> {
        self.0.iter()
    }
}

/// Why sessions cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The layers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The sizes, or fraction bits for which there is no table.
    #[error("the run cannot be made: {0}")]
    Engine(#[from] EngineError<Infallible>),
}
