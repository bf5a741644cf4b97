//! What a service counts, for who watches it: in the format of OpenMetrics, without names of
//! devices and without anything that depends on a secret.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use sharelet_core::DeviceId;
use sharelet_link::monitor::DeviceFigures;
use sharelet_link::service::Event;

/// One label, and what it says.
type Label = [(&'static str, String); 1];

/// A part of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Corrections of one session, at the dealer.
    Deal,
    /// Before there is a reading.
    Prepare,
    /// From the reading to the answer.
    Infer,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Deal => "deal",
            Self::Prepare => "prepare",
            Self::Infer => "infer",
        }
    }
}

/// What a device has done since its service was started.
#[derive(Debug, Default)]
pub struct DeviceRecord {
    open: AtomicU32,
    evaluated: AtomicU64,
    seen: AtomicU64,
    ready: AtomicU64,
}

impl DeviceRecord {
    /// It is here, until the value is dropped.
    #[must_use]
    pub fn here(self: &Arc<Self>) -> Here {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.see();
        Here(self.clone())
    }

    /// A session of it was evaluated.
    pub fn evaluated(&self) {
        self.evaluated.fetch_add(1, Ordering::Relaxed);
        self.see();
    }

    /// So many sessions are prepared for it.
    pub fn ready(&self, ready: u64) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn see(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.seen.store(now.map_or(0, |now| now.as_secs()), Ordering::Relaxed);
    }
}

/// A device that is here.
#[derive(Debug)]
pub struct Here(Arc<DeviceRecord>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.see();
    }
}

/// What each device has done.
#[derive(Debug, Default)]
pub struct Records(Mutex<BTreeMap<DeviceId, Arc<DeviceRecord>>>);

impl Records {
    /// A device's record.
    #[must_use]
    pub fn of(&self, device: DeviceId) -> Arc<DeviceRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(device).or_default().clone()
    }

    /// All of them, by name.
    #[must_use]
    pub fn figures(&self) -> Vec<DeviceFigures> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = records.iter().map(|(device, record)| DeviceFigures {
            connected: record.open.load(Ordering::Relaxed) > 0,
            evaluated: record.evaluated.load(Ordering::Relaxed),
            seen_unix_seconds: record.seen.load(Ordering::Relaxed),
            ready: record.ready.load(Ordering::Relaxed),
            ..DeviceFigures::of(device.as_str())
        });
        figures.collect()
    }

    /// Sessions that are prepared for all of them.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.figures().iter().map(|device| device.ready).sum()
    }
}

/// The figures of a service.
pub struct Meter {
    registry: Mutex<Registry>,
    connections: Family<Label, Counter>,
    open: Gauge,
    sessions: Family<Label, Counter>,
    seconds: Family<Label, Histogram>,
    refusals: Family<Label, Counter>,
    ready: Gauge,
    memory: Gauge,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// With nothing counted.
    #[must_use]
    pub fn new() -> Self {
        // From a millisecond to half a minute.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let meter = Self {
            registry: Mutex::default(),
            connections: Family::default(),
            open: Gauge::default(),
            sessions: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            refusals: Family::default(),
            ready: Gauge::default(),
            memory: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("sharelet");
        let build = Family::<Label, Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        registry.register("build_info", "The version", build);
        let help = "Connections that ended: served, refused, or unheard before a greeting";
        registry.register("connections", help, meter.connections.clone());
        registry.register("connections_open", "Connections now", meter.open.clone());
        registry.register("sessions", "Parts of sessions, done", meter.sessions.clone());
        let help = "What a part of a session took";
        registry.register_with_unit("session", help, Unit::Seconds, meter.seconds.clone());
        registry.register("refusals", "Peers that were refused, and why", meter.refusals.clone());
        registry.register("sessions_ready", "Sessions prepared ahead", meter.ready.clone());
        let help = "Memory of the program that is not swapped out";
        registry.register_with_unit("resident", help, Unit::Bytes, meter.memory.clone());
        Self { registry: Mutex::new(registry), ..meter }
    }

    /// Something happened to a connection.
    pub fn event(&self, event: Event) {
        let ended = match event {
            Event::Accepted => {
                self.open.inc();
                return;
            }
            Event::Unheard => "unheard",
            Event::Ended { well: true } => "served",
            Event::Ended { well: false } => "refused",
        };
        self.open.dec();
        self.connections.get_or_create(&[("ended", ended.to_owned())]).inc();
    }

    /// A part of a session is done.
    pub fn session(&self, phase: Phase, took: Duration) {
        let label = [("part", phase.name().to_owned())];
        self.sessions.get_or_create(&label).inc();
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// A peer was refused: `reason` is a variant of what it was told.
    pub fn refused(&self, reason: &impl fmt::Debug) {
        let mut name = String::new();
        // A variant's fields may be anything: its name alone.
        let _ = write!(name, "{reason:?}");
        let end = name.find(|char: char| !char.is_alphanumeric()).unwrap_or(name.len());
        name.truncate(end);
        self.refusals.get_or_create(&[("reason", name)]).inc();
    }

    /// All figures, as text; `ready` sessions are prepared ahead for peers that are there.
    #[must_use]
    pub fn text(&self, ready: u64) -> String {
        self.ready.set(i64::try_from(ready).unwrap_or(i64::MAX));
        self.memory.set(resident_bytes().unwrap_or(0));
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// Memory of this program, where the system says it: Linux.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_here_until_it_is_gone_however_it_goes() {
        let (records, device) = (Records::default(), DeviceId::new("pump").expect("a name"));
        let here = records.of(device).here();
        records.of(device).evaluated();
        records.of(device).ready(3);
        let [of] = &records.figures()[..] else { panic!("one device") };
        assert!(of.connected && of.evaluated == 1 && of.ready == 3 && of.seen_unix_seconds > 0);
        drop(here);
        assert!(!records.figures()[0].connected && records.ready() == 3);
    }

    #[test]
    fn what_is_counted_is_told() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only its name is told")]
        enum Refusal {
            Full { device: &'static str },
        }
        let meter = Meter::new();
        for event in [Event::Accepted, Event::Accepted, Event::Accepted, Event::Unheard] {
            meter.event(event);
        }
        meter.event(Event::Ended { well: true });
        meter.session(Phase::Infer, Duration::from_millis(3));
        meter.refused(&Refusal::Full { device: "pump" });
        let text = meter.text(7);
        for line in [
            "sharelet_connections_total{ended=\"unheard\"} 1",
            "sharelet_connections_total{ended=\"served\"} 1",
            "sharelet_connections_open 1",
            "sharelet_sessions_total{part=\"infer\"} 1",
            "sharelet_session_seconds_bucket{le=\"0.004\",part=\"infer\"} 1",
            "sharelet_refusals_total{reason=\"Full\"} 1",
            "sharelet_sessions_ready 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("pump") && text.ends_with("# EOF\n"), "{text}");
        assert!(text.contains("sharelet_resident_bytes "), "{text}");
    }
}
