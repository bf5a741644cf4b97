//! An owner that shares its data with two servers, while one of the three is killed.

use core::time::Duration;
use std::time::Instant;

use sharelet_core::share::Party;
use sharelet_host::store::datasets::Datasets;
use sharelet_testkit::Rng;
use sharelet_testkit::processes::Programs;
use sharelet_testkit::training::table;

use super::outcome::Outcome;
use super::seen::Seen;
use super::service::Service;

const ROWS: usize = 4000;
/// Starts of an owner until its data counts as lost.
const STARTS: usize = 6;

/// Two servers that take data, and a table.
#[derive(Debug)]
pub(super) struct Uploaded {
    room: Programs,
    services: Vec<Service>,
    datasets: usize,
    /// The words of the table.
    expected: Vec<u64>,
    /// How long it takes to share it.
    span: Duration,
    seen: Seen,
}

impl Uploaded {
    pub(super) fn new(binary: &str) -> Self {
        let room = Programs::new(binary);
        room.write("people.csv", table(ROWS, 5, 2, 1));
        let collect = |name, party| {
            Service::start(&room, name, format!("collect --party {party} --state server-{party}"))
        };
        let services = vec![collect("server 0", 0), collect("server 1", 1)];
        let (expected, span, seen) = (Vec::new(), Duration::ZERO, Seen::default());
        let mut uploaded = Self { room, services, datasets: 0, expected, span, seen };
        for _ in 0..2 {
            let line = uploaded.next();
            let start = Instant::now();
            uploaded.room.works(&line);
            uploaded.span = start.elapsed();
        }
        let newest = uploaded.opened(uploaded.datasets);
        uploaded.expected = newest.expect("an undisturbed owner's data");
        uploaded
    }

    /// The command of an owner with another dataset.
    fn next(&mut self) -> String {
        self.datasets += 1;
        let to: Vec<_> = self.services.iter().map(Service::address).collect();
        let (to, dataset) = (to.join(","), self.datasets);
        format!("share people.csv --label y --binary --dataset d{dataset} --owner lab --to {to}")
    }

    /// The words of a dataset, if both servers have their shares of it.
    fn opened(&self, dataset: usize) -> Option<Vec<u64>> {
        let name = format!("d{dataset}").parse().expect("a name");
        let words = |party, folder: &str| {
            let dataset = Datasets::read(&self.room.path(folder), party).dataset(&name).ok()?;
            Some([dataset.features, dataset.targets].concat())
        };
        let (zero, one) = (words(Party::P0, "server-0")?, words(Party::P1, "server-1")?);
        Some(zero.iter().zip(one).map(|(word, share)| word.wrapping_add(share)).collect())
    }

    /// Kills whose `turn` it is, at some moment; `false` if the owner was done before.
    pub(super) fn point(&mut self, turn: u64, rng: &mut Rng, outcome: &mut Outcome) -> bool {
        let turn = usize::try_from(turn).unwrap_or(0);
        let line = self.next();
        let mut owner = self.room.start(&line);
        let micros = u64::try_from(self.span.as_micros()).unwrap_or(u64::MAX);
        let pause = Duration::from_micros(rng.next() % micros.max(1));
        std::thread::sleep(pause);
        let at_work = owner.runs();
        let name = match self.services.get_mut(turn) {
            _ if !at_work => "nobody",
            Some(service) => {
                service.kill(&mut self.seen);
                service.start_again(&self.room);
                service.name()
            }
            None => {
                owner.kill();
                "the owner"
            }
        };
        let place = format!("an upload, {name} killed after {pause:?}");
        let mut ended = owner.end();
        for _ in 1..STARTS {
            if ended.code == Some(0) {
                break;
            }
            // What one of the two has registered already is ended as it says.
            let words = |text: &str| text.split([' ', ';', '`', '\n']).nth(1).map(str::to_owned);
            let begun = ended.err.find("--upload-id ").and_then(|at| words(&ended.err[at..]));
            let id = begun.map_or(String::new(), |id| format!("--upload-id {id}"));
            ended = self.room.run(&format!("{line} {id}"));
            if ended.code != Some(0) && !ended.err.contains("--upload-id ") {
                outcome.gave_up += 1;
                outcome.say(format!("{place}: the owner gave up: {}", ended.err));
            }
        }
        outcome.results += 1;
        match self.opened(self.datasets) {
            None => {
                outcome.lost += 1;
                outcome.say(format!("{place}: the servers do not have the data"));
            }
            Some(words) if words != self.expected => {
                outcome.wrong += 1;
                outcome.say(format!("{place}: the servers have other data"));
            }
            Some(_) => {}
        }
        at_work
    }

    /// Whether all that was registered is still there.
    pub(super) fn end(self, outcome: &mut Outcome) {
        for dataset in 1..=self.datasets {
            if self.opened(dataset).as_ref() != Some(&self.expected) {
                outcome.lost += 1;
                outcome.say(format!("dataset {dataset} is gone, or another one"));
            }
        }
    }
}
