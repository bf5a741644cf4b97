//! `cargo run -p sharelet-core --features functions --example minimal`: two parties, a product, a
//! comparison. A party's share alone is a uniform word. A dealer, who sees no message, hands out
//! one-time randomness beforehand. Both parties send in every round, at the same time.
//! Seeds and keys are fixed, so that runs are alike: real ones are drawn by the system.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sharelet_core::correlation::Position;
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::protocol::compare::{Compare, Compared};
use sharelet_core::functions::protocol::product::{Factors, Multiply};
use sharelet_core::functions::protocol::{Messages, Protocol};
use sharelet_core::functions::record::{Stored, deal, expand};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};

type Outcome<T> = Result<T, Box<dyn core::error::Error>>;

/// One element of a protocol, by the dealer and both parties; `layer` numbers the correlations.
fn run<P: Protocol>(protocol: &P, layer: u16, mut data: [P::Data<'_>; 2]) -> Outcome<()> {
    // Beforehand: P0 has a key, its half is keystream; the dealer has it too, and writes P1's.
    let key = Keystream::<ChaCha12>::new(&Key::from_bytes([1; 32]));
    let place = Position { session: 7, layer };
    let (layout, mut rng) = (protocol.layout(), ChaCha12Rng::from_seed([2; 32]));
    let (mut half_0, mut half_1) = (vec![0; layout.expanded_bytes(1)], vec![0; layout.bytes()]);
    expand(&key, place, layout, 1, &mut half_0)?;
    deal(&key, place, layout, 1, &mut rng, &mut half_1, |truth, rng| protocol.deal(truth, rng))?;
    let mut halves = [Stored::expanded(layout, 1, &half_0)?, Stored::received(layout, 1, &half_1)?];
    let room = || [(); 3].map(|()| vec![0; protocol.max_message_bytes(1)]);
    let mut rooms = [room(), room()];
    for round in 0..=protocol.rounds() {
        let parties = halves.iter_mut().zip(&mut data).zip(&mut rooms);
        for ((half, data), [own, peer, opened]) in parties {
            protocol.step(round, half, data, &mut Messages { own, peer, opened });
        }
        let [[own_0, peer_0, _], [own_1, peer_1, _]] = &mut rooms;
        peer_0.copy_from_slice(own_1); // P1 -> P0
        peer_1.copy_from_slice(own_0); // P0 -> P1
    }
    Ok(())
}

/// `x y`, and whether it is at least `limit`.
fn product_and_comparison(x: u32, y: u32, limit: u32, rng: &mut impl Rng) -> Outcome<(u32, bool)> {
    let (mut x_0, y_0) = ([rng.next_u32()], [rng.next_u32()]);
    let (mut x_1, y_1) = ([x.wrapping_sub(x_0[0])], [y.wrapping_sub(y_0[0])]);
    let factors = [Factors { x: &mut x_0, y: &y_0 }, Factors { x: &mut x_1, y: &y_1 }];
    run(&Multiply::new(), 0, factors)?;
    let product = x_0[0].wrapping_add(x_1[0]); // opened here, to be shown

    let (mut b_0, mut b_1) = ([0_u32], [0_u32]);
    let bits = [Compared { x: &mut x_0, bits: &mut b_0 }, Compared { x: &mut x_1, bits: &mut b_1 }];
    run(&Compare::new(&[limit], Folding::Direct)?, 1, bits)?;
    Ok((product, b_0[0].wrapping_add(b_1[0]) == 1))
}

fn main() -> Outcome<()> {
    let answer = product_and_comparison(6, 7, 40, &mut ChaCha12Rng::from_seed([3; 32]))?;
    println!("6 * 7 and whether that is at least 40, on shares: {answer:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_comparisons_are_those_of_integers() {
        let mut rng = ChaCha12Rng::from_seed([4; 32]);
        for (x, y, limit) in [(6, 7, 42), (6, 7, 43), (-6, 7, -42), (-6, 7, 0), (0, -1, 0)] {
            let [a, b, c] = [x, y, limit].map(i32::cast_unsigned);
            let (product, least) = product_and_comparison(a, b, c, &mut rng).expect("it runs");
            assert_eq!((product.cast_signed(), least), (x * y, x * y >= limit));
        }
    }
}
