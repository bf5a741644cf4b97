//! A device that meets a host, as the program `sharelet device` does.

use core::time::Duration;
use std::io;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sharelet_cli::common::LinkArgs;
use sharelet_cli::units::parse_endpoint;
use sharelet_core::session::SessionError;
use sharelet_core::session::p0::Identity;
use sharelet_host::device::{Device, DeviceError, Events, Inference, Sensor, Settings};
use sharelet_host::store::counter::FileCounter;
use sharelet_link::{Counts, Role};
use sharelet_model::readings::{Readings, ReadingsError};
use tokio_util::sync::CancellationToken;

use crate::arrays::{readings, reals};
use crate::errors::{failed, input};
use crate::work::{interruptible, runtime, stopped};

/// Readings that are there from the beginning.
struct Rows(Readings);

impl Sensor for Rows {
    fn width(&self) -> Option<usize> {
        Some(self.0.width())
    }

    fn readings(&mut self, _width: usize) -> Result<&Readings, ReadingsError> {
        Ok(&self.0)
    }
}

/// Answers as they come.
#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    /// The first reading that the model is not made for.
    refused: Option<String>,
}

impl Events for Collected {
    fn connected(&mut self, _readings: usize) {}

    fn prepared(&mut self, _session: u64, _traffic: Counts, _took: Duration) {}

    fn answer(&mut self, inference: &Inference<'_>) -> io::Result<()> {
        self.bytes.extend(reals(inference.values, inference.frac_bits));
        Ok(())
    }

    fn refused(&mut self, error: &DeviceError) -> io::Result<()> {
        self.refused.get_or_insert_with(|| error.to_string());
        Ok(())
    }

    fn failed(&mut self, _error: &DeviceError, _pause: Duration) {}
}

/// Answers of a host to rows of `float32`.
#[pyfunction]
pub fn infer<'py>(
    py: Python<'py>,
    host: String,
    files: (PathBuf, PathBuf, PathBuf),
    width: usize,
    bytes: &[u8],
    retries: u32,
    timeout: f64,
) -> PyResult<Bound<'py, PyBytes>> {
    let rows = readings(width, bytes)?;
    let host = parse_endpoint(&host).map_err(|reason| input(format!("host: {reason}")))?;
    let limit = Duration::try_from_secs_f64(timeout).ok().filter(|limit| !limit.is_zero());
    let limit = limit.ok_or_else(|| input("timeout: give a number of seconds above 0"))?;
    let answers = interruptible(py, move |stop| all(stop, host, files, rows, retries, limit))?;
    Ok(PyBytes::new(py, &answers))
}

fn all(
    stop: &CancellationToken,
    host: String,
    (id, key, counter): (PathBuf, PathBuf, PathBuf),
    rows: Readings,
    retries: u32,
    limit: Duration,
) -> PyResult<Vec<u8>> {
    let link = LinkArgs { id: Some(id), insecure_plaintext: false, wan: None };
    let route = link.route(Role::Device).map_err(input)?;
    let (key, counter) = FileCounter::open(&counter, &key, false).map_err(input)?;
    let mut collected = Collected::default();
    let settings = Settings { retries, phase: limit, stall: limit, ..Settings::new(host, route) };
    let mut device = Device {
        settings,
        identity: Identity::new(key.device, &key.key),
        counter,
        sensor: Rows(rows),
        events: &mut collected,
    };
    let ran = runtime()?.block_on(device.run(stop));
    drop(device);
    match (ran, collected.refused) {
        (Ok(_), _) => Ok(collected.bytes),
        (Err(DeviceError::Stopped { .. }), _) => Err(stopped()),
        (Err(DeviceError::ReadingsRefused { refused: 1, of }), Some(first)) => {
            Err(input(format!("{first}, and nor have the other {} here", of - 1)))
        }
        (Err(DeviceError::ReadingsRefused { refused, .. }), Some(first)) => {
            Err(input(format!("{first}, and nor have {} more; leave them out", refused - 1)))
        }
        (
            Err(
                error @ (DeviceError::Readings(_)
                | DeviceError::Session(SessionError::InputWidth { .. })),
            ),
            _,
        ) => Err(input(error)),
        (Err(error), _) => Err(failed(error)),
    }
}
