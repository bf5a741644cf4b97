//! Known answers: the bytes of every message, of a whole tiny session, and of the keystream, as
//! files.
//!
//! The files are the contract between firmware of today and hosts of tomorrow. `UPDATE_VECTORS=1`
//! writes them anew, which is right only together with a new wire version. The files themselves,
//! not the code that wrote them, are then played to both sides; `bad_*` files must fail with the
//! error that they name.

use core::fmt::{Debug, Write as _};

use rand_core::Rng;
use serde::{Deserialize, Serialize};
use sharelet_core::binding::{Binding, ORDER_BYTES, Order};
use sharelet_core::correlation::Position;
use sharelet_core::keystream::{
    ChaCha8, ChaCha12, ChaCha20, Domain, Key, Keystream, Kind as Stream, Rounds,
};
use sharelet_core::ring::Ring;
use sharelet_core::session::linear;
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::session::wire::control::{self, Answer, DeviceId, Grant, Hello, Request};
use sharelet_core::session::wire::frame::{HEADER_BYTES, Kind};
use sharelet_core::shape::Shape;
use sharelet_testkit::frames::{MASKED_ID, REFUSALS, control as message, frame};
use sharelet_testkit::model::Model;
use sharelet_testkit::party::{HostEnd, Setup};
use sharelet_testkit::pipe::End;
use sharelet_testkit::{frames, hex, rng};

fn hello(name: &str, answer: Answer, rounds: u8) -> Hello {
    Hello { device: DeviceId::new(name).unwrap(), key: [0x5a; 8], answer, rounds }
}

fn network() -> Network<8> {
    let hidden = Layer::dense(300, 20, 14, 12, Activation::Relu);
    let last = Layer::dense(20, 4, 13, 0, Activation::Identity);
    Network::new(8, 1 << 12, &[hidden, last]).unwrap()
}

fn welcome() -> Vec<u8> {
    frames::welcome(&network(), &seed(0x80))
}

/// 32 bytes that count up.
fn seed(first: u8) -> [u8; 32] {
    core::array::from_fn(|i| first + u8::try_from(i).unwrap())
}

/// Checks the file of one frame; leaves the body that is in the file.
fn frame_file(name: &str, what: &str, value: &impl Debug, bytes: &[u8]) -> Vec<u8> {
    let (header, body) = bytes.split_at(6);
    let text = format!(
        "# {what}\n# value: {value:?}\n# header: kind, layer, length of the body\n{}# body\n{}",
        hex::encode(header),
        hex::encode(body)
    );
    hex::check(&format!("{name}.hex"), &text).split_off(6)
}

#[test]
fn control_messages() {
    for (name, answer, rounds) in [
        ("pump-07", Answer::Device, 12),
        ("sixteen-letters.", Answer::Host, 20),
        ("a", Answer::Both, 8),
    ] {
        let hello = hello(name, answer, rounds);
        let file = format!("hello_{}", format!("{answer:?}").to_lowercase());
        let bytes = frames::handshake(Kind::Hello, &hello);
        let body = frame_file(&file, "device to host: who is there", &hello, &bytes);
        assert_eq!(control::parse_hello(&body), Ok(hello));
    }

    let what = "host to device: seed of the weight mask (80 to 9f), id of the masked model (1d), \
                then the network";
    let body = frame_file("welcome", what, &network(), &welcome());
    let mut described = Network::<8>::default();
    let (read, description) = control::parse_welcome(&body, &mut described).unwrap();
    assert_eq!((read.model_seed, read.masked_id), (seed(0x80), MASKED_ID));
    assert_eq!((control::parse(description), described.clone()), (Ok(network()), network()));

    let narrow: Network<8> = Network::new(8, 1 << 20, session().0.model.network.layers()).unwrap();
    let scaled = || narrow.clone().with_exponents(&[-3, 0, 12]).unwrap();
    let bytes = frames::welcome(&scaled(), &seed(0x80));
    let what = "the same; three inputs of the network have a scale each";
    let body = frame_file("welcome_columns", what, &scaled(), &bytes);
    control::parse_welcome(&body, &mut described).unwrap();
    assert_eq!(described, scaled());

    fn message<T>(file: &str, what: &str, kind: Kind, value: T)
    where
        T: Serialize + for<'a> Deserialize<'a> + Debug + PartialEq,
    {
        let body = frame_file(file, what, &value, &frames::control(kind, &value));
        assert_eq!(control::parse(&body), Ok(value));
    }
    for (name, number) in [("small", 5), ("large", u64::MAX - 1)] {
        let (request, grant) =
            (Request { next_session: number, order: ORDER }, Grant { session: number });
        let what = "device to host: a session is wanted, and ordered (e0)";
        message(&format!("request_{name}"), what, Kind::Request, request);
        let what = "host to device: the session to use";
        message(&format!("grant_{name}"), what, Kind::Grant, grant);
    }
    for (name, refusal) in REFUSALS {
        message(&format!("refuse_{name}"), "either way: no, and why", Kind::Refuse, refusal);
    }
}

const ORDER: Order = Order::from_bytes([0xe0; 16]);

/// A session with both kinds of gate, fixed in everything.
fn session() -> (Setup, Vec<u32>) {
    let word = i32::cast_unsigned;
    let layer =
        |inputs, outputs, shift, activation| Layer::dense(inputs, outputs, 10, shift, activation);
    let layers = [
        layer(3, 2, 8, Activation::Relu),
        layer(2, 2, 12, Activation::Identity),
        layer(2, 3, 0, Activation::Identity),
    ];
    let model = Model {
        network: Network::new(8, 1 << 20, &layers).unwrap(),
        weights: vec![
            [1024, -512, 3, 77, 2048, -1].map(word).to_vec(),
            [900, -900, 5, 1024].map(word).to_vec(),
            [1024, 0, 0, 1024, -1024, 1].map(word).to_vec(),
        ],
        biases: vec![
            [0, -300_000].map(word).to_vec(),
            [1 << 18, 7].map(word).to_vec(),
            [0, 1, -2].map(word).to_vec(),
        ],
    };
    let setup = Setup {
        model,
        device_key: seed(0),
        model_seed: seed(0x20),
        dealer_seed: seed(0x40),
        next: 0x0102_0304_0506,
        session: 0x0102_0304_0507,
        answer: Answer::Both,
    };
    (setup, [256, -777, 1_000_000].map(word).to_vec())
}

fn signed(words: &[u32]) -> String {
    format!("{:?}", words.iter().map(|word| word.cast_signed()).collect::<Vec<_>>())
}

fn session_file(who: &str, sent: &[u8], setup: &Setup, input: &[u32]) -> String {
    let mut text = format!(
        "# what the {who} sends in a session of wire version {}\n# device key: 00 to 1f\n# model \
         seed: 20 to 3f\n# rounds: 12\n# network: {:?}\n# session: {}\n# input: {}\n# answer: {}\n",
        sharelet_core::session::wire::VERSION,
        setup.model.network,
        setup.session,
        signed(input),
        signed(&setup.model.twin(input)),
    );
    for frame in frames::split(sent) {
        writeln!(text, "# {:?}, layer {}", frame.header.kind, frame.header.layer).unwrap();
        text += &hex::encode(&frame.header.emit());
        text += &hex::encode(&frame.body);
    }
    text
}

#[test]
fn a_whole_session() {
    let (setup, input) = session();
    let corrections = setup.corrections::<ChaCha12>();
    let transcript = setup.honest::<ChaCha12>(&input, 10_000);
    let answer = setup.model.twin(&input);
    assert_eq!(transcript.device_answer, answer);
    let sent = |file: &str, who: &str, sent: &[u8]| {
        hex::check(file, &session_file(who, sent, &setup, &input))
    };
    // From here on the files speak.
    let device = sent("session_device.hex", "device", &transcript.device);
    let host = sent("session_host.hex", "host", &transcript.host);
    let text = format!(
        "# what the dealer sends the host for the session of session_device.hex; its generator is \
         ChaCha12 with seed 40 to 5f\n{}",
        hex::encode(&corrections)
    );
    let dealer = hex::check("session_dealer.hex", &text);
    let run = setup.device_against::<ChaCha12>(&host, End::Closed, &input);
    assert_eq!(
        (run.result, &run.sent),
        (Ok(answer.clone()), &device),
        "a device of today with the recorded host"
    );
    let run = setup.host_against(&device, End::Closed, &dealer);
    assert_eq!(
        (run.result, &run.sent),
        (Ok(HostEnd::Done(Some(answer))), &host),
        "a host of today with the recorded device"
    );
}

/// Where the device takes its half of every correlation from: a host or dealer that disagrees
/// computes nonsense.
#[test]
fn keystream_positions() {
    fn positions<C: Rounds>(text: &mut String) {
        let stream = Keystream::<C>::new(&Key::from_bytes(seed(0)));
        let kinds = [
            (Stream::WeightMask, "weight mask E, under the model's seed"),
            (Stream::InputMask, "input mask r"),
            (Stream::LinearShare, "share a_0"),
            (Stream::GateMask, "gate mask"),
            (Stream::GateSign, "its topmost bit"),
            (Stream::GateOpening, "masks of opened bits"),
            (Stream::GateLeaves, "leaf tables"),
            (Stream::GateTable, "arithmetic tables"),
            (Stream::Share, "seed-compressed sharing"),
        ];
        for (kind, what) in kinds {
            for (session, layer, index) in [(0, 0, 0), (0x0102_0304_0506_0708, 0x0a0b, 0x0c0d_0e0f)]
            {
                let block = stream.block(Domain { session, layer, kind }, index);
                let bytes: Vec<u8> =
                    block.words().iter().flat_map(|word| word.to_le_bytes()).collect();
                writeln!(
                    text,
                    "# {what}: rounds {}, session {session:#x}, layer {layer:#x}, block {index:#x}",
                    C::ROUNDS
                )
                .unwrap();
                *text += &hex::encode(&bytes);
            }
        }
    }
    let mut text = "# keystream blocks under the key 00 to 1f, words little-endian\n".to_owned();
    positions::<ChaCha8>(&mut text);
    positions::<ChaCha12>(&mut text);
    positions::<ChaCha20>(&mut text);
    bound(&mut text);
    hex::check("keystream.hex", &text);
}

/// Sessions' keystreams of a network, and of parts whose lengths are no multiple of 16 bytes.
fn bound(text: &mut String) {
    let key = Keystream::<ChaCha12>::new(&Key::from_bytes(seed(0)));
    let (counted, id) = (seed(0x80), seed(0xc0));
    for (what, binding) in [
        (
            "network: 80 to 98, masked model c0 to df",
            Binding::of_network(&key, &counted[..25], &id),
        ),
        ("of no parts", Binding::new(&key, &[])),
        ("of an empty part", Binding::new(&key, &[&[]])),
    ] {
        let domain = Domain { session: 77, layer: 1, kind: Stream::InputMask };
        let block = binding.session(77).block(domain, 2);
        let bytes: Vec<u8> = block.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        writeln!(text, "# input mask of session 77, layer 1, block 2, bound: {what}").unwrap();
        *text += &hex::encode(&bytes);
        for (whom, name) in [("nobody", None), ("hall-2", DeviceId::new("hall-2"))] {
            let order = binding.order(&DeviceId::proved(name), 77, 1024);
            writeln!(text, "# order of sessions 77 to 1100 for {whom}, bound: {what}").unwrap();
            let mut bytes = [0; ORDER_BYTES];
            control::emit(&order, &mut bytes).unwrap();
            *text += &hex::encode(&bytes);
        }
    }
}

/// `A = W - E` and `a_1 = A r - a_0` for rows that end inside a block, at both ring widths.
#[test]
fn linear_corrections() {
    fn correction<R: Ring>(text: &mut String) {
        let parts = Shape::Dense { inputs: 19, outputs: 9 }.alone(3);
        let model = Keystream::<ChaCha12>::new(&Key::from_bytes(seed(0x20)));
        let device = Keystream::<ChaCha12>::new(&Key::from_bytes(seed(0)));
        let mut rng = rng(50);
        let mut weights: Vec<R> =
            (0..19 * 9).map(|_| R::from_u64(u64::from(rng.next_u32() & 0xff))).collect();
        let mut bytes = vec![0; weights.len() * R::BYTES];
        sharelet_core::ring::write_le_slice(&weights, &mut bytes);
        writeln!(text, "# W, 9 x 19 words of {} bits, row by row", R::BITS).unwrap();
        *text += &hex::encode(&bytes);
        linear::mask_weights(&model, 3, &parts, &mut weights);
        sharelet_core::ring::write_le_slice(&weights, &mut bytes);
        *text += "# A = W - E for layer 3, model seed 20 to 3f, 12 rounds\n";
        *text += &hex::encode(&bytes);
        let mut out = vec![0; linear::correction_bytes::<R>(&parts)];
        let position = Position { session: 77, layer: 3 };
        linear::deal(&device, position, &parts, &weights, &mut [R::ZERO; 28], &mut out).unwrap();
        *text += "# a_1 = A r - a_0 for layer 3 of session 77, device key 00 to 1f\n";
        *text += &hex::encode(&out);
    }
    let mut text = String::new();
    correction::<u32>(&mut text);
    correction::<u64>(&mut text);
    hex::check("linear_correction.hex", &text);
}

/// Frames that a reader must refuse, and what it says. `to` is the reader: host or device, waiting
/// for its first message.
#[test]
fn bad_messages() {
    let flip = |bytes: &[u8], at: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        bytes
    };
    let hello = frames::handshake(Kind::Hello, &hello("pump-07", Answer::Device, 12));
    let short = |bytes: &[u8]| flip(&bytes[..bytes.len() - 1], 2, bytes[2] - 1);
    let long = |bytes: &[u8]| flip(&[bytes, &[0]].concat(), 2, bytes[2] + 1);
    let welcome = &welcome();
    let request = |body: &[u8]| [&hello[..], &frame(Kind::Request, 0, body)].concat();
    // Exponents behind the layers, in place of none.
    let narrow = frames::welcome(&session().0.model.network, &seed(0x80));
    let columns = |exponents: &[i8]| {
        let mut count = [0; 2];
        let used = control::emit(&exponents.len(), &mut count).unwrap();
        let exponents: Vec<u8> = exponents.iter().map(|e| e.cast_unsigned()).collect();
        let body = [&narrow[HEADER_BYTES..narrow.len() - 1], &count[..used], &exponents].concat();
        frame(Kind::Welcome, 0, &body)
    };
    // Positions in a frame: magic 6, version 10, then a hello's name 12, key 28 and answer 36; a
    // welcome's layers 12, ring 77.
    let mut cases = vec![
        ("hello_magic", "host", flip(&hello, 6, b'X'), "Wire(NotSharelet)"),
        ("hello_version", "host", flip(&hello, 10, 9), "Wire(Version { theirs: 9 })"),
        ("hello_name", "host", flip(&hello, 12, b' '), "Wire(Malformed)"),
        ("hello_name_padding", "host", flip(&hello, 27, b'x'), "Wire(Malformed)"),
        ("hello_answer", "host", flip(&hello, 36, 3), "Wire(Malformed)"),
        ("hello_short", "host", short(&hello), "Wire(Malformed)"),
        ("hello_long", "host", long(&hello), "Wire(Malformed)"),
        ("hello_layer", "host", flip(&hello, 1, 1), "Wire(WrongLayer { expected: 0, found: 1 })"),
        (
            "hello_length",
            "host",
            flip(&hello, 3, 1),
            "Wire(WrongLength { expected_bytes: 64, found_bytes: 288 })",
        ),
        ("hello_cut", "host", hello[..20].to_vec(), "Closed"),
        ("not_a_frame", "host", b"GET / HTTP/1.1\r\n".to_vec(), "Wire(NotSharelet)"),
        (
            "request_first",
            "host",
            message(Kind::Request, &Request { next_session: 5, order: ORDER }),
            "Wire(UnexpectedFrame { expected: Hello, found: Request })",
        ),
        ("request_no_order", "host", request(&[5]), "Wire(Malformed)"),
        ("request_short", "host", request(&[5; 16]), "Wire(Malformed)"),
        ("request_long", "host", request(&[5; 18]), "Wire(Malformed)"),
        ("welcome_version", "device", flip(welcome, 10, 9), "Wire(Version { theirs: 9 })"),
        ("welcome_layers", "device", flip(welcome, 12, 3), "Wire(Malformed)"),
        ("welcome_too_deep", "device", flip(welcome, 12, 9), "Network(TooManyLayers { limit: 8 })"),
        (
            "welcome_ring",
            "device",
            flip(welcome, 77, 64),
            "Network(UnsupportedRing { ring_bits: 64 })",
        ),
        ("welcome_scale", "device", flip(welcome, 78, 40), "Network(ScaleOutOfRange { layer: 0 })"),
        ("welcome_short", "device", short(welcome), "Wire(Malformed)"),
        ("welcome_long", "device", long(welcome), "Wire(Malformed)"),
        ("welcome_columns", "device", columns(&[1, -61, 0]), "Network(BadExponents)"),
        ("welcome_columns_few", "device", columns(&[1, 2]), "Network(BadExponents)"),
        (
            "welcome_columns_many",
            "device",
            columns(&[0; 129]),
            "Network(TooManyColumns { limit: 128 })",
        ),
        (
            "welcome_huge",
            "device",
            flip(welcome, 5, 0xff),
            "Wire(WrongLength { expected_bytes: 784, found_bytes: 4278190174 })",
        ),
        ("refuse_unknown", "device", frame(Kind::Refuse, 0, &[99]), "Wire(Malformed)"),
        ("refuse_empty", "device", frame(Kind::Refuse, 0, &[]), "Wire(Malformed)"),
    ];
    let then = |frame: Vec<u8>| [&welcome[..], &frame].concat();
    cases.extend([
        (
            "grant_back",
            "device",
            then(message(Kind::Grant, &Grant { session: 4 })),
            "SessionNumber { next: 5, granted: 4 }",
        ),
        (
            "grant_last",
            "device",
            then(message(Kind::Grant, &Grant { session: u64::MAX })),
            "SessionNumber { next: 5, granted: 18446744073709551615 }",
        ),
        ("grant_overlong", "device", then(frame(Kind::Grant, 0, &[0xff; 11])), "Wire(Malformed)"),
        ("grant_empty", "device", then(frame(Kind::Grant, 0, &[])), "Wire(Malformed)"),
    ]);
    let mut rng = rng(51);
    let mut setup =
        Setup::random(Model::random(&[300, 20, 4], false, &mut rng), Answer::Device, &mut rng);
    setup.next = 5;
    for (name, to, bytes, error) in cases {
        let file = format!("bad_{name}.hex");
        hex::check(&file, &format!("# to: {to}\n# error: {error}\n{}", hex::encode(&bytes)));
    }
    let bad = hex::sessions().bad();
    for (name, text) in &bad {
        let bytes = hex::decode(text);
        let found = match hex::field(text, "to").unwrap() {
            "device" => {
                setup.device_against::<ChaCha12>(&bytes, End::Closed, &[0; 300]).result.err()
            }
            _ => setup.host_against(&bytes, End::Closed, &[]).result.err(),
        };
        let found = found.unwrap_or_else(|| panic!("{name} is accepted"));
        assert_eq!(format!("{found:?}"), hex::field(text, "error").unwrap(), "{name}");
    }
    assert!(bad.len() >= 26);
}
