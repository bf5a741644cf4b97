//! `sharelet models`: the folder of models of a host that serves several.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use sharelet_core::DeviceId;
use sharelet_host::host::folder::{Devices, Folder, FolderError};
use sharelet_link::files::write_file;
use sharelet_model::Model;

use super::common::{expect_none, output};
use super::units::parse_name;

const EXAMPLES: &str = include_str!("examples/models.txt");

/// Arguments of `sharelet models`.
#[derive(Args, Debug, Clone)]
#[command(about = "Add, replace and withdraw the models of a host", after_help = EXAMPLES)]
pub struct ModelsArgs {
    /// The folder, which `sharelet host --models` serves.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Subcommand, Debug, Clone)]
enum Change {
    /// Serve a model under a name.
    Add {
        /// Its name.
        name: String,
        /// The model.
        #[arg(value_name = "MODEL.slt")]
        model: PathBuf,
        /// Replace the model of this name: sessions that are under way end with the old one.
        #[arg(long)]
        force: bool,
    },
    /// Withdraw a model: its devices are refused after the session that is under way.
    Remove {
        /// Its name.
        name: String,
    },
    /// Give devices a model of their own.
    Assign {
        /// The model's name.
        name: String,
        /// The devices.
        #[arg(value_name = "DEVICE", required = true, value_parser = parse_name)]
        devices: Vec<DeviceId>,
    },
    /// Give devices the default model again.
    Unassign {
        /// The devices.
        #[arg(value_name = "DEVICE", required = true, value_parser = parse_name)]
        devices: Vec<DeviceId>,
    },
    /// The model of devices that have none of their own.
    Default {
        /// Its name.
        name: String,
    },
}

/// Changes the folder, or prints what is in it.
///
/// # Errors
/// A file cannot be used; there is no such model, or one of this name already.
pub fn run(args: &ModelsArgs) -> Result<()> {
    let folder = Folder::new(args.folder.clone());
    let Some(change) = &args.change else { return list(&folder) };
    match change {
        Change::Add { name, model, force } => add(&folder, name, model, *force),
        Change::Remove { name } => {
            let path = folder.path(name)?;
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
            output(&format!("{name} is withdrawn\n"))
        }
        Change::Assign { name, devices } => change_devices(&folder, Some(name), |known| {
            let named = devices.iter().map(|device| (device.to_string(), name.clone()));
            known.devices.extend(named);
        }),
        Change::Unassign { devices } => change_devices(&folder, None, |known| {
            known.devices.retain(|name, _| devices.iter().all(|device| device.as_str() != name));
        }),
        Change::Default { name } => {
            change_devices(&folder, Some(name), |known| known.default = Some(name.clone()))
        }
    }
}

fn add(folder: &Folder, name: &str, model: &Path, force: bool) -> Result<()> {
    let (path, shown) = (folder.path(name)?, model.display());
    fs::create_dir_all(folder.directory())
        .with_context(|| folder.directory().display().to_string())?;
    expect_none(&path, force)?;
    let bytes = fs::read(model).with_context(|| shown.to_string())?;
    // What cannot be read is not put where a host looks for it.
    let read = Model::from_bytes(&bytes, model)?;
    write_file(&path, &[&bytes])?;
    let (inputs, outputs) = (read.network.inputs(), read.network.outputs());
    output(&format!("{name}: {shown}, {inputs} inputs, {outputs} outputs\n"))
}

/// Changes who gets which; `named` must be a model, and so only what was said before may be none.
fn change_devices(
    folder: &Folder,
    named: Option<&String>,
    change: impl FnOnce(&mut Devices),
) -> Result<()> {
    named.map_or(Ok(()), |name| folder.expect(name))?;
    // What was meant without a word is said from now on.
    let only = || Ok::<_, FolderError>(Devices { default: folder.only()?, ..Devices::default() });
    let mut devices = folder.devices()?.map_or_else(only, Ok)?;
    change(&mut devices);
    folder.assign(&devices)?;
    list(folder)
}

fn list(folder: &Folder) -> Result<()> {
    let (names, said, only) = (folder.names()?, folder.devices()?, folder.only()?);
    let only = only.filter(|_| said.is_none());
    let devices = said.unwrap_or_default();
    let default = devices.default.as_ref().or(only.as_ref());
    let mut lines = String::new();
    for name in &names {
        let own = devices.devices.iter().filter(|(_, model)| *model == name);
        let mut who: Vec<&str> = own.map(|(device, _)| device.as_str()).collect();
        if default == Some(name) {
            who.insert(0, "(default)");
        }
        lines += format!("{name}  {}", who.join(" ")).trim_end();
        lines += "\n";
    }
    if names.is_empty() {
        lines = format!("{}: no models\n", folder.directory().display());
    }
    output(&lines)
}
