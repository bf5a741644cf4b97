//! `sharelet provision`: a new device gets a name and a key.

use std::path::PathBuf;

use clap::Args;
use sharelet_core::wire::control::DeviceId;

use super::common::CommandError;
use crate::store::dealer;

const EXAMPLES: &str = "\
Examples:
  sharelet provision pump-07 --state dealer-state -o pump-07.key
  sharelet provision pump-07 --state dealer-state -o pump-07.key --force

The key file goes to the device and nowhere else: to its flash page, or to `sharelet device --key`. The dealer keeps
its copy in its state; it may be running. With --force a device gets a new key, and the old one stops working.";

/// Arguments of `sharelet provision`.
#[derive(Args, Debug, Clone)]
#[command(about = "Make a device's key", after_help = EXAMPLES)]
pub struct ProvisionArgs {
    /// The device's name: 1 to 16 letters, digits, `.`, `-` and `_`.
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// The dealer's state directory.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Where the key file is written.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace an existing key.
    #[arg(long)]
    pub force: bool,
}

/// Makes the key.
///
/// # Errors
/// [`CommandError`]; an existing key stays unless `--force` is given.
pub fn run(args: &ProvisionArgs) -> Result<(), CommandError> {
    let name = || CommandError::DeviceName { name: args.device.clone() };
    let device = DeviceId::new(&args.device).ok_or_else(name)?;
    if !args.force && args.output.try_exists()? {
        return Err(CommandError::Exists { path: args.output.clone() });
    }
    let key = dealer::provision(&args.state, device, args.force)?;
    key.save(&args.output)?;
    tracing::info!(%device, "wrote {}; keep it on the device alone", args.output.display());
    Ok(())
}
