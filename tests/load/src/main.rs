//! `load`: measures one of both, and writes the figures.

use core::time::Duration;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sharelet_load::figure::{Figure, write};
use sharelet_load::{claims, fleet, kills, load, shared};

/// The programs under load, and killed.
#[derive(Debug, Parser)]
struct Cli {
    /// The program `sharelet`.
    #[arg(long)]
    sharelet: String,
    /// Where the figures are written, as JSON.
    #[arg(long)]
    figures: PathBuf,
    /// Draws what is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Many devices at a host of several models and its dealer, hostile ones among them.
    Load(LoadArgs),
    /// One host with several models that are swapped under its devices.
    Fleet {
        /// Devices.
        #[arg(long, default_value_t = 1000)]
        devices: usize,
        /// Models.
        #[arg(long, default_value_t = 5)]
        models: usize,
        /// How often a model is replaced.
        #[arg(long, default_value_t = 20)]
        swaps: u32,
        /// The time of the run.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Milliseconds between readings of a device.
        #[arg(long, default_value_t = 10_000)]
        every_ms: u64,
    },
    /// Hosts that claim numbers of one store, killed with it.
    Claims {
        /// Hosts.
        #[arg(long, default_value_t = 8)]
        hosts: usize,
        /// Numbers.
        #[arg(long, default_value_t = 1_000_000)]
        numbers: u64,
        /// How often one of them, or the store, is killed.
        #[arg(long, default_value_t = 100)]
        kills: u64,
    },
    /// Two hosts and two dealers that share a store, and one of each that have none.
    Shared {
        /// Devices.
        #[arg(long, default_value_t = 32)]
        devices: usize,
        /// The time of each of the two.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// A model and readings, in the place of a small random one.
        #[arg(long, num_args = 2, value_names = ["MODEL.slt", "READINGS"])]
        model: Vec<PathBuf>,
    },
    /// One of these hosts: claims until it is killed.
    #[command(hide = true)]
    Claimer {
        #[arg(long)]
        url: String,
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        host: usize,
    },
    /// Programs that are killed and started again.
    Kills {
        /// How often.
        #[arg(long, default_value_t = 200)]
        points: u64,
    },
}

#[derive(Args, Debug)]
struct LoadArgs {
    /// Honest devices.
    #[arg(long, default_value_t = 1000)]
    devices: usize,
    /// The run ends after so many inferences.
    #[arg(long, default_value_t = 100_000)]
    inferences: u64,
    /// It ends after so many minutes, too.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Milliseconds between readings of a device.
    #[arg(long, default_value_t = 10_000)]
    every_ms: u64,
    /// Connections of each hostile manner at each service.
    #[arg(long, default_value_t = 6)]
    hostile: usize,
    /// A model beside the small random one, and a file of readings for it; several in turn.
    #[arg(long, num_args = 2, value_names = ["MODEL.slt", "READINGS"])]
    model: Vec<PathBuf>,
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let Cli { sharelet, figures: path, seed, what } = Cli::parse();
    let (figures, said): (Vec<Figure>, Vec<String>) = match what {
        What::Load(args) => {
            let case = |pair: &[PathBuf]| match pair {
                [model, readings] => {
                    Some(load::Case { model: model.clone(), readings: readings.clone() })
                }
                _ => None,
            };
            let outcome = load::run(
                &sharelet,
                &load::Settings {
                    devices: args.devices,
                    inferences: args.inferences,
                    limit: Duration::from_secs(60 * args.minutes),
                    every: Duration::from_millis(args.every_ms),
                    hostile: args.hostile,
                    cases: args.model.chunks(2).filter_map(case).collect(),
                    seed,
                },
            );
            (outcome.figures, outcome.said)
        }
        What::Fleet { devices, models, swaps, minutes, every_ms } => {
            let (time, every) =
                (Duration::from_secs(60 * minutes), Duration::from_millis(every_ms));
            let settings = fleet::Settings { devices, models, swaps, time, every, seed };
            let (said, figures) = fleet::run(&sharelet, &settings);
            (figures, said)
        }
        What::Claims { hosts, numbers, kills } => {
            let Ok(program) = std::env::current_exe() else { return ExitCode::FAILURE };
            let settings = claims::Settings { hosts, numbers, kills, seed };
            let Some(figures) = claims::run(&program, &settings) else {
                return ExitCode::FAILURE;
            };
            (figures, Vec::new())
        }
        What::Shared { devices, seconds, model } => {
            let case = match model.as_slice() {
                [model, readings] => {
                    Some(load::Case { model: model.clone(), readings: readings.clone() })
                }
                _ => None,
            };
            let time = Duration::from_secs(seconds);
            let settings = shared::Settings { devices, time, case, seed };
            let Some(figures) = shared::run(&sharelet, &settings) else {
                return ExitCode::FAILURE;
            };
            (figures, Vec::new())
        }
        What::Claimer { url, folder, host } => {
            return match claims::claim(&url, &folder, host) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            };
        }
        What::Kills { points } => {
            let outcome = kills::run(&sharelet, &kills::Settings { points, seed });
            (outcome.figures(), Vec::new())
        }
    };
    said.iter().for_each(|line| println!("{line}"));
    for Figure { name, value, unit } in &figures {
        println!("{name}: {value} {unit}");
    }
    if let Err(error) = write(&path, &figures) {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    let bad = ["/errors", "/wrong", "/reused", "/lost"];
    let failed = |figure: &Figure| {
        figure.value != 0 && bad.iter().any(|ending| figure.name.ends_with(ending))
    };
    if figures.iter().any(failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
