//! Small files that were once read wrongly or refused for the wrong reason, and the right answers.

use std::path::{Path, PathBuf};

use sharelet_import::columns::quantise;
use sharelet_import::layer::Chain;
use sharelet_import::quantise::Options;
use sharelet_import::{GraphError, ImportError, onnx, read, read_output, tflite, walk};
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::graphs::{evaluate, numbered};
use sharelet_testkit::{Rng, assert_matches, says, shared_data};

fn faults() -> Option<PathBuf> {
    shared_data().map(|data| data.join("faults"))
}

fn load(path: &Path) -> Readings {
    Readings::load(path, ReadOptions::default()).unwrap()
}

/// The model that a chain becomes answers as the chain does, within what the report says.
fn check(name: &str, chain: &Chain, readings: &Readings) {
    let (model, report) = quantise(chain, readings, &Options::default()).unwrap();
    assert!(report.error < 0.01, "{name}: {report}");
    for reading in readings.rows().take(50) {
        let answer = model.decode(&model.infer(&model.encode(reading).unwrap()).unwrap());
        for (float, fixed) in chain.infer(reading).iter().zip(answer) {
            let off = (float - f64::from(fixed)).abs();
            assert!(off <= report.largest_error + 1e-6, "{name}: {off}\n{report}");
        }
    }
}

/// What a file is imported as, held against the definitions of its graph's nodes.
fn imported(faults: &Path, name: &str, readings: &Readings) -> Chain {
    let (path, bytes) = (faults.join(name), std::fs::read(faults.join(name)).unwrap());
    let chain = read(&path).unwrap_or_else(|error| panic!("{error}"));
    let graph = match name.ends_with(".onnx") {
        true => onnx::read(&bytes, Some(faults)),
        false => tflite::read(&bytes),
    };
    // Without the functions that are left to the recipient.
    let mut graph = graph.unwrap();
    graph.output = walk::answer(&graph).unwrap().value;
    let graph = numbered(&graph);
    for reading in readings.rows().take(10) {
        let expected = evaluate(&graph, reading);
        assert_eq!(chain.infer(reading).len(), expected.len(), "{name}");
        for (found, expected) in chain.infer(reading).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{name}");
        }
    }
    check(name, &chain, readings);
    chain
}

/// Every reason is named in one refusal.
#[track_caller]
fn refused(faults: &Path, name: &str, parts: &[&str]) {
    let error = read(&faults.join(name)).expect_err(name);
    let ImportError::Graph { source, .. } = &error else { panic!("{error}") };
    assert_matches!(source, GraphError::Unsupported(nodes) if nodes.len() == parts.len() / 2);
    parts.iter().for_each(|part| says(&error, part));
}

#[test]
fn constants_are_computed_when_a_file_is_read() {
    let Some(faults) = faults() else { return };
    let readings = load(&faults.join("gauss8.npy"));
    let half = imported(&faults, "cast_f16_weights.onnx", &readings);
    assert_eq!((half.layers.len(), half.layers[0].map.weights.len()), (1, 24));
    let joined = imported(&faults, "concat_weights.onnx", &readings);
    assert_eq!((joined.layers.len(), joined.layers[0].outputs()), (1, 5));
    // The first weights of each row are those of the first part.
    let bytes = std::fs::read(faults.join("concat_weights.onnx")).unwrap();
    let first: Vec<f32> = bytes.windows(96).find_map(|raw| parts_of(raw, &joined)).unwrap();
    assert_eq!(first.len(), 24);
}

/// The raw numbers, if they are the first three columns of a chain's transposed weights.
fn parts_of(raw: &[u8], chain: &Chain) -> Option<Vec<f32>> {
    let (words, _) = raw.as_chunks();
    let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    let weights = &chain.layers[0].map.weights;
    let is_it = values
        .iter()
        .enumerate()
        .all(|(index, &value)| weights[index % 3 * 8 + index / 3] == f64::from(value));
    is_it.then_some(values)
}

#[test]
fn padding_is_folded_into_the_convolution_behind_it() {
    let Some(faults) = faults() else { return };
    let chain = imported(&faults, "torch_zeropad.onnx", &load(&faults.join("gauss64.npy")));
    let window = chain.layers[0].map.shape.window().unwrap();
    // One column and one row more, below and right.
    assert_eq!((window.before, window.after, window.outputs()), ((0, 0), (1, 1), (4, 4)));
}

#[test]
fn functions_between_layers_are_computed() {
    let Some(faults) = faults() else { return };
    let chain = imported(&faults, "torch_two_tanh.onnx", &load(&faults.join("gauss64.npy")));
    assert_eq!(chain.layers.iter().filter(|layer| layer.function().is_some()).count(), 2);
}

#[test]
fn whole_weights_with_scales_are_undone() {
    let Some(faults) = faults() else { return };
    let readings = Readings::new(784, Rng(5).reals(784 * 60)).unwrap();
    let chain = imported(&faults, "keras_lenet_dynamic_range.tflite", &readings);
    assert_eq!(chain.layers.last().unwrap().outputs(), 10);
    assert_eq!(chain.left_off, ["SOFTMAX"]);
    assert_eq!(chain.scores, Some(sharelet_model::Scores::Softmax));
    // Every filter has at most 255 values, whole multiples of one scale.
    let layer = chain.layers.iter().find(|layer| layer.map.weights.len() > 1000).unwrap();
    let (_, row) = layer.map.shape.weights();
    let largest = |row: &[f64]| row.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    let whole = largest(&layer.map.weights) / 127.0;
    let is_whole = |scale: f64, values: &[f64]| {
        values.iter().all(|value| ((value / scale).round() - value / scale).abs() < 1e-3)
    };
    let by_row = layer.map.weights.chunks_exact(row).all(|row| is_whole(largest(row) / 127.0, row));
    assert!(by_row || is_whole(whole, &layer.map.weights));
}

#[test]
fn refusals_name_every_node_at_once() {
    let Some(faults) = faults() else { return };
    refused(
        &faults,
        "three_late.onnx",
        &[
            "MaxPool `c`",
            "pads its image",
            "AveragePool `g`",
            "count_include_pad",
            "MaxPool `i`",
            "3 unsupported",
        ],
    );
    refused(
        &faults,
        "keras_gmax_builtin82.tflite",
        &["REDUCE_MAX", "a window of the image's size"],
    );
}

#[test]
fn pipelines_of_scikit_learn_are_imported() {
    let Some(faults) = faults() else { return };
    let mut rng = Rng(3);
    let readings = |rng: &mut Rng, width: usize, about: f32| {
        let values = rng.reals(width * 100).into_iter().map(|value| about * (1.0 + value));
        Readings::new(width, values.collect()).unwrap()
    };
    let four = readings(&mut rng, 4, 3.0);
    let chain = imported(&faults, "skl_mlp_probabilities.onnx", &four);
    // The scaler is folded into the first layer.
    assert_eq!((chain.layers.len(), &chain.left_off[..]), (3, &["Softmax".to_owned()][..]));
    let path = faults.join("skl_mlp_default.onnx");
    let error = read(&path).expect_err("two outputs");
    for part in ["2 outputs", "`label`, `probabilities`", "--output NAME"] {
        says(&error, part);
    }
    let probabilities = read_output(&path, Some("probabilities")).unwrap();
    assert_eq!(probabilities.layers, chain.layers);
    let label = read_output(&path, Some("label")).unwrap();
    assert_eq!(label.layers, chain.layers);
    assert_eq!(label.left_off, ["Softmax", "ArgMax", "ai.onnx.ml.ArrayFeatureExtractor", "Cast"]);
    let hidden = read_output(&path, Some("next_activations")).unwrap();
    assert_eq!((hidden.layers.len(), hidden.layers[0].outputs()), (1, 32));
    let error = read_output(&path, Some("nothing")).expect_err("no such value");
    says(&error, "`nothing`; its outputs are `label`, `probabilities`");
    let error = read_output(&path, Some("coefficient")).expect_err("a constant");
    says(&error, "`coefficient`");

    let chain = imported(&faults, "skl_logreg_second_output.onnx", &readings(&mut rng, 30, 50.0));
    assert_eq!((chain.layers.len(), chain.layers[0].outputs()), (1, 2));
    assert_eq!(chain.left_off, ["LOGISTIC"]);
    let label = read_output(&faults.join("skl_logreg_second_output.onnx"), Some("label")).unwrap();
    assert_eq!((label.layers, &label.left_off[..]), (chain.layers, &["ArgMax".to_owned()][..]));
}
