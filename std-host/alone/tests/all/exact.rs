//! The answer is bit for bit that of the twin.

use rand_core::Rng as _;
use sharelet_alone::{AloneError, FillingP0, Half, SLOTS};
use sharelet_core::session::network::{Activation, Layer};
use sharelet_core::share::Party;
use sharelet_testkit::model::Model as Plain;
use sharelet_testkit::pipe::run;
use sharelet_testkit::{printed_seed, rng};

use crate::parties::{Parties, model};

fn exact(plain: &Plain, sessions: usize, seed: u64) {
    let mut parties = Parties::new(model(plain), seed);
    let [halves_0, halves_1] = parties.prepare(sessions);
    assert_eq!([halves_0.len(), halves_1.len()], [sessions; 2]);
    for (number, halves) in halves_0.into_iter().zip(halves_1).enumerate() {
        let inputs = parties.task.network.inputs();
        let (input, share) = (parties.words(inputs), parties.words(inputs));
        let expected = parties.model.infer(&input).unwrap();
        let found = parties.infer(halves.into(), &input, &share);
        assert_eq!(found, expected, "session {number}");
    }
}

#[test]
fn networks_of_every_shape() {
    let seed = printed_seed();
    exact(&Plain::of_every_shape(&mut rng(seed)), 2, seed);
}

#[test]
fn dense_networks_of_any_widths() {
    let seed = printed_seed();
    let mut random = rng(seed);
    for round in 0..6 {
        let mut width = || 1 + (random.next_u32() % 70) as u16;
        let widths: Vec<u16> = (0..2 + round % 4).map(|_| width()).collect();
        exact(&Plain::random(&widths, round % 2 == 0, &mut random), 3, seed ^ round);
    }
}

/// Gates of all widths, with bits dropped or not, ReLU and truncation: of each a million elements.
#[test]
fn gates_of_any_widths() {
    let seed = printed_seed();
    let (width, sessions) = (21_000, 2);
    let (mut relus, mut truncations) = (0, 0);
    let gates = [8, 9, 16, 20, 29, 32].into_iter().flat_map(|bits: u8| {
        let shifts = [0, 1, 4, 12, 21].into_iter().filter(move |shift| shift + 1 < bits);
        let shifts = shifts.chain([bits - 2]);
        shifts.flat_map(move |shift| {
            [Activation::Relu, Activation::Identity].map(|activation| (bits, shift, activation))
        })
    });
    for (gate_bits, shift, activation) in gates {
        let is_relu = activation == Activation::Relu;
        let shape = sharelet_core::shape::Shape::Identity { width };
        let weight_frac_bits = shift.saturating_sub(8);
        let layer = Layer { shape, weight_frac_bits, skip: None, shift, gate_bits, activation };
        if !is_relu && shift == 0 {
            continue;
        }
        exact(&Plain::with_layers(&[layer], &mut rng(seed)), sessions, seed);
        *if is_relu { &mut relus } else { &mut truncations } += sessions * usize::from(width);
    }
    assert!(relus.min(truncations) >= 1_000_000, "{relus} and {truncations}");
}

/// A network that multiplies by public weights alone: nothing is encrypted.
#[test]
fn networks_without_private_weights() {
    let seed = printed_seed();
    let shape = sharelet_core::shape::Shape::Identity { width: 9 };
    let layer = Layer {
        shape,
        weight_frac_bits: 3,
        skip: None,
        shift: 3,
        gate_bits: 20,
        activation: Activation::Relu,
    };
    let plain = Plain::with_layers(&[layer, layer], &mut rng(seed));
    exact(&plain, 2, seed);
    // What is public is not multiplied for a batch, but it is added all the same.
    batch(Parties::new(model(&plain), seed));
}

/// What lies on a disk for a while is the same.
#[test]
fn halves_are_written_and_read() {
    let seed = printed_seed();
    let mut parties = Parties::new(model(&Plain::of_every_shape(&mut rng(seed))), seed);
    let prepared = parties.prepare(1);
    let halves = prepared.map(|halves| {
        let bytes = halves[0].to_bytes();
        let sides = [Party::P0, Party::P1];
        let read = sides.map(|party| {
            Half::from_bytes(party, &parties.task, &bytes).inspect(|half| {
                assert_eq!(*half.to_bytes(), *bytes);
            })
        });
        let cut = &bytes[..bytes.len() - 1];
        assert!(sides.iter().all(|&party| Half::from_bytes(party, &parties.task, cut).is_none()));
        read
    });
    let [[half_0, none_0], [none_1, half_1]] = halves;
    assert!(none_0.is_none() && none_1.is_none(), "the other party's half");
    let input = parties.words(parties.task.network.inputs());
    let expected = parties.model.infer(&input).unwrap();
    let nothing = vec![0; input.len()];
    assert_eq!(parties.infer([half_0.unwrap(), half_1.unwrap()], &input, &nothing), expected);
}

/// 4,096 at once, of a network of several matrices: those at both ends and some in between.
#[test]
fn batches() {
    let seed = printed_seed();
    let plain = Plain::random(&[5, 4, 3], true, &mut rng(seed));
    for is_silent in [false, true] {
        let parties = Parties::new(model(&plain), seed);
        batch(if is_silent { parties.silently() } else { parties });
    }
}

fn batch(mut parties: Parties) {
    assert!(parties.task.has_batches());
    let inputs = parties.task.network.inputs();
    let [halves_0, halves_1] = parties.prepare_batch();
    assert_eq!([halves_0.len(), halves_1.len()], [SLOTS; 2]);
    for (number, halves) in halves_0.into_iter().zip(halves_1).enumerate() {
        if number % 97 == 0 || number + 1 == SLOTS {
            let (input, share) = (parties.words(inputs), parties.words(inputs));
            let expected = parties.model.infer(&input).unwrap();
            assert_eq!(parties.infer(halves.into(), &input, &share), expected, "{number}");
        }
    }
}

#[test]
fn networks_of_windows_have_no_batches() {
    let seed = printed_seed();
    let mut parties = Parties::new(model(&Plain::of_every_shape(&mut rng(seed))), seed);
    assert!(!parties.task.has_batches());
    let Parties { task, ends: [end, _], p0, rngs: [rng, _], .. } = &mut parties;
    let refused = run(FillingP0::new().step(p0, task, rng, end));
    assert!(matches!(refused, Err(AloneError::NoBatches)));
}
