//! The reference networks through dealer, host and device: every private answer is the plaintext
//! answer, bit for bit.

use core::time::Duration;
use std::path::Path;

use sharelet_core::session::wire::control::Answer;
use sharelet_import::choose::quantise;
use sharelet_import::quantise::Options;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_model::{Model, largest};
use sharelet_testkit::room::{Room, twin};
use tokio_util::sync::CancellationToken;

/// A network, and what it is calibrated on.
fn import(network: &Path, calibration: &Readings) -> Model {
    quantise(&sharelet_import::read(network).unwrap(), calibration, &Options::default()).unwrap().0
}

/// Images of MNIST that networks are calibrated on: what is tested here is what becomes of a model.
/// The tests of the import calibrate on all.
const CALIBRATION: usize = 700;

fn first(rows: usize, of: &Readings) -> Readings {
    Readings::new(of.width(), of.rows().take(rows).flatten().copied().collect()).unwrap()
}

/// All private answers, which are checked against the twin.
async fn exact(model: Model, readings: &Readings) -> Vec<Vec<u32>> {
    let room = Room::new(model);
    room.provision("pump");
    let expected = twin(&room.model, readings);
    let dealer = room.dealer().await;
    let (host, _) = room.host_at("127.0.0.1:0", &dealer.address, Answer::Device, 8).await;
    let mut device = room.device("pump", &host.address, readings);
    // The run is long and the machine may be busy: what counts here is the answers.
    (device.settings.stall, device.settings.retries) = (Duration::from_secs(30), 20);
    let stop = CancellationToken::new();
    let run = tokio::time::timeout(Duration::from_secs(600), device.run(&stop));
    assert_eq!(run.await.expect("ends in time").expect("works"), readings.len());
    host.stop().await;
    dealer.stop().await;
    let wrong = device
        .events
        .answers
        .iter()
        .zip(&expected)
        .filter(|(private, plain)| private != plain)
        .count();
    assert_eq!((device.events.answers.len(), wrong), (readings.len(), 0));
    println!(
        "{}: {} private answers, all equal to the plaintext ones",
        room.model.name,
        readings.len()
    );
    device.events.answers
}

#[tokio::test(flavor = "multi_thread")]
async fn all_windows_of_ad01() {
    let Some(data) = sharelet_testkit::shared_data() else { return };
    let windows =
        Readings::load(&data.join("mlperf-tiny/ad01_windows.npy"), ReadOptions::default()).unwrap();
    let outputs =
        Readings::load(&data.join("mlperf-tiny/ad01_outputs.npy"), ReadOptions::default()).unwrap();
    assert_eq!(windows.len(), 196);
    let model = import(&data.join("mlperf-tiny/ad01.onnx"), &windows);
    let answers = exact(model.clone(), &windows).await;
    // The anomaly score, the mean squared difference between output and input, within 5 % of float:
    // small differences of the quietest window are off by most.
    let score = |input: &[f32], output: &[f32]| {
        input.iter().zip(output).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>()
    };
    for ((window, reference), answer) in windows.rows().zip(outputs.rows()).zip(&answers) {
        let (private, float) = (score(window, &model.decode(answer)), score(window, reference));
        assert!((private - float).abs() <= 0.05 * float, "{private} where float says {float}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_images_on_network_b() {
    let Some(data) = sharelet_testkit::shared_data() else { return };
    let load = |file: &str| Readings::load(&data.join(file), ReadOptions::default()).unwrap();
    let images = load("mnist/test-images-idx3-ubyte.gz");
    let logits =
        Readings::load(&data.join("networks/network_b_test_logits.npy"), ReadOptions::default())
            .unwrap();
    let few = first(20, &images);
    let calibration = first(CALIBRATION, &load("mnist/train-images-idx3-ubyte.gz"));
    let model = import(&data.join("networks/network_b.onnx"), &calibration);
    let answers = exact(model.clone(), &few).await;
    for (answer, float) in answers.iter().zip(logits.rows()) {
        for (found, float) in model.decode(answer).iter().zip(float) {
            assert!((found - float).abs() < 0.05, "{found} where float says {float}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_test_images_on_network_a() {
    let Some(data) = sharelet_testkit::shared_data() else { return };
    let load = |file: &str, divide| {
        Readings::load(&data.join(file), ReadOptions { width: None, divide }).unwrap()
    };
    let images = load("mnist/test-images-idx3-ubyte.gz", None);
    let labels = load("mnist/test-labels-idx1-ubyte.gz", Some(1.0));
    assert_eq!(images.len(), 1000);
    let calibration = first(CALIBRATION, &load("mnist/train-images-idx3-ubyte.gz", None));
    let model = import(&data.join("networks/network_a.onnx"), &calibration);
    let answers = exact(model, &images).await;
    let right = |(answer, label): &(&Vec<u32>, &f32)| {
        largest(answer).is_some_and(|class| (class as f32 - **label).abs() < 0.5)
    };
    let correct = answers.iter().zip(labels.values()).filter(right).count();
    // 98.9 % in float, and at most 0.2 points away from it.
    assert!((987..=991).contains(&correct), "{correct} of 1000");
}
