//! Many runs, each with faults of its own, and what became of them.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use embassy_futures::join::join;
use rand_chacha::{ChaCha8Rng, ChaCha12Rng};
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::Answer;

use crate::line::{End, Plan};
use crate::parties::{Parties, Side, WAYS, Way};

/// A run that takes more polls hangs: both sides read a few thousand bytes, and a read waits for
/// [`PATIENCE`](crate::line::PATIENCE) polls at most.
pub const MOST_POLLS: u32 = 20_000;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whoever was to learn the answer learned the right one.
    Right,
    /// One of them ended in an error: its name.
    Error(String),
    /// Somebody learned something else, or had an error on a line that did no harm.
    Wrong,
    /// Somebody did not end.
    Hung,
    /// Somebody panicked.
    Panicked,
}

/// What became of all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Those that ended in the right answer.
    pub right: u64,
    /// Wrong answers over a channel, and errors on lines that did no harm.
    pub wrong: u64,
    /// Wrong answers without a channel: there, nothing notices a bit that was flipped.
    pub changed: u64,
    /// Runs that did not end.
    pub hung: u64,
    /// Runs that panicked.
    pub panics: u64,
    /// Names of errors, and how often each came.
    pub errors: BTreeMap<String, u64>,
    /// Seeds of the first runs that ended badly.
    pub bad: Vec<u64>,
}

/// Parties that have talked before, and the bytes of a session on either way.
#[derive(Debug)]
pub struct Runs {
    parties: Parties,
    bytes: [[usize; 2]; 4],
}

impl Runs {
    /// Prepares, with an honest session of each way.
    #[must_use]
    pub fn new() -> Self {
        let mut runs = Self { parties: Parties::new(1), bytes: [[0; 2]; 4] };
        for (index, way) in WAYS.into_iter().enumerate() {
            let (up, down) = (Plan::honest(), Plan::honest());
            let (ends, device, host) =
                runs.session(way, up, down, 0, (Answer::Both, &[300, 5, 70])).expect("ends");
            runs.bytes[index] = [&ends.0, &ends.1].map(|end| end.written().len());
            if way == Way::Static {
                let left = [device, host].map(|side| side.expect("no fault").1);
                runs.parties.keep(left.map(|left| left.expect("a resumption")));
            }
        }
        runs
    }

    /// The parties.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// What the device and the host write in an honest session, with the generators of
    /// [`Runs::rngs`] of seed 0.
    ///
    /// # Panics
    /// Never: nothing happens on the line.
    #[must_use]
    pub fn honest(&self, way: Way, answer: Answer) -> [Vec<u8>; 2] {
        let (up, down) = (Plan::honest(), Plan::honest());
        let (ends, ..) = self.session(way, up, down, 0, (answer, &[300, 5, 70])).expect("ends");
        [ends.0.written(), ends.1.written()]
    }

    /// The generators of the device and the host.
    #[must_use]
    pub fn rngs(seed: u64) -> [ChaCha12Rng; 2] {
        [seed, !seed].map(ChaCha12Rng::seed_from_u64)
    }

    /// Both sides to their end; `None` if that does not come.
    fn session(
        &self,
        way: Way,
        up: Plan,
        down: Plan,
        seed: u64,
        (answer, input): (Answer, &[u32; 3]),
    ) -> Option<((End, End), Side, Side)> {
        let (near, far) = End::pair(up, down);
        let [mut near_rng, mut far_rng] = Self::rngs(seed);
        let device = async {
            let learned =
                self.parties.device(way, near.clone(), (answer, input), &mut near_rng).await;
            near.close();
            learned
        };
        let host = async {
            let learned = self.parties.host(way, far.clone(), answer, &mut far_rng).await;
            far.close();
            learned
        };
        let (device, host) = to_end(join(device, host), MOST_POLLS)?;
        Some(((near, far), device, host))
    }

    /// The run of a seed: a way to connect, an input, who learns the answer, and faults.
    #[must_use]
    pub fn run(&self, seed: u64) -> (Way, Verdict) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let index = rng.next_u32() as usize % WAYS.len();
        let way = WAYS[index];
        let answer = [Answer::Device, Answer::Host, Answer::Both][rng.next_u32() as usize % 3];
        let input = [0; 3].map(|_: u32| (rng.next_u32() % 2048).wrapping_sub(1024));
        let [up, down] = self.bytes[index].map(|bytes| Plan::random(&mut rng, bytes));
        let harmless = up.is_harmless() && down.is_harmless();
        let ended =
            catch_unwind(AssertUnwindSafe(|| self.session(way, up, down, seed, (answer, &input))));
        let verdict = match ended {
            Err(_) => Verdict::Panicked,
            Ok(None) => Verdict::Hung,
            Ok(Some((_, device, host))) => {
                let twin = self.parties.twin(&input);
                let sides = [(device, answer != Answer::Host), (host, answer != Answer::Device)];
                judge(&sides, &twin, harmless)
            }
        };
        (way, verdict)
    }

    /// The runs of so many seeds from `first` on.
    #[must_use]
    pub fn all(&self, first: u64, count: u64) -> Tally {
        let mut tally = Tally::default();
        for seed in first..first + count {
            let (way, verdict) = self.run(seed);
            tally.runs += 1;
            match verdict {
                Verdict::Right => tally.right += 1,
                Verdict::Error(name) => *tally.errors.entry(name).or_default() += 1,
                Verdict::Wrong if way == Way::Plain => tally.changed += 1,
                bad => {
                    tally.wrong += u64::from(bad == Verdict::Wrong);
                    tally.hung += u64::from(bad == Verdict::Hung);
                    tally.panics += u64::from(bad == Verdict::Panicked);
                    if tally.bad.len() < 10 {
                        tally.bad.push(seed);
                    }
                }
            }
        }
        tally
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self::new()
    }
}

/// What both sides learned, and whether they were to, against the right answer.
fn judge(sides: &[(Side, bool); 2], twin: &[u32], harmless: bool) -> Verdict {
    let due = |due: bool| if due { twin } else { &[] };
    if sides
        .iter()
        .any(|(learned, is_due)| matches!(learned, Ok((words, _)) if words != due(*is_due)))
    {
        return Verdict::Wrong;
    }
    let failure = sides.iter().find_map(|(learned, _)| learned.as_ref().err());
    match failure {
        None => Verdict::Right,
        Some(_) if harmless => Verdict::Wrong,
        Some(failure) => Verdict::Error(failure.name()),
    }
}

/// Polls a future to its end; `None` if so many polls do not get there.
pub fn to_end<F: Future>(future: F, most_polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..most_polls).find_map(|_| {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    })
}
