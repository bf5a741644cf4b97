//! What is printed for debugging shows no secret.

use core::fmt::Debug;

use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::program;
use sharelet_core::functions::protocol::Messages;
use sharelet_core::functions::protocol::choose::Chosen;
use sharelet_core::functions::protocol::compare::Compared;
use sharelet_core::functions::protocol::matrix::{Masked, MatrixFactors, Vectors};
use sharelet_core::functions::protocol::piecewise::Applied;
use sharelet_core::functions::protocol::product::Factors;
use sharelet_core::functions::protocol::rescale::Rescaled;
use sharelet_core::gate::GateKind;
use sharelet_core::keystream::{ChaCha12, Domain, Key, Keystream, Kind};
use sharelet_core::session::gate;
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::linear;
use sharelet_core::session::network::PlainModel;
use sharelet_core::session::p0::Identity;
use sharelet_core::session::p1::Scratch;
use sharelet_core::session::phases::{FirstMasks, Follows, Offline};
use sharelet_core::session::wire::control::{DeviceId, Welcome};
use sharelet_core::shape::Shape;

/// Shows `value` both ways; neither may have a number in it but those allowed.
fn is_redacted(value: &impl Debug, numbers: &[&str]) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let mut rest = text.clone();
        numbers.iter().for_each(|number| rest = rest.replace(number, ""));
        let rest = rest.replace("P0", "").replace("P1", "");
        assert!(!rest.contains(|c: char| c.is_ascii_digit()), "{text}");
    }
}

#[test]
fn debug_output_has_no_contents() {
    let key = Key::from_bytes([0xa5; 32]);
    let keystream = Keystream::<ChaCha12>::new(&key);
    is_redacted(&key, &[]);
    is_redacted(&keystream, &[]);
    is_redacted(&keystream.block(Domain { session: 1, layer: 0, kind: Kind::Share }, 0), &[]);
    is_redacted(&Identity::<ChaCha12>::new(DeviceId::new("pump").unwrap(), &key), &[]);
    is_redacted(&Welcome { layers: 3, model_seed: [0xa5; 32], masked_id: [3; 32] }, &["3"]);
    is_redacted(&PlainModel { weights: &[&[77]], biases: &[&[78]] }, &["1"]);
    let scratch = Scratch {
        masked: &mut [77],
        vectors: &mut [77],
        output: &mut [77],
        own_bits: &mut [7],
        peer_bits: &mut [7],
    };
    is_redacted(&scratch, &[]);

    let parts = Shape::Dense { inputs: 2, outputs: 2 }.alone(0);
    let digits = Digits::plan(32, 8, GateKind::Relu).unwrap();
    let mut offline = Offline::new(&keystream, SessionToken::consumed(9));
    is_redacted(&offline, &[]);
    let (mut rows, masks) = offline.layer(&keystream, parts.clone(), Follows::Gate);
    is_redacted(&masks, &[]);
    let FirstMasks::Gate(mut masks) = masks else { panic!("gated") };
    is_redacted(&rows, &[]);
    is_redacted(&rows.next().unwrap(), &[]);
    is_redacted(&masks, &[]);
    is_redacted(&masks.next().unwrap(), &[]);
    let mut online = offline.finish();
    is_redacted(&online, &[]);
    let (inputs, tables) = online.layer((Some(2), 2), Some(digits));
    let (mut inputs, mut tables) = (inputs.unwrap(), tables.unwrap());
    is_redacted(&inputs, &[]);
    is_redacted(&inputs.next().unwrap(), &[]);
    is_redacted(&tables, &[]);
    is_redacted(&tables.next().unwrap(), &[]);
    is_redacted(&linear::Received::new::<u32>(&parts, &[77; 8]).unwrap(), &[]);
    let bytes = vec![77; 2 * gate::correction_bytes::<u32>(&digits)];
    is_redacted(&gate::Received::new::<u32>(digits, 2, &bytes).unwrap(), &[]);
}

/// Shares, masks and correlations on their way through a protocol.
#[test]
fn debug_output_of_a_protocols_data_has_no_contents() {
    let (own, opened) = (&mut [77_u32][..], &mut [77_u32][..]);
    is_redacted(&Messages { own: &mut [77], peer: &mut [77], opened: &mut [77] }, &[]);
    is_redacted(&MatrixFactors { x: &[77_u32], y: &[77], out: &mut [77] }, &[]);
    is_redacted(&Masked { matrix: &[77_u32], mask: &[77], opened }, &[]);
    is_redacted(&Vectors { x: &[77_u32], out: &mut [77] }, &[]);
    is_redacted(&Factors { x: &mut [77_u32], y: &[77] }, &[]);
    is_redacted(&Chosen { x: &mut [77_u32], values: &mut [77_u64] }, &[]);
    is_redacted(&Compared { x: &mut [77_u32], bits: &mut [77_u64] }, &[]);
    is_redacted(&Applied { x: &mut [77_u32], out: &mut [77_u64] }, &[]);
    is_redacted(&Rescaled { x: &[77_u32], out: &mut [77_u64] }, &[]);
    is_redacted(&program::Scratch { own, narrow: &mut [77], wide: &mut [77] }, &[]);
}
