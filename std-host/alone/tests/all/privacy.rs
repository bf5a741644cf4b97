//! What each party sees is uniform, whatever the other's secrets are.

use sharelet_alone::Half;
use sharelet_core::session::network::{Activation, Layer};
use sharelet_core::share::Party;
use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
use sharelet_testkit::model::Model as Plain;
use sharelet_testkit::{printed_seed, rng};

use crate::parties::{Parties, model};

/// What a party's half has lost.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Masks,
    Records,
    Words,
}

/// Bytes of all messages of the online phase by sender, and of what `P0` says ahead: a gate of 32
/// elements, so that none ends within a byte.
fn seen(input: u32, weight: u32, seed: u64, lost: Option<(Party, Lost)>) -> [Histogram; 2] {
    let layers = [
        Layer::dense(64, 32, 10, 8, Activation::Relu).narrow(24),
        Layer::dense(32, 32, 10, 0, Activation::Identity),
        Layer::dense(32, 8, 10, 8, Activation::Identity),
    ];
    let mut plain = Plain::with_layers(&layers, &mut rng(seed));
    plain.weights.iter_mut().flatten().for_each(|word| *word = weight << 16);
    plain.biases.iter_mut().flatten().for_each(|bias| *bias = weight);
    let mut parties = Parties::new(model(&plain), seed);
    let [halves_0, halves_1] = parties.prepare(60);
    let before = parties.wire.borrow().sent.each_ref().map(Vec::len);
    let ahead = before[0] - 1;
    let mut counts = [Histogram::default(), Histogram::default()];
    for halves in halves_0.into_iter().zip(halves_1) {
        let halves: [_; 2] = halves.into();
        let halves = halves.map(|half| match lost {
            Some((party, lost)) => without(&parties, half, party, lost),
            None => half,
        });
        let nothing = vec![0; 64];
        parties.infer(halves, &[input; 64], &nothing);
    }
    let wire = parties.wire.borrow();
    for ((counts, sent), first) in counts.iter_mut().zip(&wire.sent).zip([ahead, before[1]]) {
        sent.iter().skip(first).for_each(|message| counts.extend(message));
    }
    counts
}

/// A party's half with zeros in place of something; the other party's as it is.
fn without(parties: &Parties, half: Half, party: Party, lost: Lost) -> Half {
    let mut bytes = half.to_bytes();
    if Half::from_bytes(party, &parties.task, &bytes).is_none() {
        return half;
    }
    // Labels, words and records lie at the end, and masks at the beginning.
    let (record_bytes, strings) = parties.task.spends();
    let end = bytes.len() - 32;
    let labels = end - 16 * strings.labels..end;
    let words = labels.start - 8 * strings.words..labels.start;
    let records = words.start - record_bytes..words.start;
    let range = match lost {
        Lost::Masks => 0..4 * 64,
        Lost::Records => records,
        Lost::Words => words,
    };
    bytes[range].fill(0);
    Half::from_bytes(party, &parties.task, &bytes).unwrap()
}

#[test]
fn what_is_seen_is_uniform() {
    let seed = printed_seed();
    for (input, weight) in [(0, 0), (0xffff_ff00, 0x7fff), (255, 1)] {
        for counts in seen(input, weight, seed, None) {
            let statistic = counts.against_uniform();
            assert!(counts.total() > 30_000 && statistic < BYTES_BOUND, "{statistic}");
        }
    }
}

/// Labels are not among them: what they hide is shares, which are uniform by themselves. See the
/// tests of rows.
#[test]
fn a_mask_that_is_left_out_is_seen() {
    let seed = printed_seed();
    for (party, lost) in [
        (Party::P0, Lost::Masks),
        (Party::P0, Lost::Records),
        (Party::P1, Lost::Records),
        (Party::P1, Lost::Words),
    ] {
        let counts = seen(255, 1, seed, Some((party, lost)));
        let statistic = counts[usize::from(party == Party::P1)].against_uniform();
        assert!(statistic > 2.0 * BYTES_BOUND, "{party:?}, {lost:?}: {statistic}");
    }
}
