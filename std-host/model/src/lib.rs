//! Quantised models of sharelet and readings for them, and the files of either.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use sharelet_model::Model;
//! use sharelet_model::readings::{ReadOptions, Readings};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let model = Model::load(Path::new("model.slt"))?;
//! let width = Some(model.network.inputs());
//! let readings = Readings::load(Path::new("readings.npy"), ReadOptions { width, divide: None })?;
//! for reading in readings.rows() {
//!     // The exact answer in the clear, bit for bit what a session gives.
//!     let answer = model.infer(&model.encode(reading)?)?;
//!     println!("{:?}", model.decode(&answer));
//! }
//! # Ok(())
//! # }
//! ```

mod file;
pub mod readings;
mod scores;

pub use self::file::{FILE_VERSION, FileFault, MAX_LAYERS, Model, ModelError, largest};
pub use self::scores::{Scores, classes_of_pairs};
