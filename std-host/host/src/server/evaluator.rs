//! The seam between what data parties see of a server and how it computes.

use std::sync::Arc;

use sharelet_core::ring::Ring;
use sharelet_core::session::wire::query::{QueryId, Reason, Recipient};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;

use super::peer::PeerError;
use sharelet_link::Connection;

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

    /// This server's share of the output: [`Task::outputs`] words. Ends in time, whatever the other
    /// server does.
    fn evaluate(
        &self,
        question: Question<Self::Word>,
    ) -> impl Future<Output = Result<Vec<Self::Word>, Reason>> + Send;

    /// Serves a connection that the other server opened with `hello`, to its end.
    fn accept(
        &self,
        connection: Connection,
        hello: ServerHello,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send;

    /// What goes on beside the queries, until `stop`.
    ///
    /// # Errors
    /// [`PeerError`] if the two servers do not belong together: no later attempt can help.
    fn run(
        self: Arc<Self>,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), PeerError>> + Send;
}
