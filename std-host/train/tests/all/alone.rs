//! Two servers without a dealer, against the plaintext twin: the same networks as with one.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sharelet_core::functions::engine::Truncation;
use sharelet_prepare::FieldBits;
use sharelet_train::config::{self, Arithmetic};
use sharelet_train::loss::Sums;
use sharelet_train::model::Model;
use sharelet_train::serving::Serving;
use sharelet_train::step::{OpenData, Step};
use sharelet_train::tensor::together::Together;
use sharelet_train::tensor::{self, offline};

use crate::private::{BATCH, F, RATES, WANTED, data, distance, networks, open, split, twin};

fn servers(seed: u8, truncation: Truncation) -> Together<ChaCha20Rng> {
    Together::new(ChaCha20Rng::from_seed([seed; 32]), truncation, FieldBits::Two).unwrap()
}

/// Answers of shared models: with exact truncations to the last bit.
#[test]
fn answers_are_those_of_the_twin() {
    for (name, network) in networks() {
        let data = data(&network, false, &mut ChaCha20Rng::from_seed([9; 32]));
        for (truncation, settled) in [
            (Truncation::Exact, config::Truncation::Exact),
            (Truncation::OneUnit, config::Truncation::OneUnit),
        ] {
            let arithmetic = Arithmetic { frac_bits: F, truncation: settled };
            let serving = Serving::new(network.clone(), arithmetic, 0).unwrap();
            let mut whole = serving.open(&data.model, &[]);
            let weights = offline::run(&mut whole, tensor::twin(truncation)).unwrap().0;
            let mut evaluate = serving.evaluate(&weights, data.inputs.clone()).unwrap();
            let expected = offline::run(&mut evaluate, tensor::twin(truncation)).unwrap().0;

            let mut servers = servers(3, truncation);
            let zeros = Model::zeros(&network, false).unwrap();
            let parties = [serving.open(&zeros, &[]), serving.open(&data.model, &[])];
            let ahead = [serving.open(&zeros, &[]), serving.open(&zeros, &[])];
            let (opened, _) = servers.run(parties, ahead).unwrap();
            let inputs = split(&data.inputs, &mut ChaCha20Rng::from_seed([5; 32]));
            let zeros = vec![0; data.inputs.len()];
            let ahead =
                opened.each_ref().map(|opened| serving.evaluate(opened, zeros.clone()).unwrap());
            let [inputs_0, inputs_1] = inputs;
            let parties = [
                serving.evaluate(&opened[0], inputs_0).unwrap(),
                serving.evaluate(&opened[1], inputs_1).unwrap(),
            ];
            let ([out_0, out_1], took) = servers.run(parties, ahead).unwrap();
            let found = open([&out_0.words, &out_1.words]);
            println!("{name}, {truncation:?}: {took:?}");
            if truncation == Truncation::Exact {
                assert!(found == expected.words, "{name}");
            } else {
                // A unit in the input of a product is one of 2^20.
                let units = distance(&found, &expected.words) >> F;
                assert!(units < 40, "{name}: {units} units");
            }
        }
    }
}

/// Steps of training, with every loss.
#[test]
fn exact_steps_are_those_of_the_twin() {
    for (name, network) in networks() {
        for rates in RATES {
            let data = data(&network, rates.momentum > 0, &mut ChaCha20Rng::from_seed([7; 32]));
            let truncation = Truncation::Exact;
            let (expected, expected_sums) = twin(&network, &data, 1, rates, truncation);
            let mut rng = ChaCha20Rng::from_seed([1; 32]);
            let mut servers = servers(2, truncation);
            let mut models = [data.model.clone(), data.model.clone()];
            let words: Vec<u64> = data.model.words().copied().collect();
            for (model, share) in models.iter_mut().zip(split(&words, &mut rng)) {
                model.words_mut().zip(share).for_each(|(word, share)| *word = share);
            }
            let ahead = [(); 2].map(|()| OpenData { inputs: vec![0; data.inputs.len()] });
            let parties = split(&data.inputs, &mut rng).map(|inputs| OpenData { inputs });
            let (opened, _) = servers.run(parties, ahead).unwrap();
            let rows: Vec<usize> = (0..BATCH).collect();
            let mut pick = opened
                .iter()
                .flat_map(|opened| [(); 2].map(|()| opened.rows(network.input.elems(), &rows)));
            let mut next = || pick.next().unwrap();
            let [of_0, zero_0, of_1, zero_1] = [(); 4].map(|()| next());
            let [targets_0, targets_1] = split(&data.targets, &mut rng);
            let mut zeros = [data.model.clone(), data.model.clone()];
            let ([model_0, model_1], [zeros_0, zeros_1]) = (&mut models, &mut zeros);
            let new = |model, opened, targets| {
                Step::new(&network, F, model, (opened, targets), rates, WANTED).unwrap()
            };
            let nothing = vec![0; data.targets.len()];
            let ahead =
                [new(zeros_0, zero_0, nothing.clone()), new(zeros_1, zero_1, nothing.clone())];
            let parties = [new(model_0, of_0, targets_0), new(model_1, of_1, targets_1)];
            let ([mut sums, sums_1], took) = servers.run(parties, ahead).unwrap();
            sums.add(sums_1);
            println!("{name}: {took:?}");
            let [words_0, words_1] =
                models.map(|model| model.words().copied().collect::<Vec<u64>>());
            let found = open([&words_0, &words_1]);
            assert!(found == expected, "{name}, {rates:?}: {}", distance(&found, &expected));
            let Sums { loss, correct, .. } = expected_sums;
            assert_eq!((sums.loss, sums.correct), (loss, correct), "{name}, {rates:?}");
        }
    }
}
