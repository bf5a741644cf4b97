//! Runs a protocol between two parties in one place, for tests.

extern crate std;
use std::vec;
use std::vec::Vec;

use core::convert::Infallible;
use core::fmt::Debug;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rand_core::{CryptoRng, TryCryptoRng, TryRng};

use super::choose::Chosen;
use super::compare::Compared;
use super::{Messages, Protocol};
use crate::correlation::Position;
use crate::functions::record::{self, Derived, Stored};
use crate::keystream::{ChaCha8, Key, Keystream};
use crate::ring::{Ring, Small};

/// Deals for `elements` records and runs the protocol between `P0`, on `data_0`, and `P1`, on
/// `data_1`, under a key that `rng` gives.
///
/// # Panics
/// As [`run_under`].
pub fn run<P: Protocol>(
    protocol: &P,
    rng: &mut impl CryptoRng,
    data_0: P::Data<'_>,
    data_1: P::Data<'_>,
) {
    let mut key = [0; 32];
    rng.fill_bytes(&mut key);
    let keystream = Keystream::new(&Key::from_bytes(key));
    let position = Position { session: 1, layer: 2 };
    run_under((&keystream, position), [protocol; 3], rng, data_0, data_1);
}

/// The same at a position of a keystream, with what the dealer, `P0` and `P1` know of the protocol
/// each. Gives the parties' first messages.
///
/// # Panics
/// If the protocol refuses the data, or a message is longer than it says.
#[allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
pub fn run_under<P: Protocol>(
    (keystream, position): (&Keystream<ChaCha8>, Position),
    [protocol, party_0, party_1]: [&P; 3],
    rng: &mut impl CryptoRng,
    mut data_0: P::Data<'_>,
    mut data_1: P::Data<'_>,
) -> [Vec<u8>; 2] {
    let elements = protocol.elements(&data_0).expect("slices that belong together");
    assert_eq!(elements, protocol.elements(&data_1).expect("slices that belong together"));
    let layout = protocol.layout();
    let mut corrections = vec![0; layout.bytes() * elements];
    record::deal(keystream, position, layout, elements, rng, &mut corrections, |truth, rng| {
        protocol.deal(truth, rng)
    })
    .expect("sized");
    let mut half_0 = Derived::new(keystream, position, layout);
    let mut half_1 = Stored::received(layout, elements, &corrections).expect("sized");
    let longest = protocol.max_message_bytes(elements);
    let buffers = || -> [Vec<u8>; 3] { core::array::from_fn(|_| vec![0xa5; longest]) };
    let ([mut own_0, mut peer_0, mut opened_0], [mut own_1, mut peer_1, mut opened_1]) =
        (buffers(), buffers());
    let mut first = [Vec::new(), Vec::new()];
    for round in 0..=protocol.rounds() {
        let mut messages = Messages { own: &mut own_0, peer: &mut peer_0, opened: &mut opened_0 };
        party_0.step(round, &mut half_0, &mut data_0, &mut messages);
        let mut messages = Messages { own: &mut own_1, peer: &mut peer_1, opened: &mut opened_1 };
        party_1.step(round, &mut half_1, &mut data_1, &mut messages);
        if round < protocol.rounds() {
            let bytes = protocol.message_bytes(round, elements);
            peer_0[..bytes].copy_from_slice(&own_1[..bytes]);
            peer_1[..bytes].copy_from_slice(&own_0[..bytes]);
            if round == 0 {
                first = [own_0[..bytes].to_vec(), own_1[..bytes].to_vec()];
            }
        }
    }
    first
}

/// A protocol that works in place: the parties' result is the twin's.
///
/// # Panics
/// If it is not.
pub fn in_place<R: Ring, P>(protocol: &P, x: &[R], seed: u8)
where
    P: for<'d> Protocol<Data<'d> = &'d mut [R]> + Debug,
{
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let (mut x_0, mut x_1) = share(x, &mut rng);
    run(protocol, &mut rng, &mut x_0, &mut x_1);
    let mut twin = x.to_vec();
    protocol.twin(&mut &mut twin[..]);
    assert_eq!(open(&x_0, &x_1), twin, "{protocol:?}, seed {seed}");
}

/// A protocol that gives so many bits per element: the parties' result is the twin's.
///
/// # Panics
/// If it is not.
pub fn compared<R: Ring, W: Ring, P>(protocol: &P, bits_each: usize, x: &[R], seed: u8)
where
    P: for<'d> Protocol<Data<'d> = Compared<'d, R, W>> + Debug,
{
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let (mut x_0, mut x_1) = share(x, &mut rng);
    let [mut bits_0, mut bits_1, mut twin] =
        core::array::from_fn(|_| vec![W::ONE; x.len() * bits_each]);
    let [data_0, data_1] =
        [(&mut x_0, &mut bits_0), (&mut x_1, &mut bits_1)].map(|(x, bits)| Compared { x, bits });
    run(protocol, &mut rng, data_0, data_1);
    protocol.twin(&mut Compared { x: &mut x.to_vec(), bits: &mut twin });
    assert_eq!(open(&bits_0, &bits_1), twin, "{protocol:?}, seed {seed}");
}

/// A protocol that chooses `width` random values per element: the parties' result is the twin's.
///
/// # Panics
/// If it is not.
pub fn chosen<R: Ring, W: Ring, P>(protocol: &P, width: usize, x: &[R], seed: u8)
where
    P: for<'d> Protocol<Data<'d> = Chosen<'d, R, W>> + Debug,
{
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut twin: Vec<W> = (0..x.len() * width).map(|_| W::from_u64(rng.next_u64())).collect();
    let (mut x_0, mut x_1) = share(x, &mut rng);
    let (mut v_0, mut v_1) = share(&twin, &mut rng);
    let [data_0, data_1] =
        [(&mut x_0, &mut v_0), (&mut x_1, &mut v_1)].map(|(x, values)| Chosen { x, values });
    run(protocol, &mut rng, data_0, data_1);
    protocol.twin(&mut Chosen { x: &mut x.to_vec(), values: &mut twin });
    assert_eq!(open(&v_0, &v_1), twin, "{protocol:?}, seed {seed}");
}

/// All values of a small ring.
#[must_use]
pub fn all<const K: u32>() -> Vec<Small<K>> {
    (0..1 << K).map(Small::from_u64).collect()
}

/// Random shares of `values`.
pub fn share<R: Ring>(values: &[R], rng: &mut impl CryptoRng) -> (Vec<R>, Vec<R>) {
    values
        .iter()
        .map(|_| R::from_u64(rng.next_u64()))
        .zip(values)
        .map(|(share, &value)| (share, value.sub(share)))
        .unzip()
}

/// The values that shares open to.
#[must_use]
pub fn open<R: Ring>(shares_0: &[R], shares_1: &[R]) -> Vec<R> {
    shares_0.iter().zip(shares_1).map(|(&a, &b)| a.add(b)).collect()
}

/// Words to test a ring with: random ones, and both sides of zero and of every power of two.
pub fn words<R: Ring>(random: usize, rng: &mut impl CryptoRng) -> Vec<R> {
    let edges = (0..R::BITS).flat_map(|bit| {
        let power = R::pow2(bit);
        [
            power.sub(R::ONE),
            power,
            power.add(R::ONE),
            power.neg().sub(R::ONE),
            power.neg(),
            power.neg().add(R::ONE),
        ]
    });
    let mut words: Vec<R> = edges.collect();
    // Of all magnitudes.
    words.extend((0..random).map(|i| {
        #[allow(clippy::cast_possible_truncation)]
        let word = R::from_u64(rng.next_u64()).sar(i as u32 % R::BITS);
        word
    }));
    words
}

/// Draws what its function says, in place of random words, so that a dealer can be made to deal
/// every mask. Keys are zero.
pub struct Draws<F>(pub F);

impl<F: FnMut() -> u64> TryRng for Draws<F> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        #[allow(clippy::cast_possible_truncation)]
        let word = self.try_next_u64()? as u32;
        Ok(word)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok((self.0)())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

impl<F: FnMut() -> u64> TryCryptoRng for Draws<F> {}
