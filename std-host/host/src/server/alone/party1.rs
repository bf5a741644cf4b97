//! Server 1, which owns the model: it serves lanes of prepared inferences to server 0.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use sharelet_alone::{P1, online};
use sharelet_core::session::wire::control::{DeviceId, Refusal as Unfit};
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{SessionError, refuse, servers};
use sharelet_core::share::Party as Side;
use sharelet_link::frame;
use sharelet_link::service::Visit;
use sharelet_link::{Connection, Party, Reader, Writer};
use sharelet_prepare::FieldBits;
use tokio_util::sync::CancellationToken;

use crate::alone::AloneError;
use crate::alone::host::{Host, refusal_of};
use crate::alone::link::{Tallied, rng};
use crate::alone::served::Served;
use crate::alone::taken::{Taken, TakenHalf};
use crate::alone::wire::{Hello, Message, Refusal, Want, Welcome};
use crate::host;
use crate::host::kernel::Vectorised;
use crate::server::accepted::{Newest, on_a_thread};
use crate::server::evaluator::{Evaluator, LaneEnded, Question};
use crate::server::pairing::{Pairing, Waiting};
use crate::server::party1::Patience;
use crate::server::peer::{PeerError, broken};
use crate::store::host::HostStore;

/// Where server 1 keeps inferences that were prepared ahead of time.
#[derive(Debug)]
pub struct Storage {
    /// Its state, locked.
    pub store: HostStore,
    /// Where that is; the inferences lie beside it.
    pub state: PathBuf,
    /// Server 1's name, which it proves to server 0.
    pub name: DeviceId,
    /// Most inferences.
    pub most_ready: u64,
}

/// Server 1 of a model that it owns.
pub struct Party1 {
    me: Weak<Self>,
    served: Arc<Served>,
    task: Task,
    instance: u64,
    patience: Patience,
    pairing: Pairing<u32>,
    /// What fills the stores with server 0; none if nothing is prepared ahead of time.
    stocking: Option<Arc<Host>>,
    /// The run of server 0 whose lanes are served, and what it has taken out of the stores.
    newest: Newest<Taken>,
}

impl core::fmt::Debug for Party1 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party1").field("served", &self.served).finish_non_exhaustive()
    }
}

impl Party1 {
    /// Server 1 with a model, of which data parties know `task`; with `storage` it has a store.
    #[must_use]
    pub fn new(
        (served, task): (Served, Task),
        patience: Patience,
        instance: u64,
        storage: Option<Storage>,
    ) -> Arc<Self> {
        let (pairing, newest, served) = (Pairing::default(), Newest::default(), Arc::new(served));
        let stocking = storage.map(|Storage { store, state, name, most_ready }| {
            let patient = host::Patience { phase: patience.phase, ..host::Patience::default() };
            Host::of_lanes((served.clone(), name), (store, state), most_ready, patient)
        });
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            served,
            task,
            instance,
            patience,
            pairing,
            stocking,
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
        let peer = connection.peer();
        let Connection { mut reader, mut writer, .. } = connection;
        let ours = self.hello();
        if let Some(refusal) = servers::objection(&ours, theirs) {
            let _ = refuse(&mut writer, refusal).await;
            return Err(SessionError::Refused(refusal).into());
        }
        servers::greet(&mut writer, &ours).await?;
        let greeting =
            async { Ok::<_, PeerError>(frame::read_greeting(&mut reader, Message::Hello).await) };
        let hello = visit.greeting(greeting).await?;
        let hello = hello.and_then(|hello| frame::decode::<_, Hello>(Message::Hello, &hello));
        let hello = match hello {
            Ok(hello) => hello,
            Err(error) => {
                // A server 0 of another version hears of it.
                let _ = frame::send(&mut writer, Message::Refuse, &Refusal::Protocol).await;
                return Err(broken(error));
            }
        };
        let (replaced, taken) = self.newest.enter(theirs.instance);
        let serves = async {
            if hello.stores {
                let link = (&mut reader, &mut writer);
                return self.stock((hello, &taken), peer, link, visit).await;
            }
            visit.enter()?;
            self.welcome(&mut writer).await?;
            let mut p1 = None;
            let mut making = (&mut p1, &*taken);
            while self.inference(&mut making, &mut reader, &mut writer, visit).await? {}
            Ok(())
        };
        tokio::select! {
            biased;
            () = replaced.cancelled() => Err(SessionError::Refused(Unfit::Busy).into()),
            ended = serves => ended,
        }
    }

    /// The connection on which server 0 fills the stores and takes out of them.
    async fn stock(
        &self,
        (hello, taken): (Hello, &Taken),
        peer: Option<Party>,
        (reader, writer): (&mut Reader, &mut Writer),
        visit: &mut Visit,
    ) -> Result<(), PeerError> {
        let ended = match &self.stocking {
            Some(host) => {
                let link = (&mut *reader, &mut *writer);
                host.welcome((hello, Some(taken)), peer, link, visit).await
            }
            None => Err(AloneError::Refused(Refusal::NoStore)),
        };
        if let Some(refusal) = ended.as_ref().err().and_then(refusal_of) {
            // The reason matters more than whether it still arrives.
            let _ = frame::send(writer, Message::Refuse, &refusal).await;
        }
        ended.map_err(broken)
    }

    async fn welcome(&self, writer: &mut Writer) -> Result<(), PeerError> {
        let network = self.served.model().network.clone();
        let welcome = Welcome { model: self.served.digest(), network, kept: None, stores: false };
        let welcome = frame::encode(Message::Welcome, &welcome).map_err(broken)?;
        frame::greet(writer, Message::Welcome, &welcome).await.map_err(broken)
    }

    /// What server 0 wants on a lane: a half that is made now, or one that was taken out of the
    /// stores.
    async fn half(
        &self,
        (p1, taken): &mut (&mut Option<Box<P1>>, &Taken),
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<TakenHalf, PeerError> {
        loop {
            let want: Want = frame::receive(reader, Message::Want).await.map_err(broken)?;
            let half = match want {
                Want::Prepare { sessions: 1 } => break,
                Want::Taken(ticket) => taken.spend(&ticket),
                _ => {
                    let _ = frame::send(writer, Message::Refuse, &Refusal::Protocol).await;
                    return Err(broken(Refusal::Protocol));
                }
            };
            // Without it server 0 wants something else.
            let is_there = [u8::from(half.is_some())];
            frame::send_bytes(writer, Message::Go, &is_there).await.map_err(broken)?;
            if let Some(half) = half {
                return Ok(half);
            }
        }
        frame::send_bytes(writer, Message::Go, &[]).await.map_err(broken)?;
        let (mut rng, mut link) = (rng().map_err(broken)?, Tallied::new(reader, writer));
        let (model, task) = (self.served.model(), self.served.task());
        let p1 = match p1 {
            Some(p1) => p1,
            None => {
                // Base transfers are large: on the heap.
                let met = sharelet_prepare::link::meet(&mut rng, &mut link);
                let kept = Box::new(Box::pin(met).await.map_err(broken)?);
                let begun = P1::begin(task, (&kept, FieldBits::Two), &mut rng, &mut link);
                p1.insert(Box::new(Box::pin(begun).await.map_err(broken)?))
            }
        };
        let halves = p1.prepare(task, model, 1, &mut rng, &mut link).await.map_err(broken)?;
        let half = halves.into_iter().next().ok_or_else(|| broken("nothing was prepared"))?;
        Ok(TakenHalf { half, spoilt: CancellationToken::new() })
    }

    /// One inference; `false` if server 0 closed the lane instead.
    async fn inference(
        &self,
        making: &mut (&mut Option<Box<P1>>, &Taken),
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
    ) -> Result<bool, PeerError> {
        let (model, task) = (self.served.model(), self.served.task());
        if !visit.next(reader).await? {
            return Ok(false);
        }
        let TakenHalf { half, spoilt } = self.half(making, reader, writer).await?;
        reader.end_message();
        let is_asked = tokio::select! {
            biased;
            () = spoilt.cancelled() => return Err(broken("server 0 has cheated")),
            next = visit.next_of_work(reader) => next?,
        };
        if !is_asked {
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

    fn party(&self) -> Side {
        Side::P1
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
