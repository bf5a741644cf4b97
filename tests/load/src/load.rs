//! Many devices at a host and its dealer, hostile ones among them.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use sharelet_link::{Party, Role};
use sharelet_testkit::Rng;
use sharelet_testkit::processes::Programs;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::figure::Figure;
use crate::hostile::{MANNERS, Pest, stop_midway};
use crate::memory::Samples;
use crate::services::{Services, device};
use crate::{honest, tally::Tally};

pub use crate::services::Case;

/// Between two samples of the memory.
pub(crate) const SAMPLE: Duration = Duration::from_millis(250);
/// Threads of the devices: many of them wait for the disk.
pub(crate) const THREADS: usize = 16;

/// How much load there is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Honest devices.
    pub devices: usize,
    /// The run ends after so many inferences ...
    pub inferences: u64,
    /// ... or after this time.
    pub limit: Duration,
    /// Each device has a reading so often.
    pub every: Duration,
    /// Connections of each hostile manner at each service; as many devices stop midway.
    pub hostile: usize,
    /// Models beside a small random one, all at one host.
    pub cases: Vec<Case>,
    /// Of the random model, and of when who comes.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Errors that honest devices met.
    pub errors: u64,
    /// Answers that differ from those of the plaintext twin.
    pub wrong: u64,
    /// Session numbers that a device was given twice.
    pub reused: u64,
    /// Inferences.
    pub inferences: u64,
    /// Connections of those that are hostile.
    pub hostile: u64,
    /// The first errors as text.
    pub said: Vec<String>,
    /// All of it, named `load/...`.
    pub figures: Vec<Figure>,
}

/// Starts the programs of `binary`, and loads them.
#[must_use]
pub fn run(binary: &str, settings: &Settings) -> Outcome {
    let room = Programs::new(binary);
    let counts = (settings.devices, settings.hostile);
    let mut services = Services::start(&room, &settings.cases, settings.seed, counts);
    let ids = services.ids();
    let tally = Arc::new(Tally::new(settings.inferences));
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let (samples, took) = runtime.expect("a runtime").block_on(async {
        let tasks = start(&room, &mut services, settings, &tally);
        let (begin, mut samples) = (Instant::now(), Samples::default());
        while !tally.stop.is_cancelled() {
            let done = tally.done.load(Ordering::Relaxed);
            let of_time = begin.elapsed().div_duration_f64(settings.limit);
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let of_all = done as f64 / settings.inferences.max(1) as f64;
            samples.take(of_time.max(of_all), &ids);
            if of_time >= 1.0 {
                tally.stop.cancel();
            }
            tokio::select! {
                () = tally.stop.cancelled() => {}
                () = tokio::time::sleep(SAMPLE) => {}
            }
        }
        let took = begin.elapsed();
        samples.take(1.0, &ids);
        for task in tasks {
            task.await.expect("no panic");
        }
        (samples, took)
    });
    outcome(&tally, &samples, settings, took)
}

/// Starts everybody.
fn start(
    room: &Programs,
    services: &mut Services,
    settings: &Settings,
    tally: &Arc<Tally>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut rng = Rng(settings.seed);
    let mut tasks = Vec::new();
    let mut pests: Vec<(String, PathBuf, Party)> = Vec::new();
    let host = Party::new(Role::Host, "hall").expect("a name");
    pests.push((services.dealer.address.clone(), room.path("dealer.id"), host));
    for (number, hall) in services.halls.drain(..).enumerate() {
        let address = services.host.address.clone();
        let poses_as = device(&format!("d{number}-0"));
        pests.push((address.clone(), room.path("hall.id"), poses_as));
        let twin = Arc::new(hall.twin);
        for path in hall.devices {
            let micros = u64::try_from(settings.every.as_micros()).unwrap_or(u64::MAX);
            let offset = Duration::from_micros(rng.next() % micros.max(1));
            let first = usize::try_from(rng.next() % 4096).unwrap_or(0);
            let pace = (settings.every, offset);
            tasks.push(tokio::spawn(honest::infer(
                path,
                address.clone(),
                twin.clone(),
                pace,
                first,
                tally.clone(),
            )));
        }
        for path in hall.stoppers {
            tasks.push(tokio::spawn(stop_midway(path, address.clone(), tally.clone())));
        }
    }
    for (address, service, poses_as) in pests {
        for manner in MANNERS.into_iter().cycle().take(MANNERS.len() * settings.hostile) {
            let (address, service, seed) = (address.clone(), service.clone(), rng.next());
            let pest = Pest { manner, address, service, poses_as, seed };
            tasks.push(tokio::spawn(pest.live(tally.clone())));
        }
    }
    tasks
}

fn outcome(tally: &Tally, samples: &Samples, settings: &Settings, took: Duration) -> Outcome {
    let count = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (inferences, hostile) = (count(&tally.done), count(&tally.hostile));
    let (errors, wrong, reused) = (count(&tally.errors), count(&tally.wrong), count(&tally.reused));
    let counts = [settings.devices, settings.cases.len() + 1].map(|count| count as u64);
    let mut figures = figures("load", counts, tally, samples, took);
    figures.push(Figure::new("load/hostile_connections", hostile, "connections"));
    Outcome { errors, wrong, reused, inferences, hostile, said: tally.said(), figures }
}

/// The figures of a run: its devices, models, answers, times and memory.
pub(crate) fn figures(
    group: &str,
    [devices, models]: [u64; 2],
    tally: &Tally,
    samples: &Samples,
    took: Duration,
) -> Vec<Figure> {
    let count = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let inferences = count(&tally.done);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let [p50, p99, whole_p50, whole_p99] = tally.percentiles().map(millis);
    let held = samples.first_and_last();
    for (program, (first, last)) in held.iter().enumerate() {
        let name = if program == 0 { "dealer".to_owned() } else { format!("host {program}") };
        println!("{name}: {first} bytes after the first tenth, {last} at the end");
    }
    let sum = |of: fn(&(u64, u64)) -> u64| held.iter().map(of).sum::<u64>();
    let (before, after) = (sum(|held| held.0), sum(|held| held.1));
    let rate = inferences * 1000 / millis(took).max(1);
    let named = [
        ("devices", devices, "devices"),
        ("models", models, "models"),
        ("inferences", inferences, "inferences"),
        ("seconds", took.as_secs(), "s"),
        ("inferences_per_second", rate, "inferences"),
        ("errors", count(&tally.errors), "errors"),
        ("wrong", count(&tally.wrong), "answers"),
        ("reused", count(&tally.reused), "session numbers"),
        ("p50_ms", p50, "ms"),
        ("p99_ms", p99, "ms"),
        ("prepared_p50_ms", whole_p50, "ms"),
        ("prepared_p99_ms", whole_p99, "ms"),
        ("rss_peak_bytes", samples.peak(), "bytes"),
    ];
    let mut figures: Vec<Figure> = named
        .into_iter()
        .map(|(name, value, unit)| Figure::new(&format!("{group}/{name}"), value, unit))
        .collect();
    // What was given back is as good as no growth, and is told as it is.
    let value = i64::try_from(after).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(0);
    figures.push(Figure { name: format!("{group}/rss_growth_bytes"), value, unit: "bytes" });
    figures
}
