//! Tables whose columns differ in size: each gets a scale of its own where one for all is not
//! enough, and what is accepted is answered as well as the report says.

use sharelet_core::session::network::MAX_COLUMNS;
use sharelet_core::shape::Shape;
use sharelet_import::columns::quantise;
use sharelet_import::layer::{Chain, Layer, Map, Skip};
use sharelet_import::quantise::{InputScale, Options, QuantiseError};
use sharelet_import::report::Report;
use sharelet_model::Model;
use sharelet_model::readings::Readings;
use sharelet_testkit::{Rng, printed_seed};

/// Sizes of columns: hundredths to thousands.
const SIZES: [f64; 6] = [4000.0, 0.003, 150.0, 0.2, 31.0, 1.0e6];

fn layer(name: &str, inputs: usize, outputs: usize, weights: Vec<f64>) -> Layer {
    Layer {
        name: name.to_owned(),
        map: Map {
            shape: Shape::Dense { inputs: inputs as u16, outputs: outputs as u16 },
            weights,
        },
        skip: None,
        bias: vec![0.25; outputs],
        relu: true,
        curve: None,
    }
}

/// A network to whose answer every column matters as much: what a table behind a standardisation
/// becomes.
fn chain(rng: &mut Rng, sizes: &[f64], carried: bool) -> Chain {
    let mut weights = |count: usize| (0..count).map(|_| rng.fine_real()).collect::<Vec<_>>();
    let width = sizes.len();
    let by_size = |weights: Vec<f64>| {
        weights.into_iter().enumerate().map(|(at, weight)| weight / sizes[at % width]).collect()
    };
    let mut hidden = layer("hidden", width, 8, by_size(weights(8 * width)));
    let mut last = layer("last", 8, 3, weights(24));
    last.relu = false;
    if carried {
        let shape = Shape::Dense { inputs: width as u16, outputs: 3 };
        last.skip =
            Some(Skip { from: 0, map: Map { shape, weights: by_size(weights(3 * width)) } });
    }
    hidden.bias.fill(0.1);
    Chain {
        name: "table".to_owned(),
        layers: vec![hidden, last],
        left_off: Vec::new(),
        scores: None,
        labels: Vec::new(),
        steps: Vec::new(),
    }
}

fn rows(rng: &mut Rng, sizes: &[f64], count: usize) -> Readings {
    let values = (0..count).flat_map(|_| sizes).map(|size| (size * rng.fine_real()) as f32);
    let values: Vec<f32> = values.collect();
    Readings::new(sizes.len(), values).unwrap()
}

fn import(chain: &Chain, calibration: &Readings, input_scale: InputScale) -> (Model, Report) {
    let options = Options { input_scale, ..Options::default() };
    quantise(chain, calibration, &options).unwrap()
}

/// The largest error of an answer, relative to the size of all.
fn error(chain: &Chain, model: &Model, rows: &Readings) -> f64 {
    let (mut error, mut size) = (0.0, 0.0);
    for row in rows.rows() {
        let answer = model.decode(&model.infer(&model.encode(row).unwrap()).unwrap());
        for (float, fixed) in chain.infer(row).iter().zip(answer) {
            error += (float - f64::from(fixed)).powi(2);
            size += float * float;
        }
    }
    f64::sqrt(error / size)
}

#[test]
fn columns_of_any_size_count_alike() {
    let mut rng = Rng(printed_seed());
    for carried in [false, true] {
        let chain = chain(&mut rng, &SIZES, carried);
        let calibration = rows(&mut rng, &SIZES, 300);
        let fresh = rows(&mut rng, &SIZES, 200);
        if let Ok((one, report)) = quantise(
            &chain,
            &calibration,
            &Options { input_scale: InputScale::One, ..Options::default() },
        ) {
            println!("one scale: {}", report.error);
            assert!(one.network.input_exponents().is_empty());
            assert!(report.error > 0.01, "one scale would do: {}", report.error);
        }
        let (model, report) = import(&chain, &calibration, InputScale::Auto);
        println!("{report}");
        assert_eq!(model.network.input_exponents().len(), SIZES.len());
        assert_eq!(report.input_exponents, model.network.input_exponents());
        assert!(report.is_proved() && report.error < 0.003, "{}", report.error);
        let found = error(&chain, &model, &fresh);
        assert!(found <= 1.5 * report.error.max(report.levels[1].error), "{found}");
        // Every column has its limit, twice what was calibrated with and at most four times.
        let limits = model.input_limits();
        for (column, (&limit, size)) in limits.iter().zip(SIZES).enumerate() {
            let largest =
                calibration.rows().fold(0.0_f64, |all, row| all.max(row[column].abs().into()));
            assert!((1.9 * largest..4.1 * size).contains(&limit), "{column}: {limit} of {largest}");
            let mut row = [0.0_f32; 6];
            row[column] = (0.999 * limit) as f32;
            let ends = Readings::new(6, row.to_vec()).unwrap();
            assert!(error(&chain, &model, &ends) < 0.01, "{column}");
            row[column] = (1.001 * limit) as f32;
            assert!(model.encode(&row).is_err(), "{column}");
        }
        // The corners of what is accepted.
        let corners: Vec<f32> = (0..64 * 6)
            .map(|at| limits[at % 6] * if ((at / 6) >> (at % 6)) & 1 == 0 { 0.999 } else { -0.999 })
            .map(|value| value as f32)
            .collect();
        let corners = Readings::new(6, corners).unwrap();
        let found = error(&chain, &model, &corners);
        assert!(found <= report.unlike.max(0.003), "{found}, printed {}", report.unlike);
    }
}

#[test]
fn a_column_that_is_always_zero_may_become_as_large_as_the_middle_one() {
    let mut rng = Rng(printed_seed());
    let chain = chain(&mut rng, &SIZES, false);
    let mut values = rows(&mut rng, &SIZES, 100).values().to_vec();
    values.iter_mut().skip(1).step_by(6).for_each(|value| *value = 0.0);
    let calibration = Readings::new(6, values).unwrap();
    let (model, _) = import(&chain, &calibration, InputScale::Each);
    let limits = model.input_limits();
    let mut others: Vec<f64> = [0, 2, 3, 4, 5].map(|column| limits[column]).into();
    others.sort_by(f64::total_cmp);
    assert!((others[2] * 0.49..others[2] * 2.01).contains(&limits[1]), "{limits:?}");
}

/// A column of identifiers, far beyond what an exponent brings down, costs the others nothing; and
/// neither does one of next to nothing.
#[test]
fn columns_beyond_all_exponents_take_the_nearest() {
    let mut rng = Rng(printed_seed());
    for far in [1e-19, 1e20] {
        let sizes = [0.01, 1000.0, 1.0, far, 20.0, 300.0];
        let chain = chain(&mut rng, &sizes, false);
        let calibration = rows(&mut rng, &sizes, 200);
        let (model, report) = import(&chain, &calibration, InputScale::Auto);
        assert_eq!(model.network.input_exponents().len(), 6, "{far}");
        assert!(report.error < 0.01, "{far}: {}", report.error);
    }
}

/// Each refusal names its cause.
#[test]
fn what_has_no_scale_each_is_told_why() {
    let mut rng = Rng(printed_seed());
    let each = Options { input_scale: InputScale::Each, ..Options::default() };
    let chain = chain(&mut rng, &SIZES, false);
    let zeros = Readings::new(6, vec![0.0; 60]).unwrap();
    assert!(matches!(quantise(&chain, &zeros, &each), Err(QuantiseError::AllZero)));
    let narrow = Readings::new(5, vec![1.0; 50]).unwrap();
    assert!(matches!(
        quantise(&chain, &narrow, &each),
        Err(QuantiseError::Width { expected: 6, found: 5 })
    ));
}

#[test]
fn one_scale_stays_where_it_is_enough_and_where_it_is_asked_for() {
    let mut rng = Rng(printed_seed());
    let alike = [1.0, 0.5, 0.9, 2.0];
    let even = chain(&mut rng, &alike, false);
    let calibration = rows(&mut rng, &alike, 200);
    let (auto, _) = import(&even, &calibration, InputScale::Auto);
    let (one, _) = import(&even, &calibration, InputScale::One);
    assert!(auto == one && one.network.input_exponents().is_empty());
    let (each, report) = import(&even, &calibration, InputScale::Each);
    assert_eq!(each.network.input_exponents().len(), 4);
    assert!(report.error < 0.003);
    // More columns than a description has room for.
    let many = vec![1.0; MAX_COLUMNS + 1];
    let wide = chain(&mut rng, &many, false);
    let calibration = rows(&mut rng, &many, 20);
    let options = Options { input_scale: InputScale::Each, ..Options::default() };
    let refused = quantise(&wide, &calibration, &options).unwrap_err();
    assert!(matches!(refused, QuantiseError::NoColumns));
}
