//! Programs that are killed by SIGKILL at moments that a seed draws, and started again.
//!
//! A moment is a line of progress that is waited for, and a pause after it that is as long as a
//! step at most. So every step is hit, however fast the machine is, and nothing in the programs
//! knows of it. After each kill the state on the disk is opened as it is, in a copy: it must be
//! past every number that anybody has seen in use.

mod asked;
mod seen;
mod service;
mod trained;

use sharelet_testkit::Rng;

use crate::figure::Figure;
use asked::Asked;
use trained::Trained;

/// Moments that are drawn for a kill, at most.
const MOMENTS: u32 = 50;

/// How often, and when.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Kills.
    pub points: u64,
    /// Draws the moments.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Kills of a program that was at work.
    pub points: u64,
    /// Numbers that were used twice, or that a state on the disk had forgotten.
    pub reused: u64,
    /// Readings without an answer, and training runs without a model, after all was started again.
    pub lost: u64,
    /// Answers and models that differ from the plaintext twin's.
    pub wrong: u64,
    /// Devices that gave up although everybody was there again; started again, they went on.
    pub gave_up: u64,
    /// Readings and runs that were looked at.
    pub results: u64,
    /// What was found, as text.
    pub said: Vec<String>,
}

impl Outcome {
    fn say(&mut self, text: String) {
        println!("{text}");
        self.said.push(text);
    }

    /// All of it, named `kills/...`.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("kills/points", self.points, "kills"),
            Figure::new("kills/results", self.results, "results"),
            Figure::new("kills/reused", self.reused, "numbers"),
            Figure::new("kills/lost", self.lost, "results"),
            Figure::new("kills/wrong", self.wrong, "results"),
            Figure::new("kills/gave_up", self.gave_up, "devices"),
        ]
    }
}

/// Kills programs of `binary` in turn: dealer, host and device; dealer, server 1, server 0 and data
/// party; dealer, server 1 and server 0 of a training run.
#[must_use]
pub fn run(binary: &str, settings: &Settings) -> Outcome {
    let (mut rng, mut outcome) = (Rng(settings.seed), Outcome::default());
    let mut host = Asked::of_host(binary, settings.seed);
    let mut servers = Asked::of_servers(binary, settings.seed);
    let mut trained = Trained::new(binary);
    for point in 0..settings.points {
        // Whoever was done before is no point: another moment is drawn.
        let mut moments = 0;
        while !match point % 10 {
            turn @ 0..3 => host.point(turn, &mut rng, &mut outcome),
            turn @ 3..7 => servers.point(turn - 3, &mut rng, &mut outcome),
            turn => trained.point(turn - 7, &mut rng, &mut outcome),
        } {
            moments += 1;
            assert!(moments < MOMENTS, "point {point}: whoever is to be killed is always done");
        }
        outcome.points += 1;
    }
    host.end(&mut outcome);
    servers.end(&mut outcome);
    trained.end(&mut outcome);
    outcome
}
