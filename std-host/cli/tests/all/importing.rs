//! `sharelet import`: it writes last, and says what is wrong.

use std::path::Path;

use sharelet_cli::answers::Labels;
use sharelet_cli::import::{ImportArgs, Scale, run};
use sharelet_import::{GraphError, ImportError};
use sharelet_model::readings::{Fault, ReadingsError};
use sharelet_model::{Model, ModelError};
use sharelet_testkit::onnx::{bytes, encoded, model, node, tensor, value};
use sharelet_testkit::{assert_matches, says};

fn args(model: &Path, calibrate: &Path, output: &Path) -> ImportArgs {
    ImportArgs {
        model: model.into(),
        calibrate: calibrate.into(),
        out: output.into(),
        output: None,
        force: false,
        headroom_bits: 1,
        input_frac_bits: None,
        input_scale: Scale::Auto,
        frac_bits: None,
        gate_bits: None,
        max_error: 0.2,
        divide: None,
        labels: None,
        name: None,
    }
}

#[test]
fn the_command_writes_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let gemm = || vec![node("MatMul", &["x", "w"], "y")];
    let w = |value: f32| vec![tensor("w", &[2, 2], &[value, 1.0, 1.0, 1.0])];
    std::fs::write(path("good.onnx"), bytes(2, gemm(), w(1.0))).unwrap();
    std::fs::write(path("nan.onnx"), bytes(2, gemm(), w(f32::NAN))).unwrap();
    std::fs::write(
        path("bad.onnx"),
        bytes(2, vec![node("Det", &["x"], "e"), node("Sin", &["e"], "y")], vec![]),
    )
    .unwrap();
    std::fs::write(path("cut.onnx"), &bytes(2, gemm(), w(1.0))[..40]).unwrap();
    std::fs::write(path("cut.tflite"), b"\x10\0\0\0TFL3\0\0").unwrap();
    std::fs::write(path("model.pb"), b"").unwrap();
    std::fs::write(path("good.csv"), "1,2\n-3,4\n").unwrap();
    std::fs::write(path("wide.csv"), "1,2,3\n").unwrap();
    std::fs::write(path("nan.csv"), "1,2\n3,nan\n").unwrap();
    let out = path("out.slt");
    let refused = |model: &str, calibrate: &str| {
        let error = run(args(&path(model), &path(calibrate), &out)).unwrap_err();
        assert!(!out.exists());
        error
    };
    assert_matches!(
        refused("nan.onnx", "good.csv"),
        ImportError::Graph { source: GraphError::NotFinite { .. }, .. }
    );
    let error = refused("bad.onnx", "good.csv");
    says(&error, "Det `Det_e`");
    says(&error, "Sin `Sin_y`");
    for cut in ["cut.onnx", "cut.tflite"] {
        assert_matches!(
            refused(cut, "good.csv"),
            ImportError::Graph { source: GraphError::Corrupt { .. }, .. }
        );
    }
    assert!(matches!(refused("model.pb", "good.csv"), ImportError::UnknownFormat { .. }));
    assert!(matches!(refused("missing.onnx", "good.csv"), ImportError::Io { .. }));
    assert_matches!(
        refused("good.onnx", "wide.csv"),
        ImportError::Readings(ReadingsError::File { fault: Fault::RowLength { line: 1, .. }, .. })
    );
    says(&refused("good.onnx", "nan.csv"), "line 2, column 2");
    let labelled = |labels: &str| {
        let labels = Some(Labels::parse(labels).unwrap());
        ImportArgs { labels, force: true, ..args(&path("good.onnx"), &path("good.csv"), &out) }
    };
    assert_matches!(
        run(labelled("one,two,three")).unwrap_err(),
        ImportError::Model(ModelError::Labels { expected: 2, found: 3 })
    );
    let names = path("names.txt");
    std::fs::write(&names, "one\n").unwrap();
    assert_matches!(
        run(labelled(names.to_str().unwrap())).unwrap_err(),
        ImportError::Model(ModelError::Labels { expected: 2, found: 1 })
    );
    assert!(!out.exists());
    let labels = |labels: &str| {
        run(labelled(labels)).unwrap();
        let model = Model::load(&out).unwrap();
        assert_eq!(model.name, "good");
        model.labels
    };
    std::fs::write(&names, "state one\r\ntwo, or so\n").unwrap();
    assert_eq!(labels(names.to_str().unwrap()), ["state one", "two, or so"]);
    assert_eq!(labels("one, two"), ["one", "two"]);
    // A model that exists survives a failed import, and one without --force.
    let before = std::fs::read(&out).unwrap();
    let again =
        |model: &str, force| ImportArgs { force, ..args(&path(model), &path("good.csv"), &out) };
    run(again("nan.onnx", true)).unwrap_err();
    let error = run(again("good.onnx", false)).unwrap_err();
    says(&error, "exists already; choose another name, or replace it with --force");
    assert_eq!(std::fs::read(&out).unwrap(), before);
    run(again("good.onnx", true)).unwrap();
    assert_ne!(std::fs::read(&out).unwrap(), before, "the labels are gone");
}

/// Of several outputs one is chosen by name; any other value can be the answer, too.
#[test]
fn the_answer_is_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let nodes = vec![
        node("MatMul", &["x", "w"], "hidden"),
        node("Relu", &["hidden"], "relu"),
        node("MatMul", &["relu", "w"], "y"),
        node("MatMul", &["relu", "w"], "z"),
    ];
    let mut file = model(2, nodes, vec![tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    file.graph.as_mut().unwrap().output.push(value("z", 2));
    std::fs::write(path("two.onnx"), encoded(&file)).unwrap();
    std::fs::write(path("good.csv"), "1,2\n-3,4\n").unwrap();
    let with = |name: &str| {
        let given = args(&path("two.onnx"), &path("good.csv"), &path("out.slt"));
        run(ImportArgs { output: Some(name.into()), force: true, ..given })
    };
    let error = run(args(&path("two.onnx"), &path("good.csv"), &path("out.slt"))).unwrap_err();
    says(&error, "2 outputs where one is expected: `y`, `z`; choose one with --output NAME");
    says(&with("w").unwrap_err(), "`w`; its outputs are `y`, `z`");
    for (name, layers) in [("y", 2), ("z", 2), ("hidden", 1), ("relu", 1)] {
        with(name).unwrap();
        let network = Model::load(&path("out.slt")).unwrap().network;
        assert_eq!(network.layers().len(), layers, "{name}");
    }
}
