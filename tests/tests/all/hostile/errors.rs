//! Every message of a recorded session is cut, flipped, extended, dropped, repeated, reordered and
//! refused, on both sides: each time the error that names what happened.

use embassy_futures::block_on;
use embedded_io_async::ErrorKind;
use rand_core::Rng;
use sharelet_core::correlation::LengthError;
use sharelet_core::keystream::ChaCha12;
use sharelet_core::session::network::{Activation, Layer, Network, NetworkError};
use sharelet_core::session::p0::{self, Policy};
use sharelet_core::session::p1::{self, P1, Scratch};
use sharelet_core::session::wire::control::{self, Answer, DeviceId, MAX_CONTROL_BYTES, Refusal};
use sharelet_core::session::wire::frame::{HEADER_BYTES, Header, Kind};
use sharelet_core::session::wire::{VERSION, WireError};
use sharelet_core::session::{ORDER_SESSIONS, SessionError};
use sharelet_core::shape::Shape;
use sharelet_core::step::StepError;
use sharelet_testkit::frames::{self, Frame, REFUSALS};
use sharelet_testkit::model::Model;
use sharelet_testkit::party::{Counter, HostEnd, MAX_OUTPUTS, Setup, policy};
use sharelet_testkit::pipe::{End, Script};
use sharelet_testkit::{assert_matches, rng};

/// Bytes of the device's buffer for a welcome.
const WELCOME_BYTES: u32 = 784;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Device,
    Host,
}

/// A recorded session, one of whose parties is played by a changed recording.
struct Case {
    setup: Setup,
    input: Vec<u32>,
    corrections: Vec<u8>,
    side: Side,
    /// What the other party sent.
    peer: Vec<Frame>,
}

fn cases() -> Vec<Case> {
    let mut rng = rng(40);
    let shapes: [(&[u16], bool, Answer); 3] = [
        (&[3, 4, 2], false, Answer::Device),
        (&[3, 70, 66], true, Answer::Both),
        (&[2, 2, 2, 3], false, Answer::Host),
    ];
    let mut cases = Vec::new();
    for (widths, gated, answer) in shapes {
        let setup = Setup::random(Model::random(widths, gated, &mut rng), answer, &mut rng);
        let input: Vec<u32> = (0..widths[0]).map(|_| rng.next_u32()).collect();
        let transcript = setup.honest::<ChaCha12>(&input, 10_000);
        let corrections = setup.corrections::<ChaCha12>();
        for (side, sent) in [(Side::Device, &transcript.host), (Side::Host, &transcript.device)] {
            let peer = frames::split(sent);
            cases.push(Case {
                setup: setup.clone(),
                input: input.clone(),
                corrections: corrections.clone(),
                side,
                peer,
            });
        }
    }
    cases
}

impl Case {
    /// The error of the party under test when its peer sends `script`, or none.
    fn error(&self, script: &[u8], end: End) -> Option<SessionError> {
        match self.side {
            Side::Device => {
                self.setup.device_against::<ChaCha12>(script, end, &self.input).result.err()
            }
            Side::Host => self.setup.host_against(script, end, &self.corrections).result.err(),
        }
    }

    fn check(&self, script: &[u8], expected: Option<SessionError>, what: &str) {
        assert_eq!(self.error(script, End::Closed), expected, "{:?}, {what}", self.side);
    }

    /// The recording with frame `at` replaced.
    fn with(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        [&frames::join(&self.peer[..at]), bytes, &frames::join(&self.peer[at + 1..])].concat()
    }

    /// Most bytes that the party takes in the body of frame `at`.
    fn buffer_bytes(&self, at: usize) -> u32 {
        if self.peer[at].header.kind == Kind::Welcome {
            WELCOME_BYTES
        } else {
            u32::try_from(MAX_CONTROL_BYTES).unwrap()
        }
    }
}

fn is_bulk(frame: &Frame) -> bool {
    frame.header.kind as u8 >= Kind::Prepared as u8
}

#[allow(clippy::unnecessary_wraps)]
fn wire(error: WireError) -> Option<SessionError> {
    Some(SessionError::Wire(error))
}

/// What a party says that waits for `due` and finds `found` with the same length or another.
fn mismatch(due: Header, found: Header) -> Option<SessionError> {
    if due.kind != found.kind {
        wire(WireError::UnexpectedFrame { expected: due.kind, found: found.kind })
    } else if due.layer != found.layer {
        wire(WireError::WrongLayer { expected: due.layer, found: found.layer })
    } else {
        wire(WireError::WrongLength {
            expected_bytes: due.body_bytes,
            found_bytes: found.body_bytes,
        })
    }
}

#[test]
fn the_recordings_play() {
    for case in cases() {
        case.check(&frames::join(&case.peer), None, "unchanged");
    }
}

#[test]
fn a_peer_that_stops_anywhere() {
    for case in cases() {
        let stream = frames::join(&case.peer);
        for cut in (0..stream.len()).filter(|cut| cut % 7 == 0 || *cut < 400) {
            let timed_out = Some(SessionError::Transport(ErrorKind::TimedOut));
            let found = case.error(&stream[..cut], End::TimedOut);
            assert_eq!(found, timed_out, "{:?}, {cut}", case.side);
            // A device that leaves before it asks for a session is no error.
            let left = case.side == Side::Host && cut == case.peer[0].end();
            let closed = (!left).then_some(SessionError::Closed);
            case.check(&stream[..cut], closed, &format!("cut at {cut}"));
        }
    }
}

#[test]
fn a_flipped_bit_in_a_header() {
    for case in cases() {
        for (at, frame) in case.peer.iter().enumerate() {
            for bit in 0..HEADER_BYTES * 8 {
                let mut bytes = frame.bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let stream = case.with(at, &bytes);
                let rest = stream.len() - frame.start - HEADER_BYTES;
                let expected = flipped_header(&case, at, bytes.first_chunk().unwrap(), rest);
                let what = format!("bit {bit} of the header of {:?}", frame.header);
                case.check(&stream, expected, &what);
            }
        }
    }
}

/// The error for a frame whose header has become `bytes`, when `rest` bytes follow.
fn flipped_header(
    case: &Case,
    at: usize,
    bytes: &[u8; HEADER_BYTES],
    rest: usize,
) -> Option<SessionError> {
    let frame = &case.peer[at];
    let due = frame.header;
    let found = match Header::parse(*bytes) {
        Ok(found) => found,
        // Bytes that do not even begin with a frame are not from a sharelet peer.
        Err(_) if at == 0 => return wire(WireError::NotSharelet),
        Err(error) => return wire(error),
    };
    if found.kind == Kind::Refuse {
        if found.layer != 0 {
            return wire(WireError::WrongLayer { expected: 0, found: found.layer });
        }
        let limit = u32::try_from(MAX_CONTROL_BYTES).unwrap();
        if found.body_bytes > limit {
            return wire(WireError::WrongLength {
                expected_bytes: limit,
                found_bytes: found.body_bytes,
            });
        }
        return Some(
            control::parse(&frame.body)
                .map_or(SessionError::Wire(WireError::Malformed), SessionError::Refused),
        );
    }
    let limit = case.buffer_bytes(at);
    if is_bulk(frame) || found.kind != due.kind || found.layer != due.layer {
        mismatch(due, found)
    } else if found.body_bytes > limit {
        wire(WireError::WrongLength { expected_bytes: limit, found_bytes: found.body_bytes })
    } else if usize::try_from(found.body_bytes).unwrap() > rest {
        Some(SessionError::Closed)
    } else if found.body_bytes < 4 && matches!(due.kind, Kind::Hello | Kind::Welcome) {
        wire(WireError::NotSharelet)
    } else {
        wire(WireError::Malformed)
    }
}

/// Values in bulk frames are under masks: no error can tell a wrong one. Control messages are
/// checked.
#[test]
fn a_flipped_bit_in_a_body() {
    for case in cases() {
        for (at, frame) in case.peer.iter().enumerate() {
            for bit in 0..frame.body.len() * 8 {
                if is_bulk(frame) && bit % 13 != 0 {
                    continue;
                }
                let (byte, mut body) = (bit / 8, frame.body.clone());
                body[byte] ^= 1 << (bit % 8);
                let stream = case.with(at, &Frame { body: body.clone(), ..frame.clone() }.bytes());
                let what = format!("bit {bit} of the body of {:?}", frame.header);
                let expected = match (frame.header.kind, byte) {
                    (Kind::Hello | Kind::Welcome, 0..4) => wire(WireError::NotSharelet),
                    (Kind::Hello | Kind::Welcome, 4..6) => {
                        wire(WireError::Version { theirs: u16::from_le_bytes([body[4], body[5]]) })
                    }
                    (Kind::Hello, 6..22) => {
                        let named = DeviceId::from_bytes(body[6..22].try_into().unwrap()).is_some();
                        if named { None } else { wire(WireError::Malformed) }
                    }
                    (Kind::Hello, 30) if body[30] > 2 => wire(WireError::Malformed),
                    // The number of layers, against the device's bound and against the network.
                    (Kind::Welcome, 6) if body[6] > 8 => {
                        Some(SessionError::Network(NetworkError::TooManyLayers { limit: 8 }))
                    }
                    (Kind::Welcome, 6) => wire(WireError::Malformed),
                    // The seed, and the id of the masked model: others than those that were dealt
                    // for, which nobody can tell.
                    (Kind::Welcome, 71) => {
                        Some(SessionError::Network(NetworkError::UnsupportedRing {
                            ring_bits: body[71],
                        }))
                    }
                    // Scales and shapes: some flips give another valid network, on which the
                    // recording then fails or not.
                    (Kind::Welcome, 72..) => {
                        let _ = case.error(&stream, End::Closed);
                        continue;
                    }
                    (Kind::Request | Kind::Grant, _) if body[0] & 0x80 != 0 => {
                        wire(WireError::Malformed)
                    }
                    (Kind::Grant, _) if u64::from(body[0]) < case.setup.next => {
                        Some(SessionError::SessionNumber {
                            next: case.setup.next,
                            granted: u64::from(body[0]),
                        })
                    }
                    _ => None,
                };
                case.check(&stream, expected, &what);
            }
        }
    }
}

#[test]
fn a_byte_too_many() {
    for case in cases() {
        for (at, frame) in case.peer.iter().enumerate() {
            // Announced: the length is wrong, or the message does not decode.
            let header = Header { body_bytes: frame.header.body_bytes + 1, ..frame.header };
            let longer = [&header.emit()[..], &frame.body, &[0]].concat();
            let expected = if is_bulk(frame) {
                mismatch(frame.header, header)
            } else {
                wire(WireError::Malformed)
            };
            let what = format!("one byte more in {:?}", frame.header);
            case.check(&case.with(at, &longer), expected, &what);
            // Not announced: it is taken for the next header.
            let followed = [frame.bytes(), vec![0]].concat();
            let last = at + 1 == case.peer.len();
            let expected = if last { None } else { wire(WireError::UnknownFrame { kind: 0 }) };
            let what = format!("one byte after {:?}", frame.header);
            case.check(&case.with(at, &followed), expected, &what);
        }
        let stream = [&[0][..], &frames::join(&case.peer)].concat();
        case.check(&stream, wire(WireError::NotSharelet), "one byte before everything");
    }
}

#[test]
fn frames_in_another_order() {
    for case in cases() {
        for at in 0..case.peer.len() {
            let check = |what: &str, expected, change: fn(&mut Vec<Frame>, usize)| {
                let mut frames = case.peer.clone();
                change(&mut frames, at);
                let what = format!("frame {at} of {} {what}", case.peer.len());
                case.check(&frames::join(&frames), expected, &what);
            };
            let (this, next) = (case.peer[at].header, case.peer.get(at + 1).map(|it| it.header));
            let early = next.map_or(Some(SessionError::Closed), |next| mismatch(this, next));
            check("dropped", early, |frames, at| drop(frames.remove(at)));
            let late = next.and_then(|next| mismatch(next, this));
            check("repeated", late, |frames, at| frames.insert(at, frames[at].clone()));
            if next.is_some() {
                check("swapped with the next", early, |frames, at| frames.swap(at, at + 1));
            }
        }
    }
}

#[test]
fn a_refusal_at_any_time() {
    for case in cases() {
        for at in 0..case.peer.len() {
            for (_, refusal) in REFUSALS {
                let told = frames::control(Kind::Refuse, &refusal);
                let stream = [frames::join(&case.peer[..at]), told].concat();
                let what = format!("{refusal:?} in place of frame {at}");
                case.check(&stream, Some(SessionError::Refused(refusal)), &what);
            }
        }
    }
}

#[test]
fn a_stranger_is_told_apart_from_another_version() {
    for case in cases() {
        for stranger in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
            b"SSH-2.0-OpenSSH_9.6\r\n",
        ] {
            case.check(stranger, wire(WireError::NotSharelet), "a stranger");
        }
    }
}

/// Session numbers: a number goes up, by no more than [`ORDER_SESSIONS`], and is used before its
/// session begins.
#[test]
fn session_numbers() {
    for case in cases().iter_mut().filter(|case| case.side == Side::Device) {
        let high = u64::MAX - 3;
        for (next, granted, accepted) in [
            (5, 5, true),
            (5, 5 + u64::from(ORDER_SESSIONS), true),
            (5, 4, false),
            (5, 0, false),
            (5, 6 + u64::from(ORDER_SESSIONS), false),
            (0, u64::MAX, false),
            (high, u64::MAX - 1, true),
            (high, u64::MAX, false),
            (u64::MAX, u64::MAX, false),
        ] {
            case.setup.next = next;
            let grant = frames::control(Kind::Grant, &control::Grant { session: granted });
            let stream = case.with(1, &grant);
            let run = case.setup.device_against::<ChaCha12>(&stream, End::Closed, &case.input);
            let refused = SessionError::SessionNumber { next, granted };
            assert_eq!(run.result.err(), (!accepted).then_some(refused), "{next}, {granted}");
            assert_eq!(run.next, if accepted { granted + 1 } else { next }, "{next}, {granted}");
        }
    }
}

#[test]
fn a_counter_that_cannot_be_written_begins_no_session() {
    let case = &cases()[0];
    let script = frames::join(&case.peer);
    let io = Script::new(&script, End::Closed);
    let sent = io.sent();
    let (identity, policy) = (case.setup.identity::<ChaCha12>(), policy(Answer::Device));
    let mut counter = Counter { next: 5, broken: true, ..Counter::default() };
    let error = block_on(async {
        let mut network = Network::<8>::default();
        let connected = p0::connect(io, &identity, policy, &mut network).await.unwrap();
        connected.prepare(&mut counter, &mut [0; MAX_OUTPUTS]).await.map(|_| ()).unwrap_err()
    });
    assert_eq!(error, SessionError::Counter);
    let kinds: Vec<Kind> =
        frames::split(&sent.borrow()).iter().map(|frame| frame.header.kind).collect();
    assert_eq!(kinds, [Kind::Hello, Kind::Request]);
}

/// A last layer without weights or gate has no correction: a host could have the input opened
/// without its dealer.
#[test]
fn a_public_answer_is_not_for_the_host() {
    let copy = Layer {
        shape: Shape::Identity { width: 3 },
        ..Layer::dense(3, 3, 0, 0, Activation::Identity)
    };
    let setup =
        Setup::random(Model::with_layers(&[copy], &mut rng(92)), Answer::Device, &mut rng(93));
    let script = setup.honest::<ChaCha12>(&[1, 2, 3], 1000).host;
    for answer in [Answer::Device, Answer::Host, Answer::Both] {
        let told = connect::<8>(&setup, &script, policy(answer));
        let expected = (answer != Answer::Device)
            .then_some((SessionError::PublicAnswer, Refusal::PublicAnswer));
        assert_eq!(told, expected, "{answer:?}");
    }
}

/// Why a device with room for `L` layers does not connect, and what it tells the host.
fn connect<const L: usize>(
    setup: &Setup,
    script: &[u8],
    policy: Policy,
) -> Option<(SessionError, Refusal)> {
    let io = Script::new(script, End::Closed);
    let sent = io.sent();
    let identity = setup.identity::<ChaCha12>();
    let error = block_on(p0::connect(io, &identity, policy, &mut Network::<L>::default())).err()?;
    Some((error, refusal_in(&sent.borrow()).expect("the host is told")))
}

/// What a device does not serve is refused with the reason, and the host is told.
#[test]
fn networks_that_a_device_does_not_serve() {
    let case = &cases()[0];
    let script = frames::join(&case.peer);
    let fits = Policy { inputs: Some(3), max_outputs: 2, ..policy(Answer::Device) };
    let cost = case.setup.model.network.session_cost(Answer::Device);
    let blocks = cost.prepare_blocks + cost.online_blocks;
    let limit = blocks - 1;
    for (policy, expected) in [
        (fits, None),
        (Policy { max_blocks: blocks, ..fits }, None),
        (
            Policy { inputs: Some(4), ..fits },
            Some((
                SessionError::InputWidth { network: 3, found: 4 },
                Refusal::InputWidth { sensor: 4 },
            )),
        ),
        (
            Policy { max_outputs: 1, ..fits },
            Some((
                SessionError::AnswerTooWide { network: 2, limit: 1 },
                Refusal::AnswerTooWide { limit: 1 },
            )),
        ),
        (
            Policy { max_blocks: limit, ..fits },
            Some((
                SessionError::TooMuchWork { network: blocks, limit },
                Refusal::TooMuchWork { limit },
            )),
        ),
    ] {
        assert_eq!(connect::<8>(&case.setup, &script, policy), expected);
    }
    let deep =
        Setup::random(Model::random(&[3; 8], true, &mut rng(90)), Answer::Device, &mut rng(91));
    let script = deep.honest::<ChaCha12>(&[1, 2, 3], 1000).host;
    let expected = (
        SessionError::Network(NetworkError::TooManyLayers { limit: 6 }),
        Refusal::TooManyLayers { limit: 6 },
    );
    assert_eq!(connect::<6>(&deep, &script, fits), Some(expected));
}

/// The refusal that a party sent last.
fn refusal_in(sent: &[u8]) -> Option<Refusal> {
    let last = frames::split(sent).pop()?;
    (last.header.kind == Kind::Refuse).then(|| control::parse(&last.body).unwrap())
}

#[test]
fn wrong_versions_and_bad_welcomes_are_answered_with_a_refusal() {
    let case = &cases()[0];
    for (byte, refusal) in [
        (4, Refusal::Version { ours: VERSION }),
        (0, Refusal::Protocol),
        (6, Refusal::Protocol),
        (71, Refusal::BadNetwork),
    ] {
        let mut welcome = case.peer[0].clone();
        welcome.body[byte] ^= 1;
        let script = case.with(0, &welcome.bytes());
        let run = case.setup.device_against::<ChaCha12>(&script, End::Closed, &case.input);
        assert!(run.result.is_err());
        assert_eq!(refusal_in(&run.sent), Some(refusal), "byte {byte}");
        assert_eq!(run.next, case.setup.next, "no number was used");
    }
}

#[test]
fn an_input_of_the_wrong_length_sends_nothing() {
    let case = &cases()[0];
    let script = frames::join(&case.peer);
    for found in [0, 2, 4] {
        let run = case.setup.device_against::<ChaCha12>(&script, End::Closed, &vec![1; found]);
        assert_eq!(run.result, Err(SessionError::InputWidth { network: 3, found }));
        assert!(frames::split(&run.sent).iter().all(|frame| frame.header.kind != Kind::Input));
    }
}

/// The dealer's corrections are the host's own, but may be damaged on disk.
#[test]
fn corrections_and_buffers_of_the_wrong_length() {
    for case in cases().iter().filter(|case| case.side == Side::Host) {
        let script = frames::join(&case.peer);
        let run =
            |corrections: &[u8]| case.setup.host_against(&script, End::Closed, corrections).result;
        assert!(matches!(run(&case.corrections), Ok(HostEnd::Done(_))));
        let longer = [&case.corrections[..], &[0]].concat();
        let surplus = LengthError { expected_bytes: 0, found_bytes: 1 };
        assert_eq!(run(&longer), Err(SessionError::Correction(surplus)));
        for cut in [0, 1, case.corrections.len() / 2, case.corrections.len() - 1] {
            let Err(SessionError::Correction(error)) = run(&case.corrections[..cut]) else {
                panic!("cut at {cut}")
            };
            assert!(error.found_bytes < error.expected_bytes, "{error:?}");
        }
        let mut reader = Script::new(&script, End::Closed);
        let error = block_on(async {
            p1::receive_hello(&mut reader).await.unwrap();
            p1::receive_request(&mut reader).await.unwrap().unwrap();
            let scratch = Scratch {
                masked: &mut [],
                vectors: &mut [],
                output: &mut [],
                own_bits: &mut [],
                peer_bits: &mut [],
            };
            P1::new(&case.setup.model.network, &case.setup.model, case.setup.answer)
                .prepare(&mut reader, scratch)
                .await
                .map(|_| ())
        });
        let error = error.expect_err("no room");
        assert_matches!(
            error,
            SessionError::Step(StepError::LengthMismatch { found_elems: 0, .. })
        );
    }
}

/// A message for people says what is wrong and, after a semicolon, what to do or what became of the
/// session.
#[test]
fn every_message_says_what_to_do() {
    let due = Header { kind: Kind::Gate, layer: 1, body_bytes: 8 };
    let wires = [
        WireError::NotSharelet,
        WireError::Version { theirs: 2 },
        WireError::UnknownFrame { kind: 99 },
        due.expect(Header { kind: Kind::Input, ..due }).unwrap_err(),
        due.expect(Header { layer: 2, ..due }).unwrap_err(),
        due.expect(Header { body_bytes: 9, ..due }).unwrap_err(),
        WireError::Malformed,
    ];
    let mut errors: Vec<SessionError> = wires.map(SessionError::Wire).to_vec();
    errors.extend(
        REFUSALS
            .map(|(_, refusal)| refusal)
            .into_iter()
            .filter(|&refusal| refusal != Refusal::Protocol)
            .map(SessionError::Refused),
    );
    errors.extend([
        SessionError::Transport(ErrorKind::TimedOut),
        SessionError::Transport(ErrorKind::ConnectionReset),
        SessionError::Closed,
        SessionError::InputWidth { network: 1, found: 2 },
        SessionError::AnswerTooWide { network: 1, limit: 2 },
        SessionError::TooMuchWork { network: 2, limit: 1 },
        SessionError::PublicAnswer,
        SessionError::SessionNumber { next: 1, granted: 0 },
        SessionError::Counter,
        SessionError::Correction(LengthError { expected_bytes: 1, found_bytes: 2 }),
        SessionError::Network(NetworkError::TooManyLayers { limit: 4 }),
    ]);
    for error in errors {
        assert!(error.to_string().contains("; "), "{error}");
    }
}
