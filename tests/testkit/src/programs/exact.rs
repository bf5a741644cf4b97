//! The check that most tests make: what two parties compute, against the twin.

use sharelet_core::ring::Ring;

use super::data::Data;
use super::function::Function;
use super::run::Runs;

/// What a function gave to the twin, and to two parties.
#[derive(Clone, Debug)]
pub struct Results {
    /// The twin's results, signed.
    pub twin: Vec<i64>,
    /// The parties', signed.
    pub private: Vec<i64>,
    /// Bits of the ring of the results.
    pub bits: u32,
    /// Which call it was.
    pub case: String,
}

/// Runs a function on both.
pub fn results<R: Runs>(function: &Function, x: &[R], y: &[R], seed: u64) -> Results {
    let data = function.data(x, y);
    let case = format!("{function:?}, k = {}, seed {seed}", R::BITS);
    println!("{case}");
    let private = R::private(function, &data, seed);
    let twin = R::twin(function, data).expect("a valid call");
    let bits = if twin.other.is_empty() { R::BITS } else { R::Other::BITS };
    let signed = |(own, other): (Vec<R>, Vec<R::Other>)| -> Vec<i64> {
        own.into_iter().map(Ring::to_i64).chain(other.into_iter().map(Ring::to_i64)).collect()
    };
    let (twin, private) = (signed((twin.out, twin.other)), signed(Data::open(&private.data)));
    let results = Results { twin, private, bits, case };
    assert!(!results.twin.is_empty() && results.twin.len() == results.private.len());
    results
}

/// Both results must be the same.
pub fn exact<R: Runs>(function: &Function, x: &[R], y: &[R], seed: u64) {
    let Results { twin, private, case, .. } = results(function, x, y, seed);
    let off = twin.iter().zip(&private).position(|(twin, private)| twin != private);
    if let Some(at) = off {
        let (twin, private, x) = (twin[at], private[at], x.get(at));
        panic!("{case}: result {at}: twin {twin}, private {private}, x = {x:?}");
    }
}

/// The private result is that of the twin, or one unit more; and both happen.
pub fn unit<R: Runs>(function: &Function, x: &[R], y: &[R], seed: u64) {
    within(function, x, y, seed, |_, _| (0, 1));
}

/// The private result lies between `twin - low` and `twin + high`, where these are told for every
/// element; and is the twin's not everywhere.
pub fn within<R: Runs>(
    function: &Function,
    x: &[R],
    y: &[R],
    seed: u64,
    bound: impl Fn(usize, i64) -> (i64, i64),
) {
    let Results { twin, private, bits, case } = results(function, x, y, seed);
    let mut off = 0;
    for (at, (&twin, &private)) in twin.iter().zip(&private).enumerate() {
        let (low, high) = bound(at, twin);
        let error = private.wrapping_sub(twin) << (64 - bits) >> (64 - bits);
        let x = x.get(at).map(|x| x.to_i64());
        assert!(
            (-low..=high).contains(&error),
            "{case}: result {at}: twin {twin}, off by {error} of -{low}..={high}, x = {x:?}"
        );
        off += usize::from(error != 0);
    }
    assert!(
        off > 0 || twin.len() < 100,
        "{case}: always the twin's; then the test should ask for that"
    );
}
