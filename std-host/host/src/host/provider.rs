//! Corrections of one device: asked for ahead of time, as far as the device's newest order goes,
//! kept in the spool, spent one session at a time.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sharelet_core::keystream::KeyId;
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::session::wire::control::{DeviceId, Refusal, Request};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::error::HostError;
use super::model::HostModel;
use super::models::Models;
use crate::dealer::client::{Client, ClientError};
use crate::dealer::wire::{self, Deal, MAX_COUNT, StatusIs, Window, WireError};
use crate::store::StoreError;
use crate::store::host::{Counted, HostStore};
use crate::store::spent::Spent;
use crate::store::spool::{Origin, SpoolError};
use sharelet_link::pauses::Pauses;

/// How far ahead corrections are kept, and how patiently they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Supply {
    /// Sessions kept ready, as far as the device's orders go: [`ORDER_SESSIONS`].
    pub ahead: u32,
    /// Sessions of one request.
    pub batch: u32,
    /// A device waits this long for corrections.
    pub wait: Duration,
    /// Between attempts.
    pub pauses: Pauses,
}

impl Default for Supply {
    fn default() -> Self {
        Self { ahead: 4, batch: 4, wait: Duration::from_secs(20), pauses: Pauses::default() }
    }
}

/// Why there are no more corrections.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("corrections cannot be kept: {0}")]
    Store(#[from] StoreError),
}

/// Is told how many sessions of a device are ready, of how many that are wanted.
pub type Readiness = Box<dyn Fn(DeviceId, u32, u32) + Send + Sync>;

/// What all devices share.
pub struct Source {
    /// The models.
    pub models: Models<HostModel>,
    /// The host's state.
    pub store: HostStore,
    /// The dealer.
    pub client: Client,
    /// How much to keep.
    pub supply: Supply,
    /// Who watches it.
    pub readiness: Readiness,
}

impl core::fmt::Debug for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { models, store, client, supply, .. } = self;
        let mut shown = f.debug_struct("Source");
        shown
            .field("models", models)
            .field("store", store)
            .field("client", client)
            .field("supply", supply)
            .finish_non_exhaustive()
    }
}

/// A session's number, and its corrections.
pub struct Supplied {
    /// The number; with corrections it is recorded as used.
    pub session: u64,
    /// The corrections. Without any, all sessions of the device's order were dealt before, perhaps
    /// to another host: the number takes the device past them.
    pub corrections: Option<Vec<u8>>,
}

impl core::fmt::Debug for Supplied {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Supplied").field("session", &self.session).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// Sessions in the spool.
    ready: BTreeSet<u64>,
    /// The lowest session that the device can use.
    wanted_from: u64,
    /// The lowest session that the dealer may deal.
    deal_from: u64,
    /// Whether the spool could not be written at last.
    full: bool,
    /// What the device has ordered last; nothing is asked for beyond.
    ordered: Option<Window>,
    /// The device was seen to use the number below: its counter stands here, or further.
    counter: u64,
    /// Why there is nothing from this session on, for the device that waits.
    refusal: Option<(u64, Refusal)>,
}

impl State {
    /// The first session to ask the dealer for.
    fn first(&self) -> u64 {
        self.wanted_from.max(self.deal_from)
    }

    /// How many sessions from there on are ordered.
    fn left(&self) -> u32 {
        let left = self.ordered.map_or(0, |ordered| ordered.end().saturating_sub(self.first()));
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

/// Whose requests these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// One device with one counter, who has proved who it is.
    OneCounter,
    /// Whoever asks for several sessions at once, as the lanes of server 0, or proves nothing:
    /// numbers come in any order.
    Anyhow,
}

/// What a device can have.
enum Candidate {
    /// The corrections of a session are there.
    Ready(u64),
    /// They are on their way.
    Wait,
    /// All that the device has ordered was dealt: this number takes it past them.
    Past(u64),
}

/// The supply of one device with one key, for one model.
#[derive(Debug)]
pub struct Provider {
    source: Arc<Source>,
    model: Arc<HostModel>,
    device: DeviceId,
    key: KeyId,
    state: Mutex<State>,
    clock_said: AtomicBool,
    copy_said: AtomicBool,
    missing: Notify,
    news: Notify,
    filling: tokio::sync::Mutex<()>,
    /// Ends the filling when another provider has taken this one's place.
    superseded: CancellationToken,
}

impl Provider {
    /// The supply of `device`, with what the spool has under `key` for `model`. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn new(
        source: Arc<Source>,
        model: Arc<HostModel>,
        device: DeviceId,
        key: KeyId,
    ) -> Result<Arc<Self>, StoreError> {
        let store = &source.store;
        let next = store.next_session(device, key)?;
        let (mut ready, mut foreign) = (BTreeSet::new(), 0);
        for (session, origin) in store.sessions(device)? {
            match origin {
                Some(of) if of.key != key => {}
                // What was used, or is half of something that never came whole.
                _ if session < next => store.remove(device, session, origin.as_ref()),
                None => {}
                Some(of) if of.model == model.masked_id => {
                    ready.insert(session);
                }
                // Another host may still serve that model.
                Some(_) if store.is_shared() => {}
                Some(_) => {
                    foreign += 1;
                    store.remove(device, session, origin.as_ref());
                }
            }
        }
        if foreign > 0 {
            tracing::info!(%device, "{foreign} sessions dropped: dealt for another model");
        }
        let deal_from = ready.last().map_or(next, |last| last.saturating_add(1));
        // Whether a shared store has room is not known from before.
        let full = store.is_shared();
        let state = State { ready, wanted_from: next, deal_from, full, ..State::default() };
        let (state, missing, news, filling) =
            (Mutex::new(state), Notify::new(), Notify::new(), tokio::sync::Mutex::default());
        let superseded = CancellationToken::new();
        let (clock_said, copy_said) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Arc::new(Self {
            source,
            model,
            device,
            key,
            state,
            clock_said,
            copy_said,
            missing,
            news,
            filling,
            superseded,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another provider has taken its place: nothing more is asked for.
    pub fn supersede(&self) {
        self.superseded.cancel();
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &Arc<HostModel> {
        &self.model
    }

    /// The public name of the key.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Sessions whose corrections are in the spool.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.state().ready.len() as u64
    }

    /// Whether the device was dealt for or served before, under this key.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn is_known(&self) -> Result<bool, StoreError> {
        Ok(!self.state().ready.is_empty()
            || self.source.store.next_session(self.device, self.key)? > 0)
    }

    /// The lowest session that the dealer may deal, to be noted before it is asked for its own
    /// word.
    pub fn before_status(&self) -> u64 {
        self.state().deal_from
    }

    /// The dealer's word on the device, whose key is this one. Corrections dealt under another key
    /// are dropped. `before` is what [`Provider::before_status`] said.
    ///
    /// # Errors
    /// [`Refusal::NoCorrelations`] if the dealer has forgotten sessions that it dealt: it would
    /// deal them twice. [`HostError::Store`].
    pub fn set_status(&self, status: StatusIs, before: u64) -> Result<(), HostError> {
        let (device, store) = (self.device, &self.source.store);
        if status.next_session < before {
            tracing::error!(
                %device,
                "the dealer has forgotten sessions that it dealt, from {} to {}: its state is an \
                old copy; remove it and provision its devices anew",
                status.next_session,
                before - 1,
            );
            return Err(HostError::Refused(Refusal::NoCorrelations));
        }
        let sessions = store.sessions(device)?.into_iter();
        let is_foreign = |origin: &Option<Origin>| match origin {
            Some(origin) => origin.key != self.key,
            // It may be on its way to where it will be whole.
            None => !store.is_shared(),
        };
        for (session, origin) in sessions.filter(|(_, origin)| is_foreign(origin)) {
            tracing::warn!(
                %device,
                session,
                "corrections dropped: dealt under another key of the device",
            );
            store.remove(device, session, origin.as_ref());
        }
        let mut state = self.state();
        state.deal_from = state.deal_from.max(status.next_session);
        Ok(())
    }

    /// A session that the device can use: its number, not below the one it asks for, is recorded as
    /// used when this returns, unless there are no corrections with it.
    ///
    /// # Errors
    /// [`HostError::Refused`] with what to tell the device; [`HostError::Store`] if the number
    /// cannot be recorded.
    pub async fn take(
        self: &Arc<Self>,
        request: Request,
        asks: Asks,
    ) -> Result<Supplied, HostError> {
        let deadline = tokio::time::Instant::now() + self.source.supply.wait;
        self.state().refusal = None;
        let provider = self.clone();
        let arrived = tokio::task::spawn_blocking(move || provider.expect_welcome(request, asks));
        arrived.await.unwrap_or(Err(HostError::Refused(Refusal::NoCorrelations)))?;
        loop {
            let news = self.news.notified();
            let provider = self.clone();
            let taken = tokio::task::spawn_blocking(move || provider.try_take(request, asks)).await;
            let taken = taken.unwrap_or(Err(HostError::Refused(Refusal::NoCorrelations)))?;
            self.missing.notify_one();
            if let Some(supplied) = taken {
                return Ok(supplied);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return Err(HostError::Refused(Refusal::NoCorrelations));
            }
        }
    }

    /// Takes the lowest usable session that is there. Damaged corrections are named, dropped, and
    /// the next session is used. Nothing is locked while the store is asked.
    fn try_take(&self, request: Request, asks: Asks) -> Result<Option<Supplied>, HostError> {
        let (device, store) = (self.device, &self.source.store);
        let next = store.next_session(device, self.key)?;
        let device_next = request.next_session;
        for session in self.begin(request, next.max(device_next)) {
            store.remove(device, session, Some(&self.origin()));
        }
        let mut looked = !store.is_shared();
        loop {
            match self.candidate(device_next)? {
                // What another host has kept since.
                Candidate::Wait | Candidate::Past(_) if !looked => {
                    looked = true;
                    let kept = self.kept()?;
                    let mut state = self.state();
                    let from = state.wanted_from;
                    state.ready.extend(kept.range(from..));
                }
                Candidate::Wait => return Ok(None),
                Candidate::Past(session) => {
                    return Ok(Some(Supplied { session, corrections: None }));
                }
                Candidate::Ready(session) => {
                    let counter = (asks == Asks::OneCounter).then_some(device_next);
                    if let Some(corrections) = self.spend(session, counter)? {
                        return Ok(Some(Supplied { session, corrections: Some(corrections) }));
                    }
                }
            }
        }
    }

    /// Whether the device may have one more session today; and, where its counter is known, that it
    /// asks for none that it has passed: else the counter went back, or there are two of it. A
    /// number that was granted and never used, since the link was cut, is none that it has passed.
    fn expect_welcome(&self, request: Request, asks: Asks) -> Result<(), HostError> {
        let standing = self.source.store.standing(self.device)?;
        let spent = standing.as_ref().map(|entry| entry.spent.clone()).unwrap_or_default();
        self.watch_clock(&spent);
        let (session, device) = (request.next_session, self.device);
        let seen = spent.seen(self.key).max(self.state().counter);
        if asks == Asks::OneCounter && session < seen {
            let error = StoreError::CounterWentBack { session, seen };
            // It has proved who it is, so no stranger drowns this.
            if !self.copy_said.swap(true, Ordering::Relaxed) {
                tracing::error!(%device, "{error}");
            }
            return Err(error.into());
        }
        let used = spent.next(self.key);
        if asks == Asks::Anyhow && session < used {
            tracing::debug!(%device, "asks for session {session}, and {used} is the next unused");
        }
        Ok(self.source.store.expect_quota_at(standing.as_ref(), self.model.name())?)
    }

    /// Keeps what was seen of the device's counter, for other hosts and after a start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_counter(&self) -> Result<(), StoreError> {
        let counter = self.state().counter;
        if counter == 0 { Ok(()) } else { self.source.store.saw(self.device, self.key, counter) }
    }

    /// Says once that the clock was set back: sessions count for the later day until it is there.
    fn watch_clock(&self, spent: &Spent) {
        let Some(seconds) = spent.clock_is_behind() else { return };
        if !self.clock_said.swap(true, Ordering::Relaxed) {
            let device = self.device;
            tracing::warn!(
                %device,
                "the clock is {seconds} s behind this device's latest session: it was set back, or \
                 was ahead; what the device may have on a day counts for that day until then",
            );
        }
    }

    /// What `older`, in whose place this is, has seen of the device's counter.
    pub fn follow(&self, older: &Self) {
        if older.key == self.key {
            let seen = older.state().counter;
            let mut state = self.state();
            state.counter = state.counter.max(seen);
        }
    }

    /// The device was seen to use the number of `session`: it has recorded that before.
    pub fn is_used(&self, session: u64) {
        let mut state = self.state();
        state.counter = state.counter.max(session.saturating_add(1));
    }

    /// The sessions that the store has of this device, key and model.
    fn kept(&self) -> Result<BTreeSet<u64>, StoreError> {
        let sessions = self.source.store.sessions(self.device)?.into_iter();
        let own = sessions.filter(|(_, origin)| *origin == Some(self.origin()));
        Ok(own.map(|(session, _)| session).collect())
    }

    /// What this provider's corrections are dealt for.
    fn origin(&self) -> Origin {
        Origin { model: self.model.masked_id, key: self.key }
    }

    /// Notes what a device asks for, who goes on with session `from`. Returns the sessions that it
    /// has gone past.
    fn begin(&self, request: Request, from: u64) -> BTreeSet<u64> {
        let Request { next_session: first, order } = request;
        let mut state = self.state();
        state.wanted_from = from;
        state.ordered = Some(Window { first, count: ORDER_SESSIONS, order });
        let usable = state.ready.split_off(&from);
        core::mem::replace(&mut state.ready, usable)
    }

    /// What a device can have now that asks from session `device_next` on.
    fn candidate(&self, device_next: u64) -> Result<Candidate, HostError> {
        let in_reach = |session: u64| {
            let ahead = session.checked_sub(device_next);
            ahead.is_some_and(|ahead| ahead <= ORDER_SESSIONS.into()) && session < u64::MAX
        };
        let mut state = self.state();
        // What has come since for a request of before stays behind.
        let from = state.wanted_from.max(device_next);
        if let Some(session) = state.ready.range(from..).next().copied() {
            if in_reach(session) {
                state.ready.remove(&session);
                return Ok(Candidate::Ready(session));
            }
            return Err(HostError::Refused(Refusal::SessionNumber));
        }
        let first = state.first();
        match state.refusal {
            // What was said about another request does not concern this one.
            Some((refused, refusal)) if refused == first => {
                state.ordered = None;
                Err(HostError::Refused(refusal))
            }
            _ if state.left() > 0 => Ok(Candidate::Wait),
            _ if in_reach(first) => Ok(Candidate::Past(first)),
            _ => Err(HostError::Refused(Refusal::SessionNumber)),
        }
    }

    /// Spends a session that is nobody else's any more: its corrections, unless they are damaged.
    /// Its number is recorded before the device hears of it.
    fn spend(&self, session: u64, counter: Option<u64>) -> Result<Option<Vec<u8>>, HostError> {
        let (model, store, device) = (&self.model, &self.source.store, self.device);
        let origin = self.origin();
        // Where it was not used: it waits until the store is there again, or has space.
        let back = |error: StoreError| {
            self.state().ready.insert(session);
            HostError::from(error)
        };
        match store.get(device, session, &origin, model.correction_bytes) {
            Ok(corrections) => {
                let counted = Counted { key: self.key, session, counter, model: model.name() };
                let spent = match store.consume(device, counted) {
                    Ok(()) => true,
                    // Another connection or host was faster: the next one is tried.
                    Err(StoreError::SessionUsed { .. }) => false,
                    Err(error) => return Err(back(error)),
                };
                store.remove(device, session, Some(&origin));
                Ok(spent.then_some(corrections))
            }
            Err(SpoolError::Store(error)) => Err(back(*error)),
            Err(error) => {
                store.remove(device, session, Some(&origin));
                tracing::warn!(
                    %device,
                    session,
                    "corrections dropped, the next session is used: {error}",
                );
                Ok(None)
            }
        }
    }

    /// Keeps the supply up while the device is there, and outlives failures of the dealer. When the
    /// device is `gone`, the spool is filled a last time, so that corrections are ready when it
    /// comes back; `stop` ends that, too, and another provider in this one's place.
    pub async fn keep_filled(self: Arc<Self>, gone: CancellationToken, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.fill(&gone) => {}
        }
    }

    async fn fill(&self, gone: &CancellationToken) {
        // The connection before may still be filling.
        let _alone = self.filling.lock().await;
        let pauses = self.source.supply.pauses;
        let mut attempts = pauses.attempts(None);
        loop {
            let count = self.missing();
            let wait = if count == 0 {
                None
            } else {
                match self.fetch(count).await {
                    Ok(()) => {
                        attempts.worked();
                        // What was asked for has come; the one in this one's place asks on.
                        if self.superseded.is_cancelled() {
                            return;
                        }
                        continue;
                    }
                    Err(error) => {
                        let wait = attempts.failed().unwrap_or(pauses.longest);
                        let device = self.device;
                        tracing::warn!(
                            %device,
                            "no corrections: {error}; next attempt in {} ms",
                            wait.as_millis(),
                        );
                        Some(wait)
                    }
                }
            };
            // A request that comes in is a reason to try at once.
            let longest = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                () = gone.cancelled() => return,
                () = self.superseded.cancelled() => return,
                () = self.missing.notified() => {}
                () = longest => {}
            }
        }
    }

    /// Sessions to ask for now: a batch as soon as it fits, or the rest.
    fn missing(&self) -> u32 {
        let supply = self.source.supply;
        let state = self.state();
        let ready = u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
        let left = state.left();
        drop(state);
        let missing = supply.ahead.max(1).saturating_sub(ready);
        let batch = supply.batch.clamp(1, MAX_COUNT);
        if ready == 0 || missing >= batch.min(supply.ahead.max(1).div_ceil(2)) {
            missing.min(batch).min(left)
        } else {
            0
        }
    }

    /// What to ask for, up to `count` sessions; `None` if nothing more is ordered.
    fn request(&self, count: u32) -> Option<Deal> {
        let state = self.state();
        let (first, count) = (state.first(), count.min(state.left()));
        let (device, model) = (self.device, self.model.masked_id);
        let ordered = state.ordered.filter(|_| count > 0)?;
        Some(Deal { device, model, first, count, ordered })
    }

    /// After corrections could not be kept: whether some can now.
    async fn expect_room(&self) -> Result<(), FetchError> {
        if self.state().full {
            let (source, device) = (self.source.clone(), self.device);
            let bytes = self.model.correction_bytes;
            let probe = move || source.store.expect_room(device, bytes);
            tokio::task::spawn_blocking(probe).await.unwrap_or(Ok(()))?;
            self.state().full = false;
        }
        Ok(())
    }

    async fn fetch(&self, count: u32) -> Result<(), FetchError> {
        self.expect_room().await?;
        let (model, client) = (&self.model, &self.source.client);
        let mut offered = false;
        let mut dealt = loop {
            let Some(request) = self.request(count) else { return Ok(()) };
            let first = request.first;
            match client.deal(request, model.correction_bytes).await {
                Ok(dealt) => break dealt,
                Err(error) => match error.refusal() {
                    Some(wire::Refusal::SessionUsed { next }) if next > first => {
                        self.state().deal_from = next;
                        // Perhaps all that was ordered.
                        self.news.notify_waiters();
                    }
                    Some(wire::Refusal::UnknownModel) if !offered => {
                        offered = true;
                        model.offer_to(client, &mut |_| ()).await?;
                    }
                    refusal => {
                        self.explain(first, refusal);
                        return Err(error.into());
                    }
                },
            }
        };
        if dealt.dealing().key != self.key {
            let refusal = wire::Refusal::UnknownDevice;
            // Not in the call: the state would be locked as long as that.
            let first = self.state().first();
            self.explain(first, Some(refusal));
            return Err(ClientError::from(WireError::Refused(refusal)).into());
        }
        while let Some((session, corrections)) = dealt.next().await? {
            let put = self.keep(session, corrections.into()).await;
            let mut state = self.state();
            state.deal_from = session + 1;
            match put {
                Ok(Ok(())) => {
                    state.ready.insert(session);
                }
                // What is left of this request is lost; no number more is asked for in vain.
                Ok(Err(error)) => {
                    state.full = true;
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::error!(device = %self.device, session, "corrections dropped: {error}");
                }
            }
            let ready = u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
            drop(state);
            self.news.notify_waiters();
            (self.source.readiness)(self.device, ready, self.source.supply.ahead);
        }
        Ok(())
    }

    /// Keeps corrections. A store beyond this machine that is away for a moment is waited for: they
    /// were dealt, and would be lost.
    async fn keep(
        &self,
        session: u64,
        corrections: Arc<[u8]>,
    ) -> Result<Result<(), StoreError>, JoinError> {
        // The dealer waits less long for who takes nothing.
        const LONGEST: Duration = Duration::from_secs(10);
        const PAUSE: Duration = Duration::from_secs(1);
        let begun = tokio::time::Instant::now();
        loop {
            let (source, device, origin) = (self.source.clone(), self.device, self.origin());
            let kept = corrections.clone();
            let put = move || source.store.put(device, session, &origin, &kept);
            match tokio::task::spawn_blocking(put).await {
                Ok(Err(StoreError::Remote { .. })) if begun.elapsed() < LONGEST => {
                    tokio::time::sleep(PAUSE).await;
                }
                put => return put,
            }
        }
    }

    /// What a waiting device is told at once, because waiting does not help.
    fn explain(&self, first: u64, refusal: Option<wire::Refusal>) {
        let refusal = match refusal {
            Some(wire::Refusal::UnknownDevice) => Refusal::UnknownDevice,
            Some(wire::Refusal::NoOrder) => Refusal::NoOrder,
            _ => return,
        };
        self.state().refusal = Some((first, refusal));
        self.news.notify_waiters();
    }
}
