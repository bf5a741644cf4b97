//! `sharelet collect`: one of two servers that take owners' data.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use sharelet_core::share::Party;

use super::common::{LinkArgs, listen, server, until_stopped};
use sharelet_host::store::datasets::Datasets;
use sharelet_host::upload::server::{Collector, MOST_ELEMS};
use sharelet_link::service::{self, Limits};

const EXAMPLES: &str = include_str!("examples/collect.txt");

/// Arguments of `sharelet collect`.
#[derive(Args, Debug, Clone)]
#[command(about = "Take owners' data as one of two servers", after_help = EXAMPLES)]
pub struct CollectArgs {
    /// Which of the two servers this is.
    #[arg(long, value_name = "0|1", value_parser = parse_party)]
    pub party: Party,
    /// Where the shares are kept.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7200")]
    pub listen: String,
    /// Most numbers of an upload, features and labels (8 bytes each at party 1); the same at both
    /// servers.
    #[arg(long, value_name = "N", default_value_t = MOST_ELEMS)]
    pub most: u64,
    #[command(flatten)]
    link: LinkArgs,
}

fn parse_party(text: &str) -> Result<Party, String> {
    match text {
        "0" => Ok(Party::P0),
        "1" => Ok(Party::P1),
        _ => Err("give 0 or 1".to_owned()),
    }
}

/// Serves until the program is told to stop.
///
/// # Errors
/// The state cannot be used, or the address not be listened on.
pub fn run(args: &CollectArgs) -> Result<()> {
    let datasets = Datasets::open(&args.state, args.party)?;
    let route = args.link.route(server(u8::from(args.party == Party::P1)))?;
    until_stopped(async move |stop| {
        let listener = listen(&args.listen, route).await?;
        let collector = Collector::new(datasets, args.most);
        service::serve(collector, listener, Limits::default(), stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}
