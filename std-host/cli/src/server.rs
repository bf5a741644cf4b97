//! `sharelet server`: one of two servers that evaluate inputs which they hold shares of.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use sharelet_core::DeviceId;
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::session::p0::Identity;
use sharelet_core::session::wire::control;
use tokio_util::sync::CancellationToken;

use super::common::{
    DealtArgs, LinkArgs, Prepare, WrongArguments, announce, expect_absent, given, name_of, server,
    until_stopped,
};
use super::host::{load_model, upload};
use super::monitor::MonitorArgs;
use sharelet_host::alone::served::Served;
use sharelet_host::dealer::wire::MAX_COUNT;
use sharelet_host::host::models::Models;
use sharelet_host::host::provider::{Source, Supply};
use sharelet_host::host::{self, Host};
use sharelet_host::server::alone;
use sharelet_host::server::alone::reserve::Storage;
use sharelet_host::server::console_queue::Queue;
use sharelet_host::server::evaluator::Evaluator;
use sharelet_host::server::party0::Party0;
use sharelet_host::server::party1::{Party1, Patience};
use sharelet_host::server::peer::Settings;
use sharelet_host::server::queries::{self, Server};
use sharelet_host::server::shared;
use sharelet_host::server::shared::model::SharedModel;
use sharelet_host::store::StoreError;
use sharelet_host::store::host::HostStore;
use sharelet_host::store::task::{self, TaskFile};
use sharelet_link::Route;
use sharelet_link::tcp::Listener;

const EXAMPLES: &str = include_str!("examples/server.txt");

/// Arguments of `sharelet server`.
#[derive(Args, Debug, Clone)]
#[command(about = "Evaluate shared inputs, together with another server", after_help = EXAMPLES)]
pub struct ServerArgs {
    /// Which of the two servers.
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub party: u8,
    /// Where to listen; port 0 takes a free one. 127.0.0.1:7110 for server 0 and 127.0.0.1:7111 for
    /// server 1 if not given.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Who may take answers that data parties give to the operator: the name of a console that
    /// this server is paired with.
    #[arg(long, value_name = "NAME", value_parser = super::units::parse_name)]
    pub console: Option<DeviceId>,
    /// Serve a model that both servers share: this server's share, such as `sharelet train` writes.
    #[arg(
        long,
        value_name = "MODEL.share",
        conflicts_with_all = ["task", "model", "state", "ahead", "fill"],
    )]
    pub shared: Option<PathBuf>,
    /// Answers that may wait for the console.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub console_queue: usize,
    /// Server 0: server 1's address.
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = super::units::parse_endpoint,
        required_if_eq("party", "0"),
        help_heading = "Server 0",
    )]
    pub peer: Option<String>,
    /// Server 0: the file that `sharelet task` made from server 1's model.
    #[arg(long, value_name = "FILE", help_heading = "Server 0")]
    pub task: Option<PathBuf>,
    #[command(flatten)]
    dealt: DealtArgs,
    /// Where correlations come from. `ot`: the two servers make them, without a dealer, each
    /// session while its lane waits for a query; give it to both.
    #[arg(
        long,
        value_name = "SOURCE",
        value_enum,
        default_value_t,
        conflicts_with_all = ["key", "counter", "new_counter", "dealer"]
    )]
    pub prepare: Prepare,
    /// Server 0: sessions that are kept prepared; as many queries run at the same time.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=256),
        help_heading = "Server 0",
    )]
    pub pool: u16,
    /// Server 1: the model.
    #[arg(long, value_name = "MODEL.slt", help_heading = "Server 1")]
    pub model: Option<PathBuf>,
    /// Server 1: where seeds, session numbers and corrections are kept; a shared model needs none
    /// of them. With `--prepare ot`, either server: where it keeps inferences that both have
    /// prepared ahead of time; give it to both.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// With --prepare ot and --state. Server 0: fill the stores of both servers up to so many
    /// inferences whenever half of them are spent, while queries are answered; networks of matrices
    /// alone are prepared 4,096 at a time from 512 on. Server 1: keep no more than so many, 65,536
    /// if not given, and a batch.
    #[arg(
        long,
        value_name = "N",
        requires = "state",
        value_parser = clap::value_parser!(u64).range(1..),
    )]
    pub fill: Option<u64>,
    /// Server 1: sessions that corrections are kept ready for, beyond those that are prepared.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(ORDER_SESSIONS)),
        help_heading = "Server 1",
    )]
    pub ahead: u32,
    /// Server 1: the other half of a query must come within this time.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        value_parser = super::units::parse_duration,
        help_heading = "Server 1",
    )]
    pub pair_timeout: Duration,
    #[command(flatten)]
    monitor: MonitorArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Serves until the program is told to stop.
///
/// # Errors
/// An argument is missing, a file cannot be used, or the other server does not belong to this one.
pub fn run(args: &ServerArgs) -> Result<()> {
    let route = args.link.route(server(args.party))?;
    if args.prepare == Prepare::Dealer {
        expect_absent(&[("fill", args.fill.is_some())], "a dealer; add --prepare ot")?;
    }
    match (args.party, &args.shared) {
        (0, None) if args.prepare == Prepare::Ot => run_alone_0(args, route),
        (_, None) if args.prepare == Prepare::Ot => run_alone_1(args, route),
        (0, None) => run_0(args, route),
        (_, None) => run_1(args, route),
        (0, Some(share)) => run_shared_0(args, share, route),
        (_, Some(share)) => run_shared_1(args, share, route),
    }
}

/// Inferences that server 1 keeps, if not said otherwise.
const MOST_READY: u64 = 1 << 16;

fn instance() -> Result<u64> {
    Ok(getrandom::u64().map_err(StoreError::Randomness)?)
}

/// What server 0 is told of its peer, whatever the model.
fn settings(args: &ServerArgs, route: &Route) -> Result<Settings> {
    let peer = given(args.peer.as_deref(), "peer")?.to_owned();
    Ok(Settings { lanes: args.pool.into(), ..Settings::new(peer, route.clone()) })
}

fn patience(args: &ServerArgs) -> Patience {
    Patience { pair: args.pair_timeout, ..Patience::default() }
}

fn run_0(args: &ServerArgs, route: Route) -> Result<()> {
    expect_absent(&[("state", args.state.is_some())], "--party 0 with a dealer")?;
    let (key, counter) = args.dealt.key()?;
    let TaskFile { task, .. } = task::load(given(args.task.as_deref(), "task")?)?;
    let identity = Identity::new(key.device, &key.key);
    let party = Party0::new(settings(args, &route)?, identity, counter, task, instance()?);
    until_stopped(async |stop| serve(args, route, party, stop).await)
}

fn run_1(args: &ServerArgs, route: Route) -> Result<()> {
    let store = HostStore::open(given(args.state.as_deref(), "state")?)?;
    let model = load_model(given::<Path>(args.model.as_deref(), "model")?, &store)?;
    let client = args.dealt.dealer(route.clone(), host::limits().stall)?;
    until_stopped(async |stop| {
        upload(&model, &client).await?;
        let model = Arc::new(model);
        let batch = args.ahead.min(MAX_COUNT);
        let supply = Supply { ahead: args.ahead, batch, ..Supply::default() };
        let models = Models::one(model.clone());
        let source = Source { models, store, client, supply, readiness: Box::new(|_, _, _| ()) };
        let host =
            Host::new(source, control::Answer::Device, Box::new(|_| ()), host::Patience::default());
        serve(args, route, Party1::new((host, model), instance()?, patience(args)), stop).await
    })
}

fn run_alone_0(args: &ServerArgs, route: Route) -> Result<()> {
    let TaskFile { task, .. } = task::load(given(args.task.as_deref(), "task")?)?;
    let storage = match &args.state {
        None => None,
        Some(state) => {
            let (state, fill) = (state.clone(), args.fill.unwrap_or(0));
            let name = stored_name(&route)?;
            Some(Storage { name, state, fill })
        }
    };
    let party = alone::party0::Party0::new(settings(args, &route)?, task, instance()?, storage);
    until_stopped(async |stop| serve(args, route, party, stop).await)
}

/// A server's name, of whose store only who has proved its own may take something.
fn stored_name(route: &Route) -> Result<DeviceId> {
    name_of(route).ok_or_else(|| {
        let said = "--state with --prepare ot: a store belongs to two servers that are paired";
        WrongArguments(format!("{said}; give both --id and `sharelet pair` them")).into()
    })
}

fn run_alone_1(args: &ServerArgs, route: Route) -> Result<()> {
    let path = given::<Path>(args.model.as_deref(), "model")?;
    let storage = match &args.state {
        None => None,
        Some(state) => {
            let (name, most_ready) = (stored_name(&route)?, args.fill.unwrap_or(MOST_READY));
            let store = HostStore::open(state)?;
            Some(alone::party1::Storage { store, state: state.clone(), name, most_ready })
        }
    };
    let served = Served::load(path)?;
    let task = served.model().task(&std::fs::read(path)?);
    let party = alone::party1::Party1::new((served, task), patience(args), instance()?, storage);
    until_stopped(async |stop| serve(args, route, party, stop).await)
}

fn run_shared_0(args: &ServerArgs, share: &Path, route: Route) -> Result<()> {
    let model = SharedModel::load_of(share, args.party)?;
    let (settings, chunk) = (settings(args, &route)?, shared::party0::CHUNK);
    let dealt = args.prepare == Prepare::Dealer;
    let key = dealt.then(|| args.dealt.key()).transpose()?;
    let party = shared::party0::Party0::new(settings, chunk, model, key, instance()?);
    until_stopped(async |stop| serve(args, route, party, stop).await)
}

fn run_shared_1(args: &ServerArgs, share: &Path, route: Route) -> Result<()> {
    let model = SharedModel::load_of(share, args.party)?;
    let client = || args.dealt.dealer(route.clone(), host::limits().stall);
    let client = (args.prepare == Prepare::Dealer).then(client).transpose()?;
    let party = shared::party1::Party1::new(model, client, patience(args), instance()?);
    until_stopped(async |stop| serve(args, route, party, stop).await)
}

async fn serve<E: Evaluator>(
    args: &ServerArgs,
    route: Route,
    party: Arc<E>,
    stop: CancellationToken,
) -> Result<()> {
    let queue = args.console.map(|console| Queue::new(console, args.console_queue));
    let usual = if args.party == 0 { "127.0.0.1:7110" } else { "127.0.0.1:7111" };
    let address = args.listen.as_deref().unwrap_or(usual);
    let listener = Listener::bind(address, route).await?;
    let server = Server::new(party, queue);
    args.monitor.start(server.clone(), &stop).await?;
    announce(&listener)?;
    server.serve(listener, queries::limits(), stop).await?;
    tracing::info!("stopped");
    Ok(())
}
