//! Two hosts and two dealers that share a store, against one of each with the state of a machine:
//! all of them, and the devices, on this one.

use core::time::Duration;
use std::fs;
use std::sync::Arc;

use sharelet_testkit::Rng;
use sharelet_testkit::nats::NatsServer;
use sharelet_testkit::processes::{Programs, Server};
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::figure::Figure;
use crate::honest;
use crate::load::{SAMPLE, THREADS, figures};
use crate::memory::Samples;
use crate::services::{Case, Twin, load, small};
use crate::tally::Tally;

/// How much load there is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Devices, each of which has its next reading as soon as it has an answer.
    pub devices: usize,
    /// How long each of the two runs takes.
    pub time: Duration,
    /// The model, if it is not a small random one.
    pub case: Option<Case>,
    /// Of the random model, and of which readings come.
    pub seed: u64,
}

/// Runs both; `None` where there is no server of NATS.
#[must_use]
pub fn run(binary: &str, settings: &Settings) -> Option<Vec<Figure>> {
    let nats = NatsServer::start(true)?;
    let mut all = one("shared/embedded", binary, settings, None);
    all.extend(one("shared/nats", binary, settings, Some(&nats)));
    Some(all)
}

fn one(group: &str, binary: &str, settings: &Settings, nats: Option<&NatsServer>) -> Vec<Figure> {
    let Settings { devices, time, case, seed } = settings;
    let room = Programs::new(binary);
    let (model, readings) = match case {
        Some(Case { model, readings }) => load(model, readings),
        None => small(*seed),
    };
    model.save(&room.path("hall.slt")).expect("saves");
    fs::create_dir(room.path("devices")).expect("makes");
    room.works("keygen host hall");
    room.works("pair hall.id dealer.id");
    let count = if nats.is_some() { 2 } else { 1 };
    let (store, registry) = match nats {
        None => (String::new(), "--state dealer-0".to_owned()),
        Some(nats) => {
            for id in ["dealer", "hall"] {
                room.works(&format!("store make {} --id {id}.id", nats.url()));
            }
            let registry = format!("--dealer-store {} --dealer-id dealer.id", nats.url());
            (format!("--store {}", nats.url()), registry)
        }
    };
    let names: Vec<String> = (0..*devices).map(|at| format!("d-{at}")).collect();
    let all = names.join(" ");
    room.works(&format!("provision {all} {registry} -o devices --peer hall.id"));
    let dealers: Vec<Server> =
        (0..count).map(|at| room.serve(&format!("dealer --state dealer-{at} {store}"))).collect();
    let host = |dealer: (usize, &Server)| {
        let (at, address) = (dealer.0, &dealer.1.address);
        room.serve(&format!(
            "host hall.slt --dealer {address} --state hall-{at} --id hall.id {store} \
             --sessions-per-day 10000000 --ahead 8"
        ))
    };
    let hosts: Vec<Server> = dealers.iter().enumerate().map(host).collect();
    let ids: Vec<u32> = dealers.iter().chain(&hosts).map(|server| server.program.id()).collect();
    let (twin, tally) = (Arc::new(Twin::new(&[&model], &readings)), Arc::new(Tally::new(u64::MAX)));
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let mut rng = Rng(*seed);
    let (samples, took) = runtime.expect("a runtime").block_on(async {
        let (begin, mut samples) = (Instant::now(), Samples::default());
        let mut tasks = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let first = usize::try_from(rng.next() % 4096).unwrap_or(0);
            let address = hosts[at % hosts.len()].address.clone();
            let pace = (Duration::ZERO, Duration::ZERO);
            let path = room.path("devices").join(name);
            let (twin, tally) = (twin.clone(), tally.clone());
            tasks.push(tokio::spawn(honest::infer(path, address, twin, pace, first, tally)));
        }
        while begin.elapsed() < *time {
            samples.take(begin.elapsed().div_duration_f64(*time), &ids);
            tokio::time::sleep(SAMPLE).await;
        }
        tally.stop.cancel();
        let took = begin.elapsed();
        samples.take(1.0, &ids);
        for task in tasks {
            task.await.expect("no panic");
        }
        (samples, took)
    });
    tally.said().iter().for_each(|line| println!("{line}"));
    figures(group, [*devices as u64, 1], &tally, &samples, took)
}
