//! A model with readings for it: the built-in one, and the reference networks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::services::Room;
use crate::workspace::Workspace;

/// A model and readings for it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, as in figures.
    pub name: &'static str,
    /// The model file.
    pub model: PathBuf,
    /// The readings.
    pub inputs: PathBuf,
    /// Whether all layers are dense, so that a board can compute the plaintext twin.
    pub dense: bool,
}

impl Case {
    /// The built-in model.
    pub fn built_in(workspace: &Workspace) -> Self {
        Self {
            name: "vibration",
            model: workspace.built_in_model(),
            inputs: workspace.built_in_inputs(),
            dense: true,
        }
    }

    /// The reference networks in `data`, imported into `room`. Needs a `sharelet` with the readers
    /// of foreign files.
    pub fn reference(data: &Path, room: &Room) -> Result<Vec<Self>> {
        let networks = [
            (
                "ad01",
                "mlperf-tiny/ad01.onnx",
                "mlperf-tiny/ad01_windows.npy",
                "mlperf-tiny/ad01_windows.npy",
            ),
            (
                "ad01_1_percent",
                "mlperf-tiny/ad01.onnx",
                "mlperf-tiny/ad01_windows.npy",
                "mlperf-tiny/ad01_windows.npy",
            ),
            (
                "network_a",
                "networks/network_a.onnx",
                "mnist/train-images-idx3-ubyte.gz",
                "mnist/test-images-idx3-ubyte.gz",
            ),
            (
                "network_b",
                "networks/network_b.onnx",
                "mnist/train-images-idx3-ubyte.gz",
                "mnist/test-images-idx3-ubyte.gz",
            ),
        ];
        let data =
            data.canonicalize().with_context(|| format!("{} cannot be opened", data.display()))?;
        let import = |(name, network, calibrate, inputs): (&'static str, &str, &str, &str)| {
            let model = room.path(&format!("{name}.slt"));
            // What a user chooses who takes speed before the last digits.
            let fast = name.ends_with("1_percent");
            let options = if fast { "--max-error 1 --name ad01_1_percent" } else { "" };
            room.import_with(options, &data.join(network), &data.join(calibrate), &model)?;
            let dense = name != "network_b" && !fast;
            Ok(Self { name, model, inputs: data.join(inputs), dense })
        };
        networks.into_iter().map(import).collect()
    }
}
