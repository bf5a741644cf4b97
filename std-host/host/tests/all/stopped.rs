//! A device that is stopped says before which reading, and another run goes on from there.

use core::time::Duration;

use sharelet_host::device::{Device, DeviceError, Events, Inference};
use sharelet_link::Counts;
use sharelet_testkit::room::{Log, Room, random_model, random_readings, run, twin};
use sharelet_testkit::{assert_matches, printed_seed, rng};
use tokio_util::sync::CancellationToken;

/// Stops the program after so many answers.
struct StopAfter {
    log: Log,
    answers: usize,
    stop: CancellationToken,
}

impl Events for StopAfter {
    fn connected(&mut self, readings: usize) {
        self.log.connected(readings);
    }

    fn prepared(&mut self, session: u64, traffic: Counts, took: Duration) {
        self.log.prepared(session, traffic, took);
    }

    fn answer(&mut self, inference: &Inference<'_>) -> std::io::Result<()> {
        self.log.answer(inference)?;
        if self.log.answers.len() == self.answers {
            self.stop.cancel();
        }
        Ok(())
    }

    fn refused(&mut self, error: &DeviceError) -> std::io::Result<()> {
        self.log.refused(error)
    }

    fn failed(&mut self, error: &DeviceError, pause: Duration) {
        self.log.failed(error, pause);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_goes_on_from_the_reading_that_it_names() {
    let mut rng = rng(printed_seed());
    let room = Room::new(random_model(&[5, 8, 3], &mut rng));
    room.provision("pump");
    let readings = random_readings(&room.model, 7, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;

    let stop = CancellationToken::new();
    let Device { mut settings, identity, counter, sensor, events } =
        room.device("pump", &host.address, &readings);
    settings.from = 1;
    let events = StopAfter { log: events, answers: 2, stop: stop.clone() };
    let mut device = Device { settings, identity, counter, sensor, events };
    let error = device.run(&stop).await.expect_err("stopped");
    assert_matches!(error, DeviceError::Stopped { next: 3 });
    assert!(error.to_string().contains("`--from-reading 3`"), "{error}");
    let first = device.events.log;
    assert_eq!(first.answers, expected[1..3]);
    drop(device.counter);

    let mut device = room.device("pump", &host.address, &readings);
    device.settings.from = 3;
    assert_eq!(run(&mut device).await.expect("works"), 4);
    assert_eq!(device.events.answers, expected[3..]);
    assert!(device.events.sessions.iter().min() > first.sessions.iter().max());

    // Beyond the end there is nothing to go on with.
    device.settings.from = 7;
    let error = run(&mut device).await.expect_err("no reading");
    assert_matches!(error, DeviceError::TooFewReadings { expected: 8, found: 7 });
}
