//! One host with several models that are swapped under its devices.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::fs;
use std::sync::Arc;

use sharelet_testkit::Rng;
use sharelet_testkit::processes::Programs;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::figure::Figure;
use crate::load::{SAMPLE, THREADS, figures};
use crate::memory::Samples;
use crate::services::{Twin, small};
use crate::{honest, tally::Tally};

/// How much load there is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Devices, divided among the models.
    pub devices: usize,
    /// Models.
    pub models: usize,
    /// How often a model is replaced, in turn, in the time of the run.
    pub swaps: u32,
    /// The time of the run.
    pub time: Duration,
    /// Each device has a reading so often.
    pub every: Duration,
    /// Of the models, and of when who comes.
    pub seed: u64,
}

/// What came of it: the first errors as text, and figures named `fleet/...`.
#[must_use]
pub fn run(binary: &str, settings: &Settings) -> (Vec<String>, Vec<Figure>) {
    let Settings { devices, models, swaps, time, every, seed } = *settings;
    let room = Programs::new(binary);
    let names: Vec<String> = (0..devices).map(|number| format!("d-{number}")).collect();
    fs::write(room.path("devices.txt"), names.join("\n")).expect("writes");
    for line in ["keygen host hall-0", "pair hall-0.id dealer.id"] {
        room.works(line);
    }
    room.works("provision --from devices.txt --state dealer-state -o devices --peer hall-0.id");
    let file = |model: usize, version: usize| format!("model-{model}-{version}.slt");
    let mut twins = Vec::new();
    for model in 0..models {
        let of = seed.wrapping_add(2 * model as u64);
        let [(first, readings), (second, _)] = [small(of), small(of + 1)];
        for (version, whole) in [&first, &second].into_iter().enumerate() {
            whole.save(&room.path(&file(model, version))).expect("saves");
        }
        twins.push(Arc::new(Twin::new(&[&first, &second], &readings)));
        room.works(&format!("models models add model-{model} {}", file(model, 0)));
        let own = names.iter().skip(model).step_by(models).cloned().collect::<Vec<_>>();
        room.works(&format!("models models assign model-{model} {}", own.join(" ")));
    }
    let dealer = room.serve("dealer --state dealer-state");
    let host = room.serve(&format!(
        "host --models models --dealer {} --state hall-0 --id hall-0.id --monitor 0 \
         --sessions-per-day 1000000",
        dealer.address
    ));
    let ids = [dealer.program.id(), host.program.id()];
    let tally = Arc::new(Tally::new(u64::MAX));
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let (samples, took) = runtime.expect("a runtime").block_on(async {
        let mut rng = Rng(seed);
        let mut tasks = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let micros = u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
            let offset = Duration::from_micros(rng.next() % micros.max(1));
            let first = usize::try_from(rng.next() % 4096).unwrap_or(0);
            let twin = twins[number % models].clone();
            let (path, address) = (room.path("devices").join(name), host.address.clone());
            let device = honest::infer(path, address, twin, (every, offset), first, tally.clone());
            tasks.push(tokio::spawn(device));
        }
        let (begin, mut samples, mut swapped) = (Instant::now(), Samples::default(), 0);
        while begin.elapsed() < time {
            samples.take(begin.elapsed().div_duration_f64(time), &ids);
            // The last has as much time as the others.
            if swapped < swaps && begin.elapsed() > time * (swapped + 1) / (swaps + 1) {
                let model = swapped as usize % models;
                let version = (swapped as usize / models + 1) % 2;
                let from = file(model, version);
                room.works(&format!("models models add model-{model} {from} --force"));
                host.program.signal("HUP");
                swapped += 1;
            }
            tokio::time::sleep(SAMPLE).await;
        }
        let took = begin.elapsed();
        samples.take(1.0, &ids);
        tally.stop.cancel();
        for task in tasks {
            task.await.expect("no panic");
        }
        (samples, took)
    });
    let taken = host.program.said().matches("models: ").count().saturating_sub(1);
    let counts = [devices, models].map(|count| count as u64);
    let mut all = figures("fleet", counts, &tally, &samples, took);
    all.push(Figure::new("fleet/swaps", taken as u64, "models replaced"));
    let asked = tally.done.load(Ordering::Relaxed);
    assert!(asked > 0, "nobody was served: {:?}", tally.said());
    (tally.said(), all)
}
