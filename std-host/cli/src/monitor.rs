//! `--monitor`: a page for who watches a service.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use sharelet_link::monitor::{Monitor, Watched};
use tokio_util::sync::CancellationToken;

use super::versions::versions;

/// A port is one of this machine.
pub(super) fn address_of(wanted: &str) -> String {
    match wanted.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => wanted.to_owned(),
    }
}

/// Where a service tells its figures.
#[derive(Args, Debug, Clone, Default)]
pub struct MonitorArgs {
    /// Tell figures over HTTP, at /metrics, /devices, /versions, /healthz and /readyz: a port of
    /// this machine, or an address, which everyone who reaches it can read.
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    pub monitor: Option<String>,
}

impl MonitorArgs {
    /// Whether somebody watches.
    pub const fn is_wanted(&self) -> bool {
        self.monitor.is_some()
    }

    /// Tells the figures of a service until `stop`, if they are wanted.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(&self, watched: Arc<impl Watched>, stop: &CancellationToken) -> Result<()> {
        let Some(wanted) = &self.monitor else { return Ok(()) };
        let monitor = Monitor::bind(&address_of(wanted), &versions()).await;
        let monitor = monitor.with_context(|| format!("--monitor {wanted}"))?;
        tokio::spawn(monitor.serve(watched, stop.clone()));
        Ok(())
    }
}
