//! `sharelet dealer`: deals corrections to hosts.

use std::path::PathBuf;

use clap::Args;

use super::common::{CommandError, LinkArgs, announce, runtime, stop_on_signal};
use sharelet_host::dealer::{Dealer, MODELS};
use sharelet_host::store::dealer::DealerStore;
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
    #[allow(missing_docs)]
    pub link: LinkArgs,
}

/// Serves until the program is told to stop.
///
/// # Errors
/// [`CommandError`].
pub fn run(args: &DealerArgs) -> Result<(), CommandError> {
    let store = DealerStore::open(&args.state)?;
    runtime()?.block_on(async {
        let stop = stop_on_signal()?;
        let listener = Listener::bind(&args.listen, args.link.route()).await?;
        announce(listener.local_address()?)?;
        service::serve(Dealer::new(store, MODELS), listener, Limits::default(), stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}
