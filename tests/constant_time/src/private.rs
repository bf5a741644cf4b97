//! Gates of a private model without a dealer: both parties. What is encrypted is watched by itself.

use embassy_futures::block_on;
use embassy_futures::join::join;
use sharelet_alone::{P0, P1, Task, online};
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::shape::Shape;
use sharelet_model::Model;
use sharelet_prepare::FieldBits;

use crate::alone;
use crate::line::Line;
use crate::secret::{Secrets, public};

const WIDTH: u16 = 7;

/// A network whose weights are public: gates of three levels of merges and of two, a ReLU without a
/// shift, and a truncation.
fn model() -> Model {
    let gate = |shift: u8, gate_bits, activation| Layer {
        shape: Shape::Identity { width: WIDTH },
        weight_frac_bits: shift,
        skip: None,
        shift,
        gate_bits,
        activation,
    };
    let layers = [
        gate(3, 20, Activation::Relu),
        gate(1, 12, Activation::Identity),
        gate(0, 32, Activation::Relu),
        gate(12, 32, Activation::Relu),
    ];
    let network = Network::new(8, 1 << 12, &layers).expect("a network");
    let biases = vec![vec![0; WIDTH.into()]; layers.len()];
    let weights = vec![Vec::new(); layers.len()];
    Model { network, weights, biases, labels: Vec::new(), scores: None, name: "watched".to_owned() }
}

pub fn gates() {
    let model = model();
    let task = Task::new(model.network.clone()).expect("a task");
    let mut secrets = Secrets::new(61);
    let mut words = || secrets.words(WIDTH.into());
    let (input, share) = (words(), words());
    let own: Vec<u32> = input.iter().zip(&share).map(|(x, s)| x.wrapping_sub(*s)).collect();
    let ([mut line_0, mut line_1], field) = (<[Line; 2]>::from(Line::pair()), FieldBits::Two);
    let [mut rng_0, mut rng_1] = [62, 63].map(Secrets::new);
    let [kept_0, kept_1] = alone::kept();
    let (answer_0, answer_1) = block_on(join(
        async {
            let begun = P0::begin(&task, (kept_0, field), &mut rng_0, &mut line_0).await;
            let made = begun.expect("a session").prepare(&task, 1, &mut rng_0, &mut line_0).await;
            let half = made.expect("an honest peer").pop().expect("a half");
            online::infer_p0(&task, half, &own, &mut line_0).await.expect("an answer")
        },
        async {
            let begun = P1::begin(&task, (kept_1, field), &mut rng_1, &mut line_1).await;
            let mut party = begun.expect("a session");
            let made = party.prepare(&task, &model, 1, &mut rng_1, &mut line_1).await;
            let half = made.expect("an honest peer").pop().expect("a half");
            online::infer_p1(&task, half, &model, Some(&share), &mut line_1)
                .await
                .expect("an answer")
        },
    ));
    // The answer is compared here alone, with the twin's.
    let expected = model.infer(&public(input)).expect("an answer");
    let [answer_0, answer_1] = [answer_0.to_vec(), answer_1.to_vec()].map(public::<u32, Vec<u32>>);
    let found: Vec<u32> = answer_0.iter().zip(&answer_1).map(|(a, b)| a.wrapping_add(*b)).collect();
    assert_eq!(found, expected);
}
