//! Server 1 of a shared model: it gets correlations from the dealer, and serves lanes of sessions
//! to server 0.

use std::sync::{Arc, Weak};

use sharelet_core::functions::engine::EngineError;
use sharelet_core::keystream::KeyId;
use sharelet_core::session::wire::control::{DeviceId, Refusal};
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{SessionError, refuse, servers};
use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;

use super::asking::{self, AskError, Asked, Asking};
use super::model::SharedModel;
use super::party0::{broken, timed};
use super::wire::{self, Begin, Lane, Turn};
use crate::dealer::client::{Client, ClientError};
use crate::dealer::wire::{MAX_SERVED, Ordered, Refusal as DealerRefusal};
use crate::server::accepted::{Newest, on_a_thread};
use crate::server::evaluator::{Evaluator, LaneEnded, Question};
use crate::server::pairing::{Guess, Pairing, Waiting};
use crate::server::party1::Patience;
use crate::server::peer::PeerError;
use crate::server::training::supply::{Sessions, Source, Supply};
use crate::server::training::wire as messages;
use sharelet_link::exchange::Exchange;
use sharelet_link::service::Visit;
use sharelet_link::{Connection, Reader, Writer};
use sharelet_train::serving::Opened;
use sharelet_train::tensor::party::Prepared;

/// Bytes of a word.
const WORD_BYTES: usize = 8;

/// Server 1.
pub struct Party1 {
    me: Weak<Self>,
    model: SharedModel,
    /// Nothing if the two servers prepare together.
    dealer: Option<Client>,
    patience: Patience,
    instance: u64,
    pairing: Pairing<u64>,
    /// The run of server 0 whose lanes are served.
    newest: Newest,
}

impl core::fmt::Debug for Party1 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party1")
            .field("model", &self.model)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// The sessions of a chunk, and the opened weights.
struct Chunk {
    link: Exchange<Reader, Writer>,
    sessions: Sessions,
    weights: Opened,
    /// The session before was begun with another query than server 0's: in this one it asks for
    /// that again.
    wary: bool,
}

impl Party1 {
    /// Server 1 with its share of a model, and a dealer; or without, to prepare with server 0.
    #[must_use]
    pub fn new(
        model: SharedModel,
        dealer: Option<Client>,
        patience: Patience,
        instance: u64,
    ) -> Arc<Self> {
        let (pairing, newest) = (Pairing::default(), Newest::<()>::default());
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            model,
            dealer,
            patience,
            instance,
            pairing,
            newest,
        })
    }

    /// One lane: greetings, then chunk after chunk, until server 0 closes it.
    async fn lane(
        &self,
        connection: Connection,
        theirs: &ServerHello,
        visit: &mut Visit,
    ) -> Result<(), PeerError> {
        let Connection { mut reader, mut writer, .. } = connection;
        let ours = self.hello();
        if let Some(refusal) = wire::objection(&ours, theirs) {
            let _ = refuse(&mut writer, refusal).await;
            return Err(SessionError::Refused(refusal).into());
        }
        let agreed = async {
            servers::greet(&mut writer, &ours).await?;
            wire::agree(&mut reader, &mut writer, &self.model.greeting(), |theirs| {
                self.model.difference(theirs)
            })
            .await
        };
        let lane = visit.greeting(agreed).await?.lane;
        let Lane { number, key } =
            lane.ok_or(PeerError::Greeting(messages::PeerError::NotSharelet))?;
        if let Err(leave) = visit.enter() {
            return Err(no_correlations(&mut writer, leave.to_string()).await);
        }
        let (replaced, _) = self.newest.enter(theirs.instance);
        let chunks = async {
            loop {
                let Some(mut chunk) = self.begin((reader, writer), key, visit).await? else {
                    return Ok(());
                };
                for _ in 1..chunk.1 {
                    if self.query(number.into(), &mut chunk.0, visit).await? {
                        return Ok(());
                    }
                }
                (reader, writer) = chunk.0.link.into_halves();
            }
        };
        tokio::select! {
            biased;
            () = replaced.cancelled() => Err(SessionError::Refused(Refusal::Busy).into()),
            ended = chunks => ended,
        }
    }

    /// A chunk of sessions that server 0 has recorded; `None` if it closed the lane instead.
    async fn begin(
        &self,
        (mut reader, writer): (Reader, Writer),
        key: Option<(DeviceId, KeyId)>,
        visit: &mut Visit,
    ) -> Result<Option<(Chunk, u32)>, PeerError> {
        if !visit.next(&mut reader).await? {
            return Ok(None);
        }
        let begin: Begin = messages::receive(&mut reader).await?;
        reader.end_message();
        let serving = &self.model.serving;
        let mut link = Exchange::new(reader, writer);
        let mut sessions = match self.sessions(&begin, key).await {
            Ok(sessions) => {
                tell(link.halves().1, Ok(())).await?;
                sessions
            }
            Err(error) => {
                return Err(tell(link.halves().1, Err(error))
                    .await
                    .err()
                    .unwrap_or(SessionError::Closed.into()));
            }
        };
        let prepared = match sessions.opening(serving, &mut link).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(no_correlations(link.halves().1, error.to_string()).await),
        };
        tell(link.halves().1, Ok(())).await?;
        let mut open = serving.open(&self.model.model, &self.model.scaling);
        let opened = prepared.run(&mut open, link);
        let (weights, link) =
            timed(self.patience.phase, async { opened.await.map_err(broken) }).await?;
        Ok(Some((Chunk { link, sessions, weights, wary: false }, begin.count)))
    }

    /// Where the sessions of a chunk come from, as both servers were told.
    async fn sessions(
        &self,
        &Begin { first, count, order }: &Begin,
        key: Option<(DeviceId, KeyId)>,
    ) -> Result<Sessions, PeerError> {
        if !(2..=MAX_SERVED).contains(&count) {
            return Err(PeerError::Greeting(messages::PeerError::NotSharelet));
        }
        let (device, key, order, dealer) = match (key.zip(order), &self.dealer) {
            (Some(((device, key), order)), Some(dealer)) => (device, key, order, dealer),
            (None, None) => return Ok(Sessions::together(Party::P1)),
            (named, _) => {
                let [ours, theirs] =
                    if named.is_some() { ["ot", "dealer"] } else { ["dealer", "ot"] };
                return Err(PeerError::Differ(format!(
                    "--prepare is `{ours}` at server 1 and `{theirs}` at server 0; start both with \
                     the same"
                )));
            }
        };
        let serving = &self.model.serving;
        let description = self.model.describe(device, (first, count));
        let ordered = Ordered { key, order, description };
        let sessions = dealer.sessions(&ordered).await.map_err(failed)?;
        let (of, truncation) = (serving.sessions(first, count), serving.truncation());
        Ok(Sessions::Dealt(Supply::prepare(of, truncation, Source::Dealer(Box::new(sessions)))))
    }

    /// One session; `true` if server 0 closed the lane instead.
    async fn query(
        &self,
        number: usize,
        chunk: &mut Chunk,
        visit: &mut Visit,
    ) -> Result<bool, PeerError> {
        let Chunk { link, sessions, weights, wary } = chunk;
        if matches!(sessions, Sessions::Together(_)) && !visit.next_of_work(link.halves().0).await?
        {
            return Ok(true);
        }
        let mut prepared = match sessions.query(&self.model.serving, weights, link).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(no_correlations(link.halves().1, error.to_string()).await),
        };
        if let Err(error) = self.model.serving.foresee(&mut prepared, weights) {
            return Err(no_correlations(link.halves().1, error.to_string()).await);
        }
        let (reader, writer) = link.halves();
        tell(writer, Ok(())).await?;
        let wary = core::mem::take(wary);
        let mut hint = self.pairing.offer(number, wary);
        let guess = tokio::select! {
            biased;
            begun = visit.next_of_work(reader) => {
                if !begun? {
                    return Ok(true);
                }
                None
            }
            Ok(guess) = &mut hint => Some(guess),
        };
        drop(hint);
        if let Some(guess) = guess {
            return self.begin_with(guess, prepared, chunk).await;
        }
        let asked = asking::receive(reader).await.map_err(messages::PeerError::Io)?;
        reader.end_message();
        let half = self.pairing.take(asked.id, asked.recipient, self.patience.pair).await;
        let Waiting { share, done, .. } = match half {
            Ok(half) => half,
            Err(reason) => {
                let first_message = WORD_BYTES * self.model.serving.inputs();
                asking::refuse(link, asked.id, reason, first_message)
                    .await
                    .map_err(messages::PeerError::Io)?;
                return Ok(false);
            }
        };
        let mut evaluate = self.model.serving.evaluate(weights, share).map_err(broken)?;
        let ran = prepared.run(&mut evaluate, Asking::confirm(link, asked.id));
        // An error drops `done`, which tells the data party.
        let (output, _) = timed(self.patience.phase, async { ran.await.map_err(broken) }).await?;
        tracing::debug!(query = %asked.id, "evaluated");
        // The data party may be gone.
        let _ = done.send(Ok(output.words));
        Ok(false)
    }
}

impl Party1 {
    /// A session that is begun before server 0 asks.
    async fn begin_with(
        &self,
        guess: Guess<u64>,
        prepared: Prepared,
        chunk: &mut Chunk,
    ) -> Result<bool, PeerError> {
        let Guess { id, recipient, share } = guess;
        let Chunk { link, weights, wary, .. } = chunk;
        let mut half = None;
        let mut right = || half = self.pairing.claim(id);
        let mut evaluate = self.model.serving.evaluate(weights, share).map_err(broken)?;
        // Until server 0 asks it may take long, and then no longer than any session: its messages
        // have time-outs of their own.
        let ran = prepared
            .run(&mut evaluate, Asking::guess(link, Asked { id, recipient }, &mut right))
            .await;
        match ran {
            Ok((output, _)) => {
                tracing::debug!(query = %id, "evaluated");
                if let Some(Waiting { done, .. }) = half {
                    // The data party may be gone.
                    let _ = done.send(Ok(output.words));
                }
                Ok(false)
            }
            Err(EngineError::Link(AskError::Other)) => {
                *wary = true;
                Ok(false)
            }
            Err(error) => Err(broken(error)),
        }
    }
}

/// Tells server 0 how it goes on.
async fn tell(writer: &mut Writer, turn: Result<(), PeerError>) -> Result<(), PeerError> {
    let message = match &turn {
        Ok(()) => Turn::Go,
        Err(PeerError::Correlations(reason)) => Turn::NoCorrelations(reason.clone()),
        Err(error) => Turn::Stop(error.to_string()),
    };
    let sent = messages::send(writer, &message).await;
    turn?;
    Ok(sent?)
}

async fn no_correlations(writer: &mut Writer, reason: String) -> PeerError {
    let error = PeerError::Correlations(reason.clone());
    // The reason matters more than whether it still arrives.
    let _ = tell(writer, Err(error)).await;
    PeerError::Correlations(reason)
}

/// What the dealer's failure means for the lane: some pass, others do not.
fn failed(error: ClientError) -> PeerError {
    use DealerRefusal::{
        BadRun, Count, NoOrder, OtherKey, SessionUsed, TooLarge, UnknownDevice, Version, WrongRole,
    };
    match error.refusal() {
        Some(
            BadRun
            | Count { .. }
            | NoOrder
            | OtherKey
            | SessionUsed { .. }
            | TooLarge
            | UnknownDevice
            | Version { .. }
            | WrongRole,
        ) => PeerError::Differ(error.to_string()),
        _ => PeerError::Correlations(error.to_string()),
    }
}

impl Evaluator for Party1 {
    type Word = u64;

    fn party(&self) -> Party {
        Party::P1
    }

    fn task(&self) -> &Task {
        &self.model.task
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    async fn evaluate(&self, question: Question<u64>) -> Result<Vec<u64>, Reason> {
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
