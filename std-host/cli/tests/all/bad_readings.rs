//! A reading that the model is not made for: the program names it, goes on, and fails in the end.

use sharelet_model::readings::Readings;
use sharelet_testkit::processes::Programs;
use sharelet_testkit::room::{Scenario, random_readings};

#[tokio::test(flavor = "multi_thread")]
async fn the_program_names_a_bad_reading_goes_on_and_fails_in_the_end() {
    let mut scenario = Scenario::start(1).await;
    let programs = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let readings = random_readings(&scenario.room.model, 3, &mut scenario.rng);
    let mut values = readings.values().to_vec();
    values[7] = 1e9;
    let spoilt = Readings::new(readings.width(), values).expect("finite");
    spoilt.save_npy(&programs.path("readings.npy")).unwrap();
    // The scenario's device has used no number yet, but holds its counter.
    for file in ["pump.key", "pump.counter"] {
        std::fs::copy(scenario.room.path(file), programs.path(file)).unwrap();
    }
    let device = format!(
        "device --key pump.key --inputs readings.npy --report report --insecure-plaintext \
         --host {}",
        scenario.host.address
    );
    let (ended, programs) = tokio::task::spawn_blocking(move || {
        // One that does not end is a failure, not a test that hangs.
        (programs.start(&device).end(), programs)
    })
    .await
    .unwrap();
    assert_eq!(ended.code, Some(1));
    let printed: Vec<_> = ended.out.lines().map(|line| &line[..8]).collect();
    assert_eq!(printed, ["index=0 ", "index=2 "], "{}", ended.out);
    let report = programs.read("report");
    let tags: Vec<_> = report.lines().filter_map(|line| line.split(' ').next()).collect();
    let due = ["boot", "session", "answer", "session", "error", "session", "answer", "error"];
    assert_eq!(tags, due, "{report}");
    for part in ["reading 1: value 2 is outside the range", "1 of 3 readings have no answer"] {
        assert!(report.contains(&format!("\nerror Reading: {part}")), "{report}");
    }
    scenario.stop().await;
}
