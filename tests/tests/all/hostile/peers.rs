//! Peers that send whatever they like: nothing panics, nothing hangs, and a hostile host learns
//! lengths only.
//!
//! A hostile host is a script of bytes. Under fixed keys the device's bytes are then a function of
//! script and input, and the tests show which: its input enters the frame `Input 0` alone, as
//! `x - r`, word by word; all else it sends, and when and how it fails, is the same for every
//! input. `r` is fresh keystream, uniform to the host (`uniformity.rs`), so what the host sees is
//! independent of the input, even if it chooses its bytes by what it saw before. A reading that has
//! no words in the range that the host states is an input of zeros
//! (`bad_readings.rs` of the command line).

use embassy_futures::join::join;
use embedded_io_async::Write;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::session::SessionError;
use sharelet_core::session::wire::WireError;
use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::frame::{HEADER_BYTES, Kind};
use sharelet_testkit::frames::{self, Frame};
use sharelet_testkit::model::Model;
use sharelet_testkit::party::{HostEnd, Setup};
use sharelet_testkit::pipe::{End, Pipe, run};
use sharelet_testkit::{printed_seed, rng};

use super::fuzz::below;

/// Bytes that a hostile peer may send, made from what an honest one sent.
fn hostile(honest: &[Frame], strategy: u32, rng: &mut ChaCha12Rng) -> Vec<u8> {
    let mut frames = honest.to_vec();
    let at = below(rng, frames.len());
    match strategy % 8 {
        // Noise from the first byte, or from a frame on.
        0 => {
            let mut noise = vec![0; below(rng, 600)];
            rng.fill_bytes(&mut noise);
            [frames::join(&frames[..at]), noise].concat()
        }
        // Right headers, other bodies: wrong `z`, wrong bits, a wrong answer.
        1 => {
            for frame in
                frames.iter_mut().filter(|frame| frame.header.kind as u8 >= Kind::Prepared as u8)
            {
                rng.fill_bytes(&mut frame.body);
            }
            frames::join(&frames)
        }
        // A few flipped bits.
        2 => {
            let mut bytes = frames::join(&frames);
            for _ in 0..=below(rng, 4) {
                let at = below(rng, bytes.len());
                bytes[at] ^= 1 << below(rng, 8);
            }
            bytes
        }
        // Cut.
        3 => {
            let mut bytes = frames::join(&frames);
            bytes.truncate(below(rng, bytes.len()));
            bytes
        }
        // Reordered.
        4 => {
            let other = below(rng, frames.len());
            frames.swap(at, other);
            frames::join(&frames)
        }
        // A frame twice.
        5 => {
            frames.insert(at, frames[at].clone());
            frames::join(&frames)
        }
        // A frame less.
        6 => {
            frames.remove(at);
            frames::join(&frames)
        }
        // Another header.
        _ => {
            let mut bytes = frames::join(&frames);
            let start = frames[at].start;
            rng.fill_bytes(&mut bytes[start..start + HEADER_BYTES]);
            if strategy & 8 == 0 {
                bytes[start] %= 12;
            }
            bytes
        }
    }
}

fn setups(rng: &mut ChaCha12Rng) -> Vec<Setup> {
    let shapes: [(&[u16], bool, Answer); 4] = [
        (&[5, 4, 3], false, Answer::Device),
        (&[3, 70, 2], true, Answer::Device),
        (&[66, 3], true, Answer::Both),
        (&[1, 1, 1, 1], false, Answer::Host),
    ];
    shapes
        .map(|(widths, gated, answer)| {
            Setup::random(Model::random(widths, gated, rng), answer, rng)
        })
        .to_vec()
}

fn random_input(setup: &Setup, rng: &mut ChaCha12Rng) -> Vec<u32> {
    (0..setup.model.network.inputs()).map(|_| rng.next_u32()).collect()
}

/// What the device sent, with the words of `Input 0`, or as many as it sent of them, taken out.
fn take_input(sent: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let input = frames::split(sent).into_iter().find(|frame| frame.header.kind == Kind::Input);
    let Some(input) = input else { return (sent.to_vec(), vec![]) };
    let words = input
        .body
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    ([&sent[..input.start + HEADER_BYTES], &sent[input.end()..]].concat(), words)
}

#[test]
fn the_input_enters_nothing_but_the_masked_words_whatever_the_host_sends() {
    let seed = printed_seed();
    let mut rng = rng(seed);
    let (mut began, mut failed) = (0, 0);
    for mut setup in setups(&mut rng) {
        let sample = random_input(&setup, &mut rng);
        for strategy in 0..800 {
            setup.rekey(&mut rng);
            let honest = frames::split(&setup.honest::<ChaCha8>(&sample, 10_000).host);
            let script = hostile(&honest, strategy, &mut rng);
            let end = if strategy % 3 == 0 { End::TimedOut } else { End::Closed };
            let inputs = [random_input(&setup, &mut rng), vec![0; sample.len()], sample.clone()];
            let runs =
                inputs.each_ref().map(|input| setup.device_against::<ChaCha8>(&script, end, input));
            let (rest, d) = take_input(&runs[0].sent);
            for (run, input) in runs.iter().zip(&inputs) {
                let case = format!("seed {seed}, strategy {strategy}, {:?}", run.result);
                assert_eq!(run.result.as_ref().err(), runs[0].result.as_ref().err(), "{case}");
                assert_eq!(run.next, runs[0].next, "{case}");
                let (other_rest, other_d) = take_input(&run.sent);
                assert_eq!(other_rest, rest, "{case}");
                assert_eq!(other_d.len(), d.len(), "{case}");
                for (((d, other_d), x), other_x) in d.iter().zip(other_d).zip(&inputs[0]).zip(input)
                {
                    assert_eq!(d.wrapping_sub(other_d), x.wrapping_sub(*other_x), "{case}");
                }
            }
            began += u32::from(!d.is_empty());
            failed += u32::from(runs[0].result.is_err());
        }
    }
    // The strategies reach both the online phase and all kinds of failures.
    assert!(began > 800 && failed > 1600, "{began} sessions sent their input, {failed} failed");
}

#[test]
fn a_session_number_never_comes_back() {
    let mut rng = rng(31);
    let setup = &mut setups(&mut rng)[0];
    let input = random_input(setup, &mut rng);
    let honest = setup.honest::<ChaCha8>(&input, 10_000);
    let first = setup.device_against::<ChaCha8>(&honest.host, End::Closed, &input);
    assert_eq!(first.result.as_deref(), Ok(&*honest.device_answer));
    assert_eq!(first.next, 8);
    // The host plays the same connection once more.
    setup.next = first.next;
    let again = setup.device_against::<ChaCha8>(&honest.host, End::Closed, &input);
    assert_eq!(again.result, Err(SessionError::SessionNumber { next: 8, granted: 7 }));
    assert_eq!(again.next, 8);
    let kinds: Vec<Kind> =
        frames::split(&again.sent).iter().map(|frame| frame.header.kind).collect();
    let none = "no word under a mask left the device";
    assert_eq!(kinds, [Kind::Hello, Kind::Request, Kind::Refuse], "{none}");
}

#[test]
fn a_session_number_is_used_before_the_first_byte_of_its_session() {
    let mut rng = rng(32);
    for setup in setups(&mut rng) {
        let input = random_input(&setup, &mut rng);
        let honest = setup.honest::<ChaCha8>(&input, 10_000);
        let run = setup.device_against::<ChaCha8>(&honest.host, End::Closed, &input);
        let handshake: usize = frames::split(&run.sent)
            .iter()
            .take_while(|frame| (frame.header.kind as u8) < Kind::Prepared as u8)
            .map(Frame::end)
            .max()
            .unwrap();
        assert_eq!(run.sent_before_consumed, Some(handshake));
    }
}

#[test]
fn a_hostile_device_gets_a_named_error_or_a_wrong_answer() {
    let seed = printed_seed();
    let mut rng = rng(seed);
    let (mut done, mut failed) = (0, 0);
    for mut setup in setups(&mut rng) {
        for strategy in 0..800 {
            setup.rekey(&mut rng);
            let input = random_input(&setup, &mut rng);
            let honest = setup.honest::<ChaCha8>(&input, 10_000);
            let script = hostile(&frames::split(&honest.device), strategy, &mut rng);
            let run = setup.host_against(&script, End::Closed, &setup.corrections::<ChaCha8>());
            match run.result {
                // Whatever the values, the host's bytes have the honest lengths.
                Ok(HostEnd::Done(_)) => assert_eq!(
                    run.sent.len(),
                    honest.host.len(),
                    "seed {seed}, strategy {strategy}"
                ),
                Ok(HostEnd::NotAsked) => {}
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            done += u32::from(run.result.is_ok());
            failed += u32::from(run.result.is_err());
        }
    }
    assert!(done > 400 && failed > 800, "{done} sessions ended, {failed} failed");
}

/// A device that sends nonsense and reads nothing: the host's own message does not fit the pipe,
/// yet it is not kept waiting.
#[test]
fn a_device_that_stops_reading_does_not_hang_the_host() {
    let mut rng = rng(33);
    let setup =
        Setup::random(Model::random(&[3, 300, 2], false, &mut rng), Answer::Device, &mut rng);
    let honest = setup.honest::<ChaCha8>(&[1, 2, 3], 10_000);
    let mut frames = frames::split(&honest.device);
    // The reply to the host's gate.
    let last = frames.last_mut().unwrap();
    assert_eq!((last.header.kind, last.header.layer), (Kind::Input, 1));
    last.header.layer = 2;
    let last_start = last.start;
    // The welcome and the grant fit the pipe, the gate of 300 elements does not.
    let (device_end, host_end) = Pipe::pair(200);
    let corrections = setup.corrections::<ChaCha8>();
    let host = setup.host(host_end.clone(), host_end, &corrections);
    let mut script = frames::join(&frames);
    script.truncate(last_start + HEADER_BYTES);
    let device = async {
        let mut writer = device_end;
        writer.write_all(&script).await
    };
    let (host, _) = run(join(host, device));
    assert_eq!(host, Err(SessionError::Wire(WireError::WrongLayer { expected: 1, found: 2 })));
}
