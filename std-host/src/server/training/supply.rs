//! A server's halves of correlations, prepared one session ahead of the one that is running.

use std::sync::Arc;

use sharelet_core::correlation::SessionToken;
use sharelet_core::keystream::{ChaCha12, Keystream};
use tokio::sync::mpsc;

use crate::dealer::client::{ClientError, Sessions};
use crate::tensor::party::Prepared;
use crate::train::course::{Course, Plans, Session};

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
    #[error("the correlations of session {session} are not those of the run; install matching versions at server and dealer")]
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
    /// Server 0: a key. All numbers from the first session's on are recorded as used.
    Key(Arc<Keystream<ChaCha12>>),
    /// Server 1: the dealer.
    Dealer(Box<Sessions>),
}

impl Supply {
    /// Begins to prepare the sessions of a course from a step on; the first has number `first`.
    #[must_use]
    pub fn begin(course: Arc<Course>, plans: Arc<Plans>, steps: usize, first: u64, mut source: Source) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            for (number, session) in (first..).zip(course.sessions(steps)) {
                let prepared = prepare(&course, &plans, (number, session), &mut source).await;
                let failed = prepared.is_err();
                if sender.send(prepared).await.is_err() || failed {
                    return;
                }
            }
        });
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

async fn prepare(
    course: &Arc<Course>,
    plans: &Plans,
    (number, session): (u64, Session),
    source: &mut Source,
) -> Result<Prepared, SupplyError> {
    let (plan, truncation) = (plans.of(course.kind(session)), course.truncation());
    let prepared = match source {
        Source::Key(keystream) => {
            let keystream = keystream.clone();
            let derive = move || Prepared::derive(&plan, truncation, &keystream, &SessionToken::consumed(number)).ok();
            tokio::task::spawn_blocking(derive).await
        }
        Source::Dealer(sessions) => {
            let dealt = sessions.next(&plan).await?;
            tokio::task::spawn_blocking(move || Prepared::receive(&plan, truncation, dealt).ok()).await
        }
    };
    prepared.map_err(|_| SupplyError::Stopped)?.ok_or(SupplyError::Length { session: number })
}
