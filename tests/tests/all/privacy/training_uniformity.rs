//! What crosses a wire in a training step is uniform, whatever data and model: messages of either
//! server, and what the dealer gives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::cell::RefCell;
use std::rc::Rc;

use embassy_futures::join::join;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::binding::Binding;
use sharelet_core::correlation::{LengthError, SessionToken};
use sharelet_core::functions::engine::{Engine, Truncation};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_testkit::chi_square::{BIT_BOUND, BYTES_BOUND, Histogram};
use sharelet_testkit::pipe::run;
use sharelet_testkit::programs::link::{End, Wire};
use sharelet_train::loss::Wanted;
use sharelet_train::model::Model;
use sharelet_train::network::{Layer, Loss, Network, Shape};
use sharelet_train::step::{OpenData, Step};
use sharelet_train::tensor::offline::{Plan, deal};
use sharelet_train::tensor::party::Prepared;
use sharelet_train::tensor::{Machine, Program, Tensors};
use sharelet_train::update::Rates;

/// Opens a batch, and learns from it.
struct Turn {
    network: Network,
    model: Model,
    inputs: Vec<u64>,
    targets: Vec<u64>,
}

const BATCH: usize = 4;
const F: u32 = 20;

impl Program for Turn {
    type Output = ();

    async fn run<E, T>(&mut self, machine: &mut Machine<E, T>) -> Result<(), E::Error>
    where
        E: Engine<Error: From<LengthError>>,
        T: Tensors,
    {
        let inputs = OpenData { inputs: self.inputs.clone() }.run(machine).await?;
        let (rate, rate_bits, momentum, decay) = (900, 14, (1 << F) / 2, 1 << 8);
        let rates = Rates { rate, rate_bits, momentum, decay, ..Rates::default() };
        let wanted = Wanted { loss: true, correct: true, output_bits: Some(30) };
        let batch = (inputs, self.targets.clone());
        let step = Step::new(&self.network, F, &mut self.model, batch, rates, wanted);
        let refused = LengthError { expected_bytes: 1, found_bytes: 0 };
        step.map_err(|_| refused)?.run(machine).await?;
        Ok(())
    }
}

fn network(loss: Loss, outputs: usize) -> Network {
    let layers = vec![Layer::Dense { outputs: 5 }, Layer::Relu, Layer::Dense { outputs }];
    Network { input: Shape::vector(6), layers, loss }
}

/// A participant: `value` in every word of data and model, or zeros.
fn turn(network: &Network, value: u64) -> Turn {
    let outputs = network.shapes().unwrap().last().unwrap().elems();
    let mut model = Model::zeros(network, true).unwrap();
    model.words_mut().for_each(|word| *word = value);
    let mut targets = vec![0; BATCH * outputs];
    targets
        .iter_mut()
        .step_by(outputs.max(2))
        .for_each(|word| *word = if value == 0 { 0 } else { 1 << F });
    Turn { network: network.clone(), model, inputs: vec![value; BATCH * 6], targets }
}

/// What was sent in one place of every session, session by session.
type Column = Vec<Vec<u8>>;

/// Each message of server 0 and of server 1, and records and products that the dealer gives.
fn observe(
    network: &Network,
    value: u64,
    truncation: Truncation,
    sessions: u64,
) -> Vec<(String, Column)> {
    let mut rng = ChaCha20Rng::from_seed([value.to_le_bytes()[2]; 32]);
    let keystream = Keystream::<ChaCha12>::new(&Key::generate(&mut rng));
    let binding = Binding::new(&keystream, &[]);
    let plan = Plan::of(&mut turn(network, 0), truncation).unwrap();
    let mut seen: Vec<(String, Column)> = Vec::new();
    for session in 0..sessions {
        let (dealt, ()) =
            deal(&plan, &mut turn(network, 0), truncation, &binding, session, &mut rng).unwrap();
        let mut add = |name: String, bytes: Vec<u8>| match seen
            .iter_mut()
            .find(|(known, _)| *known == name)
        {
            Some((_, column)) => column.push(bytes),
            None => seen.push((name, vec![bytes])),
        };
        add("records".into(), dealt.records().to_vec());
        add("products".into(), dealt.product_bytes());
        add("seeds".into(), dealt.seed().to_vec());
        // Shares that do not change: all randomness is the dealer's.
        let (mut zero, mut one) = (turn(network, value), turn(network, 0));
        let share = |words: &mut Vec<u64>, others: &mut Vec<u64>, rng: &mut ChaCha20Rng| {
            for (word, other) in words.iter_mut().zip(others) {
                *other = rng.next_u64();
                *word = word.wrapping_sub(*other);
            }
        };
        let mut fixed = ChaCha20Rng::from_seed([3; 32]);
        share(&mut zero.inputs, &mut one.inputs, &mut fixed);
        share(&mut zero.targets, &mut one.targets, &mut fixed);
        let prepared_0 =
            Prepared::derive(&plan, truncation, &binding, &SessionToken::consumed(session))
                .unwrap();
        let prepared_1 = Prepared::receive(&plan, truncation, dealt).unwrap();
        let wire = Rc::new(RefCell::new(Wire::default()));
        let end = |server| End::Party(server, Rc::clone(&wire));
        let (done_0, done_1) =
            run(join(prepared_0.run(&mut zero, end(0)), prepared_1.run(&mut one, end(1))));
        assert!(done_0.is_ok() && done_1.is_ok());
        for (server, sent) in wire.take().sent.into_iter().enumerate() {
            for (index, message) in sent.into_iter().enumerate() {
                let name = format!("server {server}, message {index} of {} bytes", message.len());
                add(name, message);
            }
        }
    }
    seen
}

/// Bytes are uniform where there are enough for the statistic, and so is each bit; padding at the
/// end of bits is zero.
fn check(case: &str, column: &Column) {
    let (first, sessions) = (&column[0], column.len() as f64);
    let (mut bytes, mut partial) = (Histogram::default(), 0);
    for place in 0..first.len() {
        let varies =
            column.iter().fold(0, |varies, message| varies | message[place] ^ first[place]);
        for bit in (0..8).filter(|bit| varies >> bit & 1 == 1) {
            let ones =
                column.iter().filter(|message| message[place] >> bit & 1 == 1).count() as f64;
            let statistic = (2.0 * ones - sessions).powi(2) / sessions;
            assert!(statistic < BIT_BOUND, "{case}: byte {place}, bit {bit}: {ones} of {sessions}");
        }
        if varies == u8::MAX {
            column.iter().for_each(|message| bytes.add(message[place]));
        } else {
            assert_eq!(
                first[place] & !varies,
                0,
                "{case}: byte {place} has bits that never change and are not zero"
            );
            partial += 1;
        }
    }
    assert!(partial <= 2, "{case}: {partial} bytes have bits that never change");
    // Ten of each byte.
    if bytes.total() >= 2560 {
        let statistic = bytes.against_uniform();
        assert!(statistic < BYTES_BOUND, "{case}: {statistic:.0}");
    }
}

/// Data and models of zeros, of ones, and of other words: every message looks the same.
#[test]
fn a_training_step_shows_nothing_on_any_wire() {
    let cases =
        [(Loss::CrossEntropy, 3), (Loss::SquaredError, 2), (Loss::Logistic, 1), (Loss::Hinge, 1)];
    for (loss, outputs) in cases {
        let network = network(loss, outputs);
        for truncation in [Truncation::Exact, Truncation::OneUnit] {
            for value in [0, 1 << F, (3 << F) / 4] {
                for (name, column) in observe(&network, value, truncation, 100) {
                    check(&format!("{loss:?}, {truncation:?}, {value}: {name}"), &column);
                }
            }
        }
    }
}

/// The statistic sees what it should: the model itself in place of its mask, and the same mask for
/// every session.
#[test]
fn a_share_without_a_mask_is_seen() {
    let mut plain = Histogram::default();
    let model = turn(&network(Loss::Hinge, 1), 1 << F).model;
    (0..60).for_each(|_| model.words().for_each(|word| plain.extend(&word.to_le_bytes())));
    assert!(plain.against_uniform() > 10.0 * BYTES_BOUND);
    let mut fixed = Histogram::default();
    let mut words = [0; 64];
    ChaCha20Rng::from_seed([1; 32]).fill_bytes(&mut words);
    (0..60).for_each(|_| fixed.extend(&words));
    assert!(fixed.against_uniform() > BYTES_BOUND);
}
