//! Inputs that differ in size, each at a scale of its own: the private answer is the twin's, and a
//! reading beyond one input's limit is refused, whoever is asked.

use sharelet_core::session::wire::control::Answer;
use sharelet_host::device::DeviceError;
use sharelet_host::store::task::{self, TaskFile};
use sharelet_model::Model;
use sharelet_model::readings::Readings;
use sharelet_testkit::room::servers::{ask, stop};
use sharelet_testkit::room::{Room, random_model, random_readings, run, twin};
use sharelet_testkit::{printed_seed, rng};

const EXPONENTS: [i8; 5] = [0, -12, 9, 30, -1];

/// A model of such inputs, readings, and the same with one value beyond its limit.
fn scaled() -> (Model, Readings, Readings) {
    let mut rng = rng(printed_seed());
    let mut model = random_model(&[5, 20, 3, 3], &mut rng);
    let readings = random_readings(&model, 4, &mut rng);
    model.network = model.network.with_exponents(&EXPONENTS).expect("valid");
    let factor = |at: usize| 2.0_f32.powi(-i32::from(EXPONENTS[at % 5]));
    let values = readings.values().iter().enumerate().map(|(at, value)| value * factor(at));
    let mut values: Vec<f32> = values.collect();
    let good = Readings::new(5, values.clone()).expect("finite");
    // Far below the limits of the others.
    values[5 + 3] = 256.5 * factor(3);
    (model, good, Readings::new(5, values).expect("finite"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_scales_each_input_as_the_host_says() {
    let (model, good, bad) = scaled();
    let room = Room::new(model);
    room.provision("pump");
    let expected = twin(&room.model, &good);
    let dealer = room.dealer().await;
    let host = room.host_at("127.0.0.1:0", &dealer.address, Answer::Device, 3).await.0;
    let mut device = room.device("pump", &host.address, &good);
    assert_eq!(run(&mut device).await.expect("works"), 4);
    assert_eq!(device.events.answers, expected);
    drop(device);
    let mut device = room.device("pump", &host.address, &bad);
    let error = run(&mut device).await.expect_err("one has no answer");
    assert!(matches!(error, DeviceError::ReadingsRefused { refused: 1, of: 4 }), "{error:?}");
    assert_eq!(device.events.answers, [&*expected[0], &*expected[2], &*expected[3]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_party_scales_each_input_as_its_task_says() {
    let (model, good, bad) = scaled();
    let room = Room::new(model);
    let expected = twin(&room.model, &good);
    let (dealer, server_0, server_1) = room.servers().await;
    let mut party = room.data_party("pump", &server_0, &server_1, &good);
    // As it is told: by a file.
    let path = room.path("model.task");
    let file = TaskFile { task: party.task, columns: None, exponents: EXPONENTS.to_vec() };
    task::save(&file, &path).expect("writes");
    party.exponents = task::load(&path).expect("reads").exponents;
    assert_eq!(ask(&mut party).await.expect("works"), 4);
    assert_eq!(party.events.answers, expected);
    drop(party);
    let mut party = room.data_party("pump", &server_0, &server_1, &bad);
    let error = ask(&mut party).await.expect_err("one has no answer");
    assert!(matches!(error, DeviceError::ReadingsRefused { refused: 1, of: 4 }), "{error:?}");
    drop(party);
    stop(server_0, server_1, dealer).await;
}
