//! Two parties without a dealer: how they prepare, and programs that compare their own shares.

use core::hint::black_box;
use std::sync::OnceLock;

use embassy_futures::block_on;
use embassy_futures::join::join;
use rand_chacha::ChaCha12Rng;
use rand_core::{CryptoRng, SeedableRng as _};
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::offline::{Count, Offline};
use sharelet_core::functions::engine::party::{self, Received};
use sharelet_core::functions::engine::twin::Twin;
use sharelet_core::functions::engine::{Comparison, Engine, Settings, Truncation};
use sharelet_core::functions::program::unary::{self, Smooth};
use sharelet_core::functions::program::{Scratch, choice};
use sharelet_core::functions::protocol::product::{Factors, Multiply, Square};
use sharelet_core::share::Party;
use sharelet_prepare::{FieldBits, Kept, Plan, link};

use crate::line::Line;
use crate::secret::{Secrets, public, secret};

const ELEMENTS: usize = 5;
const FRAC_BITS: u32 = 12;
const SETTINGS: Settings = Settings { comparison: Comparison::Ot, truncation: Truncation::Exact };

/// Arguments, and the places of results.
#[derive(Clone)]
struct Data {
    narrow: Vec<u32>,
    wide: Vec<u64>,
}

/// Slices of [`Data`]: of words of 32 bits, and of 64.
const NARROW: usize = 11;
const WIDE: usize = 8;

impl Data {
    fn new(mut word: impl FnMut() -> u32) -> Self {
        let narrow = (0..NARROW * ELEMENTS).map(|_| word()).collect();
        let wide = (0..WIDE * ELEMENTS).map(|_| u64::from(word()) << 32 | u64::from(word()));
        Self { narrow, wide: wide.collect() }
    }

    fn zeros() -> Self {
        Self::new(|| 0)
    }

    /// Every program that compares in a way of its own, in both rings; products; a table.
    async fn run<E: Engine>(&mut self, engine: &mut E) -> Result<(), E::Error> {
        let narrow: Vec<&mut [u32]> = self.narrow.chunks_mut(ELEMENTS).collect();
        let wide: Vec<&mut [u64]> = self.wide.chunks_mut(ELEMENTS).collect();
        let narrow: [&mut [u32]; NARROW] = narrow.try_into().unwrap();
        let wide: [&mut [u64]; WIDE] = wide.try_into().unwrap();
        let [relu, shifted, truncated, compared, equal, chosen, product, factor, square, x, out] =
            narrow;
        let [wide_relu, wide_truncated, bits, equal_bits, values, wide_x, wide_out, wide_factor] =
            wide;
        choice::relu(engine, relu).await?;
        choice::relu_shift(engine, FRAC_BITS, shifted).await?;
        choice::truncate(engine, FRAC_BITS, truncated).await?;
        choice::compare(engine, &[1000], Folding::Direct, compared, bits).await?;
        choice::equal(engine, 3, equal, equal_bits).await?;
        choice::choose(engine, 1, chosen, values).await?;
        engine.run(&Multiply::new(), Factors { x: product, y: factor }).await?;
        engine.run(&Square::new(), square).await?;
        choice::relu_shift(engine, FRAC_BITS, wide_relu).await?;
        choice::truncate(engine, FRAC_BITS, wide_truncated).await?;
        engine.run(&Multiply::new(), Factors { x: wide_x, y: wide_factor }).await?;
        choice::choose(engine, 1, wide_x, wide_out).await?;
        let need = unary::need(ELEMENTS);
        let scratch = &mut Scratch {
            own: &mut vec![0_u32; need.own_elems],
            narrow: &mut vec![0; need.narrow_elems],
            wide: &mut vec![0; need.wide_elems],
        };
        unary::apply(engine, Smooth::Sigmoid, FRAC_BITS, x, out, scratch).await
    }
}

fn plan() -> Plan {
    let mut engine = Offline::new(Plan::default(), SETTINGS);
    block_on(Data::zeros().run(&mut engine)).expect("no dealer is needed");
    engine.into_task()
}

/// What two parties keep of each other, all of it secret: made once, which takes long.
pub fn kept() -> &'static [Kept; 2] {
    static KEPT: OnceLock<[Kept; 2]> = OnceLock::new();
    KEPT.get_or_init(|| {
        let (mut near, mut far) = Line::pair();
        let [mut rng_0, mut rng_1] = [56, 57].map(Secrets::new);
        let (kept_0, kept_1) =
            block_on(join(link::meet(&mut rng_0, &mut near), link::meet(&mut rng_1, &mut far)));
        [kept_0.expect("points"), kept_1.expect("points")]
    })
}

/// Both parties' halves. Messages are public.
fn prepare<G: CryptoRng>([mut rng_0, mut rng_1]: [G; 2]) -> [Vec<u8>; 2] {
    let plan = plan();
    let (near, far) = Line::pair();
    let half = async |party: Party, mut line: Line, rng: &mut G| {
        let [kept_0, kept_1] = kept();
        let kept = if party == Party::P0 { kept_0 } else { kept_1 };
        let pair = link::begin(party, (kept, FieldBits::Two), b"a session", rng, &mut line).await;
        let made = link::prepare(&mut pair.expect("a session"), &plan, rng, &mut line).await;
        made.expect("an honest peer").into_records().1
    };
    let (half_0, half_1) =
        block_on(join(half(Party::P0, near, &mut rng_0), half(Party::P1, far, &mut rng_1)));
    [half_0, half_1]
}

pub fn preparing() {
    black_box(prepare([Secrets::new(51), Secrets::new(52)]));
}

pub fn programs() {
    let halves = prepare([53, 54].map(ChaCha12Rng::seed_from_u64));
    let [half_0, half_1] = halves.map(secret::<u8, Vec<u8>>);
    let mut secrets = Secrets::new(55);
    let mut words = |small: bool| {
        let mut count = 0;
        Data::new(|| {
            count += 1;
            // Both signs, and some that are equal to the constant.
            let word = secrets.words(1)[0];
            if small { (word & 0xf_ffff).wrapping_sub(1 << 19) } else { word }
        })
    };
    let (plain, mut shares_0) = (words(true), words(false));
    let mut shares_1 = plain.clone();
    for (share, own) in shares_1.narrow.iter_mut().zip(&shares_0.narrow) {
        *share = share.wrapping_sub(*own);
    }
    for (share, own) in shares_1.wide.iter_mut().zip(&shares_0.wide) {
        *share = share.wrapping_sub(*own);
    }

    let mut engine = Offline::new(Count::default(), SETTINGS);
    block_on(Data::zeros().run(&mut engine)).expect("fitting lengths");
    let work_bytes = engine.into_task().0.work_bytes;
    let (near, far) = Line::pair();
    let half = async |party: Party, line: Line, half: &[u8], data: &mut Data| {
        let mut work = vec![0; work_bytes];
        let source = Received::made(party, half);
        let mut engine = party::Party::new(source, line, &mut work, SETTINGS);
        data.run(&mut engine).await.expect("enough records");
    };
    block_on(join(
        half(Party::P0, near, &half_0, &mut shares_0),
        half(Party::P1, far, &half_1, &mut shares_1),
    ));

    // Results are compared here alone, with the twin's.
    let mut twin = Data { narrow: public(plain.narrow), wide: public(plain.wide) };
    block_on(twin.run(&mut Twin { settings: SETTINGS })).expect("fitting lengths");
    let [narrow_0, narrow_1] = [shares_0.narrow, shares_1.narrow].map(public::<u32, Vec<u32>>);
    let [wide_0, wide_1] = [shares_0.wide, shares_1.wide].map(public::<u64, Vec<u64>>);
    let sums = narrow_0.iter().zip(&narrow_1).map(|(a, b)| a.wrapping_add(*b));
    let wide_sums = wide_0.iter().zip(&wide_1).map(|(a, b)| a.wrapping_add(*b));
    // Of what is used up nothing is asked.
    let used = [3, 4, 5, 9];
    for (place, (found, expected)) in sums.zip(&twin.narrow).enumerate() {
        assert!(used.contains(&(place / ELEMENTS)) || found == *expected, "word {place}");
    }
    for (place, (found, expected)) in wide_sums.zip(&twin.wide).enumerate() {
        assert!(place / ELEMENTS == 5 || found == *expected, "wide word {place}");
    }
}
