//! `sharelet train`: one of two servers that train on shared data.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::{ArgGroup, Args};
use sharelet_core::share::Party;

use super::common::{
    CONNECT, DealtArgs, LinkArgs, Prepare, WrongArguments, given, listen, output, server,
    until_stopped,
};
use super::terminal;
use crate::chart::{Of, chart};
use sharelet_host::data::name::Name;
use sharelet_host::server::training::run::{
    self as training, Correlations, Meeting, Progress, Setup,
};
use sharelet_host::store::datasets::Datasets;
use sharelet_host::store::training::Checkpoints;
use sharelet_link::pauses::Pauses;
use sharelet_link::service::Limits;
use sharelet_link::tcp;
use sharelet_link::{Connection, LinkError, Role, Route};
use sharelet_train::config::Config;
use sharelet_train::curve::{Curve, Epoch};

const EXAMPLES: &str = include_str!("examples/train.txt");

/// The longest silence within a message of the other server: it may be waiting for the dealer.
const STALL: Duration = Duration::from_secs(120);

/// Between attempts to connect.
const PAUSES: Pauses =
    Pauses { shortest: Duration::from_millis(200), longest: Duration::from_secs(2) };

/// Arguments of `sharelet train`.
#[derive(Args, Debug, Clone)]
#[command(about = "Train on shared data, together with another server", after_help = EXAMPLES)]
#[command(group = ArgGroup::new("meeting").args(["listen", "peer"]).required(true))]
pub struct TrainArgs {
    /// The configuration.
    #[arg(value_name = "CONFIG.toml")]
    pub config: PathBuf,
    /// Which of the two servers.
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub party: u8,
    /// The server's state: the data sets that were shared to it; checkpoints and the model are
    /// written there.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The name of the run; that of the configuration's file if not given.
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
    /// Wait here for the other server; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Connect to the other server.
    #[arg(long, value_name = "ADDRESS", value_parser = super::units::parse_endpoint)]
    pub peer: Option<String>,
    /// How long to wait for the other server.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        value_parser = super::units::parse_duration,
    )]
    pub wait: Duration,
    #[command(flatten)]
    dealt: DealtArgs,
    /// Where correlations come from. `ot`: the two servers make them, without a dealer, before each
    /// session; give it to both. That takes seconds for a step, and protects against servers that
    /// follow the protocol, as everything here, with no third machine to trust.
    #[arg(
        long,
        value_name = "SOURCE",
        value_enum,
        default_value_t,
        conflicts_with_all = ["key", "counter", "new_counter", "dealer"]
    )]
    pub prepare: Prepare,
    /// Go on from the last checkpoint that both servers hold.
    #[arg(long)]
    pub resume: bool,
    /// Begin anew: drop the checkpoints of an earlier run of this name, and replace its model at
    /// the end.
    #[arg(long, conflicts_with = "resume")]
    pub fresh: bool,
    /// Write what is opened of each epoch here, as CSV.
    #[arg(long, value_name = "FILE.csv")]
    pub curve: Option<PathBuf>,
    /// Draw the curves here: NAME-loss.svg and NAME-accuracy.svg.
    #[arg(long, value_name = "NAME.svg")]
    pub plot: Option<PathBuf>,
    /// A curve to draw beside, such as `sharelet train-plain --float-curve` writes.
    #[arg(long, value_name = "FILE.csv")]
    pub against: Option<PathBuf>,
    #[command(flatten)]
    link: LinkArgs,
}

/// A line for an epoch.
pub(super) fn line(epoch: &Epoch) -> String {
    let part = |name: &str, value: Option<f64>, percent: bool| match value {
        Some(value) if percent => format!("  {name} {:.2} %", 100.0 * value),
        Some(value) => format!("  {name} {value:.4}"),
        None => String::new(),
    };
    format!(
        "epoch {:3}{}{}{}{}",
        epoch.epoch,
        part("loss", epoch.train_loss, false),
        part("accuracy", epoch.train_accuracy, true),
        part("test loss", epoch.test_loss, false),
        part("test accuracy", epoch.test_accuracy, true)
    )
}

/// Prints charts, and writes them if there is a name for them.
pub(super) fn charts(title: &str, curves: &[(&str, &Curve)], path: Option<&Path>) -> Result<()> {
    for (of, name) in [(Of::Loss, "loss"), (Of::Accuracy, "accuracy")] {
        let Some(chart) = chart(title, curves, of) else { continue };
        output(&format!("{}\n", chart.terminal(terminal::width())))?;
        if let Some(path) = path {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            chart.save_svg(&path.with_file_name(format!("{stem}-{name}.svg")))?;
        }
    }
    Ok(())
}

/// Trains until the end, or until the program is told to stop.
///
/// # Errors
/// Configuration, data and arguments do not fit each other; what ends the run is a
/// [`training::RunError`].
pub fn run(args: &TrainArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let against = args.against.as_deref().map(Curve::load).transpose()?;
    let party = if args.party == 0 { Party::P0 } else { Party::P1 };
    let route = args.link.route(server(args.party))?;
    let correlations = match party {
        party if args.prepare == Prepare::Ot => Correlations::Alone(party),
        Party::P0 => {
            let (key, counter) = args.dealt.key()?;
            Correlations::Key(key, Box::new(counter))
        }
        Party::P1 => Correlations::Dealer(args.dealt.dealer(route.clone(), STALL)?),
    };
    let name = match &args.name {
        Some(name) => name.clone(),
        None => {
            let stem = args.config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            stem.parse().map_err(|_| {
                WrongArguments(format!("`{stem}` cannot name a run; give one with --name"))
            })?
        }
    };
    let checkpoints = Checkpoints::open(&args.state, name.as_str(), party, config.checkpoint.keep)?;
    if args.fresh {
        checkpoints.drop_after(None)?;
    } else if !args.resume {
        checkpoints.expect_unfinished()?;
        checkpoints.expect_none()?;
    }
    let datasets = Datasets::read(&args.state, party);
    let named = |name: &str, field: &str| {
        name.parse::<Name>()
            .map_err(|_| WrongArguments(format!("{field}: `{name}` is not a name of a data set")))
    };
    let train = datasets.dataset(&named(&config.data.train, "data.train")?)?;
    let test = config.data.test.as_deref().map(|test| named(test, "data.test")).transpose()?;
    let test = test.map(|test| datasets.dataset(&test)).transpose()?;
    let model = checkpoints.model();
    let setup = Setup { config, train, test, checkpoints, resume: args.resume };
    let report = until_stopped(async |stop| {
        let meeting = tokio::select! {
            meeting = meeting(args, &route) => meeting?,
            () = stop.cancelled() => return Err(training::RunError::Stopped { step: 0 }.into()),
        };
        let bar = terminal::progress("training", 0, false);
        let mut progress = |progress: Progress| match progress {
            Progress::Step { step, steps } => {
                bar.set_length(steps as u64);
                bar.set_position(step as u64);
            }
            Progress::Epoch(epoch) => tracing::info!("{}", line(&epoch)),
            Progress::Checkpoint { step } => tracing::debug!("checkpoint after step {step}"),
        };
        let report = training::run(setup, correlations, meeting, &mut progress, &stop).await;
        bar.finish_and_clear();
        route.drained().await;
        Ok::<_, anyhow::Error>(report?)
    })?;
    if let Some(path) = &args.curve {
        report.curve.save(path)?;
    }
    let mut curves = vec![("private", &report.curve)];
    curves.extend(against.as_ref().map(|against| ("float", against)));
    charts("Training on shares", &curves, args.plot.as_deref())?;
    if report.finished_before {
        return output(&format!(
            "the run was finished before; this server's share of the model: {}\n",
            model.display()
        ));
    }
    if args.prepare == Prepare::Ot {
        let seconds = report.preparing.as_secs_f64();
        output(&format!("prepared with the other server in {seconds:.1} s\n"))?;
    }
    output(&format!(
        "{} steps in {:.1} s; sent {} bytes in {} messages; this server's share of the model: {}\n",
        report.steps,
        report.online.as_secs_f64(),
        report.sent.bytes,
        report.sent.messages,
        model.display()
    ))
}

/// Where the other server is.
async fn meeting(args: &TrainArgs, route: &Route) -> Result<Meeting> {
    let wait = args.wait;
    if let Some(peer) = &args.peer {
        route.announce();
        return Ok(connect(peer, server(1 - args.party), route, wait).await?.into());
    }
    let listener = listen(given(args.listen.as_deref(), "listen")?, route.clone()).await?;
    tracing::info!("waiting up to {} s for the other server to connect", wait.as_secs());
    let limits = Limits { connections: 16, stall: STALL, ..Limits::default() };
    Ok(Meeting::Listening(listener, limits, wait))
}

/// Connects, and waits for a server that does not listen yet.
async fn connect(
    peer: &str,
    role: Role,
    route: &Route,
    wait: Duration,
) -> Result<Connection, LinkError> {
    let (begin, mut attempts) = (Instant::now(), PAUSES.attempts(None));
    let mut said = false;
    loop {
        let error = match tcp::connect(peer, role, route, CONNECT, STALL).await {
            Err(error @ LinkError::Connect { .. }) => error,
            done => return done,
        };
        let pause = attempts.failed().unwrap_or(PAUSES.longest);
        if begin.elapsed().saturating_add(pause) >= wait {
            return Err(error);
        }
        if !core::mem::replace(&mut said, true) {
            tracing::info!("{error}; waiting up to {} s for it", wait.as_secs());
        }
        tokio::time::sleep(pause).await;
    }
}
