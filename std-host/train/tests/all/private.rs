//! Training steps between two servers, against the plaintext twin.
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::functions::engine::Truncation;
use sharelet_train::config::{self, Arithmetic};
use sharelet_train::loss::{Sums, Wanted};
use sharelet_train::model::Model;
use sharelet_train::network::{Layer, Loss, Network, Shape, Window};
use sharelet_train::serving::Serving;
use sharelet_train::step::{OpenData, Step};
use sharelet_train::tensor::local::{Local, Outputs, Parts};
use sharelet_train::tensor::{self, Masked, offline};
use sharelet_train::update::Rates;

pub const F: u32 = 20;
pub const BATCH: usize = 6;

fn window(kernel: (usize, usize), stride: usize, padding: usize) -> Window {
    Window { kernel, stride: (stride, stride), padding: (padding, padding) }
}

/// Small networks that have every layer and every loss between them.
pub fn networks() -> Vec<(&'static str, Network)> {
    use Layer::{AveragePool, BatchNorm, Convolution, Dense, MaxPool, Relu};
    let image = Shape { channels: 2, height: 8, width: 7 };
    let convolution = |filters, kernel, stride, padding| Convolution {
        filters,
        window: window(kernel, stride, padding),
    };
    let dense = |outputs| Dense { outputs };
    let vector = Shape::vector;
    let networks = [
        ("linear regression", vector(5), vec![dense(1)], Loss::SquaredError),
        ("logistic regression", vector(5), vec![dense(1)], Loss::Logistic),
        ("support vectors", vector(5), vec![dense(1)], Loss::Hinge),
        (
            "perceptron",
            vector(9),
            vec![dense(7), Relu, dense(4), Relu, dense(3)],
            Loss::CrossEntropy,
        ),
        (
            "max-pools",
            image,
            vec![
                convolution(3, (3, 2), 1, 1),
                MaxPool(window((3, 3), 2, 0)),
                Relu,
                convolution(2, (2, 2), 1, 0),
                Relu,
                MaxPool(window((1, 2), 1, 0)),
                dense(3),
            ],
            Loss::SquaredError,
        ),
        (
            "average pools",
            image,
            vec![
                AveragePool(window((2, 2), 1, 0)),
                convolution(3, (2, 2), 2, 0),
                AveragePool(window((3, 1), 1, 0)),
                Relu,
                dense(4),
            ],
            Loss::CrossEntropy,
        ),
        (
            "batch normalisations",
            image,
            vec![
                convolution(3, (3, 3), 2, 1),
                BatchNorm,
                Relu,
                convolution(2, (2, 2), 1, 0),
                MaxPool(window((2, 2), 2, 0)),
                Relu,
                BatchNorm,
                dense(4),
                BatchNorm,
                Relu,
                dense(3),
            ],
            Loss::CrossEntropy,
        ),
    ];
    networks.map(|(name, input, layers, loss)| (name, Network { input, layers, loss })).into()
}

pub struct Data {
    pub inputs: Vec<u64>,
    pub targets: Vec<u64>,
    pub model: Model,
}

fn signed(rng: &mut ChaCha20Rng, bits: u32) -> u64 {
    (rng.next_u64() >> (63 - bits)).wrapping_sub(1 << bits)
}

pub fn data(network: &Network, momentum: bool, rng: &mut ChaCha20Rng) -> Data {
    let outputs = network.shapes().unwrap().last().unwrap().elems();
    let mut model = Model::zeros(network, momentum).unwrap();
    model.words_mut().for_each(|word| *word = signed(rng, F - 1));
    // Variances from a half to three halves.
    for layer in &mut model.parameters {
        let means = layer.statistics.len() / 2;
        let variances = layer.statistics.iter_mut().skip(means);
        variances.for_each(|word| *word = word.wrapping_add(1 << F));
    }
    let inputs = (0..BATCH * network.input.elems()).map(|_| signed(rng, F)).collect();
    let mut targets = vec![0; BATCH * outputs];
    for row in targets.chunks_mut(outputs) {
        let class = usize::try_from(rng.next_u32() >> 1).unwrap() % outputs.max(2);
        if class < outputs {
            row[class] = 1 << F;
        }
    }
    Data { inputs, targets, model }
}

pub fn split(words: &[u64], rng: &mut ChaCha20Rng) -> [Vec<u64>; 2] {
    let share: Vec<u64> = words.iter().map(|_| rng.next_u64()).collect();
    [share.clone(), words.iter().zip(share).map(|(word, share)| word.wrapping_sub(share)).collect()]
}

pub fn open(shares: [&[u64]; 2]) -> Vec<u64> {
    shares[0].iter().zip(shares[1]).map(|(a, b)| a.wrapping_add(*b)).collect()
}

pub const WANTED: Wanted = Wanted { loss: true, correct: true, output_bits: Some(30) };

/// What steps are made with: a rate that is multiplied by, one that only shifts, and momentum with
/// decay.
pub const RATES: [Rates; 3] = [
    Rates { rate: 700, rate_bits: 14, momentum: 0, decay: 0, ratio: 1, ratio_bits: 0 },
    Rates { rate: 1, rate_bits: 5, momentum: 0, decay: 1 << (F - 5), ratio: 1, ratio_bits: 0 },
    Rates {
        rate: 700,
        rate_bits: 14,
        momentum: (9 << F) / 10,
        decay: 1 << (F - 5),
        ratio: 5,
        ratio_bits: 1,
    },
];

/// Steps of the twin: the model, and the sums of the last step.
pub fn twin(
    network: &Network,
    data: &Data,
    steps: usize,
    rates: Rates,
    truncation: Truncation,
) -> (Vec<u64>, Sums) {
    let (mut model, mut sums) = (data.model.clone(), Sums::default());
    for _ in 0..steps {
        let mut open = OpenData { inputs: data.inputs.clone() };
        let (inputs, ..) = offline::run(&mut open, tensor::twin(truncation)).unwrap();
        let batch = (inputs, data.targets.clone());
        let mut step = Step::new(network, F, &mut model, batch, rates, WANTED).unwrap();
        sums = offline::run(&mut step, tensor::twin(truncation)).unwrap().0;
    }
    (model.words().copied().collect(), sums)
}

/// The same between two servers.
fn private(
    network: &Network,
    data: &Data,
    steps: usize,
    rates: Rates,
    truncation: Truncation,
    seed: u8,
) -> (Vec<u64>, Sums) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut servers = Local::new(ChaCha20Rng::from_seed([seed ^ 0xff; 32]), truncation);
    let mut models = [data.model.clone(), data.model.clone()];
    let words: Vec<u64> = data.model.words().copied().collect();
    for (model, share) in models.iter_mut().zip(split(&words, &mut rng)) {
        model.words_mut().zip(share).for_each(|(word, share)| *word = share);
    }
    let targets = split(&data.targets, &mut rng);
    let inputs = split(&data.inputs, &mut rng);
    let [sizes, dealer] = [(); 2].map(|()| OpenData { inputs: vec![0; data.inputs.len()] });
    let opened = servers
        .run(Parts { sizes, dealer, parties: inputs.map(|inputs| OpenData { inputs }) })
        .unwrap()
        .0;
    let mut sums = Sums::default();
    // The data is opened once; every step takes its rows, in another order.
    for step in 0..steps {
        let rows: Vec<usize> = (0..BATCH).map(|row| (row + step) % BATCH).collect();
        let columns = network.input.elems();
        let pick = |opened: &Masked| opened.rows(columns, &rows);
        let outputs = data.targets.len() / BATCH;
        let of = |targets: &[u64]| {
            rows.iter().flat_map(|row| targets[row * outputs..][..outputs].to_vec()).collect()
        };
        let mut zeros = [data.model.clone(), data.model.clone()];
        let ([model_0, model_1], [zeros_0, zeros_1]) = (&mut models, &mut zeros);
        let new = |model, opened, targets| {
            Step::new(network, F, model, (opened, targets), rates, WANTED).unwrap()
        };
        let parts = Parts {
            sizes: new(zeros_0, pick(&opened.dealer), vec![0; data.targets.len()]),
            dealer: new(zeros_1, pick(&opened.dealer), vec![0; data.targets.len()]),
            parties: [
                new(model_0, pick(&opened.parties[0]), of(&targets[0])),
                new(model_1, pick(&opened.parties[1]), of(&targets[1])),
            ],
        };
        let (Outputs { parties: [sums_0, sums_1], .. }, taken) = servers.run(parts).unwrap();
        assert_eq!(taken.sent.bytes, taken.plan.usage.online_bytes);
        assert_eq!(taken.sent.messages, taken.plan.usage.messages);
        sums = sums_0;
        sums.add(sums_1);
    }
    let [words_0, words_1] = models.map(|model| model.words().copied().collect::<Vec<u64>>());
    (open([&words_0, &words_1]), sums)
}

/// The largest distance of two vectors, in units.
pub fn distance(a: &[u64], b: &[u64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b).cast_signed().unsigned_abs()).max().unwrap()
}

/// Three steps of every network, with all rates, and by other randomness: what is found, and the
/// twin's.
fn beside_the_twin(truncation: Truncation, check: impl Fn(&str, (&[u64], Sums), (&[u64], Sums))) {
    for (name, network) in networks() {
        for rates in RATES {
            let data = data(&network, rates.momentum > 0, &mut ChaCha20Rng::from_seed([7; 32]));
            let (expected, expected_sums) = twin(&network, &data, 3, rates, truncation);
            for seed in 0..3 {
                let (found, sums) = private(&network, &data, 3, rates, truncation, seed);
                let about = format!("{name}, {rates:?}, seed {seed}");
                check(&about, (&found, sums), (&expected, expected_sums));
            }
        }
    }
}

/// Exact truncation leaves nothing to chance.
#[test]
fn exact_steps_are_those_of_the_twin() {
    beside_the_twin(Truncation::Exact, |about, (found, sums), (expected, twin)| {
        assert!(found == expected, "{about}: {} units", distance(found, expected));
        assert_eq!((sums.loss, sums.correct), (twin.loss, twin.correct), "{about}");
    });
}

/// Truncation by one unit moves weights by a few units per step. Where batches are normalised, it
/// is a unit of a deviation, which has 15 fraction bits and not 20, over the deviation of six rows.
#[test]
fn cheap_steps_are_near_the_twin() {
    beside_the_twin(Truncation::OneUnit, |about, (found, sums), (expected, twin)| {
        let allowed = if about.starts_with("batch") { 1 << 16 } else { 400 };
        let units = distance(found, expected);
        assert!(units < allowed, "{about}: {units} units");
        assert_eq!(sums.correct >> F, twin.correct >> F, "{about}");
        let units = distance(&[sums.loss], &[twin.loss]);
        assert!(units < allowed, "{about}: a loss {units} units away");
    });
}

/// Rows may be asked with all values that data to train on may have; what is compared first takes
/// less. A model that scales labels back has fewer fraction bits to choose from.
#[test]
fn questions_are_as_large_as_data_to_train_on() {
    let network = |layers: Vec<Layer>| Network {
        input: Shape::vector(3),
        layers: [layers, vec![Layer::Dense { outputs: 2 }]].concat(),
        loss: Loss::SquaredError,
    };
    let serving = |network: &Network, frac_bits, standardised| {
        let arithmetic = Arithmetic { frac_bits, truncation: config::Truncation::Exact };
        Serving::new(network.clone(), arithmetic, standardised)
    };
    let limit = |network, frac_bits, standardised| {
        serving(network, frac_bits, standardised).unwrap().input_limit()
    };
    let (dense, relu) = (network(vec![]), network(vec![Layer::Relu]));
    assert_eq!((limit(&dense, 20, 0), limit(&relu, 20, 0)), (4096, 2047));
    for (frac_bits, expected) in [(16, 1 << 27), (20, 1 << 23), (24, 1 << 19)] {
        assert_eq!(limit(&dense, frac_bits, 3), expected);
    }
    assert!(serving(&dense, 22, 5).is_ok());
    for frac_bits in [19, 23] {
        let refused = serving(&dense, frac_bits, 5).expect_err("labels").to_string();
        assert!(refused.contains("standardised labels") && refused.contains("20 to 22"));
    }
}

#[test]
fn answers_are_those_of_the_twin() {
    for (name, network) in networks() {
        let data = data(&network, false, &mut ChaCha20Rng::from_seed([9; 32]));
        let truncation = Truncation::Exact;
        let arithmetic = Arithmetic { frac_bits: F, truncation: config::Truncation::Exact };
        let serving = Serving::new(network.clone(), arithmetic, 0).unwrap();
        let mut whole = serving.open(&data.model, &[]);
        let weights = offline::run(&mut whole, tensor::twin(truncation)).unwrap().0;
        let mut evaluate = serving.evaluate(&weights, data.inputs.clone()).unwrap();
        let expected = offline::run(&mut evaluate, tensor::twin(truncation)).unwrap().0;

        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let mut servers = Local::new(ChaCha20Rng::from_seed([4; 32]), truncation);
        // One server owns the model: the other's shares are zero.
        let models = [Model::zeros(&network, false).unwrap(), data.model.clone()];
        let zeros = Model::zeros(&network, false).unwrap();
        let [open_0, open_1, sizes, dealer] =
            [&models[0], &models[1], &zeros, &zeros].map(|model| serving.open(model, &[]));
        let opened = servers.run(Parts { sizes, dealer, parties: [open_0, open_1] }).unwrap().0;
        // Multiplied ahead or not, the answer is the same.
        for foreseen in [false, true] {
            let inputs = split(&data.inputs, &mut rng);
            let without_data =
                |opened| serving.evaluate(opened, vec![0; data.inputs.len()]).unwrap();
            let [sizes, dealer] = [(); 2].map(|()| without_data(&opened.dealer));
            let ahead = foreseen.then(|| opened.parties.each_ref().map(without_data));
            let [inputs_0, inputs_1] = inputs;
            let parties = [
                serving.evaluate(&opened.parties[0], inputs_0).unwrap(),
                serving.evaluate(&opened.parties[1], inputs_1).unwrap(),
            ];
            let parts = Parts { sizes, dealer, parties };
            let found = servers.run_foreseen(parts, ahead).unwrap().0.parties;
            let found = open([&found[0].words, &found[1].words]);
            assert_eq!(found, expected.words, "{name}, foreseen: {foreseen}");
        }
    }
}
