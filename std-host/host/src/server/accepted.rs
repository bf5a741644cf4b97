//! Lanes that server 1 accepts: those of one run of server 0, each on a thread of its own.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use sharelet_core::session::SessionError;
use sharelet_link::service::{Leave, Visit};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::evaluator::LaneEnded;
use super::peer::PeerError;

/// The run of server 0 whose lanes are served, and what is kept of it alone.
#[derive(Debug, Default)]
pub struct Newest<T = ()>(Mutex<(u64, CancellationToken, Arc<T>)>);

impl<T: Default> Newest<T> {
    /// Makes this run the one that is served; what lanes of it end by when another comes, and what
    /// is kept of it.
    pub fn enter(&self, instance: u64) -> (CancellationToken, Arc<T>) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.0 != instance {
            newest.1.cancel();
            *newest = (instance, CancellationToken::new(), Arc::default());
        }
        (newest.1.clone(), newest.2.clone())
    }
}

/// Serves a lane, of which `idle` may pass between sessions, on a thread: it computes for long. It
/// ends when this future is dropped, and some time after the server is stopped: what is under way
/// may end.
///
/// # Errors
/// The lane's.
pub async fn on_a_thread(
    visit: Visit,
    idle: Duration,
    lane: impl AsyncFnOnce(&mut Visit) -> Result<(), PeerError> + Send + 'static,
) -> Result<(), LaneEnded> {
    let (dropped, runtime) = (CancellationToken::new(), Handle::current());
    let (stop, grace) = (visit.stop().clone(), visit.limits().grace / 2);
    let mut visit = visit.patient(idle);
    let _ends = dropped.clone().drop_guard();
    let lane = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let late = async {
                stop.cancelled().await;
                tokio::time::sleep(grace).await;
            };
            tokio::select! {
                biased;
                ended = lane(&mut visit) => ended,
                () = late => Err(Leave::Stopping.into()),
                () = dropped.cancelled() => Err(SessionError::Closed.into()),
            }
        })
    });
    Ok(lane.await.unwrap_or(Err(SessionError::Closed.into()))?)
}
