//! Everything that reads bytes of somebody else, as targets: a function that takes any bytes, and
//! neither panics nor goes on for ever, with bytes to begin with.
//!
//! A test runs every target for a second on changed seeds; `cargo xtask bench fuzz` lets a fuzzer
//! that sees coverage run them for longer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_possible_truncation,
    clippy::std_instead_of_core,
    reason = "a target ends where something is wrong"
)]

mod console;
mod dealer;
mod encrypted;
mod files;
mod flash;
mod line;
mod memory;
mod messages;
mod models;
mod parties;
mod room;
mod script;
pub mod seeds;
mod serial;
mod served;
mod servers;
mod settings;
mod transfers;
mod upload;

/// What is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Bytes to begin with, beside the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 27] = [
    Target { name: "device", run: parties::device, seeds: parties::device_seeds },
    Target { name: "host", run: parties::host, seeds: parties::host_seeds },
    Target { name: "connect", run: parties::connect, seeds: parties::connect_seeds },
    Target { name: "accept", run: parties::accept, seeds: parties::accept_seeds },
    Target { name: "dealer", run: dealer::run, seeds: dealer::seeds },
    Target { name: "upload", run: upload::run, seeds: upload::seeds },
    Target { name: "server0", run: servers::zero, seeds: servers::zero_seeds },
    Target { name: "server1", run: servers::one, seeds: servers::one_seeds },
    Target { name: "console", run: console::run, seeds: console::seeds },
    Target { name: "control", run: messages::control, seeds: messages::control_seeds },
    Target { name: "queries", run: messages::queries, seeds: messages::query_seeds },
    Target { name: "frames", run: messages::frames, seeds: messages::frame_seeds },
    Target { name: "encrypted", run: encrypted::messages, seeds: encrypted::seeds },
    Target { name: "transfers", run: transfers::messages, seeds: transfers::seeds },
    Target { name: "page", run: files::page, seeds: files::page_seeds },
    Target { name: "logs", run: flash::logs, seeds: flash::log_seeds },
    Target { name: "store", run: files::store, seeds: files::store_seeds },
    Target { name: "share", run: files::share, seeds: files::share_seeds },
    Target { name: "dataset", run: files::dataset, seeds: files::dataset_seeds },
    Target { name: "model", run: models::model, seeds: models::model_seeds },
    Target { name: "onnx", run: models::onnx, seeds: models::onnx_seeds },
    Target { name: "tflite", run: models::tflite, seeds: models::tflite_seeds },
    Target { name: "readings", run: models::readings, seeds: models::reading_seeds },
    Target { name: "config", run: models::config, seeds: models::config_seeds },
    Target { name: "settings", run: settings::run, seeds: settings::seeds },
    Target { name: "lines", run: serial::run, seeds: serial::seeds },
    Target { name: "trace", run: files::trace, seeds: files::trace_seeds },
];

impl Target {
    /// The target of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
