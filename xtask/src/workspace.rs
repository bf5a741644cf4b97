//! Where things are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package of the program `sharelet`.
pub const SHARELET_PACKAGE: &str = "sharelet-cli";

/// Folders of the checkout.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The checkout that this program was built from.
    pub fn here() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_owned();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root, target }
    }

    /// The checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The build folder of the PC's side.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The firmware's workspace.
    pub fn firmware(&self) -> PathBuf {
        self.root.join("firmware")
    }

    /// The firmware's build folder.
    pub fn firmware_target(&self) -> PathBuf {
        match env::var_os("CARGO_TARGET_DIR") {
            Some(_) => self.target.join("firmware"),
            None => self.firmware().join("target"),
        }
    }

    /// The program `sharelet`, once it is built.
    pub fn sharelet(&self) -> PathBuf {
        self.target.join("debug").join(if cfg!(windows) { "sharelet.exe" } else { "sharelet" })
    }

    /// The same as it is released, once it is built.
    pub fn released_sharelet(&self) -> PathBuf {
        self.target.join("release").join(if cfg!(windows) { "sharelet.exe" } else { "sharelet" })
    }

    /// Cargo, for the PC's side, started in the checkout.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }

    /// The reference networks and inputs, if they are on this machine.
    pub fn data(&self) -> Option<PathBuf> {
        let data = env::var_os("SHARELET_DATA")
            .map_or_else(|| self.root.join("../shared/data"), PathBuf::from);
        data.join("mlperf-tiny").is_dir().then_some(data)
    }

    /// The built-in model.
    pub fn built_in_model(&self) -> PathBuf {
        self.root.join("demo/vibration.slt")
    }

    /// The built-in readings.
    pub fn built_in_inputs(&self) -> PathBuf {
        self.root.join("demo/windows.npy")
    }
}
