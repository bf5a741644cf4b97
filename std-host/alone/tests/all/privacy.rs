//! What each party sees is uniform, whatever the other's secrets are.

use sharelet_core::session::network::{Activation, Layer};
use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
use sharelet_testkit::model::Model as Plain;
use sharelet_testkit::{printed_seed, rng};

use crate::parties::{Parties, model};

/// Bytes of messages of whole words: what opens a layer's input, and shares in gates.
fn seen(input: u32, weight: u32, seed: u64, blank: bool) -> [Histogram; 2] {
    let layers = [
        Layer::dense(64, 32, 10, 8, Activation::Relu).narrow(24),
        Layer::dense(32, 32, 10, 0, Activation::Identity),
        Layer::dense(32, 8, 10, 0, Activation::Identity),
    ];
    let mut plain = Plain::with_layers(&layers, &mut rng(seed));
    plain.weights.iter_mut().flatten().for_each(|word| *word = weight << 16);
    plain.biases.iter_mut().flatten().for_each(|bias| *bias = weight);
    let mut parties = Parties::new(model(&plain), seed);
    let [halves_0, halves_1] = parties.prepare(24);
    let before = parties.wire.borrow().sent.each_ref().map(Vec::len);
    let mut counts = [Histogram::default(), Histogram::default()];
    for (half_0, half_1) in halves_0.into_iter().zip(halves_1) {
        let half_0 = if blank { blanked(&parties, &half_0) } else { half_0 };
        let nothing = vec![0; 64];
        parties.infer([half_0, half_1], &[input; 64], &nothing);
    }
    let wire = parties.wire.borrow();
    for ((counts, sent), before) in counts.iter_mut().zip(&wire.sent).zip(before) {
        // The last round of the gate has a word for each element behind its bits: 4 bytes each.
        let words = |message: &&Vec<u8>| [256, 128, 132].contains(&message.len());
        sent.iter().skip(before).filter(words).for_each(|message| counts.extend(message));
    }
    counts
}

/// A half of `P0` whose masks were left out.
fn blanked(parties: &Parties, half: &sharelet_alone::Half) -> sharelet_alone::Half {
    let mut bytes = half.to_bytes();
    bytes[..4 * 64].fill(0);
    let party = sharelet_core::share::Party::P0;
    sharelet_alone::Half::from_bytes(party, &parties.task, &bytes).unwrap()
}

#[test]
fn words_that_are_seen_are_uniform() {
    let seed = printed_seed();
    for (input, weight) in [(0, 0), (0xffff_ff00, 0x7fff), (255, 1)] {
        for counts in seen(input, weight, seed, false) {
            let statistic = counts.against_uniform();
            assert!(counts.total() > 3000 && statistic < BYTES_BOUND, "{statistic}");
        }
    }
}

#[test]
fn a_mask_that_is_left_out_is_seen() {
    let [of_p0, _] = seen(255, 1, printed_seed(), true);
    assert!(of_p0.against_uniform() > 10.0 * BYTES_BOUND);
}
