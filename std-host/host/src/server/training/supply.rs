//! A server's halves of correlations, prepared one session ahead of the one that is running.

use std::sync::Arc;

use sharelet_core::binding::Binding;
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::Truncation;
use sharelet_core::share::Party;
use sharelet_link::exchange::Exchange;
use sharelet_link::{Reader, Writer};
use tokio::sync::mpsc;

use crate::dealer::client::{self, ClientError};
use crate::server::peer::PeerError;
use crate::server::together::{Together, TogetherError};
use sharelet_train::course::Course;
use sharelet_train::plans::Plans;
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::serving::{Opened, Serving};
use sharelet_train::tensor::offline::Plan;
use sharelet_train::tensor::party::Prepared;

/// Sessions that wait, beside the one that is being prepared.
const AHEAD: usize = 1;

/// Why there are no correlations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// The dealer.
    #[error("{0}; when it is back, go on with --resume")]
    Dealer(#[from] ClientError),
    /// The correlations are not those of the run.
    #[error(
        "the correlations of session {session} are not those of the run; install matching \
         versions at server and dealer"
    )]
    Length {
        /// The session.
        session: u64,
    },
    /// The task that prepares them is gone.
    #[error("the preparation of correlations has stopped; see the log above")]
    Stopped,
}

/// Sessions, ready one after the other.
#[derive(Debug)]
pub struct Supply(mpsc::Receiver<Result<Prepared, SupplyError>>);

/// Where a server's halves come from.
#[derive(Debug)]
pub enum Source {
    /// Server 0: its keystream. All numbers from the first session's on are recorded as used.
    Key(Arc<Binding>),
    /// Server 1: the dealer.
    Dealer(Box<client::Sessions>),
}

impl Supply {
    /// Begins to prepare the sessions of a course from a step on; the first has number `first`.
    #[must_use]
    pub fn begin(
        course: Arc<Course>,
        plans: Arc<Plans>,
        steps: usize,
        first: u64,
        source: Source,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let plan = |session| plans.of(course.kind(session));
            let sessions = (first..)
                .zip(course.sessions(steps))
                .map(|(number, session)| (number, plan(session)));
            feed(sessions, course.truncation(), source, sender).await;
        });
        Self(receiver)
    }

    /// Begins to prepare sessions with their numbers, as their plans count them.
    #[must_use]
    pub fn prepare(
        sessions: impl Iterator<Item = (u64, Arc<Plan>)> + Send + 'static,
        truncation: Truncation,
        source: Source,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(feed(sessions, truncation, source, sender));
        Self(receiver)
    }

    /// The next session.
    ///
    /// # Errors
    /// [`SupplyError`].
    pub async fn next(&mut self) -> Result<Prepared, SupplyError> {
        self.0.recv().await.unwrap_or(Err(SupplyError::Stopped))
    }
}

/// Prepares sessions until one fails or nobody waits for more.
async fn feed(
    sessions: impl Iterator<Item = (u64, Arc<Plan>)>,
    truncation: Truncation,
    mut source: Source,
    sender: mpsc::Sender<Result<Prepared, SupplyError>>,
) {
    for (number, plan) in sessions {
        let prepared = prepare(plan, truncation, number, &mut source).await;
        let failed = prepared.is_err();
        if sender.send(prepared).await.is_err() || failed {
            return;
        }
    }
}

async fn prepare(
    plan: Arc<Plan>,
    truncation: Truncation,
    number: u64,
    source: &mut Source,
) -> Result<Prepared, SupplyError> {
    let prepared = match source {
        Source::Key(binding) => {
            let binding = binding.clone();
            let derive = move || {
                Prepared::derive(&plan, truncation, &binding, &SessionToken::consumed(number)).ok()
            };
            tokio::task::spawn_blocking(derive).await
        }
        Source::Dealer(sessions) => {
            let dealt = sessions.next(&plan).await?;
            tokio::task::spawn_blocking(move || Prepared::receive(&plan, truncation, dealt).ok())
                .await
        }
    };
    prepared.map_err(|_| SupplyError::Stopped)?.ok_or(SupplyError::Length { session: number })
}

/// The sessions of a chunk of queries to a shared model: dealt ahead, or prepared by the two
/// servers, each before its query is there.
pub(in crate::server) enum Sessions {
    /// Of a dealer.
    Dealt(Supply),
    /// Of the two servers.
    Together(Together),
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum NoSession {
    #[error("{0}")]
    Dealt(#[from] SupplyError),
    #[error("{0}")]
    Together(#[from] TogetherError),
}

impl From<NoSession> for PeerError {
    fn from(error: NoSession) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Sessions {
    pub(in crate::server) const fn together(party: Party) -> Self {
        Self::Together(Together::new(party))
    }

    /// The session that opens the weights.
    pub(in crate::server) async fn opening(
        &mut self,
        serving: &Serving,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Prepared, NoSession> {
        let together = match self {
            Self::Dealt(supply) => return Ok(supply.next().await?),
            Self::Together(together) => together,
        };
        let scaling = vec![[0; COLUMN_WORDS]; serving.standardised()];
        let zeros = serving.zeros();
        let mut program = serving.open(&zeros, &scaling);
        Ok(together.prepare(&mut program, serving.truncation(), link).await?)
    }

    /// The session of the next query.
    pub(in crate::server) async fn query(
        &mut self,
        serving: &Serving,
        weights: &Opened,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Prepared, NoSession> {
        let together = match self {
            Self::Dealt(supply) => return Ok(supply.next().await?),
            Self::Together(together) => together,
        };
        let zeros = vec![0; serving.inputs()];
        let mut program = serving.evaluate(weights, zeros).map_err(TogetherError::from)?;
        Ok(together.prepare(&mut program, serving.truncation(), link).await?)
    }
}
