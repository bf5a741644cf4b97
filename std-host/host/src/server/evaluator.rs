//! The seam between what data parties see of a server and how it computes.

use std::sync::Arc;

use sharelet_core::ring::Ring;
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::query::{QueryId, Reason, Recipient};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{refuse, servers};
use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;

use super::peer::PeerError;
use crate::host::HostError;
use sharelet_link::Connection;
use sharelet_link::service::Visit;

/// One server's half of a query, complete and checked, in words of the task's ring.
pub struct Question<W> {
    /// What pairs it with the other server's half.
    pub id: QueryId,
    /// Who gets the answer, as this half says.
    pub recipient: Recipient,
    /// This server's share of the input: [`Task::inputs`] words.
    pub share: Vec<W>,
}

impl<W> core::fmt::Debug for Question<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Question")
            .field("id", &self.id)
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

/// How a lane ended early, for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaneEnded {
    /// A server was refused that has no lanes here.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// A lane of a model that this server owns.
    #[error(transparent)]
    Owned(#[from] HostError),
    /// A lane of a model that both servers share.
    #[error(transparent)]
    Shared(#[from] PeerError),
}

/// One of two servers that turn shares of an input into shares of the output.
///
/// Nothing is computed for a query of which the other server has no half.
pub trait Evaluator: Send + Sync + 'static {
    /// Words of the ring that the task names.
    type Word: Ring;

    /// Which of the two it is.
    fn party(&self) -> Party;

    /// What it evaluates.
    fn task(&self) -> &Task;

    /// Its greeting.
    fn hello(&self) -> ServerHello {
        let party = u8::from(self.party() == Party::P1);
        ServerHello { party, instance: self.instance(), task: *self.task() }
    }

    /// Tells this run of the server from the next.
    fn instance(&self) -> u64;

    /// Sessions that are prepared and wait for a query, at a server that knows.
    fn ready(&self) -> u64 {
        0
    }

    /// Whether a query could be answered now, as far as this server knows.
    ///
    /// # Errors
    /// Why not, in a sentence.
    fn expect_ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// This server's share of the output: [`Task::outputs`] words. Ends in time, whatever the other
    /// server does.
    fn evaluate(
        &self,
        question: Question<Self::Word>,
    ) -> impl Future<Output = Result<Vec<Self::Word>, Reason>> + Send;

    /// Serves a connection that the other server opened with `hello`, to its end; tells it what
    /// concerns it.
    ///
    /// Server 0 opens the connections to the other one, so it refuses: the peer is another server
    /// 0, or one that is set up differently.
    fn accept(
        &self,
        mut connection: Connection,
        hello: ServerHello,
        _visit: Visit,
    ) -> impl Future<Output = Result<(), LaneEnded>> + Send {
        let refusal = servers::objection(&self.hello(), &hello).unwrap_or(Refusal::Protocol);
        async move {
            // The reason matters more than whether it still arrives.
            let _ = refuse(&mut connection.writer, refusal).await;
            Err(LaneEnded::Refused(refusal))
        }
    }

    /// What goes on beside the queries, until `stop`.
    ///
    /// # Errors
    /// [`PeerError`] if the two servers do not belong together: no later attempt can help.
    fn run(
        self: Arc<Self>,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), PeerError>> + Send;
}
