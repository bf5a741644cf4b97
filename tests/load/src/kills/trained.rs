//! Two servers that train, while one of them or their dealer is killed; they go on from what both
//! have kept.

use core::time::Duration;
use std::time::Instant;

use sharelet_host::store::training::Share;
use sharelet_testkit::Rng;
use sharelet_testkit::processes::{Ended, Program, Programs, Server};
use sharelet_testkit::training::table;

use super::outcome::Outcome;
use super::seen::Seen;
use super::service::Service;

const CONFIG: &str = r#"
[data]
train = "people"
[model]
kind = "logistic-regression"
[training]
epochs = 10
batch = 4
learning_rate = 0.5
seed = 5
[arithmetic]
truncation = "exact"
[checkpoint]
every = 5
"#;
/// How long one may go on whose peer is dead.
const ALONE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(1);

/// One dealer and one data set, for many runs.
#[derive(Debug)]
pub(super) struct Trained {
    room: Programs,
    dealer: Service,
    runs: usize,
    /// The model of a run that nobody disturbed.
    expected: Vec<u64>,
    /// How long that run took.
    span: Duration,
    seen: Seen,
}

/// Waits until both programs end, and ends those that do not; what was wrong, if they did not do
/// what they should.
fn ended((zero, one): (Program, Program)) -> Result<(), String> {
    let both = [end(zero), end(one)];
    if both.iter().all(|ended| ended.code == Some(0)) {
        return Ok(());
    }
    Err(both.iter().filter_map(|ended| ended.err.lines().last()).collect::<Vec<_>>().join("; "))
}

fn end(mut program: Program) -> Ended {
    let start = Instant::now();
    while program.runs() && start.elapsed() < ALONE {
        std::thread::sleep(POLL);
    }
    program.kill();
    program.end()
}

impl Trained {
    pub(super) fn new(binary: &str) -> Self {
        let room = Programs::new(binary);
        room.write("people.csv", table(40, 3, 2, 1));
        room.works("provision server-0 --role server-0 --state dealer");
        let (collectors, to) = room.collectors();
        let data = "people.csv --label y --binary --dataset people --owner lab";
        room.works(&format!("share {data} --to {to}"));
        drop(collectors);
        let dealer = Service::start(&room, "dealer", "dealer --state dealer".to_owned());
        let (expected, span, seen) = (Vec::new(), Duration::ZERO, Seen::default());
        let mut trained = Self { room, dealer, runs: 0, expected, span, seen };
        trained.next_run();
        let start = Instant::now();
        ended(trained.begin("")).expect("an undisturbed run");
        (trained.expected, trained.span) = (trained.opened().expect("a model"), start.elapsed());
        trained
    }

    fn next_run(&mut self) {
        self.runs += 1;
        self.room.write(&format!("run-{}.toml", self.runs), CONFIG);
    }

    /// Both servers begin: server 0, then server 1.
    fn begin(&self, more: &str) -> (Program, Program) {
        let (run, dealer) = (self.runs, self.dealer.address());
        let train = format!("train run-{run}.toml --party");
        let line = format!("{train} 1 --state server-1 --dealer {dealer} {more}");
        let Server { program, address } = self.room.serve(&line);
        let key = "--key server-0.key";
        let line = format!("{train} 0 --state server-0 {key} --peer {address} {more}");
        (self.room.start(&line), program)
    }

    /// The words of the model, if both servers have their shares of it.
    fn opened(&self) -> Option<Vec<u64>> {
        let share = |party: u8| {
            let path = format!("server-{party}/training-run-{}/model.share", self.runs);
            Share::load(&self.room.path(&path)).ok()
        };
        let (whole, other) = (share(0)?, share(1)?);
        let same = (whole.header.run, whole.header.step) == (other.header.run, other.header.step);
        let sum = |(word, share): (&u64, u64)| word.wrapping_add(share);
        same.then(|| whole.words.iter().zip(other.words).map(sum).collect())
    }

    /// Kills whose `turn` it is, at some moment; `false` if the run was done before.
    pub(super) fn point(&mut self, turn: u64, rng: &mut Rng, outcome: &mut Outcome) -> bool {
        self.next_run();
        let (mut zero, mut one) = self.begin("");
        let micros = u64::try_from(self.span.as_micros()).unwrap_or(u64::MAX);
        let pause = Duration::from_micros(rng.next() % micros.max(1));
        std::thread::sleep(pause);
        let at_work = zero.runs() && one.runs();
        let name = match turn {
            _ if !at_work => "nobody",
            0 => {
                self.dealer.kill(&mut self.seen);
                "their dealer"
            }
            1 => {
                one.kill();
                "server 1"
            }
            _ => {
                zero.kill();
                "server 0"
            }
        };
        let place = format!("a training run, {name} killed after {pause:?}");
        let mut done = ended((zero, one));
        if name == "their dealer" {
            self.dealer.start_again(&self.room);
        }
        // Without a checkpoint that both have, there is nothing to go on from; and a model that one
        // has finished is trained anew only if that is asked for.
        for more in ["--resume", "", "--fresh"] {
            if done.is_ok() {
                break;
            }
            done = ended(self.begin(more));
            // Nothing to go on from is no surprise.
            if let Err(error) = &done
                && more != "--resume"
            {
                outcome.say(format!("{place}, started with `{more}`: {error}"));
            }
        }
        outcome.results += 1;
        match self.opened() {
            None => {
                outcome.lost += 1;
                outcome.say(format!("{place}: no model"));
            }
            Some(model) if model != self.expected => {
                outcome.wrong += 1;
                outcome.say(format!("{place}: another model"));
            }
            Some(_) => {}
        }
        at_work
    }

    /// Ends the dealer, and counts what was dealt twice.
    pub(super) fn end(mut self, outcome: &mut Outcome) {
        self.dealer.kill(&mut self.seen);
        for twice in core::mem::take(&mut self.seen.twice) {
            outcome.reused += 1;
            outcome.say(format!("used twice: {twice}"));
        }
    }
}
