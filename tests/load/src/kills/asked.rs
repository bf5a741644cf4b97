//! A device that asks a host, also one that prepares with it, or a data party that asks two
//! servers, while one of all is killed.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::host::HostStore;
use sharelet_host::store::key::DeviceKey;
use sharelet_testkit::processes::{Ended, Programs};
use sharelet_testkit::room::{random_model, random_readings};
use sharelet_testkit::{Rng, rng};

use super::outcome::Outcome;
use super::seen::Seen;
use super::service::{Service, copied};

/// Readings of a point.
const READINGS: usize = 6;
/// Starts of a device until its readings count as lost.
const STARTS: usize = 6;
const POLL: Duration = Duration::from_micros(200);

/// Whose sessions are dealt, and the folder of the state that takes them; nobody's, where two
/// prepare with each other.
type DealtTo = Option<(&'static str, &'static str)>;

/// One set of programs, for many points: numbers go on.
#[derive(Debug)]
pub(super) struct Asked {
    room: Programs,
    services: Vec<Service>,
    /// The command of the device, but for its report.
    ask: String,
    dealt_to: DealtTo,
    twin: Vec<String>,
    seen: Seen,
    reports: usize,
    /// Lines of a report, and how long one takes.
    lines: usize,
    step: Duration,
}

impl Asked {
    pub(super) fn of_host(binary: &str, seed: u64) -> Self {
        let room = room(binary, seed, 0);
        room.works("provision pump --state dealer");
        let dealer = Service::start(&room, "dealer", "dealer -v --state dealer".to_owned());
        let line = format!(
            "host -v model.slt --dealer {} --state host --ahead 2 --batch 1 \
             --sessions-per-day 1000000",
            dealer.address()
        );
        let host = Service::start(&room, "host", line);
        let ask = format!("device --key pump.key --inputs readings.npy --host {}", host.address());
        Self::new(room, vec![dealer, host], ask, Some(("pump", "host")))
    }

    pub(super) fn of_servers(binary: &str, seed: u64) -> Self {
        let room = room(binary, seed, 0);
        room.works("provision server-0 --role server-0 --state dealer");
        room.works("provision pump --role data-party");
        room.works("task model.slt -o task.bin");
        let dealer = Service::start(&room, "dealer", "dealer -v --state dealer".to_owned());
        let line = format!(
            "server -v --party 1 --model model.slt --dealer {} --state server-1",
            dealer.address()
        );
        let server_1 = Service::start(&room, "server 1", line);
        let line = format!(
            "server --party 0 --task task.bin --key server-0.key --pool 2 --peer {}",
            server_1.address()
        );
        let server_0 = Service::start(&room, "server 0", line);
        let ask = format!(
            "device --key pump.key --task task.bin --inputs readings.npy --outsource {},{}",
            server_0.address(),
            server_1.address()
        );
        let dealt_to = Some(("server-0", "server-1"));
        Self::new(room, vec![dealer, server_1, server_0], ask, dealt_to)
    }

    /// A device and a host that prepare with each other, and have stores that are filled while they
    /// are spent.
    pub(super) fn of_two(binary: &str, seed: u64) -> Self {
        // Weights that oblivious transfers are quick with.
        let room = room(binary, seed, 16);
        let line = "host -v model.slt --state host --prepare ot --keep".to_owned();
        let host = Service::start(&room, "host of stores", line);
        let ask = format!(
            "device --prepare ot --state pump --inputs readings.npy --store --fill 8 --host {}",
            host.address()
        );
        Self::new(room, vec![host], ask, None)
    }

    fn new(room: Programs, services: Vec<Service>, ask: String, dealt_to: DealtTo) -> Self {
        let twin = room.works("twin model.slt --inputs readings.npy").out;
        let twin = twin.lines().map(str::to_owned).collect();
        let (seen, reports) = (Seen::default(), 0);
        let mut asked = Self {
            room,
            services,
            ask,
            dealt_to,
            twin,
            seen,
            reports,
            lines: 0,
            step: Duration::ZERO,
        };
        // The first time more is prepared than later.
        for _ in 0..2 {
            let start = Instant::now();
            let line = asked.line();
            asked.room.works(&line);
            asked.lines = asked.report_lines();
            asked.step = start.elapsed() / u32::try_from(asked.lines.max(1)).unwrap_or(1);
            asked.take_report();
        }
        asked
    }

    /// The command of the device, with a report of its own.
    fn line(&mut self) -> String {
        self.reports += 1;
        format!("{} --report {}", self.ask, self.report())
    }

    fn report(&self) -> String {
        format!("report-{}", self.reports)
    }

    fn report_text(&self) -> String {
        fs::read_to_string(self.room.path(&self.report())).unwrap_or_default()
    }

    fn report_lines(&self) -> usize {
        self.report_text().lines().count()
    }

    /// Sessions that were not dealt have numbers for each connection alone.
    fn take_report(&mut self) {
        if self.dealt_to.is_none() {
            return;
        }
        let text = self.report_text();
        self.seen.report(&text);
    }

    /// Kills whose `turn` it is, at some moment; `false` if the device was done before.
    pub(super) fn point(&mut self, turn: u64, rng: &mut Rng, outcome: &mut Outcome) -> bool {
        let turn = usize::try_from(turn).unwrap_or(0);
        let line = self.line();
        let mut device = self.room.start(&line);
        let below = |rng: &mut Rng, limit: u64| rng.next() % limit.max(1);
        let last = u64::try_from(self.lines.saturating_sub(1)).unwrap_or(0);
        let line = usize::try_from(below(rng, last)).unwrap_or(0);
        let longest = u64::try_from(self.step.as_micros()).unwrap_or(0) * 3 / 2;
        let pause = Duration::from_micros(below(rng, longest));
        while self.report_lines() < line && device.runs() {
            std::thread::sleep(POLL);
        }
        std::thread::sleep(pause);
        let at_work = device.runs();
        let mut answers = BTreeMap::new();
        let mut killed = None;
        if at_work {
            let name = match self.services.get_mut(turn) {
                Some(service) => {
                    service.kill(&mut self.seen);
                    service.name()
                }
                None => {
                    device.kill();
                    "device"
                }
            };
            killed = Some(format!("{name}, {pause:?} after line {line}"));
            if turn == self.services.len() {
                self.take_report();
            }
            self.look(turn, killed.as_deref().unwrap_or_default(), outcome);
            if let Some(service) = self.services.get_mut(turn) {
                service.start_again(&self.room);
            }
        }
        let ended = device.end();
        if turn < self.services.len() || !at_work {
            self.take_report();
        }
        let place = killed.unwrap_or_else(|| "nobody killed".to_owned());
        let mut ended = self.count(&ended, &place, &mut answers, outcome);
        for _ in 1..STARTS {
            if ended {
                break;
            }
            let line = self.line();
            let again = self.room.run(&line);
            self.take_report();
            ended = self.count(&again, &place, &mut answers, outcome);
            outcome.gave_up += u64::from(!ended);
            if !ended {
                outcome.say(format!("{place}: the device gave up: {}", again.err));
            }
        }
        outcome.results += u64::try_from(self.twin.len()).unwrap_or(0);
        let missing = self.twin.len() - answers.len();
        if missing > 0 {
            outcome.lost += u64::try_from(missing).unwrap_or(0);
            outcome.say(format!("{place}: {missing} readings have no answer"));
        }
        at_work
    }

    /// Takes in the answers of a device; whether it has done all.
    fn count(
        &self,
        ended: &Ended,
        place: &str,
        answers: &mut BTreeMap<usize, ()>,
        outcome: &mut Outcome,
    ) -> bool {
        for line in ended.out.lines() {
            match self.twin.iter().position(|twin| twin == line) {
                Some(index) => {
                    answers.insert(index, ());
                }
                None => {
                    outcome.wrong += 1;
                    outcome.say(format!("{place}: no answer of the twin's: {line}"));
                }
            }
        }
        ended.code == Some(0)
    }

    /// Whether the state of whoever was killed is past every number that was seen.
    fn look(&mut self, turn: usize, place: &str, outcome: &mut Outcome) {
        // Halves that are spent twice are seen in the log.
        let Some((device, folder)) = self.dealt_to else { return };
        let room = &self.room;
        let counter = |name: &str| {
            let [counter, key] = ["counter", "key"].map(|end| room.path(&format!("{name}.{end}")));
            let opened = FileCounter::open(&counter, &key, false).expect("a counter");
            opened.1.unused().expect("reads")
        };
        let key = DeviceKey::load(&room.path(&format!("{device}.key"))).expect("a key");
        let past =
            |sessions: &mut dyn Iterator<Item = u64>| sessions.max().map_or(0, |max| max + 1);
        let evaluated = past(&mut self.seen.evaluated.iter().copied());
        let of_servers = self.services.len() > 2;
        let taken = if of_servers { evaluated } else { past(&mut self.seen.taken.iter().copied()) };
        let next = match turn {
            0 => {
                let spool = room.path(folder).join("spool").join(format!("device-{device}"));
                let files = fs::read_dir(spool).into_iter().flatten().flatten();
                let mut spooled = files.filter_map(|file| {
                    file.file_name().to_str()?.strip_suffix(".cor")?.parse().ok()
                });
                let store = DealerStore::open(&copied(room, "dealer")).expect("opens");
                let next = store.next_session(key.device, key.key_id()).expect("reads");
                (next, past(&mut spooled).max(evaluated).max(taken))
            }
            1 => {
                let store = HostStore::open(&copied(room, folder)).expect("opens");
                let next = store.next_session(key.device, key.key_id()).expect("reads");
                (next, evaluated.max(taken))
            }
            2 if of_servers => (counter("server-0"), evaluated),
            2 => (counter("pump"), taken),
            _ => (counter("pump"), u64::try_from(self.seen.queries.len()).unwrap_or(u64::MAX)),
        };
        let (next, used) = next;
        if next < used {
            outcome.reused += 1;
            outcome.say(format!("{place}: its state goes on with {next}, but {used} are used"));
        }
    }

    /// Ends all, and counts what was seen twice.
    pub(super) fn end(mut self, outcome: &mut Outcome) {
        for service in &mut self.services {
            service.kill(&mut self.seen);
        }
        // What nobody says is not seen to be used twice.
        assert!(self.dealt_to.is_some() || self.seen.halves > 0, "no half was seen to be spent");
        for twice in core::mem::take(&mut self.seen.twice) {
            outcome.reused += 1;
            outcome.say(format!("used twice: {twice}"));
        }
    }
}

/// A folder with a model, whose weights are so many bits shorter than a word, and readings.
fn room(binary: &str, seed: u64, shorter_bits: u32) -> Programs {
    let (room, mut rng) = (Programs::new(binary), rng(seed));
    let mut model = random_model(&[6, 40, 5], &mut rng);
    for weight in model.weights.iter_mut().flatten() {
        *weight = (weight.cast_signed() >> shorter_bits).cast_unsigned();
    }
    model.save(&room.path("model.slt")).expect("saves");
    let readings = random_readings(&model, READINGS, &mut rng);
    readings.save_npy(&room.path("readings.npy")).expect("saves");
    room
}
