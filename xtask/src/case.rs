//! A model with readings for it: the built-in one, and the reference networks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::boards::Board;
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
    /// Where it runs as a session with a host.
    pub session: Where,
    /// Where its queries to two servers are measured.
    pub query: Where,
}

/// The boards on which something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On all.
    Everywhere,
    /// Where there is room for wide readings and many layers.
    Large,
    /// On none.
    Nowhere,
}

impl Where {
    /// Whether it is measured on `board`.
    pub fn is(self, board: &Board) -> bool {
        self == Self::Everywhere || (self == Self::Large && board.is_large())
    }
}

impl Case {
    /// The built-in model.
    pub fn built_in(workspace: &Workspace) -> Self {
        Self {
            name: "vibration",
            model: workspace.built_in_model(),
            inputs: workspace.built_in_inputs(),
            dense: true,
            session: Where::Everywhere,
            query: Where::Everywhere,
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
            let inputs = data.join(inputs);
            // A query depends on the sizes of input and output alone: network B's are network A's.
            let query = if dense { Where::Everywhere } else { Where::Nowhere };
            Ok(Self { name, model, inputs, dense, session: Where::Everywhere, query })
        };
        networks.into_iter().map(import).collect()
    }

    /// The networks of windows of MLPerf Tiny, as far as they are in `folder`: as they were
    /// imported, `NAME.slt`, or as they were published; and readings of them.
    pub fn mlperf(folder: &Path, room: &Room) -> Result<Vec<Self>> {
        let networks = [
            ("kws", "kws_ref_model_float32.tflite", "kws_cal.npy", Where::Everywhere),
            ("resnet8", "pretrainedResnet.tflite", "res_cal.npy", Where::Large),
            ("vww", "vww_96_float.tflite", "vww_cal.npy", Where::Large),
        ];
        let mut cases = Vec::new();
        for (name, network, inputs, query) in networks {
            let (network, inputs) = (folder.join(network), folder.join(inputs));
            let mut model = folder.join(format!("{name}.slt"));
            if !model.exists() {
                if !network.exists() || !inputs.exists() {
                    continue;
                }
                model = room.path(&format!("{name}.slt"));
                room.import(&network, &inputs, &model)?;
            }
            // The readings of the last are wider than the memory of a session.
            let session = if name == "vww" { Where::Nowhere } else { Where::Large };
            cases.push(Self { name, model, inputs, dense: false, session, query });
        }
        Ok(cases)
    }
}
