//! Readings that the model is not made for: the host, which states which ones those are, does not
//! notice.
//!
//! Values that are not finite do not get this far: no file of readings may hold one. The firmware
//! treats them alike.

use core::time::Duration;
use std::time::Instant;

use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::frame::{HEADER_BYTES, Header};
use sharelet_host::device::DeviceError;
use sharelet_model::readings::Readings;
use sharelet_testkit::room::wire::Wire;
use sharelet_testkit::room::{Room, random_model, random_readings, run, twin};
use sharelet_testkit::{printed_seed, rng};

const WIDTHS: [u16; 4] = [5, 20, 3, 3];

/// Kinds, layers and lengths of the frames, in order, per connection.
fn frames(wire: &Wire) -> Vec<Vec<Header>> {
    let split = |bytes: &Vec<u8>| {
        let (mut rest, mut headers) = (&bytes[..], Vec::new());
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let header = Header::parse(*header).expect("a header");
            rest = &behind[header.body_bytes as usize..];
            headers.push(header);
        }
        headers
    };
    wire.tape.lock().unwrap().iter().map(split).collect()
}

/// The readings with other values at some places.
fn spoilt(readings: &Readings, places: &[(usize, f32)]) -> Readings {
    let mut values = readings.values().to_vec();
    places.iter().for_each(|&(at, value)| values[at] = value);
    Readings::new(readings.width(), values).expect("finite")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_does_not_notice_a_reading_out_of_range() {
    let mut rng = rng(printed_seed());
    let room = Room::new(random_model(&WIDTHS, &mut rng));
    room.provision("pump");
    let readings = random_readings(&room.model, 6, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;

    let wire = Wire::new(&host.address, Duration::ZERO).await;
    let mut device = room.device("pump", &wire.address, &readings);
    assert_eq!(run(&mut device).await.expect("works"), 6);
    let usual = frames(&wire);
    drop(device);

    // In the first reading, in one between, and in two that follow each other, of which the last is
    // the last.
    let bad =
        spoilt(&readings, &[(3, 1e9), (12, -300.0), (20, f32::MAX), (24, f32::MIN), (29, 256.1)]);
    let wire = Wire::new(&host.address, Duration::ZERO).await;
    let mut device = room.device("pump", &wire.address, &bad);
    device.settings.pauses.shortest = Duration::from_secs(60);
    let start = Instant::now();
    let error = run(&mut device).await.expect_err("some have no answer");
    assert!(start.elapsed() < Duration::from_secs(15), "nothing waits for the pause");
    assert!(matches!(error, DeviceError::ReadingsRefused { refused: 4, of: 6 }), "{error:?}");
    assert_eq!((error.name(), error.is_passing()), ("Reading", false));

    assert_eq!(frames(&wire), usual, "one connection, the same frames");
    assert_eq!(usual.len(), 1);
    assert_eq!(device.events.sessions.len(), 6);
    assert_eq!(device.events.failures, [""; 0]);
    assert_eq!(device.events.answers, [&*expected[1], &*expected[3]]);
    let named = |reading, value| {
        format!(
            "Reading: reading {reading}: value {value} is outside the range the model was \
             calibrated for; it has no answer"
        )
    };
    assert_eq!(device.events.refused, [named(0, 3), named(2, 2), named(4, 0), named(5, 4)]);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_learns_answers_gets_nothing_of_a_reading_out_of_range() {
    for answer in [Answer::Host, Answer::Both] {
        let mut rng = rng(printed_seed());
        let room = Room::new(random_model(&WIDTHS, &mut rng));
        room.provision("pump");
        let readings = random_readings(&room.model, 3, &mut rng);
        let expected = twin(&room.model, &readings);
        let dealer = room.dealer().await;
        let (host, answers) = room.host_at("127.0.0.1:0", &dealer.address, answer, 3).await;

        let wire = Wire::new(&host.address, Duration::ZERO).await;
        let mut device = room.device("pump", &wire.address, &readings);
        (device.settings.answer, device.settings.count) = (answer, Some(2));
        assert_eq!(run(&mut device).await.expect("works"), 2);
        let two = frames(&wire);
        drop(device);

        let wire = Wire::new(&host.address, Duration::ZERO).await;
        let mut device = room.device("pump", &wire.address, &spoilt(&readings, &[(7, 1e9)]));
        device.settings.answer = answer;
        let error = run(&mut device).await.expect_err("one has no answer");
        assert!(matches!(error, DeviceError::ReadingsRefused { refused: 1, of: 3 }), "{error:?}");
        assert_eq!(frames(&wire), two, "{answer:?}: nothing is sent for the reading in between");
        assert_eq!((device.events.sessions.len(), device.events.refused.len()), (2, 1));

        let both = [expected[0].clone(), expected[2].clone()];
        if answer.to_device() {
            assert_eq!(device.events.answers, both);
        }
        host.stop().await;
        dealer.stop().await;
        let answers: Vec<_> =
            answers.lock().unwrap().iter().map(|answer| answer.values.clone()).collect();
        assert_eq!(answers[2..], both, "{answer:?}");
    }
}
