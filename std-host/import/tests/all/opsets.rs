//! What an ONNX file means in its operator set, in whatever order its nodes are, and with weights
//! in a file beside it.

use std::fs;
use std::path::Path;

use prost::Message as _;
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx_proto::*;
use sharelet_import::{GraphError, ImportError, onnx};
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::onnx::{float, int, ints, model, node, tensor, with};
use sharelet_testkit::{assert_matches, shared_data};

fn read(node: Vec<NodeProto>, constants: Vec<TensorProto>, version: i64) -> Result<Chain, String> {
    let mut file = model(4, node, constants);
    file.opset_import[0].version = version;
    let graph = onnx::read(&file.encode_to_vec(), None);
    graph.and_then(|graph| lower(&graph)).map_err(|error| error.to_string())
}

/// A dense layer, then this node.
fn behind(last: NodeProto, version: i64) -> Result<Chain, String> {
    let matrix: Vec<f32> = (0..16).map(|index| index as f32 * 0.25).collect();
    let vector = |name: &str| tensor(name, &[4], &[1.0, 0.5, 2.0, 3.0]);
    let constants = vec![
        tensor("w", &[4, 4], &matrix),
        vector("c"),
        vector("mean"),
        vector("variance"),
        TensorProto { data_type: INT64, raw_data: vec![0; 8], dims: vec![1], ..vector("axes") },
    ];
    read(vec![node("MatMul", &["x", "w"], "h"), last], constants, version)
}

#[test]
fn attributes_are_read_in_the_sets_that_define_them() {
    let batch_norm = || node("BatchNormalization", &["h", "c", "c", "mean", "variance"], "y");
    let outputs = NodeProto { output: vec!["y".into(), "m".into()], ..batch_norm() };
    let add = || node("Add", &["h", "c"], "y");
    for (last, version, refused) in [
        (add(), 17, None),
        (add(), 6, None),
        (with(add(), vec![int("broadcast", 1)]), 6, None),
        (with(add(), vec![int("broadcast", 1), int("axis", 1)]), 6, Some("`axis`")),
        (with(add(), vec![int("axis", 1)]), 7, Some("no attribute `axis`")),
        (batch_norm(), 9, None),
        (batch_norm(), 17, None),
        (with(batch_norm(), vec![float("epsilon", 0.1)]), 17, None),
        (with(batch_norm(), vec![int("training_mode", 0)]), 17, None),
        (with(batch_norm(), vec![int("training_mode", 1)]), 17, Some("training mode")),
        (with(batch_norm(), vec![int("training_mode", 1)]), 9, Some("no attribute")),
        (outputs, 9, Some("training mode")),
        (batch_norm(), 6, Some("training mode")),
        (with(batch_norm(), vec![int("is_test", 1)]), 6, None),
        (with(batch_norm(), vec![int("is_test", 1)]), 9, Some("no attribute `is_test`")),
        (with(batch_norm(), vec![int("spatial", 0)]), 7, Some("`spatial` is 0")),
        (with(batch_norm(), vec![int("spatial", 1)]), 7, None),
        (node("Dropout", &["h"], "y"), 6, Some("training mode")),
        (with(node("Dropout", &["h"], "y"), vec![int("is_test", 1)]), 6, None),
        (node("Dropout", &["h"], "y"), 10, None),
        (with(node("Dropout", &["h"], "y"), vec![float("ratio", 0.5)]), 13, Some("`ratio`")),
        (with(node("Clip", &["h"], "y"), vec![float("min", 0.0)]), 6, None),
        (with(node("Clip", &["h"], "y"), vec![float("min", 0.0)]), 11, Some("`min`")),
        (with(node("Squeeze", &["h"], "y"), vec![ints("axes", &[1])]), 13, Some("`axes`")),
        (node("Relu", &["h"], "y"), 29, Some("operator set 29; known are 1 to 28")),
        (node("Relu", &["h"], "y"), 0, Some("operator set 0")),
        (node("Relu", &["h"], "y"), 28, None),
    ] {
        let shown = format!("{last:?} in {version}");
        match (behind(last, version), refused) {
            (Ok(_), None) => {}
            (Err(error), Some(what)) => assert!(error.contains(what), "{shown}: {error}"),
            (found, _) => panic!("{shown}: {found:?}"),
        }
    }
}

#[test]
fn the_order_of_nodes_does_not_matter() {
    let matrix: Vec<f32> = (0..16).map(|index| index as f32 * 0.25).collect();
    let constants = || vec![tensor("w", &[4, 4], &matrix)];
    let nodes = || {
        vec![
            node("MatMul", &["x", "w"], "a"),
            node("Relu", &["a"], "b"),
            node("Identity", &["w"], "v"),
            node("MatMul", &["b", "v"], "y"),
        ]
    };
    let straight = read(nodes(), constants(), 17).unwrap();
    let reversed = read(nodes().into_iter().rev().collect(), constants(), 17).unwrap();
    assert_eq!(straight, reversed);
}

/// A file with so many tensors in another file, in a folder.
fn elsewhere(
    folder: &Path,
    entries: &[(&str, &str)],
    tensors: usize,
) -> Result<Chain, ImportError> {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let external_data: Vec<StringStringEntryProto> = entries.iter().map(entry).collect();
    let weights = |index: usize| {
        let name = if index == 0 { "w".to_owned() } else { format!("w{index}") };
        let external_data = external_data.clone();
        TensorProto { data_location: EXTERNAL, external_data, ..tensor(&name, &[4, 2], &[]) }
    };
    let path = folder.join("model.onnx");
    let weights = (0..tensors).map(weights).collect();
    let file = model(4, vec![node("MatMul", &["x", "w"], "y")], weights);
    fs::write(&path, file.encode_to_vec()).unwrap();
    sharelet_import::read(&path)
}

#[test]
fn weights_beside_the_model_are_read_from_its_folder_alone() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir(&folder).unwrap();
    let values: Vec<u8> = (0..8).flat_map(|index| (index as f32).to_le_bytes()).collect();
    fs::write(folder.join("weights.bin"), &values).unwrap();
    fs::write(outer.path().join("secret.bin"), &values).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.bin", folder.join("link.bin")).unwrap();

    let chain = elsewhere(&folder, &[("location", "weights.bin")], 1).unwrap();
    assert_eq!(chain.infer(&[1.0, 0.0, 0.0, 0.0]), [0.0, 1.0]);
    let whole = [("location", "weights.bin"), ("offset", "0"), ("length", "32")];
    assert_eq!(elsewhere(&folder, &whole, 1).unwrap(), chain);
    let error = elsewhere(&folder, &whole, 2).expect_err("twice the file").to_string();
    assert!(error.contains("holds less than the tensors in it together"), "{error}");
    for (entries, says) in [
        (&[("location", "gone.bin")][..], "copy it beside the model"),
        (&[("location", "../secret.bin")], "not within the model's folder"),
        (&[("location", "/etc/passwd")], "not within the model's folder"),
        (&[("location", "")], "not within the model's folder"),
        (&[("location", "link.bin")], "leads out of the model's folder"),
        (&[], "no file is named"),
        (&[("location", "weights.bin"), ("length", "36")], "holds 32 bytes, too few"),
        (&[("location", "weights.bin"), ("offset", "40")], "holds 32 bytes, too few"),
        (&[("location", "weights.bin"), ("offset", "18446744073709551615")], "too few"),
        (&[("location", "weights.bin"), ("offset", "-1")], "offset `-1`"),
        (&[("location", "weights.bin"), ("length", "28")], "belongs to another model"),
        (&[("location", "weights.bin"), ("offset", "4")], "does not hold as many values"),
        (&[("location", ".")], "not within the model's folder"),
    ] {
        let error = elsewhere(&folder, entries, 1).expect_err(says).to_string();
        assert!(error.contains(says), "{entries:?}: {error}");
    }
}

#[test]
fn the_faults_are_imported_or_refused_by_name() {
    let Some(data) = shared_data() else { return };
    let faults = data.join("faults");
    let load = |name: &str| Readings::load(&faults.join(name), ReadOptions::default()).unwrap();
    for (name, says) in
        [("op6_add_axis1.onnx", "`axis`"), ("bn_training_mode.onnx", "training mode")]
    {
        let error = sharelet_import::read(&faults.join(name)).expect_err(name);
        let ImportError::Graph { source, .. } = &error else { panic!("{error}") };
        assert_matches!(source, GraphError::Unsupported(_));
        assert!(error.to_string().contains(says), "{error}");
    }
    for (name, readings) in
        [("lenet_reversed.onnx", "digits_calibration.npy"), ("default_export.onnx", "gauss64.npy")]
    {
        let chain = sharelet_import::read(&faults.join(name)).unwrap();
        let readings = load(readings);
        let options = sharelet_import::quantise::Options::default();
        let (_, report) = sharelet_import::columns::quantise(&chain, &readings, &options).unwrap();
        assert!(report.error < 0.01, "{name}: {report}");
    }
}
