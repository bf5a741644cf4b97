//! The reference networks through dealer, host and device: every private answer is the plaintext
//! answer, bit for bit; also without a dealer.

use core::cell::RefCell;
use core::time::Duration;
use std::path::Path;
use std::rc::Rc;

use sharelet_alone::{P0, P1, Task, online};
use sharelet_core::session::wire::control::Answer;
use sharelet_import::columns::quantise;
use sharelet_import::quantise::Options;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_model::{Model, largest};
use sharelet_prepare::{FieldBits, Kept};
use sharelet_testkit::pipe::run;
use sharelet_testkit::programs::link::{End, Wire};
use sharelet_testkit::room::{Room, twin};
use sharelet_testkit::{printed_seed, rng};
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

/// The first readings without a dealer: the same answers, from correlations that both make.
fn same_without_a_dealer(model: &Model, readings: &Readings, answers: &[Vec<u32>]) {
    let seed = printed_seed();
    let [(message_0, begun_0), (message_1, begun_1)] =
        [seed, !seed].map(|seed| Kept::begin(&mut rng(seed)));
    let kept_0 = Box::new(begun_0.finish(&message_1).unwrap());
    let kept_1 = Box::new(begun_1.finish(&message_0).unwrap());
    let wire = Rc::new(RefCell::new(Wire::default()));
    let [mut end_0, mut end_1] = [0, 1].map(|side| End::Party(side, wire.clone()));
    let [mut rng_0, mut rng_1] = [seed ^ 1, seed ^ 2].map(rng);
    let task = Task::new(model.network.clone()).unwrap();
    let (field, count) = (FieldBits::Two, readings.len().min(2));
    let inputs = || readings.rows().take(count).map(|row| model.encode(row).unwrap());
    let (shares_0, shares_1) = run(async {
        tokio::join!(
            async {
                let begun = P0::begin(&task, (&kept_0, field), &mut rng_0, &mut end_0);
                let mut p0 = Box::pin(begun).await.unwrap();
                let halves = p0.prepare(&task, count, &mut rng_0, &mut end_0).await.unwrap();
                let mut shares = Vec::new();
                for (half, input) in halves.into_iter().zip(inputs()) {
                    shares.push(online::infer_p0(&task, half, &input, &mut end_0).await.unwrap());
                }
                shares
            },
            async {
                let begun = P1::begin(&task, (&kept_1, field), &mut rng_1, &mut end_1);
                let mut p1 = Box::pin(begun).await.unwrap();
                let made = p1.prepare(&task, model, count, &mut rng_1, &mut end_1).await;
                let mut shares = Vec::new();
                for half in made.unwrap() {
                    let share = online::infer_p1(&task, half, model, None, &mut end_1).await;
                    shares.push(share.unwrap());
                }
                shares
            }
        )
    });
    for ((share_0, share_1), answer) in shares_0.iter().zip(&shares_1).zip(answers) {
        let opened = share_0.iter().zip(&**share_1).map(|(a, b)| a.wrapping_add(*b));
        assert!(opened.eq(answer.iter().copied()), "{}: another answer", model.name);
    }
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
    same_without_a_dealer(&model, &windows, &answers);
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
    same_without_a_dealer(&model, &few, &answers);
    for (answer, float) in answers.iter().zip(logits.rows()) {
        for (found, float) in model.decode(answer).iter().zip(float) {
            // Gates cost 0.2 % of the size of answers, which go up to 36.
            assert!((found - float).abs() < 0.1, "{found} where float says {float}");
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
    let answers = exact(model.clone(), &images).await;
    same_without_a_dealer(&model, &images, &answers);
    let right = |(answer, label): &(&Vec<u32>, &f32)| {
        largest(answer).is_some_and(|class| (class as f32 - **label).abs() < 0.5)
    };
    let correct = answers.iter().zip(labels.values()).filter(right).count();
    // 98.9 % in float, and at most 0.2 points away from it.
    assert!((987..=991).contains(&correct), "{correct} of 1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn activations_that_are_no_relu() {
    let Some(data) = sharelet_testkit::shared_data() else { return };
    let faults = data.join("faults");
    let readings = Readings::load(&faults.join("gauss64.npy"), ReadOptions::default()).unwrap();
    let model = import(&faults.join("torch_two_tanh.onnx"), &readings);
    let few = first(20, &readings);
    let answers = exact(model.clone(), &few).await;
    same_without_a_dealer(&model, &few, &answers);
}
