//! Corrections of one device: asked for ahead of time, kept in the spool, spent one session at a
//! time.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sharelet_core::keystream::KeyId;
use sharelet_core::session::MAX_SESSION_SKIP;
use sharelet_core::session::wire::control::{DeviceId, Refusal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::error::HostError;
use super::model::HostModel;
use crate::dealer::client::{Client, ClientError};
use crate::dealer::wire::{self, Deal, MAX_COUNT, StatusIs, WireError};
use crate::store::StoreError;
use crate::store::host::HostStore;
use crate::store::spool::Origin;
use sharelet_link::pauses::Pauses;

/// How far ahead corrections are kept, and how patiently they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Supply {
    /// Sessions kept ready.
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

/// Is told how many sessions of a device are ready, of how many that are wanted.
pub type Readiness = Box<dyn Fn(DeviceId, u32, u32) + Send + Sync>;

/// What all devices share.
pub struct Source {
    /// The model.
    pub model: HostModel,
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
        let Self { model, store, client, supply, .. } = self;
        let mut shown = f.debug_struct("Source");
        shown
            .field("model", model)
            .field("store", store)
            .field("client", client)
            .field("supply", supply)
            .finish_non_exhaustive()
    }
}

/// A session's number, recorded as used, and its corrections.
pub struct Supplied {
    /// The number.
    pub session: u64,
    /// The corrections.
    pub corrections: Vec<u8>,
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
    /// Whether it is known where the device's counter stands: the first session under a key is the
    /// one it asks for.
    begun: bool,
    /// Whether `deal_from` is the dealer's word, since the device connected.
    confirmed: bool,
    /// Why there is nothing from this session on, for the device that waits.
    refusal: Option<(u64, Refusal)>,
}

impl State {
    /// The first session to ask the dealer for.
    fn first(&self) -> u64 {
        self.wanted_from.max(self.deal_from)
    }
}

/// The supply of one device with one key.
#[derive(Debug)]
pub struct Provider {
    source: Arc<Source>,
    device: DeviceId,
    key: KeyId,
    state: Mutex<State>,
    missing: Notify,
    news: Notify,
    filling: tokio::sync::Mutex<()>,
}

impl Provider {
    /// The supply of `device`, with what the spool has under `key`. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn new(source: Arc<Source>, device: DeviceId, key: KeyId) -> Result<Arc<Self>, StoreError> {
        let (next, spool) = (source.store.next_session(device, key)?, source.store.spool());
        let sessions = spool
            .sessions(device)
            .into_iter()
            .filter(|&session| spool.key(device, session) == Some(key));
        let (ready, used): (BTreeSet<u64>, BTreeSet<u64>) =
            sessions.partition(|&session| session >= next);
        used.into_iter().for_each(|session| spool.remove(device, session));
        let deal_from = ready.last().map_or(next, |last| last.saturating_add(1));
        let begun = next > 0 || !ready.is_empty();
        let state = State { begun, ready, wanted_from: next, deal_from, ..State::default() };
        let (state, missing, news, filling) =
            (Mutex::new(state), Notify::new(), Notify::new(), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { source, device, key, state, missing, news, filling }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public name of the key.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
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
    /// word; the last word is old now that the device may have been elsewhere.
    pub fn before_status(&self) -> u64 {
        let mut state = self.state();
        state.confirmed = false;
        state.deal_from
    }

    /// The dealer's word on the device, whose key is this one. Corrections dealt under another key
    /// are dropped. `before` is what [`Provider::before_status`] said.
    ///
    /// # Errors
    /// [`Refusal::NoCorrelations`] if the dealer has forgotten sessions that it dealt: it would
    /// deal them twice.
    pub fn set_status(&self, status: StatusIs, before: u64) -> Result<(), Refusal> {
        let (device, spool) = (self.device, self.source.store.spool());
        if status.next_session < before {
            tracing::error!(
                %device,
                "the dealer has forgotten sessions that it dealt, from {} to {}: its state is an \
                old copy; remove it and provision its devices anew",
                status.next_session,
                before - 1,
            );
            return Err(Refusal::NoCorrelations);
        }
        let foreign = spool
            .sessions(device)
            .into_iter()
            .filter(|&session| spool.key(device, session) != Some(self.key));
        for session in foreign {
            tracing::warn!(
                %device,
                session,
                "corrections dropped: dealt under another key of the device",
            );
            spool.remove(device, session);
        }
        let mut state = self.state();
        state.deal_from = state.deal_from.max(status.next_session);
        // A dealer that has dealt nothing does not know where the device's counter stands.
        state.confirmed = status.next_session > 0;
        state.begun |= state.confirmed;
        Ok(())
    }

    /// A session that the device can use: its number, not below `device_next`, is recorded as used
    /// when this returns.
    ///
    /// # Errors
    /// [`HostError::Refused`] with what to tell the device; [`HostError::Store`] if the number
    /// cannot be recorded.
    pub async fn take(self: &Arc<Self>, device_next: u64) -> Result<Supplied, HostError> {
        let deadline = tokio::time::Instant::now() + self.source.supply.wait;
        self.state().refusal = None;
        loop {
            let news = self.news.notified();
            let provider = self.clone();
            let taken = tokio::task::spawn_blocking(move || provider.try_take(device_next)).await;
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

    /// Takes the lowest usable session of the spool. Damaged entries are named, dropped, and the
    /// next one is used.
    fn try_take(&self, device_next: u64) -> Result<Option<Supplied>, HostError> {
        let Source { model, store, .. } = &*self.source;
        let (device, spool) = (self.device, store.spool());
        let origin = Origin { model: model.masked_id, key: self.key };
        let mut state = self.state();
        let used = store.next_session(device, self.key)?;
        if device_next < used {
            tracing::info!(
                %device,
                "asks for session {device_next}, but {} was used: continuing with {used}",
                used - 1,
            );
        }
        if state.confirmed && device_next > state.deal_from {
            let dealt = state.deal_from;
            tracing::error!(
                %device,
                "asks for session {device_next}, but the dealer dealt none from {dealt} on: the \
                dealer's state is older than the device, which must be provisioned anew, or \
                somebody poses as the device",
            );
            return Err(HostError::Refused(Refusal::SessionNumber));
        }
        let from = used.max(device_next);
        state.wanted_from = from;
        state.begun = true;
        let usable = state.ready.split_off(&from);
        let skipped = core::mem::replace(&mut state.ready, usable);
        skipped.into_iter().for_each(|session| spool.remove(device, session));
        while let Some(session) = state.ready.pop_first() {
            if session - device_next > MAX_SESSION_SKIP {
                state.ready.insert(session);
                return Err(HostError::Refused(Refusal::SessionNumber));
            }
            let read = spool.get(device, session, &origin, model.correction_bytes);
            if read.is_ok() {
                // Recorded before the device hears of it, on disk.
                store.consume(device, self.key, session)?;
            }
            spool.remove(device, session);
            match read {
                Ok(corrections) => return Ok(Some(Supplied { session, corrections })),
                Err(error) => {
                    tracing::warn!(
                        %device,
                        session,
                        "corrections dropped, the next session is used: {error}",
                    )
                }
            }
        }
        match state.refusal {
            // What was said about another request does not concern this one.
            Some((first, refusal)) if first == state.first() => Err(HostError::Refused(refusal)),
            _ => Ok(None),
        }
    }

    /// Keeps the supply up while the device is there, and outlives failures of the dealer. When the
    /// device is `gone`, the spool is filled a last time, so that corrections are ready when it
    /// comes back; `stop` ends that, too.
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
                () = self.missing.notified() => {}
                () = longest => {}
            }
        }
    }

    /// Sessions to ask for now: a batch as soon as it fits, or the rest.
    fn missing(&self) -> u32 {
        let supply = self.source.supply;
        let state = self.state();
        if !state.begun {
            return 0;
        }
        let ready = u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
        drop(state);
        let missing = supply.ahead.max(1).saturating_sub(ready);
        let batch = supply.batch.clamp(1, MAX_COUNT);
        if ready == 0 || missing >= batch.min(supply.ahead.max(1).div_ceil(2)) {
            missing.min(batch)
        } else {
            0
        }
    }

    async fn fetch(&self, count: u32) -> Result<(), ClientError> {
        let Source { model, client, .. } = &*self.source;
        let mut offered = false;
        let mut dealt = loop {
            let first = self.state().first();
            let request = Deal { device: self.device, model: model.masked_id, first, count };
            match client.deal(request, model.correction_bytes).await {
                Ok(dealt) => break dealt,
                Err(error) => match error.refusal() {
                    Some(wire::Refusal::SessionUsed { next }) if next > first => {
                        self.state().deal_from = next
                    }
                    Some(wire::Refusal::UnknownModel) if !offered => {
                        offered = true;
                        model.offer_to(client, &mut |_| ()).await?;
                    }
                    refusal => {
                        self.explain(first, refusal);
                        return Err(error);
                    }
                },
            }
        };
        if dealt.dealing().key != self.key {
            let refusal = wire::Refusal::UnknownDevice;
            self.explain(self.state().first(), Some(refusal));
            return Err(WireError::Refused(refusal).into());
        }
        while let Some((session, corrections)) = dealt.next().await? {
            let origin = Origin { model: model.masked_id, key: self.key };
            let (source, device) = (self.source.clone(), self.device);
            let put = move || source.store.spool().put(device, session, &origin, &corrections);
            let put = tokio::task::spawn_blocking(put).await;
            let mut state = self.state();
            state.deal_from = session + 1;
            match put {
                Ok(Ok(())) => {
                    state.ready.insert(session);
                }
                Ok(Err(error)) => tracing::error!(%device, session, "corrections dropped: {error}"),
                Err(error) => tracing::error!(%device, session, "corrections dropped: {error}"),
            }
            let ready = u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
            drop(state);
            self.news.notify_waiters();
            (self.source.readiness)(device, ready, self.source.supply.ahead);
        }
        Ok(())
    }

    /// What a waiting device is told at once, because waiting does not help.
    fn explain(&self, first: u64, refusal: Option<wire::Refusal>) {
        let refusal = match refusal {
            Some(wire::Refusal::UnknownDevice) => Refusal::UnknownDevice,
            Some(wire::Refusal::TooFarAhead { .. }) => Refusal::SessionNumber,
            _ => return,
        };
        self.state().refusal = Some((first, refusal));
        self.news.notify_waiters();
    }
}
