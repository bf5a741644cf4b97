//! Quantised models of sharelet and readings for them, and the files of either.

mod file;
pub mod readings;

pub use self::file::{FILE_VERSION, MAX_LAYERS, Model, ModelError, largest};
