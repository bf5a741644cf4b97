//! Programs that are killed by SIGKILL at moments that a seed draws, and started again.
//!
//! A moment is a line of progress that is waited for, and a pause after it that is as long as a
//! step at most. So every step is hit, however fast the machine is, and nothing in the programs
//! knows of it. After each kill the state on the disk is looked at as it is: that of a dealer, a
//! host or a counter in a copy, which must be past every number that anybody has seen in use; data
//! and keys whether they are whole. Halves of a store that are spent twice are seen in the log.

mod asked;
mod made;
mod outcome;
mod seen;
mod service;
mod trained;
mod uploaded;

use sharelet_testkit::Rng;

use asked::Asked;
use made::Made;
pub use outcome::Outcome;
use trained::Trained;
use uploaded::Uploaded;

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

/// Kills programs of `binary` in turn: dealer, host and device; dealer, server 1, server 0 and data
/// party; dealer, server 1 and server 0 of a training run; host and device that prepare with each
/// other; server 0, server 1 and the owner of an upload; whoever makes keys for a device.
#[must_use]
pub fn run(binary: &str, settings: &Settings) -> Outcome {
    let (mut rng, mut outcome) = (Rng(settings.seed), Outcome::default());
    let mut host = Asked::of_host(binary, settings.seed);
    let mut servers = Asked::of_servers(binary, settings.seed);
    let mut trained = Trained::new(binary);
    let mut two = Asked::of_two(binary, settings.seed);
    let mut uploaded = Uploaded::new(binary);
    let mut made = Made::new(binary);
    for point in 0..settings.points {
        // Whoever was done before is no point: another moment is drawn.
        let mut moments = 0;
        while !match point % 16 {
            turn @ 0..3 => host.point(turn, &mut rng, &mut outcome),
            turn @ 3..7 => servers.point(turn - 3, &mut rng, &mut outcome),
            turn @ 7..10 => trained.point(turn - 7, &mut rng, &mut outcome),
            turn @ 10..12 => two.point(turn - 10, &mut rng, &mut outcome),
            turn @ 12..15 => uploaded.point(turn - 12, &mut rng, &mut outcome),
            _ => made.point(&mut rng, &mut outcome),
        } {
            moments += 1;
            assert!(moments < MOMENTS, "point {point}: whoever is to be killed is always done");
        }
        outcome.points += 1;
    }
    host.end(&mut outcome);
    servers.end(&mut outcome);
    two.end(&mut outcome);
    uploaded.end(&mut outcome);
    trained.end(&mut outcome);
    outcome
}
