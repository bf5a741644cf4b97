//! What this program speaks.

use sharelet_core::session::wire;
use sharelet_host::dealer::wire as dealer_wire;
use sharelet_host::server::{shared, training};
use sharelet_host::upload;
use sharelet_model::FILE_VERSION;

/// What both ends of a link must have the same of, and whoever reads a model.
pub fn versions() -> String {
    format!(
        "sharelet {}: channels of version {}, sessions {}, dealing {}, training {}, shared models \
         {}, uploads {}; model files {}",
        env!("CARGO_PKG_VERSION"),
        sharelet_channel::VERSION,
        wire::VERSION,
        dealer_wire::VERSION,
        training::wire::VERSION,
        shared::wire::VERSION,
        upload::wire::VERSION,
        FILE_VERSION,
    )
}
