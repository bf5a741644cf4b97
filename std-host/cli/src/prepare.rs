//! `sharelet prepare`: fills the stores of a device and a host who are without a dealer.

use core::time::Duration;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use sharelet_core::DeviceId;
use sharelet_core::session::wire::control;

use super::common::{Answer, CONNECT, LinkArgs, given, name_of, output, until_stopped};
use super::terminal::progress;
use sharelet_host::alone::AloneError;
use sharelet_host::alone::client::{Client, Settings};
use sharelet_host::host::folder::expect_name;
use sharelet_link::{Role, Route};

const EXAMPLES: &str = include_str!("examples/prepare.txt");

/// What a device without a dealer keeps, and who it is.
#[derive(Args, Debug, Clone)]
pub struct AloneArgs {
    /// With `--prepare ot`: where this device keeps what it knows of its hosts, and its store.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// With `--prepare ot` and plaintext connections: the device's name.
    #[arg(long, value_name = "NAME", value_parser = super::units::parse_name)]
    pub name: Option<DeviceId>,
    /// With `--prepare ot`: the model that is meant, by its name at the host, which is that of its
    /// file without `.slt`. A host that has another one for this device refuses. Whichever it has
    /// if not given.
    #[arg(long, value_name = "NAME", value_parser = parse_model)]
    pub model: Option<String>,
}

fn parse_model(name: &str) -> Result<String, String> {
    expect_name(name).map(|()| name.to_owned()).map_err(|error| error.to_string())
}

impl AloneArgs {
    /// Where the host is, and who asks.
    ///
    /// # Errors
    /// An argument is missing.
    pub fn pairing(
        &self,
        host: String,
        route: &Route,
        answer: control::Answer,
        stores: bool,
        stall: Duration,
    ) -> Result<Settings> {
        let device = match name_of(route) {
            Some(name) => name,
            None => *given(self.name.as_ref(), "name")?,
        };
        let state = given(self.state.as_deref(), "state")?.to_owned();
        let (route, connect, model) = (route.clone(), CONNECT, self.model.clone());
        let silent = false;
        Ok(Settings { host, route, device, answer, state, model, stores, silent, connect, stall })
    }
}

/// Arguments of `sharelet prepare`.
#[derive(Args, Debug, Clone)]
#[command(about = "Prepare inferences with a host ahead of time", after_help = EXAMPLES)]
pub struct PrepareArgs {
    /// The host: `sharelet host --prepare ot --keep`.
    #[arg(long, value_name = "ADDRESS", value_parser = super::units::parse_endpoint)]
    pub host: String,
    #[command(flatten)]
    alone: AloneArgs,
    /// Inferences that are to be ready when this ends.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// Make whole batches, of 4,096, with silent transfers: half of the bytes, and twice the work.
    /// Fewer inferences are made as ever.
    #[arg(long)]
    pub silent: bool,
    /// Who is to learn the answers; the host must be started with the same.
    #[arg(long, value_enum, default_value_t = Answer::Device)]
    pub answer: Answer,
    /// The longest silence of the host: it may be computing.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        value_parser = super::units::parse_duration,
    )]
    pub timeout: Duration,
    #[command(flatten)]
    link: LinkArgs,
}

/// Prepares until so many inferences are ready.
///
/// # Errors
/// The host cannot be reached or refuses; a store cannot be used.
pub fn run(args: &PrepareArgs) -> Result<()> {
    let route = args.link.route(Role::Device)?;
    let host = args.host.clone();
    let settings = args.alone.pairing(host, &route, args.answer.into(), true, args.timeout)?;
    let settings = Settings { silent: args.silent, ..settings };
    route.announce();
    until_stopped(async |stop| {
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                tracing::info!("stopped; whole batches stay, and the next call goes on from there");
            }
            done = fill(args.count, &settings) => {
                let [made, ready] = done?;
                output(&format!("{made} inferences prepared, {ready} ready\n"))?;
            }
        }
        route.drained().await;
        Ok(())
    })
}

/// How many were made, and how many are ready.
async fn fill(count: u64, settings: &Settings) -> Result<[u64; 2], AloneError> {
    let mut client = Client::connect(settings).await?;
    let before = client.ready();
    let bar = progress("preparing", count.saturating_sub(before), false);
    let mut made = 0;
    while client.ready() < count {
        let missing = count - client.ready();
        let more = client.fill(missing, |part| bar.set_position(made + part)).await?;
        if more == 0 {
            tracing::warn!("the stores have as many inferences as they may; spend some first");
            break;
        }
        made += u64::from(more);
    }
    bar.finish_and_clear();
    Ok([made, client.ready()])
}
