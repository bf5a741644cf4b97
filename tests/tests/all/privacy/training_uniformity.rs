//! What crosses a wire in a training step is uniform, whatever data and model: messages of either
//! server, and what the dealer gives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs
)]

use core::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::{Link, Truncation};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_testkit::chi_square::{BIT_BOUND, BYTES_BOUND, Histogram};
use sharelet_train::loss::Wanted;
use sharelet_train::model::Model;
use sharelet_train::network::{Layer, Loss, Network, Shape};
use sharelet_train::step::{OpenData, Step};
use sharelet_train::tensor::offline::{Plan, block_on, deal};
use sharelet_train::tensor::party::Prepared;
use sharelet_train::tensor::{Machine, Program, Tensors};
use sharelet_train::update::Rates;

/// A link in memory that keeps what is sent.
struct Wire {
    to: Sender<Vec<u8>>,
    from: Receiver<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Link for Wire {
    type Error = Infallible;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), Infallible> {
        let message = own.concat();
        self.to.send(message.clone()).expect("the other thread waits");
        self.sent.push(message);
        let message = self.from.recv().expect("the other thread sends");
        let (first, second) = message.split_at(peer[0].len());
        let [to_first, to_second] = peer;
        to_first.copy_from_slice(first);
        to_second.copy_from_slice(second);
        Ok(())
    }
}

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
        E: sharelet_core::functions::engine::Engine<
                Error: From<sharelet_core::correlation::LengthError>,
            >,
        T: Tensors,
    {
        let inputs = OpenData { inputs: self.inputs.clone() }.run(machine).await?;
        let rates = Rates {
            rate: 900,
            rate_bits: 14,
            rounds_first: false,
            momentum: (1 << F) / 2,
            decay: 1 << 8,
        };
        let wanted = Wanted { loss: true, correct: true };
        let step = Step::new(
            &self.network,
            F,
            &mut self.model,
            (inputs, self.targets.clone()),
            rates,
            wanted,
        );
        step.map_err(|_| sharelet_core::correlation::LengthError {
            expected_bytes: 1,
            found_bytes: 0,
        })?
        .run(machine)
        .await?;
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
    let plan = Plan::of(&mut turn(network, 0), truncation).unwrap();
    let mut seen: Vec<(String, Column)> = Vec::new();
    for session in 0..sessions {
        let (dealt, ()) =
            deal(&plan, &mut turn(network, 0), truncation, &keystream, session, &mut rng).unwrap();
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
            Prepared::derive(&plan, truncation, &keystream, &SessionToken::consumed(session))
                .unwrap();
        let prepared_1 = Prepared::receive(&plan, truncation, dealt).unwrap();
        let ((to_1, from_0), (to_0, from_1)) = (channel(), channel());
        let wires = [
            Wire { to: to_1, from: from_1, sent: Vec::new() },
            Wire { to: to_0, from: from_0, sent: Vec::new() },
        ];
        let [wire_0, wire_1] = wires;
        let (sent_0, sent_1) = std::thread::scope(|scope| {
            let other = scope.spawn(|| block_on(prepared_1.run(&mut one, wire_1)).unwrap().1.sent);
            let sent = block_on(prepared_0.run(&mut zero, wire_0)).unwrap().1.sent;
            (sent, other.join().unwrap())
        });
        for (server, sent) in [sent_0, sent_1].into_iter().enumerate() {
            for (index, message) in sent.into_iter().enumerate() {
                add(
                    format!("server {server}, message {index} of {} bytes", message.len()),
                    message,
                );
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
