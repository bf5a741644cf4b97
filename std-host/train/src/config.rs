//! The configuration of a training run: CONFIG.toml, public and the same on both servers.
//!
//! What belongs to one machine (party number, addresses, folders) is given on the command line and
//! is not in the file.
//!
//! ```toml
//! [data]
//! train = "mnist-train"           # a data set that was shared to both servers
//! test = "mnist-test"             # another one; or held_out = 1000 (rows), or held_out = 0.1 (a
//!                                 # fraction); default: no test
//!
//! [model]
//! kind = "network"                # or "linear-regression", "logistic-regression", "svm"
//! name = "a"                      # "a", "b", "c", "d"; or `input` and `layer`:
//! # input = [1, 28, 28]           # channels, rows, columns; or a number: so many values
//! # loss = "cross-entropy"        # the default; or "squared-error", "logistic", "hinge"
//! # [[model.layer]]
//! # kind = "convolution"          # filters, kernel, stride = 1, padding = 0; N or [rows, columns]
//! # filters = 16
//! # kernel = 5
//! # [[model.layer]]
//! # kind = "max-pool"             # or "average-pool": kernel, stride = kernel
//! # kernel = 2
//! # [[model.layer]]
//! # kind = "relu"
//! # [[model.layer]]
//! # kind = "dense"
//! # outputs = 10
//!
//! [training]
//! epochs = 5
//! batch = 128                     # rows per step; the last batch of an epoch has what is left
//! learning_rate = 0.1
//! momentum = 0.9                  # default 0
//! weight_decay = 0.0001           # default 0; weights only, not biases
//! seed = 1                        # default 0: initial weights, order of rows, held-out rows
//! schedule = { kind = "constant" }  # the default; or { kind = "step", epochs = 2, factor = 0.5 },
//!                                 # { kind = "cosine", last = 0.001 }, or "linear" likewise
//!
//! [arithmetic]
//! frac_bits = 20                  # the default; 16 or 20 with the losses "cross-entropy" and
//!                                 # "logistic", 16 to 24 with others
//! truncation = "one-unit"         # the default; or "exact"
//!
//! [checkpoint]
//! every = 50                      # batches; the default
//! keep = 2                        # checkpoints, at least 2; the default
//!
//! [open]                          # nothing is opened unless it is said here
//! loss = false                    # per epoch
//! accuracy = false                # per epoch
//! least_rows = 10                 # neither over fewer; the default
//! # model = { to = "OWNER", format = "onnx" }
//!
//! [stop]                          # divergence: one bit is opened with every checkpoint and epoch
//! check = true                    # the default
//! largest_weight = 1024.0         # magnitude; the default
//! ```

mod agree;
mod check;
mod error;
mod fields;
mod file;
mod model;

pub use agree::Difference;
pub use error::{ConfigError, FieldError};
pub use fields::{
    Arithmetic, Checkpoint, Config, Data, FRAC_BITS, HeldOut, MAX_BATCH, ModelFormat, Open,
    OpenModel, Schedule, Stop, Training, Truncation,
};
pub use model::{Input, LayerEntry, Model, ModelKind, Sides};
