//! Whole sessions in memory: the private answer is the answer, and the costs are the stated ones.

#![allow(clippy::expect_used)]

mod support;

use embassy_futures::block_on;
use embassy_futures::join::join;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sharelet_core::correlation::linear::mask_weights;
use sharelet_core::keystream::{ChaCha8, ChaCha12, ChaCha20, Key, Keystream, Rounds};
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::{SessionError, deal};
use sharelet_core::transport::{Counting, Counts};
use sharelet_core::wire::control::{Answer, DeviceId, Hello};
use support::{Counter, Model, Pipe, random_seed};

struct Outcome {
    device: Vec<u32>,
    host: Option<Vec<u32>>,
    prepare: Counts,
    online: Counts,
}

fn run<C: Rounds>(model: &Model, input: &[u32], answer: Answer, capacity: usize, rng: &mut ChaCha12Rng) -> Outcome {
    let (device_key, model_key) = (Key::generate(rng), Key::generate(rng));
    let identity = Identity::<C>::new(DeviceId::new("device").expect("valid"), &device_key);
    let model_stream = Keystream::<C>::new(&model_key);
    let network = &model.network;
    let (device_end, host_end) = Pipe::pair(capacity);

    let device = async {
        let io = Counting::new(device_end);
        let policy = Policy { answer, inputs: Some(input.len()), max_outputs: 64, max_prepare_blocks: u64::MAX };
        let mut connected = p0::connect::<_, C, 8>(io, &identity, policy).await?;
        connected.io_mut().take();
        let mut counter = Counter { next: 5, broken: false };
        let mut buffer = [0; 64];
        let mut prepared = connected.prepare(&mut counter, &mut buffer).await?;
        assert_eq!(counter.next, 8, "the number is used before the session begins");
        let prepare = prepared.io_mut().take();
        let (mut connected, answer) = prepared.infer(input).await?;
        Ok::<_, SessionError>((answer.to_vec(), prepare, connected.io_mut().take()))
    };
    let mut host_rng = ChaCha12Rng::seed_from_u64(rng.next_u64());
    let host = async {
        let (mut reader, mut writer) = (host_end.clone(), host_end);
        let hello: Hello = p1::receive_hello(&mut reader).await?;
        assert_eq!((hello.device.as_str(), hello.rounds), ("device", C::ROUNDS));
        p1::welcome(&mut writer, network, model_key.expose(), &mut [0; 256]).await?;
        let request = p1::receive_request(&mut reader).await?.expect("a request");
        let session = request.next_session + 2;
        let mut masked_weights = model.weights.clone();
        for ((index, layer), weights) in (0..).zip(network.layers()).zip(&mut masked_weights) {
            mask_weights(&model_stream, index, layer.inputs, weights);
        }
        let mut corrections = vec![0; deal::correction_bytes(network)];
        let mut scratch = vec![0; network.max_width()];
        let keystream = Keystream::<C>::new(&device_key);
        deal::session(network, &keystream, session, &masked_weights, &mut host_rng, &mut scratch, &mut corrections)?;
        p1::grant(&mut writer, session).await?;
        let sizes = ScratchSizes::of(network);
        let (mut masked, mut x, mut y) = (vec![0; sizes.masked_elems], vec![0; sizes.width_elems], vec![0; sizes.width_elems]);
        let (mut own, mut peer) = (vec![0; sizes.bits_bytes], vec![0; sizes.bits_bytes]);
        let scratch = Scratch { masked: &mut masked, input: &mut x, output: &mut y, own_bits: &mut own, peer_bits: &mut peer };
        let prepared = P1::new(network, model, answer).prepare(&mut reader, scratch).await?;
        let ready = prepared.input(&mut reader).await?;
        let answer = ready.infer(&mut reader, &mut writer, &corrections).await?;
        Ok::<_, SessionError>(answer.map(|answer| answer.to_vec()))
    };
    let (device, host) = block_on(join(device, host));
    let (device, prepare, online) = device.expect("device");
    Outcome { device, host: host.expect("host"), prepare, online }
}

/// Random networks, layers wider and narrower than a piece, buffers smaller than a layer, all who-learns-it settings.
#[test]
fn private_answers_equal_the_twin() {
    let seed = random_seed();
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let shapes: [&[u16]; 5] = [&[5, 3], &[70, 130, 1, 64], &[300, 65, 20], &[1, 1, 1], &[64, 64, 64, 10, 10]];
    for widths in shapes {
        for last_gated in [false, true] {
            for answer in [Answer::Device, Answer::Host, Answer::Both] {
                for capacity in [7, 5000] {
                    let model = Model::random(widths, last_gated, &mut rng);
                    let input: Vec<u32> = (0..widths[0]).map(|_| rng.next_u32()).collect();
                    let expected = model.twin(&input);
                    let outcome = run::<ChaCha12>(&model, &input, answer, capacity, &mut rng);
                    let case = format!("seed {seed}, {widths:?}, {last_gated}, {answer:?}");
                    assert_eq!(outcome.device, if answer.to_device() { &*expected } else { &[] }, "{case}");
                    assert_eq!(outcome.host, answer.to_host().then_some(expected), "{case}");

                    let cost = model.network.session_cost(answer);
                    let request_and_grant = 1 + 6;
                    assert_eq!(outcome.prepare.sent_bytes, cost.prepare_up_bytes + request_and_grant, "{case}");
                    assert_eq!(outcome.prepare.received_bytes, request_and_grant, "{case}");
                    assert_eq!(outcome.online.sent_bytes, cost.online_up_bytes, "{case}");
                    assert_eq!(outcome.online.received_bytes, cost.online_down_bytes, "{case}");
                    assert_eq!(outcome.online.round_trips, cost.round_trips, "{case}");
                }
            }
        }
    }
}

#[test]
fn every_keystream_works() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let model = Model::random(&[20, 30, 4], false, &mut rng);
    let input: Vec<u32> = (0..20).map(|_| rng.next_u32()).collect();
    let expected = model.twin(&input);
    assert_eq!(run::<ChaCha8>(&model, &input, Answer::Device, 5000, &mut rng).device, expected);
    assert_eq!(run::<ChaCha20>(&model, &input, Answer::Device, 5000, &mut rng).device, expected);
}
