//! Server 1, which owns the model: it serves lanes of prepared inferences to server 0.

use std::sync::{Arc, Weak};

use sharelet_alone::{P1, online};
use sharelet_core::session::wire::control::Refusal as Unfit;
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{SessionError, refuse, servers};
use sharelet_core::share::Party;
use sharelet_link::frame;
use sharelet_link::service::Visit;
use sharelet_link::{Connection, Reader, Writer};
use sharelet_prepare::FieldBits;
use tokio_util::sync::CancellationToken;

use super::party0::broken;
use crate::alone::host::Served;
use crate::alone::link::{Tallied, rng};
use crate::alone::wire::{Message, Refusal, Welcome};
use crate::host::kernel::Vectorised;
use crate::server::accepted::{Newest, on_a_thread};
use crate::server::evaluator::{Evaluator, LaneEnded, Question};
use crate::server::pairing::{Pairing, Waiting};
use crate::server::party1::Patience;
use crate::server::peer::PeerError;

/// Server 1 of a model that it owns.
pub struct Party1 {
    me: Weak<Self>,
    served: Served,
    task: Task,
    instance: u64,
    patience: Patience,
    pairing: Pairing<u32>,
    /// The run of server 0 whose lanes are served.
    newest: Newest,
}

impl core::fmt::Debug for Party1 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party1").field("served", &self.served).finish_non_exhaustive()
    }
}

impl Party1 {
    /// Server 1 with a model, of which data parties know `task`.
    #[must_use]
    pub fn new(served: Served, task: Task, patience: Patience, instance: u64) -> Arc<Self> {
        let (pairing, newest) = (Pairing::default(), Newest::default());
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            served,
            task,
            instance,
            patience,
            pairing,
            newest,
        })
    }

    /// One lane: greetings, then inference after inference, until server 0 closes it.
    async fn lane(
        &self,
        connection: Connection,
        theirs: &ServerHello,
        visit: &mut Visit,
    ) -> Result<(), PeerError> {
        let Connection { mut reader, mut writer, .. } = connection;
        let ours = self.hello();
        if let Some(refusal) = servers::objection(&ours, theirs) {
            let _ = refuse(&mut writer, refusal).await;
            return Err(SessionError::Refused(refusal).into());
        }
        servers::greet(&mut writer, &ours).await?;
        visit.enter()?;
        let replaced = self.newest.enter(theirs.instance);
        let inferences = async {
            let mut p1 = self.begin(&mut reader, &mut writer).await?;
            while self.inference(&mut p1, &mut reader, &mut writer, visit).await? {}
            Ok(())
        };
        tokio::select! {
            biased;
            () = replaced.cancelled() => Err(SessionError::Refused(Unfit::Busy).into()),
            ended = inferences => ended,
        }
    }

    async fn begin(&self, reader: &mut Reader, writer: &mut Writer) -> Result<Box<P1>, PeerError> {
        let network = self.served.model().network.clone();
        let welcome = Welcome { model: self.served.digest(), network, kept: None, stores: false };
        let welcome = frame::encode(Message::Welcome, &welcome).map_err(broken)?;
        frame::greet(writer, Message::Welcome, &welcome).await.map_err(broken)?;
        let (mut rng, mut link) = (rng().map_err(broken)?, Tallied::new(reader, writer));
        // Base transfers are large: on the heap.
        let met = sharelet_prepare::link::meet(&mut rng, &mut link);
        let kept = Box::new(Box::pin(met).await.map_err(broken)?);
        let begun = P1::begin(self.served.task(), (&kept, FieldBits::Two), &mut rng, &mut link);
        Ok(Box::new(Box::pin(begun).await.map_err(broken)?))
    }

    /// One inference; `false` if server 0 closed the lane instead.
    async fn inference(
        &self,
        p1: &mut P1,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
    ) -> Result<bool, PeerError> {
        let (model, task) = (self.served.model(), self.served.task());
        if !visit.next(reader).await? {
            return Ok(false);
        }
        let mut link = Tallied::new(reader, writer);
        let halves = p1.prepare(task, model, 1, &mut rng().map_err(broken)?, &mut link).await;
        let half = halves.map_err(broken)?.into_iter().next();
        let half = half.ok_or_else(|| broken("nothing was prepared"))?;
        if !visit.next_of_work(reader).await? {
            return Ok(false);
        }
        let Some(query) = servers::receive_evaluate(reader).await? else { return Ok(false) };
        reader.end_message();
        let taken = self.pairing.take(query.id, query.recipient, self.patience.pair).await;
        let Waiting { share, done, .. } = match taken {
            Ok(half) => half,
            Err(reason) => {
                let differ = reason == Reason::HalvesDiffer;
                let refusal = if differ { Refusal::HalvesDiffer } else { Refusal::NoHalf };
                let _ = frame::send(writer, Message::Refuse, &refusal).await;
                return Err(broken(refusal));
            }
        };
        frame::send_bytes(writer, Message::Go, &[]).await.map_err(broken)?;
        let (kernel, mut link) = (Vectorised(model), Tallied::new(reader, writer));
        let inferring = online::infer_p1(task, half, &kernel, Some(&share), &mut link);
        // An error drops `done`, which tells the data party.
        let answer = tokio::time::timeout(self.patience.phase, inferring).await;
        let answer = answer.map_err(|_| broken("it took too long"))?.map_err(broken)?;
        tracing::debug!(query = %query.id, "evaluated");
        // The data party may be gone.
        let _ = done.send(Ok(answer.to_vec()));
        Ok(true)
    }
}

impl Evaluator for Party1 {
    type Word = u32;

    fn party(&self) -> Party {
        Party::P1
    }

    fn task(&self) -> &Task {
        &self.task
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    async fn evaluate(&self, question: Question<u32>) -> Result<Vec<u32>, Reason> {
        self.pairing.answer(question, self.patience.pair, self.patience.phase).await
    }

    async fn accept(
        &self,
        connection: Connection,
        hello: ServerHello,
        visit: Visit,
    ) -> Result<(), LaneEnded> {
        let Some(party) = self.me.upgrade() else { return Ok(()) };
        let lane = async move |visit: &mut Visit| party.lane(connection, &hello, visit).await;
        on_a_thread(visit, self.patience.idle, lane).await
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        stop.cancelled().await;
        Ok(())
    }
}
