//! `sharelet host`: serves a model to devices.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use clap::Args;
use indicatif::ProgressDrawTarget;
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::session::wire::control::DeviceId;

use super::answers::{AnswerArgs, Asked, Printer};
use super::common::{
    self, Answer, CONNECT, LinkArgs, Prepare, announce, expect_absent, given, name_of,
    serve_and_reload, serve_until_stopped,
};
use super::monitor::MonitorArgs;
use super::reload::{Watch, announce_models, look_after, no_models};
use super::store::SharedArgs;
use super::terminal::progress;
use sharelet_host::alone;
use sharelet_host::dealer::client::{Client, ClientError};
use sharelet_host::dealer::{masked, wire::MAX_COUNT};
use sharelet_host::host::model::HostModel;
use sharelet_host::host::models::{Models, Served};
use sharelet_host::host::provider::{Source, Supply};
use sharelet_host::host::shelf::Shelf;
use sharelet_host::host::{self, Host, HostAnswer, Patience};
use sharelet_host::store::host::{HostStore, Quota};
use sharelet_link::service::{self, Limits};
use sharelet_link::tcp::Listener;
use sharelet_link::{Role, Route, SerialLine};
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = include_str!("examples/host.txt");

/// Arguments of `sharelet host`.
#[derive(Args, Debug, Clone)]
#[command(about = "Serve a model to devices", after_help = EXAMPLES)]
pub struct HostArgs {
    /// The model.
    #[arg(value_name = "MODEL.slt", required_unless_present = "models", conflicts_with = "models")]
    pub model: Option<PathBuf>,
    /// Several models: the folder that `sharelet models` fills. It is read again when something in
    /// it changes, and on SIGHUP.
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// The dealer; or several machines of one dealer that share a store, with commas between them.
    #[arg(
        long,
        value_name = "ADDRESS[,ADDRESS]",
        value_parser = super::units::parse_endpoints,
    )]
    pub dealer: Option<String>,
    /// Where correlations come from. `ot`: the host and each device make them, without a dealer;
    /// devices are `sharelet device --prepare ot`, on PCs.
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t)]
    pub prepare: Prepare,
    /// With `--prepare ot`: keep inferences that devices prepare ahead of time, for `sharelet
    /// prepare`.
    #[arg(long)]
    pub keep: bool,
    /// Where seeds, session numbers and corrections are kept.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Where to listen; port 0 takes a free one, and `systemd` the socket of the unit.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7101")]
    pub listen: String,
    /// Serve the device at the other end of a serial line, too; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub serial: Vec<PathBuf>,
    /// Bits per second of serial lines; a board on USB does not ask.
    #[arg(long, value_name = "N", default_value_t = 115_200, requires = "serial")]
    pub baud: u32,
    /// Hold devices on serial lines back by RTS and CTS, and be held back.
    #[arg(long, requires = "serial")]
    pub rts_cts: bool,
    /// Who learns the answers; devices must be started with the same.
    #[arg(long, value_enum, default_value_t = Answer::Device)]
    pub answer: Answer,
    /// Sessions that are kept ready per device.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(ORDER_SESSIONS)),
    )]
    pub ahead: u32,
    /// Sessions asked for at a time; as many as are kept ready if not given.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)),
    )]
    pub batch: Option<u32>,
    /// Most sessions of a device on a day: with each it learns an evaluation, and whoever chooses
    /// readings cleverly learns weights.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub sessions_per_day: u32,
    /// Most devices that are ever served a model from this state.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub devices: u32,
    #[command(flatten)]
    shared: SharedArgs,
    #[command(flatten)]
    answers: AnswerArgs,
    #[command(flatten)]
    monitor: MonitorArgs,
    #[command(flatten)]
    pub(super) link: LinkArgs,
}

/// Serves until the program is told to stop.
///
/// # Errors
/// The state or the model cannot be used, the address not be listened on, or the dealer refuses
/// the model.
pub fn run(args: &HostArgs) -> Result<()> {
    let quota = Quota { sessions_per_day: args.sessions_per_day, devices: args.devices };
    if args.prepare == Prepare::Ot {
        return run_alone(args, HostStore::open(&args.state)?.with_quota(quota));
    }
    expect_absent(&[("keep", args.keep)], "a dealer; add --prepare ot")?;
    let store = match args.shared.open(&args.link, &args.state)? {
        Some(shared) => HostStore::shared(shared),
        None => HostStore::open(&args.state)?,
    };
    let store = store.with_quota(quota);
    let dealer = given(args.dealer.as_deref(), "dealer")?.to_owned();
    let (limits, route) = (host::limits(), args.link.route(Role::Host)?);
    let client = Client::new(dealer, route.clone(), CONNECT, limits.stall);
    let Some(folder) = &args.models else {
        let model = Arc::new(load_model(given(args.model.as_deref(), "model")?, &store)?);
        let printer = Printer::new(args.answers.clone(), &model.model.labels, model.model.scores);
        printer.expect_outputs(model.model.network.outputs())?;
        return serve_until_stopped(async |stop| {
            let listener = listen(args, &route).await?;
            upload(&model, &client).await?;
            let models = Models::one(model);
            serve(args, (listener, limits), (models, store, client), printer, stop, None).await
        });
    };
    let mut shelf = Shelf::new(folder.clone());
    let served = shelf.look(&store)?.unwrap_or_default();
    if served.models.is_empty() {
        return Err(no_models(folder));
    }
    let printer = Printer::new(args.answers.clone(), &[], None);
    serve_and_reload(async |stop, reload| {
        let listener = listen(args, &route).await?;
        for model in served.models.values() {
            upload(model, &client).await?;
        }
        announce_models(&served);
        let models = Models::new(served.clone());
        let watch = Some(Watch { shelf, reload, served });
        serve(args, (listener, limits), (models, store, client), printer, stop, watch).await
    })
}

/// Serves devices until the program is told to stop, and looks after the folder of models if there
/// is one.
async fn serve(
    args: &HostArgs,
    (listener, limits): (Listener, Limits),
    (models, store, client): (Models<HostModel>, HostStore, Client),
    printer: Printer,
    stop: CancellationToken,
    watch: Option<Watch<HostModel>>,
) -> Result<()> {
    let batch = args.batch.unwrap_or(args.ahead.min(MAX_COUNT));
    let supply = Supply { ahead: args.ahead, batch, ..Supply::default() };
    let readiness = Box::new(show_readiness(args.ahead));
    let source = Source { models, store, client, supply, readiness };
    let patience = Patience::default();
    let host = Host::new(source, args.answer.into(), Box::new(sink(printer)), patience);
    args.monitor.start(host.clone(), &stop).await?;
    announce(&listener)?;
    if args.monitor.is_wanted() {
        let watching = host.clone();
        let watching = async move { watching.watch_dealer().await };
        tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
    }
    if let Some(watch) = watch {
        let watched = look_after(host.clone(), watch);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watched));
    }
    service::serve(host, listener, limits, stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Listens on the port and on serial lines.
async fn listen(args: &HostArgs, route: &Route) -> Result<Listener> {
    let mut listener = Listener::bind(&args.listen, route.clone()).await?;
    for path in &args.serial {
        let (baud, flow_control) = (args.baud, args.rts_cts);
        listener.add_serial(SerialLine { path: path.clone(), baud, flow_control })?;
    }
    Ok(listener)
}

/// Serves devices that prepare with the host.
fn run_alone(args: &HostArgs, store: HostStore) -> Result<()> {
    expect_absent(&[("dealer", args.dealer.is_some())], "--prepare ot")?;
    expect_absent(&[("store", args.shared.is_given())], "--prepare ot; see --keep")?;
    let Some(folder) = &args.models else {
        let path = given::<Path>(args.model.as_deref(), "model")?;
        let model = alone::served::Served::load(path)?;
        let of = model.model();
        let printer = Printer::new(args.answers.clone(), &of.labels, of.scores);
        printer.expect_outputs(model.model().network.outputs())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let models = Served::one(name, Arc::new(model));
        return serve_until_stopped(async |stop| {
            serve_alone(args, (models, store), printer, stop, None).await
        });
    };
    let mut shelf = Shelf::new(folder.clone());
    let served = shelf.look(&store)?.unwrap_or_default();
    if served.models.is_empty() {
        return Err(no_models(folder));
    }
    let printer = Printer::new(args.answers.clone(), &[], None);
    serve_and_reload(async |stop, reload| {
        announce_models(&served);
        let watch = Some(Watch { shelf, reload, served: served.clone() });
        serve_alone(args, (served, store), printer, stop, watch).await
    })
}

async fn serve_alone(
    args: &HostArgs,
    (models, store): (Served<alone::served::Served>, HostStore),
    printer: Printer,
    stop: CancellationToken,
    watch: Option<Watch<alone::served::Served>>,
) -> Result<()> {
    let (limits, route) = (host::limits(), args.link.route(Role::Host)?);
    let listener = listen(args, &route).await?;
    let models = (Models::new(models), name_of(&route));
    let state = (store, args.state.clone(), args.keep);
    let (sink, patience) = (Box::new(sink(printer)), Patience::default());
    let host = alone::host::Host::new(models, state, args.answer.into(), sink, patience);
    args.monitor.start(host.clone(), &stop).await?;
    announce(&listener)?;
    if let Some(watch) = watch {
        let watched = look_after(host.clone(), watch);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watched));
    }
    service::serve(host, listener, limits, stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads and masks a model, with a bar.
pub(super) fn load_model(path: &Path, store: &HostStore) -> Result<HostModel> {
    let bytes = std::fs::metadata(path).map_or(0, |model| model.len());
    let bar = progress("masking the model", bytes, true);
    let model = HostModel::load(path, store, &mut |done| bar.inc(done))?;
    bar.finish_and_clear();
    Ok(model)
}

/// Gives the dealer the masked model. A dealer that is away gets it when it is back; one that
/// refuses ends the program.
pub(super) async fn upload(model: &HostModel, client: &Client) -> Result<()> {
    let network = &model.model.network;
    let bytes = masked::bytes(network);
    let bar = progress("sending the masked model to the dealer", bytes, true);
    let offered = model.offer_to(client, &mut |sent| bar.inc(sent)).await;
    bar.finish_and_clear();
    match offered {
        Ok(sent) => {
            tracing::info!("the dealer {} the masked model", if sent { "was sent" } else { "has" });
            Ok(())
        }
        Err(error) if error.refusal().is_some_and(|refusal| !refusal.ends_connection()) => {
            Err(error.into())
        }
        Err(ClientError::Link(error)) if !error.is_passing() => Err(error.into()),
        Err(error) => {
            tracing::warn!(
                "{error}; devices are served as far as the spool goes, and the dealer is tried \
                 again"
            );
            Ok(())
        }
    }
}

/// A bar while many corrections are dealt ahead; a few are there at once.
fn show_readiness(ahead: u32) -> impl Fn(DeviceId, u32, u32) + Send + Sync {
    const MANY: u32 = 32;
    let bar = progress("dealing ahead", u64::from(ahead), false);
    if ahead < MANY {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    move |device, ready, ahead| {
        if ready < ahead {
            bar.set_message(format!("dealing ahead for {device}"));
            bar.set_position(u64::from(ready));
        } else {
            tracing::debug!(%device, "{ready} sessions are ready");
            bar.reset();
        }
    }
}

/// One line per answer that the host is to learn.
fn sink(printer: Printer) -> impl Fn(HostAnswer) + Send + Sync {
    let printer = Mutex::new(printer);
    move |answer| {
        let HostAnswer { device, session, frac_bits, values, labels, scores } = answer;
        // One at a time: a header comes before everything else.
        let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
        printer.of_model(&labels, scores);
        let line = printer.line(Asked::Session(device, session), frac_bits, &values);
        if let Err(error) = line.and_then(|line| common::print(&line)) {
            tracing::error!("an answer could not be printed: {error}");
        }
    }
}
