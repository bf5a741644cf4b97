//! Long work, beside the interpreter.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::errors::failed;

/// How often somebody looks whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(50);
/// How long work that was told to stop is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Does `work` on a thread of its own, and waits for it without the interpreter's lock. Ctrl-C
/// cancels the token; work that does not look at it is left to its end, which nobody hears of. A
/// panic becomes a `sharelet.Error`.
pub fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&CancellationToken) -> PyResult<T> + Send + 'static,
) -> PyResult<T> {
    let stop = CancellationToken::new();
    let (done, mut waited) = sync_channel(1);
    let stopped = stop.clone();
    let caught = move || {
        let result = catch_unwind(AssertUnwindSafe(|| work(&stopped)));
        // Nobody may be left who hears it.
        drop(done.send(result));
    };
    let thread = thread::Builder::new().name("sharelet".to_owned()).spawn(caught);
    thread.map_err(|error| failed(format!("no thread can be started: {error}")))?;
    let mut interrupted: Option<(PyErr, Instant)> = None;
    loop {
        let received;
        (received, waited) = py.detach(move || (waited.recv_timeout(LOOK), waited));
        match (received, interrupted) {
            // It may have ended before it looked whether it should.
            (_, Some((signal, since))) if since.elapsed() >= GRACE => return Err(signal),
            (Ok(_) | Err(RecvTimeoutError::Disconnected), Some((signal, _))) => return Err(signal),
            (Ok(Ok(result)), None) => return result,
            (Ok(Err(_)) | Err(RecvTimeoutError::Disconnected), None) => {
                return Err(failed(
                    "a mistake in sharelet itself ended this call; what it says is on standard \
                     error, please report it",
                ));
            }
            (Err(RecvTimeoutError::Timeout), still) => {
                interrupted = still;
                if interrupted.is_none()
                    && let Err(signal) = py.check_signals()
                {
                    stop.cancel();
                    interrupted = Some((signal, Instant::now()));
                }
            }
        }
    }
}

/// What the error is when work ends since it was told to; what is raised is the signal's own.
pub fn stopped() -> PyErr {
    failed("stopped")
}

/// A runtime for connections.
pub fn runtime() -> PyResult<Runtime> {
    Builder::new_multi_thread().enable_all().build().map_err(failed)
}

/// Waits for `work`, or until `stop`.
pub fn block_on<T>(
    runtime: &Runtime,
    stop: &CancellationToken,
    work: impl Future<Output = PyResult<T>>,
) -> PyResult<T> {
    let work = stop.run_until_cancelled(work);
    runtime.block_on(work).unwrap_or_else(|| Err(stopped()))
}
