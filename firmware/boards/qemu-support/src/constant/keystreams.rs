//! The inner loops of a preparation: a block of keystream, a block's product with a vector, and two
//! rows of words that are kept; in assembly and as the compiler has them, with 12 rounds and beside
//! them with 8. Both must give the same words; the instructions of each are counted.

use core::hint::black_box;

use sharelet_core::keystream::{self, BLOCK_WORDS, Domain, Key, Keystream, Kind, Rounds};

use super::exact::{instructions, ticks};
use crate::report::Report;

/// Of each.
const BLOCKS: u32 = 64;

/// The longest rows that are compared: quads, and all that may be left of one.
const LONGEST: usize = 19;

/// Compares, counts and reports.
pub fn count(report: &mut Report) {
    let alike = agree::<armv7m::ChaCha12, keystream::ChaCha12>()
        && agree::<armv7m::ChaCha8, keystream::ChaCha8>();
    if !alike {
        report.fail("Keystream", &"the assembly's words are not the core's");
    }
    count_one::<armv7m::ChaCha12>("ChaCha12", report);
    count_one::<armv7m::ChaCha8>("ChaCha8", report);
    count_one::<keystream::ChaCha12>("ChaCha12-compiled", report);
    count_one::<keystream::ChaCha8>("ChaCha8-compiled", report);
}

/// Whether two implementations give the same words, at blocks of both ends and rows of all lengths.
fn agree<A: Rounds, B: Rounds>() -> bool {
    let domain = Domain { session: 1 << 40 | 3, layer: 7, kind: Kind::WeightMask };
    let key = || Key::from_bytes(core::array::from_fn(|at| at as u8 ^ 0x9c));
    let (a, b) = (Keystream::<A>::new(&key()).run(domain), Keystream::<B>::new(&key()).run(domain));
    let vector = *b.block(9).words();
    let blocks = [0, 1, 2, 255, 256, 0x0100_0000, u32::MAX].into_iter().all(|index| {
        a.block(index).words() == b.block(index).words()
            && a.dot(index, index ^ 5, &vector) == b.dot(index, index ^ 5, &vector)
    });
    let mut words = [0; 3 * (LONGEST + 1)];
    for (index, words) in (20..).zip(words.chunks_mut(BLOCK_WORDS)) {
        words.iter_mut().zip(b.block(index).words()).for_each(|(word, of)| *word = *of);
    }
    let rows = (0..=LONGEST).all(|len| {
        let row = |first: usize| words.get(first..first + len).unwrap_or(&[]);
        let (rows, vector) = ([row(0), row(LONGEST + 1)], row(2 * (LONGEST + 1)));
        A::dot_two([1, u32::MAX], rows, vector) == B::dot_two([1, u32::MAX], rows, vector)
    });
    blocks && rows
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
