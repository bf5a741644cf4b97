//! `sharelet provision`: a new device, data party or console gets a name and a key.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use sharelet_core::session::wire::control::DeviceId;

use super::common::{counter_of, expect_none};
use sharelet_host::store::console::ConsoleKey;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::dealer;
use sharelet_host::store::key::DeviceKey;

const EXAMPLES: &str = include_str!("examples/provision.txt");

/// Arguments of `sharelet provision`.
#[derive(Args, Debug, Clone)]
#[command(about = "Make a device's key", after_help = EXAMPLES)]
pub struct ProvisionArgs {
    /// The name: 1 to 16 letters, digits, `.`, `-` and `_`.
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// The dealer's state directory.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["outsource", "console"])]
    pub state: Option<PathBuf>,
    /// A key for a data party of two servers, known to no dealer.
    #[arg(long, conflicts_with_all = ["state", "console"])]
    pub outsource: bool,
    /// Tokens of a console that takes answers from two servers.
    #[arg(long, conflicts_with = "state")]
    pub console: bool,
    /// Where the key file is written.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Where the counter of the key's sessions is written; by default the key's file, ending in
    /// `.counter`. A board that counts in its flash has no use for it.
    #[arg(long, value_name = "FILE", conflicts_with = "console")]
    pub counter: Option<PathBuf>,
    /// Replace an existing key.
    #[arg(long)]
    pub force: bool,
}

/// Makes the key.
///
/// # Errors
/// The name is none, or a file cannot be written; an existing key stays unless `--force` is given.
pub fn run(args: &ProvisionArgs) -> Result<()> {
    let device = DeviceId::new(&args.device).ok_or_else(|| {
        anyhow!(
            "`{}` is not a device's name: use 1 to 16 letters, digits, `.`, `-` and `_`",
            args.device
        )
    })?;
    expect_none(&args.output, args.force)?;
    if args.console {
        ConsoleKey::generate(device)?.save(&args.output)?;
        let (path, name) = (args.output.display(), device);
        tracing::info!(
            %name,
            "wrote {path} for the console, {path}.0 and {path}.1 for the servers",
        );
        return Ok(());
    }
    let counter = args.counter.clone().unwrap_or_else(|| counter_of(&args.output));
    expect_none(&counter, args.force)?;
    let give = |key: &DeviceKey| {
        FileCounter::create(&counter, key.key_id())?;
        key.save(&args.output)
    };
    match &args.state {
        Some(state) => drop(dealer::provision(state, device, args.force, give)?),
        None => give(&DeviceKey::generate(device)?)?,
    }
    tracing::info!(
        %device,
        "wrote {}, and its counter {}; keep both on the device alone",
        args.output.display(),
        counter.display(),
    );
    Ok(())
}
