//! One ReLU between two parties, message by message: `cargo run -p sharelet-core --example relu`.
//!
//! The parties end with shares of `max(y, 0) >> 4`. A session runs these steps for a whole layer,
//! and draws its seeds, which here are fixed so that runs are alike.

use core::error::Error;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sharelet_core::correlation::{Position, SessionToken};
use sharelet_core::gate::GateKind;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::gate::{self, Received};
use sharelet_core::session::phases::{FirstMasks, Follows, Offline};
use sharelet_core::shape::Shape;

/// Shares of `max(y, 0) >> 4`, from shares of `y`; and the bytes of the messages.
fn relu(
    y_0: u32,
    y_1: u32,
    rng: &mut ChaCha12Rng,
) -> Result<([u32; 2], [usize; 3]), Box<dyn Error>> {
    let digits = Digits::plan(32, 4, GateKind::Relu)?;

    // The dealer: it has P0's key, and writes P1's half. P0 is sent nothing.
    let key = Keystream::<ChaCha12>::new(&Key::generate(rng));
    let place = Position { session: 7, layer: 0 };
    let mut corrections = vec![0; gate::correction_bytes::<u32>(&digits)];
    gate::deal::<u32, _>(&key, place, &digits, 0..1, rng, &mut corrections)?;

    // P0 -> P1: its share under its share of the mask. In a session it is sent while preparing.
    let mut offline = Offline::new(&key, SessionToken::consumed(place.session));
    let layer = Shape::Dense { inputs: 1, outputs: 1 }.alone(0);
    let (_, FirstMasks::Gate(mut masks)) = offline.layer(&key, layer, Follows::Gate) else {
        return Err("a gate follows".into());
    };
    let mut masked_0 = [y_0];
    gate::mask(masks.next().ok_or("one piece")?, &mut masked_0)?;

    // P1 -> P0: now it knows z, and answers with z and its bits, which z has chosen.
    let (mut z, mut bits_1) = ([y_1], [0]);
    let received = Received::new::<u32>(digits, 1, &corrections)?;
    let opened = gate::open_p1(received, &masked_0, &mut bits_1, &mut z)?;

    // P0 -> P1: its own bits; either now knows delta, and reads its share of the result.
    let (mut out_0, mut out_1, mut bits_0) = (z, z, [0]);
    let (_, tables) = offline.finish().layer((None, 1), Some(digits));
    let piece = tables.and_then(|mut tables| tables.next()).ok_or("one piece")?;
    gate::finish_p0(piece, &bits_1, &mut bits_0, &mut out_0)?;
    gate::finish_p1(opened, &bits_1, &bits_0, &mut out_1)?;
    Ok(([out_0[0], out_1[0]], [4, 4 + bits_1.len(), bits_0.len()]))
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut ChaCha12Rng::from_seed([3; 32]);
    for y in [1000_i32, -1000] {
        let y_0 = rng.next_u32();
        let ([out_0, out_1], bytes) = relu(y_0, y.cast_unsigned().wrapping_sub(y_0), rng)?;
        let out = out_0.wrapping_add(out_1);
        println!("max({y}, 0) >> 4 = {out_0} + {out_1} = {out}; messages: {bytes:?} bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_core::gate::{GateBits, twin};

    #[test]
    fn the_parties_open_what_the_twin_says() {
        let mut rng = ChaCha12Rng::from_seed([4; 32]);
        for y in [0, 1, 15, 16, u32::MAX, 1 << 31, (1 << 31) - 1, 1_000_000].repeat(20) {
            let y_0 = rng.next_u32();
            let (out, bytes) = relu(y_0, y.wrapping_sub(y_0), &mut rng).expect("it runs");
            let whole = twin(GateKind::Relu, GateBits::whole::<u32>(4), y);
            assert_eq!(out[0].wrapping_add(out[1]), whole, "{y}");
            let digits = Digits::plan(32, 4, GateKind::Relu).expect("in range");
            let cost = gate::cost::<u32>(&digits, 1);
            assert_eq!(
                bytes.map(|bytes| bytes as u64),
                [cost.prepare.bytes, cost.down.bytes, cost.up.bytes]
            );
        }
    }
}
