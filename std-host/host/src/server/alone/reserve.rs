//! Server 0's half of what both servers have prepared ahead of time, and the connection that fills
//! both stores while queries are answered.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::path::PathBuf;

use sharelet_core::session::servers;
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_link::{Role, tcp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::alone::AloneError;
use crate::alone::client::{Client, Filled, Settings as Pairing};
use crate::alone::taken::{Taken, TakenHalf};
use crate::alone::wire::Ticket;
use crate::host::within;
use crate::server::party0::expect_network;
use crate::server::peer::{PeerError, Settings, broken};

/// Server 0's store of inferences.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Server 0's name, which it proves to server 1.
    pub name: DeviceId,
    /// Where its store is, and what it keeps of server 1.
    pub state: PathBuf,
    /// How many inferences the stores are filled up to, when half of them are spent.
    pub fill: u64,
}

/// Halves that were taken out of both stores, for lanes.
#[derive(Debug, Default)]
pub struct Reserve {
    taken: Taken,
    spent: Notify,
    /// Cancelled when the stores have been matched, or could not be.
    met: CancellationToken,
    left: AtomicU64,
}

impl Reserve {
    /// The oldest half, for a lane; `None` while there is none: the lane prepares one.
    pub fn pop(&self) -> Option<(Ticket, TakenHalf)> {
        let half = self.taken.pop();
        self.spent.notify_one();
        half
    }

    /// Waits, for a while, until it is known whether there are stores.
    pub async fn met(&self) {
        let _ = tokio::time::timeout(MEETING, self.met.cancelled()).await;
    }

    /// Inferences that are prepared, and not spent.
    pub fn ready(&self) -> u64 {
        self.taken.len() as u64 + self.left.load(Ordering::Relaxed)
    }

    /// Takes halves out of the stores and fills them, with one connection after the other, until
    /// `stop`: whatever ends one, lanes prepare for themselves meanwhile.
    pub async fn keep_filled(
        &self,
        (settings, storage): (&Settings, &Storage),
        (hello, task): (&ServerHello, &Task),
        stop: &CancellationToken,
    ) {
        let pauses = settings.pauses;
        let mut attempts = pauses.attempts(None);
        loop {
            let (worked, fault) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = Box::pin(self.connection((settings, storage), (hello, task))) => ended,
            };
            self.met.cancel();
            self.left.store(0, Ordering::Relaxed);
            if worked {
                attempts.worked();
            }
            // What was made with a peer that cheats is not used.
            if matches!(&fault, Fault::Alone(error) if error.is_cheat()) {
                self.taken.spoil();
            }
            let pause = attempts.failed().unwrap_or(pauses.longest);
            let pause = if fault.is_passing() { pause } else { pause.max(HOPELESS) };
            let milliseconds = pause.as_millis();
            tracing::warn!("nothing is prepared ahead: {fault}; next attempt in {milliseconds} ms");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One connection, until it fails; whether anything was taken or stored on it.
    async fn connection(
        &self,
        (settings, storage): (&Settings, &Storage),
        (hello, task): (&ServerHello, &Task),
    ) -> (bool, Fault) {
        let mut client = match connect((settings, storage), (hello, task)).await {
            Ok(client) => client,
            Err(error) => return (false, error),
        };
        tracing::info!("{} inferences are in the store", client.ready());
        let mut worked = false;
        loop {
            match self.step(&mut client, settings.lanes, storage.fill).await {
                Ok(done) => worked |= done,
                Err(error) => return (worked, error.into()),
            }
        }
    }

    /// Takes what lanes may want; then makes a part of a batch, or waits until there is something
    /// to do. Whether anything was taken or stored.
    async fn step(&self, client: &mut Client, lanes: usize, fill: u64) -> Result<bool, AloneError> {
        let mut worked = false;
        // No more at a time than lanes: a batch is made, too, however fast they spend.
        for _ in 0..lanes.saturating_sub(self.taken.len()) {
            let Some((ticket, half)) = client.take().await? else { break };
            self.taken.put(ticket, half);
            worked = true;
        }
        self.left.store(client.ready(), Ordering::Relaxed);
        self.met.cancel();
        let mut pause = None;
        if client.is_filling() || fill > 0 && client.ready() <= fill / 2 {
            match client.fill_up_to(fill).await? {
                Filled::Made(_) => return Ok(worked),
                Filled::Stored(made) => {
                    tracing::info!("{made} inferences prepared, {} ready", client.ready());
                    return Ok(true);
                }
                // Server 1 is busy, or keeps no more: lanes prepare for themselves.
                Filled::Later | Filled::Enough => pause = Some(LATER),
            }
        }
        let pause = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            ended = client.until_ended() => Err(ended),
            () = self.spent.notified() => Ok(worked),
            () = pause => Ok(worked),
        }
    }
}

/// The longest that lanes wait for the stores at the start.
const MEETING: Duration = Duration::from_secs(5);
/// Between attempts that can help only after somebody has done something.
const HOPELESS: Duration = Duration::from_secs(60);
/// Until server 1 is asked again that keeps no more.
const LATER: Duration = Duration::from_secs(10);

/// Why a connection that fills stores ended.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Alone(#[from] AloneError),
    #[error("{0}")]
    Peer(#[from] PeerError),
}

impl Fault {
    fn is_passing(&self) -> bool {
        match self {
            Self::Alone(error) => error.is_passing(),
            Self::Peer(error) => error.is_passing(),
        }
    }
}

async fn connect(
    (settings, storage): (&Settings, &Storage),
    (hello, task): (&ServerHello, &Task),
) -> Result<Client, Fault> {
    let Settings { peer, route, connect, stall, phase, .. } = settings;
    let mut connection = tcp::connect(peer, Role::Server1, route, *connect, *stall)
        .await
        .map_err(PeerError::from)?;
    within(*phase, servers::connect(&mut connection, hello)).await.map_err(PeerError::from)?;
    let pairing = Pairing {
        host: peer.clone(),
        route: route.clone(),
        device: storage.name,
        answer: Answer::Device,
        state: storage.state.clone(),
        model: None,
        stores: true,
        silent: false,
        connect: *connect,
        stall: *stall,
    };
    let client = tokio::time::timeout(*phase, Client::meet(connection, &pairing)).await;
    let client = client.map_err(|_| broken("it took too long"))??;
    expect_network(task, &client.task().network)?;
    Ok(client)
}
