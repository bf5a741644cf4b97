//! The committed files are those that the program writes.

use std::path::Path;

use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};

#[test]
fn made_again_the_files_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = sharelet_demo_model::make(folder.path()).unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "vibration.onnx",
        "vibration.slt",
        "calibration.npy",
        "windows.npy",
        "windows.txt",
        "features.csv",
    ] {
        let [made, kept] =
            [folder.path(), committed].map(|folder| std::fs::read(folder.join(file)).unwrap());
        assert!(
            made == kept,
            "{file} differs; run `cargo run --release -p sharelet-demo-model` and commit it"
        );
    }
    // Fixed point costs no more than a few windows in a thousand.
    assert!(outcome.fixed_correct * 100 >= outcome.windows * 93, "{outcome:?}");
    let apart = outcome.fixed_correct.abs_diff(outcome.float_correct);
    assert!(apart * 500 <= outcome.windows, "{outcome:?}");
}

#[test]
fn the_model_takes_its_readings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = Model::load(&folder.join("vibration.slt")).unwrap();
    let readings = Readings::load(&folder.join("windows.npy"), ReadOptions::default()).unwrap();
    let truth = std::fs::read_to_string(folder.join("windows.txt")).unwrap();
    assert_eq!(readings.len(), truth.lines().count());
    let right = readings.rows().zip(truth.lines()).filter(|(row, truth)| {
        let answer = model.infer(&model.encode(row).unwrap()).unwrap();
        model.label(&answer) == Some(truth)
    });
    assert!(right.count() + 2 >= readings.len());
}
