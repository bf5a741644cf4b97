//! Three axes of an accelerometer as the features of the built-in model.
#![no_std]
#![forbid(unsafe_code)]

mod accelerometer;
mod features;

pub use accelerometer::{Accelerometer, NoReading};
pub use features::{COUNT, SAMPLES, Window};
