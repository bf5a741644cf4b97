//! The model file: what is written is read, and nothing else is.

use std::path::Path;

use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_model::{FileFault, Model, ModelError, Scores, largest};
use sharelet_testkit::Rng;
use sharelet_testkit::assert_matches;

fn model() -> Model {
    let mut rng = Rng(1);
    let layers = [
        Layer::dense(5, 7, 9, 6, Activation::Relu),
        Layer::dense(7, 4, 9, 4, Activation::Identity),
        Layer::dense(4, 3, 9, 0, Activation::Identity),
    ];
    let mut words = |count: usize| -> Vec<u32> {
        (0..count).map(|_| ((rng.next() % 2001) as i32 - 1000).cast_unsigned()).collect()
    };
    Model {
        network: Network::new(8, 1 << 12, &layers).unwrap(),
        weights: vec![words(35), words(28), words(12)],
        biases: vec![words(7), words(4), words(3)],
        labels: ["a", "b", "c"].map(String::from).to_vec(),
        scores: Some(Scores::Softmax),
        name: "small".into(),
    }
}

/// The file of the model.
fn saved() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.slt");
    model().save(&path).unwrap();
    std::fs::read(path).unwrap()
}

fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    Model::from_bytes(bytes, Path::new("m.slt"))
}

fn fault(bytes: &[u8]) -> FileFault {
    match read(bytes) {
        Err(ModelError::File { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.slt");
    model().save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model());
    // Over an existing file, and without leaving anything behind.
    model().save(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.slt");
    model().save(&path).unwrap();
    let mut bad = model();
    bad.weights[1].pop();
    assert_matches!(
        bad.save(&path),
        Err(ModelError::Shape { layer: 1, what: "weights", expected: 28, found: 27 })
    );
    let missing = folder.path().join("no/such/folder/m.slt");
    assert!(matches!(model().save(&missing), Err(ModelError::Io { .. })));
    assert_eq!(Model::load(&path).unwrap(), model());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Weights are their owner's alone to read, and links that lie in the way are not followed.
#[cfg(unix)]
#[test]
fn weights_are_private_and_follow_no_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["m.slt", "other"].map(|name| folder.path().join(name));
    std::fs::write(&other, "not a model").unwrap();
    for laid in ["m.slt", "m.slt.tmp", ".m.slt.tmp", "m.tmp"] {
        symlink(&other, folder.path().join(laid)).unwrap();
    }
    model().save(&path).unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"not a model");
    let written = std::fs::symlink_metadata(&path).unwrap();
    assert!(written.is_file(), "the link is still there");
    assert_eq!(written.permissions().mode() & 0o777, 0o600);
    assert_eq!(Model::load(&path).unwrap(), model());
}

#[test]
fn every_cut_is_named() {
    let bytes = saved();
    for length in 0..bytes.len() {
        let cut = length as u64;
        assert_matches!(fault(&bytes[..length]), FileFault::Length { found, .. } if *found == cut);
    }
    assert_matches!(fault(&[&bytes[..], &[0]].concat()), FileFault::Length { .. });
}

#[test]
fn every_flip_is_named() {
    let bytes = saved();
    for position in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[position / 8] ^= 1 << (position % 8);
        let fault = fault(&flipped);
        let expected = match position / 8 {
            0..8 => matches!(fault, FileFault::NotAModel),
            8..10 => matches!(fault, FileFault::Version { .. }),
            10..18 => matches!(fault, FileFault::Length { .. }),
            _ => matches!(fault, FileFault::Checksum),
        };
        assert!(expected, "bit {position}: {fault:?}");
    }
}

#[test]
fn a_body_with_a_valid_checksum_is_still_checked() {
    use sha2::{Digest as _, Sha256};
    let bytes = saved();
    let mut rng = Rng(7);
    for _ in 0..5000 {
        let mut body = bytes[..bytes.len() - 32].to_vec();
        for _ in 0..=rng.below(3) {
            let position = 18 + rng.below(body.len() - 18);
            body[position] = rng.byte();
        }
        let digest = Sha256::digest(&body);
        body.extend_from_slice(digest.as_slice());
        // Another valid model, or a named error; the seed is fixed above.
        if let Ok(model) = read(&body) {
            model.validate().unwrap();
            let input = vec![1; model.network.inputs()];
            assert_eq!(model.infer(&input).unwrap().len(), model.network.outputs());
        }
    }
}

#[test]
fn random_bytes_are_refused() {
    let mut rng = Rng(11);
    for length in 0..2000 {
        let bytes: Vec<u8> = (0..length % 97).map(|_| rng.byte()).collect();
        assert!(read(&bytes).is_err());
    }
}

#[test]
fn infer_is_the_fixed_point_twin() {
    let network = Network::new(
        0,
        100,
        &[
            Layer::dense(2, 2, 4, 2, Activation::Relu),
            Layer::dense(2, 2, 4, 1, Activation::Identity),
        ],
    )
    .unwrap();
    let signed =
        |values: &[i32]| values.iter().map(|value| value.cast_unsigned()).collect::<Vec<u32>>();
    let model = Model {
        network,
        weights: vec![signed(&[1, -2, 3, 4]), signed(&[-1, 1, 2, 0])],
        biases: vec![signed(&[5, -100]), signed(&[0, -9])],
        labels: vec![],
        scores: None,
        name: String::new(),
    };
    // [7 - 6 + 5, 21 + 12 - 100] = [6, -67] -> relu >> 2 = [1, 0] -> [-1, -7] >> 1, rounding down =
    // [-1, -4].
    assert_eq!(model.infer(&signed(&[7, 3])).unwrap(), signed(&[-1, -4]));
    assert!(matches!(model.infer(&[1]), Err(ModelError::InputLength { expected: 2, found: 1 })));
}

#[test]
fn readings_are_checked_and_labels_found() {
    let model = model();
    assert_matches!(
        model.encode(&[0.0; 4]),
        Err(ModelError::InputLength { expected: 5, found: 4 })
    );
    for refused in [f32::NAN, 17.0] {
        assert_matches!(model.encode(&[refused, 0.0, 0.0, 0.0, 0.0]), Err(ModelError::Reading(_)));
    }
    assert_eq!(model.encode(&[1.0, -1.0, 0.5, 0.0, 16.0]).unwrap()[1], (-256_i32).cast_unsigned());
    assert_eq!(model.label(&[1, u32::MAX, 2]), Some("c"));
    assert_eq!(largest(&[3_u32, 5, 5]), Some(1));
    assert_eq!(largest::<u32>(&[]), None);
    assert!(format!("{model:?}").contains("redacted"));
    let mut wrong = model;
    wrong.labels.pop();
    assert!(matches!(wrong.validate(), Err(ModelError::Labels { expected: 3, found: 2 })));
}
