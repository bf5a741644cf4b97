//! Single protocols run by all three parties, on any ring.

use rand_core::{CryptoRng, Rng};
use sharelet_core::correlation::{Position, SessionToken};
use sharelet_core::gate::{GateBits, GateKind};
use sharelet_core::keystream::{Key, Keystream, Rounds};
use sharelet_core::ring::Ring;
use sharelet_core::session::gate;
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::linear;
use sharelet_core::session::phases::{FirstMasks, Follows, Offline};
use sharelet_core::session::piece::PIECE_ELEMS;
use sharelet_core::shape::{Shape, TILE_ELEMS};
use sharelet_core::share;

/// A uniform word.
pub fn word<R: Ring>(rng: &mut impl Rng) -> R {
    R::from_u64(rng.next_u64())
}

/// `W h` for a shared `h`, opened.
///
/// `h_1` is the share that `P1` has; `P0` has the rest.
pub fn linear<R: Ring, C: Rounds>(
    shape: Shape,
    weights: &[R],
    h: &[R],
    h_1: &[R],
    rng: &mut impl CryptoRng,
) -> Vec<R> {
    let (device, model) =
        (Keystream::<C>::new(&Key::generate(rng)), Keystream::<C>::new(&Key::generate(rng)));
    let session = rng.next_u64();
    let mut masked_weights = weights.to_vec();
    let parts = shape.alone(0);
    linear::mask_weights(&model, 0, &parts, &mut masked_weights);
    let mut correction = vec![0; linear::correction_bytes::<R>(&parts)];
    let mut scratch = vec![R::ZERO; linear::deal_scratch_elems(&parts)];
    linear::deal(
        &device,
        Position { session, layer: 0 },
        &parts,
        &masked_weights,
        &mut scratch,
        &mut correction,
    )
    .expect("sized");

    let mut offline = Offline::new(&device, SessionToken::consumed(session));
    let (rows, _) = offline.layer(&model, parts.clone(), Follows::Answer);
    let mut u_0 = vec![R::ZERO; usize::from(shape.outputs())];
    let mut tile = [R::ZERO; TILE_ELEMS];
    for (rows, u_0) in rows.zip(u_0.chunks_mut(PIECE_ELEMS)) {
        linear::prepare(rows, &mut tile, u_0).expect("sized");
    }
    let mut d: Vec<R> = h.iter().zip(h_1).map(|(h, h_1)| h.sub(*h_1)).collect();
    let (masks, _) = offline.finish().layer((Some(shape.inputs()), shape.outputs()), None);
    for (masks, d) in masks.expect("not spent").zip(d.chunks_mut(PIECE_ELEMS)) {
        linear::mask(masks, d).expect("sized");
    }
    share::open(&mut d, h_1);
    let mut u_1 = vec![R::ZERO; usize::from(shape.outputs())];
    shape.add_product(weights, R::ZERO, &d, &mut u_1);
    let received = linear::Received::new::<R>(&parts, &correction).expect("sized");
    linear::correct(received, &mut u_1).expect("sized");
    share::open(&mut u_0, &u_1);
    u_0
}

/// The gate on shared values, opened.
pub fn gate<R: Ring, C: Rounds>(
    kind: GateKind,
    GateBits { width_bits, shift }: GateBits,
    ys: &[R],
    rng: &mut impl CryptoRng,
) -> Vec<R> {
    let digits = Digits::plan(width_bits, shift, kind).expect("in range");
    let elements = u16::try_from(ys.len()).expect("few");
    let device = Keystream::<C>::new(&Key::generate(rng));
    let session = rng.next_u64();
    let mut correction = vec![0; ys.len() * gate::correction_bytes::<R>(&digits)];
    let position = Position { session, layer: 0 };
    gate::deal::<R, _>(&device, position, &digits, 0..elements, rng, &mut correction)
        .expect("sized");

    let y_0: Vec<R> = ys.iter().map(|_| word(rng)).collect();
    let mut z_1: Vec<R> = ys.iter().zip(&y_0).map(|(y, y_0)| y.sub(*y_0)).collect();
    let parts = Shape::Dense { inputs: 1, outputs: elements }.alone(0);
    let mut offline = Offline::new(&device, SessionToken::consumed(session));
    let (_, FirstMasks::Gate(masks)) = offline.layer(&device, parts, Follows::Gate) else {
        panic!("gated")
    };
    let mut masked = y_0;
    for (masks, words) in masks.zip(masked.chunks_mut(PIECE_ELEMS)) {
        gate::mask(masks, words).expect("sized");
    }
    let bytes = gate::opened_bytes(&digits, ys.len());
    let (mut bits_0, mut bits_1) = (vec![0; bytes], vec![0; bytes]);
    let received = gate::Received::new::<R>(digits, elements, &correction).expect("sized");
    let opened = gate::open_p1(received, &masked, &mut bits_1, &mut z_1).expect("sized");
    let mut z_0 = z_1.clone();
    let (_, tables) = offline.finish().layer((Some(1), elements), Some(digits));
    let piece_bytes = gate::opened_bytes(&digits, PIECE_ELEMS);
    let pieces = z_0
        .chunks_mut(PIECE_ELEMS)
        .zip(bits_0.chunks_mut(piece_bytes))
        .zip(bits_1.chunks(piece_bytes));
    for (tables, ((z_0, bits_0), bits_1)) in tables.expect("gated").zip(pieces) {
        gate::finish_p0(tables, bits_1, bits_0, z_0).expect("sized");
    }
    gate::finish_p1(opened, &bits_1, &bits_0, &mut z_1).expect("sized");
    share::open(&mut z_0, &z_1);
    z_0
}
