//! What the dealer makes for programs and functions on shares: its key and its randomness are
//! secret, in either ring, with tables and with shared bits.

use core::hint::black_box;

use embassy_futures::block_on;
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::offline::{Count, Deal, Offline};
use sharelet_core::functions::engine::{Comparison, Engine, Settings, Truncation};
use sharelet_core::functions::program::unary::{self, Smooth};
use sharelet_core::functions::program::{Need, Scratch, choice, extreme, scaling, softmax};
use sharelet_core::functions::protocol::product::{Factors, Multiply, Square};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::Ring;

use crate::secret::Secrets;

const ELEMENTS: usize = 6;
const COLUMNS: usize = 3;
const FRAC_BITS: u32 = 12;

/// Everything that compares, multiplies or looks up in a way of its own. What a dealer computes
/// with are masks, whatever the arguments are: zeros do.
async fn run<R: Ring, E: Engine>(engine: &mut E, tables: bool) -> Result<(), E::Error> {
    let room = Need { own_elems: 2000, narrow_elems: 2000, wide_elems: 2000 };
    let scratch = &mut Scratch {
        own: &mut vec![R::ZERO; room.own_elems],
        narrow: &mut vec![0; room.narrow_elems],
        wide: &mut vec![0; room.wide_elems],
    };
    let (x, y) = (&mut [R::ZERO; ELEMENTS], &mut [R::ZERO; ELEMENTS]);
    let (out, few) = (&mut [R::ZERO; ELEMENTS], &mut [R::ZERO; ELEMENTS / COLUMNS]);
    choice::relu(engine, x).await?;
    choice::relu_shift(engine, FRAC_BITS, x).await?;
    choice::truncate(engine, FRAC_BITS, x).await?;
    choice::compare(engine, &[R::ONE], Folding::Direct, x, out).await?;
    choice::compare(engine, &[R::ONE; 3], Folding::Staged, x, &mut [R::ZERO; 3 * ELEMENTS]).await?;
    choice::equal(engine, R::ONE, x, out).await?;
    choice::at_least(engine, x, y, out).await?;
    choice::maximum(engine, x, y).await?;
    engine.run(&Multiply::new(), Factors { x, y }).await?;
    engine.run(&Square::new(), x).await?;
    extreme::arg_max(engine, COLUMNS, x, few, scratch).await?;
    extreme::one_hot(engine, COLUMNS, x, scratch).await?;
    // Without tables nothing is looked up.
    if !tables {
        return Ok(());
    }
    for function in Smooth::ALL {
        unary::apply(engine, function, FRAC_BITS, x, out, scratch).await?;
    }
    scaling::divide(engine, FRAC_BITS, x, y, out, scratch).await?;
    scaling::sqrt(engine, FRAC_BITS, x, out, scratch).await?;
    scaling::ln(engine, FRAC_BITS, x, out, scratch).await?;
    softmax::softmax(engine, COLUMNS, FRAC_BITS, x, out, scratch).await?;
    softmax::log_softmax(engine, COLUMNS, FRAC_BITS, x, out, scratch).await
}

fn dealt<R: Ring>(comparison: Comparison, truncation: Truncation, seed: u64) {
    let settings = Settings { comparison, truncation };
    let tables = comparison == Comparison::Tables;
    let mut count = Offline::new(Count::default(), settings);
    block_on(run::<R, _>(&mut count, tables)).expect("fitting sizes");
    let bytes = usize::try_from(count.into_task().0.dealt_bytes).expect("fits");
    let key = Keystream::<ChaCha12>::new(&Key::from_bytes(Secrets::new(seed).key()));
    let mut out = vec![0; bytes];
    let mut engine = Offline::new(Deal::new(&key, 7, Secrets::new(seed + 1), &mut out), settings);
    block_on(run::<R, _>(&mut engine, tables)).expect("room for the corrections");
    drop(engine);
    black_box(out);
}

/// All of it.
pub fn dealing() {
    for (at, comparison) in (0..).zip([Comparison::Tables, Comparison::Bits]) {
        for (truncation, seed) in [(Truncation::Exact, 100), (Truncation::OneUnit, 200)] {
            dealt::<u32>(comparison, truncation, seed + 10 * at);
            dealt::<u64>(comparison, truncation, seed + 10 * at + 5);
        }
    }
}
