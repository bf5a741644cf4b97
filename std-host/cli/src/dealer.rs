//! `sharelet dealer`: deals corrections to hosts.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::common::{LinkArgs, announce, serve_until_stopped};
use super::monitor::MonitorArgs;
use super::store::SharedArgs;
use sharelet_host::dealer::{Dealer, MODELS};
use sharelet_host::store::dealer::DealerStore;
use sharelet_link::Role;
use sharelet_link::service::{self, Limits};
use sharelet_link::tcp::Listener;

const EXAMPLES: &str = include_str!("examples/dealer.txt");

/// Arguments of `sharelet dealer`.
#[derive(Args, Debug, Clone)]
#[command(about = "Deal corrections to hosts", after_help = EXAMPLES)]
pub struct DealerArgs {
    /// Where keys, masked models and session numbers are kept.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    pub listen: String,
    #[command(flatten)]
    shared: SharedArgs,
    #[command(flatten)]
    monitor: MonitorArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Serves until the program is told to stop.
///
/// # Errors
/// The state cannot be used, or the address not be listened on.
pub fn run(args: &DealerArgs) -> Result<()> {
    let store = match args.shared.open(&args.link, &args.state)? {
        Some(shared) => DealerStore::shared(shared),
        None => DealerStore::open(&args.state)?,
    };
    let route = args.link.route(Role::Dealer)?;
    serve_until_stopped(async move |stop| {
        let listener = Listener::bind(&args.listen, route).await?;
        let dealer = Dealer::new(store, MODELS);
        args.monitor.start(dealer.clone(), &stop).await?;
        announce(&listener)?;
        service::serve(dealer, listener, Limits::default(), stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}
