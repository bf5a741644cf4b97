//! The commands of `sharelet`, one file each.

pub mod answers;
pub mod chart;
pub mod collect;
pub mod common;
pub mod completions;
pub mod console;
pub mod dealer;
pub mod device;
pub mod devices;
pub mod doctor;
pub mod explain;
pub mod host;
#[cfg(feature = "import")]
pub mod import;
pub mod inspect;
pub mod keygen;
pub mod man;
pub mod models;
pub mod monitor;
#[cfg(feature = "import")]
pub mod open;
pub mod pair;
pub mod plot;
pub mod prepare;
pub mod provision;
pub mod reload;
pub mod server;
pub mod settings;
pub mod share;
#[cfg_attr(not(feature = "nats"), path = "store_none.rs")]
pub mod store;
pub mod table;
pub mod task;
pub mod terminal;
pub mod top;
pub mod train;
pub mod train_plain;
pub mod twin;
pub mod units;
mod versions;

use std::ffi::OsString;
use std::io::Write as _;

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand};
use sharelet_link::system::no_core_dumps;

use self::common::{exit_code, is_unread};
use self::terminal::{Verbosity, is_json, prefix};

#[cfg(not(feature = "import"))]
const NO_IMPORTER: &str =
    "this build has no importer; build one with `cargo build --release -p sharelet-cli`";
const EXAMPLES: &str = include_str!("examples/sharelet.txt");

/// The program: runs the command that `arguments` and `variables` say, and returns its exit code.
/// Help, and arguments that are none, end the process.
#[must_use]
pub fn program(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> u8 {
    no_core_dumps();
    let cli: Cli = settings::parse(arguments, variables).unwrap_or_else(|error| error.exit());
    let Err(error) = cli.run() else { return 0 };
    if !is_unread(&error) {
        if is_json() {
            tracing::error!("{error}");
        } else {
            // A terminal that is gone is no reason to panic.
            let _ = writeln!(std::io::stderr(), "{}error: {error}", prefix());
        }
    }
    exit_code(&error)
}

/// Secure two-party inference for microcontrollers.
#[derive(Parser, Debug)]
#[command(name = "sharelet", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    verbosity: Verbosity,
    /// What the command line does not say: TOML with a table for each command, such as [host], and
    /// a key for each of its options. Variables such as SHARELET_HOST_LISTEN come before it.
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Keygen(keygen::KeygenArgs),
    Pair(pair::PairArgs),
    Provision(provision::ProvisionArgs),
    Dealer(dealer::DealerArgs),
    Host(host::HostArgs),
    Models(models::ModelsArgs),
    Devices(devices::DevicesArgs),
    Top(top::TopArgs),
    Device(device::DeviceArgs),
    Prepare(prepare::PrepareArgs),
    Server(server::ServerArgs),
    Console(console::ConsoleArgs),
    Task(task::TaskArgs),
    Doctor(doctor::DoctorArgs),
    Twin(twin::TwinArgs),
    Explain(explain::ExplainArgs),
    Train(Box<train::TrainArgs>),
    TrainPlain(Box<train_plain::TrainPlainArgs>),
    #[cfg(feature = "import")]
    Open(open::OpenArgs),
    Inspect(inspect::InspectArgs),
    Share(share::ShareArgs),
    #[cfg(feature = "nats")]
    Store(store::StoreArgs),
    Collect(collect::CollectArgs),
    #[cfg(feature = "import")]
    Import(import::ImportArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    /// Not in this build.
    #[cfg(not(feature = "import"))]
    #[command(hide = true)]
    Import {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What is wrong and what to do, for people; [`common::exit_code`] gives the program's code.
    pub fn run(self) -> Result<()> {
        self.verbosity.start();
        match self.command {
            Command::Keygen(args) => keygen::run(&args),
            Command::Pair(args) => pair::run(&args),
            Command::Provision(args) => provision::run(&args),
            Command::Dealer(args) => dealer::run(&args),
            Command::Host(args) => host::run(&args),
            Command::Models(args) => models::run(&args),
            Command::Devices(args) => devices::run(&args),
            Command::Top(args) => top::run(&args),
            Command::Device(args) => device::run(args),
            Command::Prepare(args) => prepare::run(&args),
            Command::Server(args) => server::run(&args),
            Command::Console(args) => console::run(args),
            Command::Task(args) => task::run(&args),
            Command::Train(args) => train::run(&args),
            Command::TrainPlain(args) => train_plain::run(&args),
            #[cfg(feature = "import")]
            Command::Open(args) => open::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Twin(args) => twin::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Share(args) => share::run(args),
            #[cfg(feature = "nats")]
            Command::Store(args) => store::run(&args),
            Command::Collect(args) => collect::run(&args),
            #[cfg(feature = "import")]
            Command::Import(args) => Ok(import::run(args)?),
            Command::Completions(args) => completions::run(&args, Self::command()),
            Command::Man(args) => man::run(&args, Self::command()),
            #[cfg(not(feature = "import"))]
            Command::Import { .. } => anyhow::bail!("{NO_IMPORTER}"),
        }
    }
}
