//! Stated costs are what passes: bytes, round trips, the dealer's bytes, and the keystream blocks
//! that the device makes.

use core::cell::Cell;

use rand_core::Rng;
use sharelet_core::keystream::{ChaCha8, Rounds};
use sharelet_core::session::cost::SESSION_KEY_BLOCKS;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0;
use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::frame::HEADER_BYTES;
use sharelet_testkit::frames;
use sharelet_testkit::model::Model;
use sharelet_testkit::party::{Counter, MAX_OUTPUTS, Setup, policy};
use sharelet_testkit::pipe::{End, Script, run};
use sharelet_testkit::{printed_seed, rng};

thread_local! {
    static BLOCKS: Cell<u64> = const { Cell::new(0) };
}

/// The keystream of 8 rounds, which counts the blocks of this thread.
#[derive(Debug)]
struct Counted;

impl Rounds for Counted {
    const ROUNDS: u8 = ChaCha8::ROUNDS;

    fn block_made() {
        BLOCKS.set(BLOCKS.get() + 1);
    }
}

fn shapes() -> Vec<Vec<u16>> {
    let mut shapes: Vec<Vec<u16>> = [
        &[1, 1][..],
        &[1, 1, 1, 1, 1, 1, 1, 1, 1],
        &[5, 3],
        &[64, 64, 64],
        &[65, 63, 1, 129],
        &[256, 257, 2],
        &[513, 16, 17],
        &[1, 2000, 1],
        &[2000, 1],
        &[15, 16, 17, 128],
    ]
    .map(<[u16]>::to_vec)
    .to_vec();
    let mut rng = rng(printed_seed());
    for _ in 0..10 {
        let layers = 2 + rng.next_u32() % 4;
        shapes
            .push((0..layers).map(|_| u16::try_from(1 + rng.next_u32() % 150).unwrap()).collect());
    }
    shapes
}

/// Blocks that a device makes before its input is known, and when it is, against a recorded host.
fn blocks(setup: &Setup, host: &[u8], input: &[u32]) -> (u64, u64) {
    let identity = setup.identity::<Counted>();
    let mut counter = Counter { next: setup.next, ..Counter::default() };
    let mut answer = [0; MAX_OUTPUTS];
    let policy = policy(setup.answer);
    run(async {
        let mut network = Network::<8>::default();
        let connected =
            p0::connect(Script::new(host, End::Closed), &identity, policy, &mut network)
                .await
                .unwrap();
        BLOCKS.set(0);
        let prepared = connected.prepare(&mut counter, &mut answer).await.unwrap();
        let prepare = BLOCKS.take();
        let (_, answer) = prepared.infer(input).await.unwrap();
        let online = BLOCKS.take();
        assert_eq!(answer, if setup.answer.to_device() { setup.model.twin(input) } else { vec![] });
        (prepare, online)
    })
}

#[test]
fn stated_costs_are_what_passes() {
    let seed = printed_seed();
    let mut rng = rng(seed);
    let mut models = vec![("every shape".to_owned(), 1000, Model::of_every_shape(&mut rng))];
    for widths in shapes() {
        models.push((format!("{widths:?}, bare"), 1000, Model::random(&widths, false, &mut rng)));
        // A pipe that holds less than a frame's header; the others hold a layer.
        models.push((format!("{widths:?}, gated"), 5, Model::random(&widths, true, &mut rng)));
    }
    for (name, capacity, model) in models {
        for answer in [Answer::Device, Answer::Host, Answer::Both] {
            let case = format!("seed {seed}, {name}, {answer:?}");
            let setup = Setup::random(model.clone(), answer, &mut rng);
            let input: Vec<u32> = (0..model.network.inputs()).map(|_| rng.next_u32()).collect();
            let transcript = setup.honest::<ChaCha8>(&input, capacity);
            let expected = setup.model.twin(&input);
            assert_eq!(transcript.host_answer, answer.to_host().then_some(expected), "{case}");
            let cost = setup.model.network.session_cost(answer);

            let (prepare, online) = (transcript.traffic.prepare, transcript.traffic.online);
            let control = |kind: u8, stream: &[u8]| -> u64 {
                let frames = frames::split(stream);
                let of_kind = frames.iter().filter(|frame| frame.header.kind as u8 == kind);
                of_kind.map(|frame| (HEADER_BYTES + frame.body.len()) as u64).sum()
            };
            let request = control(4, &transcript.device);
            assert_eq!(prepare.sent_bytes, cost.prepare_up_bytes + request, "{case}");
            assert_eq!(prepare.received_bytes, control(5, &transcript.host), "{case}");
            assert_eq!(online.sent_bytes, cost.online_up_bytes, "{case}");
            assert_eq!(online.received_bytes, cost.online_down_bytes, "{case}");
            assert_eq!(online.round_trips, cost.round_trips, "{case}");
            let handshake = transcript.traffic.handshake;
            assert_eq!((handshake.round_trips, prepare.round_trips), (1, 1), "{case}");
            assert_eq!(setup.corrections::<ChaCha8>().len() as u64, cost.dealer_bytes, "{case}");
            assert_eq!(cost.device_dealer_bytes, 0);
            let found = blocks(&setup, &transcript.host, &input);
            assert_eq!(found, (cost.prepare_blocks, cost.online_blocks), "{case}");
        }
    }
}

/// Costs of one layer add up to those of the network, frames apart.
#[test]
fn layers_add_up() {
    let model = Model::random(&[300, 70, 10, 4], true, &mut rng(1));
    let network = &model.network;
    let sum: sharelet_core::cost::Cost = (0..3).map(|index| network.layer_cost(index)).sum();
    let session = network.session_cost(Answer::Device);
    assert_eq!(sum.dealer_bytes, session.dealer_bytes);
    assert_eq!(
        (sum.prepare_blocks + SESSION_KEY_BLOCKS, sum.online_blocks),
        (session.prepare_blocks, session.online_blocks)
    );
    assert_eq!(sum.prepare.bytes + 3 * HEADER_BYTES as u64, session.prepare_up_bytes);
    // Three inputs and the opened bits of the last gate; three gates and the answer of four words.
    assert_eq!(sum.up.bytes + 4 * HEADER_BYTES as u64, session.online_up_bytes);
    assert_eq!(sum.down.bytes + 4 * HEADER_BYTES as u64 + 16, session.online_down_bytes);
}
