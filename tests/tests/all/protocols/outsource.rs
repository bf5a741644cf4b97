//! A data party and two servers: exact answers, the traffic that is promised, delays, and what
//! either server sees.

use rand_core::Rng;
use sharelet_core::keystream::{ChaCha8, ChaCha12, Key};
use sharelet_core::session::data_party::{Query, down_bytes, expand_seed, up_bytes};
use sharelet_core::session::network::{Activation, Layer};
use sharelet_core::session::wire::WireError;
use sharelet_core::session::wire::control::{Answer, Refusal};
use sharelet_core::session::wire::query::{
    QUERY_HEADER_BYTES, QueryHeader, Reason, Recipient, Status,
};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::{Field, Task};
use sharelet_core::session::{SessionError, servers};
use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
use sharelet_testkit::model::Model;
use sharelet_testkit::outsource::{shared, task};
use sharelet_testkit::party::{Counter, Setup};
use sharelet_testkit::pipe::{End, Script, run};
use sharelet_testkit::{printed_seed, rng};

/// What a data party sends to either server for one reading.
fn packets(
    setup: &Setup,
    counter: &mut Counter,
    recipient: Recipient,
    input: &[u32],
) -> (Query<ChaCha12>, Vec<u8>, Vec<u8>) {
    let (mut server_0, mut server_1) =
        (Script::new(&[], End::Closed), Script::new(&[], End::Closed));
    let (sent_0, sent_1) = (server_0.sent(), server_1.sent());
    let task = task(&setup.model);
    let query = run(async {
        let query = Query::begin(&setup.identity(), counter, task, recipient).await.unwrap();
        query.send_seed(&mut server_0).await.unwrap();
        query.send_masked(&mut server_1, &mut input.to_vec()).await.unwrap();
        query
    });
    let packets = (sent_0.borrow().clone(), sent_1.borrow().clone());
    (query, packets.0, packets.1)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// From the reading to the answer, through all three programs' steps.
#[test]
fn answers_equal_the_twin_and_traffic_is_what_is_promised() {
    let seed = printed_seed();
    let mut rng = rng(seed);
    let mut models = vec![Model::of_every_shape(&mut rng)];
    for widths in [&[1_u16, 1][..], &[5, 3], &[64, 64, 64], &[65, 63, 1, 129], &[300, 20, 4]] {
        models.extend([true, false].map(|gated| Model::random(widths, gated, &mut rng)));
    }
    let mut counter = Counter::default();
    for model in models {
        let setup = Setup::random(model, Answer::Device, &mut rng);
        let input: Vec<u32> = (0..setup.model.network.inputs()).map(|_| rng.next_u32()).collect();
        let (query, packet_0, packet_1) =
            packets(&setup, &mut counter, Recipient::DataParty, &input);
        assert_eq!(packet_0.len() + packet_1.len(), up_bytes::<u32>(input.len()));
        assert_eq!(up_bytes::<u32>(input.len()), 4 * input.len() + 64);

        let key = Key::from_bytes(packet_0[QUERY_HEADER_BYTES..].try_into().unwrap());
        let mut h_0 = vec![0; input.len()];
        expand_seed::<ChaCha12, u32>(&key, &mut h_0);
        let h_1 = words(&packet_1[QUERY_HEADER_BYTES..]);
        let opened: Vec<u32> = h_0.iter().zip(&h_1).map(|(a, b)| a.wrapping_add(*b)).collect();
        assert_eq!(opened, input);
        let ids = [&packet_0, &packet_1]
            .map(|packet| QueryHeader::parse(*packet.first_chunk().unwrap()).unwrap().id);
        assert_eq!(ids, [query.id(); 2]);

        let session = shared::<ChaCha8>(&setup, &h_0, &h_1);
        let expected = setup.model.twin(&input);
        assert!(
            expected.len() < 3 || (session.share_0 != expected && session.share_1 != expected),
            "an answer in the clear"
        );
        let (down_0, down_1) = (bytes(&session.share_0), bytes(&session.share_1));
        assert_eq!(down_0.len() + down_1.len(), down_bytes::<u32>(expected.len()));
        let mut answer = vec![0; expected.len()];
        run(async {
            query.receive(&mut Script::new(&down_0, End::Closed), &mut answer).await.unwrap();
            query.receive(&mut Script::new(&down_1, End::TimedOut), &mut answer).await.unwrap();
        });
        assert_eq!(answer, expected, "seed {seed}");
    }
}

/// The shape of network A: one message per layer, one reply per hidden layer, and nothing after the
/// last.
#[test]
fn network_a_takes_five_one_way_delays() {
    let mut rng = rng(3);
    let relu = |inputs, outputs| Layer::dense(inputs, outputs, 10, 9, Activation::Relu);
    let layers =
        [relu(784, 128), relu(128, 128), Layer::dense(128, 10, 10, 0, Activation::Identity)];
    let setup = Setup::random(Model::with_layers(&layers, &mut rng), Answer::Device, &mut rng);
    let share = |rng: &mut dyn Rng| (0..784).map(|_| rng.next_u32()).collect::<Vec<u32>>();
    let (h_0, h_1) = (share(&mut rng), share(&mut rng));
    let session = shared::<ChaCha8>(&setup, &h_0, &h_1);
    let opened: Vec<u32> =
        session.share_0.iter().zip(&session.share_1).map(|(a, b)| a.wrapping_add(*b)).collect();
    let input: Vec<u32> = h_0.iter().zip(&h_1).map(|(a, b)| a.wrapping_add(*b)).collect();
    assert_eq!(opened, setup.model.twin(&input));
    assert_eq!(session.delays, 5);
}

/// The number is on record before a byte leaves, and no two queries have a seed or a number in
/// common.
#[test]
fn seeds_and_numbers_are_used_once() {
    let mut rng = rng(4);
    let setup = Setup::random(Model::random(&[3, 2], false, &mut rng), Answer::Device, &mut rng);
    let mut counter = Counter::default();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        let (_, packet_0, packet_1) = packets(&setup, &mut counter, Recipient::Console, &[1, 2, 3]);
        assert!(seen.insert(packet_0[QUERY_HEADER_BYTES..].to_vec()), "a seed");
        assert!(seen.insert(packet_0[8..QUERY_HEADER_BYTES].to_vec()), "a query's number");
        assert!(seen.insert(packet_1[QUERY_HEADER_BYTES..].to_vec()), "a mask");
    }
    assert_eq!(counter.next, 1000);
    let mut broken = Counter { broken: true, ..Counter::default() };
    let query = run(Query::<ChaCha12>::begin(
        &setup.identity(),
        &mut broken,
        task(&setup.model),
        Recipient::DataParty,
    ));
    assert_eq!(query.map(|_| ()), Err(SessionError::Counter));
}

/// What either server gets is uniform, whatever the reading: seeds at server 0, words at server 1.
#[test]
fn what_either_server_sees_is_uniform() {
    let mut rng = rng(5);
    let setup = Setup::random(Model::random(&[6, 2], false, &mut rng), Answer::Device, &mut rng);
    let ends = [i32::MIN, i32::MAX, 0, 1, -1, i32::MAX].map(i32::cast_unsigned);
    let mut histograms = Vec::new();
    for input in [[0; 6], ends] {
        let mut counter = Counter::default();
        let mut of_input = vec![Histogram::default(); 2];
        for _ in 0..10_000 {
            let (_, packet_0, packet_1) =
                packets(&setup, &mut counter, Recipient::DataParty, &input);
            for (histogram, packet) in of_input.iter_mut().zip([packet_0, packet_1]) {
                packet[QUERY_HEADER_BYTES..].iter().for_each(|&byte| histogram.add(byte));
            }
        }
        histograms.push(of_input);
    }
    for (server, (zeros, ends)) in histograms[0].iter().zip(&histograms[1]).enumerate() {
        for (what, statistic) in
            [("zeros", zeros.against_uniform()), ("ends", ends.against_uniform())]
        {
            assert!(statistic < BYTES_BOUND, "server {server}, {what}: {statistic}");
        }
    }
    // The same numbers, so the same seeds: server 0's view does not depend on the reading at all.
    assert_eq!(histograms[0][0].against(&histograms[1][0]), 0.0);
}

/// Every reply in place of an answer has its error, and a cut answer is none.
#[test]
fn replies_in_place_of_an_answer_have_their_errors() {
    let mut rng = rng(6);
    let setup = Setup::random(Model::random(&[3, 2], false, &mut rng), Answer::Device, &mut rng);
    let receive = |recipient, reply: &[u8], end| {
        let (query, ..) = packets(&setup, &mut Counter::default(), recipient, &[0; 3]);
        run(async { query.receive(&mut Script::new(reply, end), &mut [0_u32; 2]).await })
    };
    let refused = Status::Refused(Reason::NoPartner).emit();
    let accepted = Status::Accepted.emit();
    let (party, console) = (Recipient::DataParty, Recipient::Console);
    let timed_out = SessionError::Transport(embedded_io_async::ErrorKind::TimedOut);
    for (recipient, reply, end, expected) in [
        (party, &refused[..], End::Closed, Err(SessionError::Query(Reason::NoPartner))),
        (party, &accepted, End::Closed, Err(SessionError::Closed)),
        (party, &[1, 2, 3], End::Closed, Err(SessionError::Closed)),
        (party, &[1; 7], End::Closed, Err(SessionError::Closed)),
        (party, &[1; 7], End::TimedOut, Err(timed_out)),
        (party, &[], End::Closed, Err(SessionError::Closed)),
        (party, &[1; 8], End::TimedOut, Ok(())),
        (console, &accepted, End::TimedOut, Ok(())),
        (console, &refused, End::TimedOut, Err(SessionError::Query(Reason::NoPartner))),
        (console, &[1; 8], End::Closed, Err(SessionError::Wire(WireError::Malformed))),
        (console, &[0xA5, 0], End::Closed, Err(SessionError::Closed)),
    ] {
        assert_eq!(receive(recipient, reply, end), expected, "{recipient:?} {reply:?}");
    }
    let (query, ..) = packets(&setup, &mut Counter::default(), party, &[0; 3]);
    let short =
        run(async { query.receive(&mut Script::new(&[0; 8], End::Closed), &mut [0_u32; 1]).await });
    assert_eq!(short, Err(SessionError::AnswerTooWide { network: 2, limit: 1 }));
    let mut script = Script::new(&[], End::Closed);
    let wide = run(async { query.send_masked(&mut script, &mut [0_u32; 4]).await });
    assert_eq!(wide, Err(SessionError::InputWidth { network: 3, found: 4 }));
    assert!(script.sent().borrow().is_empty());
}

/// Two servers that do not belong together name what differs.
#[test]
fn servers_that_differ_name_the_field() {
    let mut rng = rng(7);
    let task = task(&Model::random(&[3, 2], false, &mut rng));
    let ours = ServerHello { party: 0, instance: 1, task };
    let other = |task: Task| ServerHello { party: 1, instance: 2, task };
    let refusal = |theirs: ServerHello| {
        let mut bytes = Script::new(&[], End::Closed);
        run(servers::greet(&mut bytes, &theirs)).unwrap();
        let reply = bytes.sent().borrow().clone();
        run(async { servers::connect(&mut Script::new(&reply, End::Closed), &ours).await })
    };
    assert_eq!(refusal(other(task)), Ok(other(task)));
    let same = Refusal::SameParty { ours: 0 };
    assert_eq!(refusal(ours), Err(SessionError::Refused(same)));
    assert!(same.to_string().starts_with("party: "));
    for (task, field) in [
        (Task { input_frac_bits: 3, ..task }, Field::InputScale),
        (Task { output_frac_bits: 3, ..task }, Field::OutputScale),
        (Task { inputs: 4, ..task }, Field::Inputs),
        (Task { model: [0; 16], ..task }, Field::Model),
    ] {
        let refused = Refusal::TaskMismatch { field };
        assert_eq!(refusal(other(task)), Err(SessionError::Refused(refused)));
        assert!(refused.to_string().starts_with(&field.to_string()), "{refused}");
    }
}
