//! A device that has a reading from time to time, as the program runs it: over a sealed channel,
//! with a durable counter.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sharelet_core::session::p0::Identity;
use sharelet_core::session::{CounterError, SessionCounter};
use sharelet_host::device::{Device, DeviceError, Events, Inference, Sensor, Settings};
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::identity::Own;
use sharelet_host::store::peers;
use sharelet_link::{Counts, Keyring, Route};
use sharelet_model::readings::{Readings, ReadingsError};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::services::Twin;
use crate::tally::Tally;

/// Readings of one connection; then the device goes, and comes back.
const OF_CONNECTION: usize = 16;
/// Before a device that gave up tries again.
const PAUSE: Duration = Duration::from_secs(1);

/// Names the route and the files of a device.
pub(crate) fn open(path: &Path) -> (Route, Identity, FileCounter) {
    let file = |ending: &str| {
        let mut path = path.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    };
    let id = file(".id");
    let own = Own::load(&id).expect("an identity");
    let route = Route::sealed(Arc::new(Keyring::new(own.identity(), peers::folder_of(&id))), None);
    let (key, counter) =
        FileCounter::open(&file(".counter"), &file(".key"), false).expect("key and counter");
    (route, Identity::new(key.device, &key.key), counter)
}

/// When the session began that is under way, in microseconds since the start of the device.
type Began = Arc<AtomicU64>;

/// A counter that gives the next number when the next reading is due.
struct Paced {
    counter: FileCounter,
    every: Duration,
    due: Instant,
    start: Instant,
    began: Began,
}

impl SessionCounter for Paced {
    async fn next(&mut self) -> Result<u64, CounterError> {
        tokio::time::sleep_until(self.due).await;
        let now = Instant::now();
        self.due = (self.due + self.every).max(now);
        let micros = now.duration_since(self.start).as_micros();
        self.began.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.counter.next().await
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        // It waits for the disk, and other devices must not.
        tokio::task::block_in_place(|| Handle::current().block_on(self.counter.consume(session)))
    }
}

/// Some readings, the same for every connection.
struct Fixed(Readings);

impl Sensor for Fixed {
    fn width(&self) -> Option<usize> {
        Some(self.0.width())
    }

    fn readings(&mut self, _width: usize) -> Result<&Readings, ReadingsError> {
        Ok(&self.0)
    }
}

/// Compares every answer.
struct Witness {
    name: String,
    twin: Arc<Twin>,
    first: usize,
    last_session: Option<u64>,
    start: Instant,
    began: Began,
    tally: Arc<Tally>,
}

/// The row of a reading: devices begin with different ones.
fn row(twin: &Twin, first: usize, index: usize) -> &(Vec<f32>, Vec<Vec<u64>>) {
    twin.rows.get((first + index) % twin.rows.len()).expect("a row")
}

impl Events for Witness {
    fn connected(&mut self, _readings: usize) {}

    fn prepared(&mut self, session: u64, _traffic: Counts, _took: Duration) {
        if self.last_session.is_some_and(|last| session <= last) {
            self.tally.reused.fetch_add(1, Ordering::Relaxed);
        }
        self.last_session = Some(session);
    }

    fn answer(&mut self, inference: &Inference<'_>) -> io::Result<()> {
        let Inference { index, values, frac_bits, took, .. } = *inference;
        let (_, expected) = row(&self.twin, self.first, index);
        let known = expected.iter().any(|expected| values == expected.as_slice());
        let right = known && frac_bits == self.twin.frac_bits;
        let began = Duration::from_micros(self.began.load(Ordering::Relaxed));
        self.tally.answer(right, took, self.start.elapsed().saturating_sub(began));
        Ok(())
    }

    fn refused(&mut self, error: &DeviceError) -> io::Result<()> {
        self.tally.error(format!("{}: {error}", self.name));
        Ok(())
    }

    fn failed(&mut self, error: &DeviceError, _pause: Duration) {
        self.tally.error(format!("{}: {error}", self.name));
    }
}

/// Infers a reading `every` so often, the first after `offset`, until the run ends.
pub(crate) async fn infer(
    path: PathBuf,
    host: String,
    twin: Arc<Twin>,
    (every, offset): (Duration, Duration),
    first: usize,
    tally: Arc<Tally>,
) {
    let (route, identity, counter) = tokio::task::block_in_place(|| open(&path));
    let (start, began) = (Instant::now(), Began::default());
    let due = start + offset;
    let rows = (0..OF_CONNECTION).flat_map(|index| row(&twin, first, index).0.clone());
    let readings = Readings::new(twin.width, rows.collect()).expect("finite");
    let name = identity.id().to_string();
    let events = Witness {
        name: name.clone(),
        twin,
        first,
        last_session: None,
        start,
        began: began.clone(),
        tally: tally.clone(),
    };
    let mut device = Device {
        settings: Settings::new(host, route),
        identity,
        counter: Paced { counter, every, due, start, began },
        sensor: Fixed(readings),
        events,
    };
    // It is switched on shortly before its first reading.
    tokio::time::sleep(offset).await;
    loop {
        match device.run(&tally.stop).await {
            Ok(_) => {}
            Err(DeviceError::Stopped { .. }) => return,
            Err(error) => {
                tally.error(format!("{name} gave up: {error}"));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
