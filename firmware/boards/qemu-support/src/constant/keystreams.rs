//! Instructions of the inner loops of a preparation: a block of keystream, a block's product with a
//! vector, and two rows of words that are kept; in assembly and as the compiler has them, with 12
//! rounds and beside them with 8.

use core::hint::black_box;

use sharelet_core::keystream::{self, BLOCK_WORDS, Domain, Key, Keystream, Kind, Rounds};

use super::exact::{instructions, ticks};
use crate::report::Report;

/// Of each.
const BLOCKS: u32 = 64;

/// Counts and reports.
pub fn count(report: &mut Report) {
    count_one::<armv7m::ChaCha12>("ChaCha12", report);
    count_one::<armv7m::ChaCha8>("ChaCha8", report);
    count_one::<keystream::ChaCha12>("ChaCha12-compiled", report);
    count_one::<keystream::ChaCha8>("ChaCha8-compiled", report);
}

fn count_one<C: Rounds>(name: &str, report: &mut Report) {
    let key = Keystream::<C>::new(&Key::from_bytes(black_box([7; 32])));
    let run = key.run(Domain { session: 0, layer: 0, kind: Kind::WeightMask });
    let (vector, rows) = (black_box([3_u32; BLOCK_WORDS]), black_box([[5_u32; BLOCK_WORDS]; 2]));
    let of = |work: &mut dyn FnMut(u32)| {
        let before = ticks();
        (0..BLOCKS).for_each(|index| work(black_box(index)));
        instructions(before, ticks()) / BLOCKS
    };
    let empty = of(&mut |_| ());
    let block = of(&mut |index| {
        black_box(run.block(index));
    });
    let (mut sum, mut sums) = (0, [0; 2]);
    let product = of(&mut |index| sum = run.dot(index, sum, black_box(&vector)));
    let kept = of(&mut |_| {
        let [a, b] = black_box(&rows);
        sums = C::dot_two(sums, [a, b], black_box(&vector));
    });
    black_box((sum, sums));
    report.line(format_args!(
        "keystream name={name} block={} product={} kept={}",
        block - empty,
        product - empty,
        (kept - empty) / 2
    ));
}
