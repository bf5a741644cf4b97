//! A service in memory, and one connection of a peer to it.

use core::time::Duration;
use std::sync::{Arc, LazyLock};

use sharelet_link::Connection;
use sharelet_link::service::{Limits, Service, Visit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// A service that takes longer goes on for ever.
pub const LONGEST: Duration = Duration::from_secs(60);
pub const STALL: Duration = Duration::from_secs(20);

pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// The only visit of a service.
pub fn visit() -> Visit {
    Visit::alone(Limits::default(), CancellationToken::new())
}

/// One connection of a peer that says `bytes`, and then no more: what it hears.
pub fn hears<S: Service>(service: Arc<S>, bytes: &[u8]) -> Vec<u8> {
    RUNTIME.block_on(hearing(service, bytes))
}

/// As [`hears`], on whatever runtime.
pub async fn hearing<S: Service>(service: Arc<S>, bytes: &[u8]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let served = service.converse(Connection::over(near, STALL), visit());
    let peer = async {
        // It ends earlier than it has heard all.
        let _ = far.write_all(bytes).await;
        let _ = far.shutdown().await;
        let mut heard = Vec::new();
        let _ = far.read_to_end(&mut heard).await;
        heard
    };
    let both = async { tokio::join!(served, peer).1 };
    tokio::time::timeout(LONGEST, both).await.expect("a service that goes on for ever")
}
