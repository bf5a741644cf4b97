//! Files of somebody else: models, networks of other programs, readings, and configurations of
//! training.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use sharelet_host::data::{Options, Table};
use sharelet_import::{lower, onnx as onnx_files, tflite as tflite_files};
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_model::{FILE_VERSION, Model};
use sharelet_train::config::Config;

use crate::seeds::{files, folder, tagged, untagged};

const MAGIC: &[u8] = b"SLTMODEL";
const HEADER_BYTES: usize = 18;
const DIGEST_BYTES: usize = 32;
/// A network that takes more keystream blocks is not evaluated here.
const MOST_BLOCKS: u64 = 1 << 12;

/// The body of a model file, framed well; one that is taken is evaluated.
pub fn model(body: &[u8]) {
    let length = (body.len() as u64).to_le_bytes();
    let mut file = [MAGIC, &FILE_VERSION.to_le_bytes(), &length, body].concat();
    let digest = Sha256::digest(&file);
    file.extend_from_slice(&digest);
    let Ok(model) = Model::from_bytes(&file, Path::new("model.slt")) else { return };
    if model.network.blocks(MOST_BLOCKS) <= MOST_BLOCKS {
        let reading = vec![0.5; model.network.inputs()];
        let words = model.encode(&reading).unwrap_or_else(|_| vec![0; reading.len()]);
        let answer = model.infer(&words).expect("a model that is taken");
        let _ = (model.decode(&answer), model.label(&answer), model.task(&file));
    }
}

pub fn model_seeds() -> Vec<Vec<u8>> {
    let file = std::fs::read(folder("demo/vibration.slt")).expect("readable");
    vec![file[HEADER_BYTES..file.len() - DIGEST_BYTES].to_vec()]
}

pub fn onnx(bytes: &[u8]) {
    if let Ok(graph) = onnx_files::read(bytes, None) {
        let _ = lower::lower(&graph);
    }
}

pub fn onnx_seeds() -> Vec<Vec<u8>> {
    vec![std::fs::read(folder("demo/vibration.onnx")).expect("readable")]
}

pub fn tflite(bytes: &[u8]) {
    if let Ok(graph) = tflite_files::read(bytes) {
        let _ = lower::lower(&graph);
    }
}

/// All are in the corpus.
pub fn tflite_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}

const NAMES: [&str; 6] = ["a.csv", "a.npy", "a.idx", "a.idx.gz", "a.f32", "labels.idx"];

/// Readings, and tables with labels; the first byte is the format.
pub fn readings(bytes: &[u8]) {
    let Some((format, bytes)) = untagged(bytes, NAMES.len()) else { return };
    let path = Path::new(NAMES[format]);
    for width in [None, Some(3)] {
        if let Ok(readings) = Readings::from_bytes(bytes, path, ReadOptions { width, divide: None })
        {
            assert_eq!(readings.values().len(), readings.width() * readings.len());
        }
    }
    let labels = vec!["label".to_owned()];
    let labelled = Options { labels, key: Some("key".to_owned()), ..Options::default() };
    for options in [Options::default(), labelled] {
        let _ = Table::from_bytes(bytes, path, None, &options);
    }
    let rows = b"a,b\n1,2\n3,4\n";
    let _ = Table::from_bytes(rows, Path::new("t.csv"), Some((path, bytes)), &Options::default());
}

pub fn reading_seeds() -> Vec<Vec<u8>> {
    let npy = |shape: &str, kind: &str, data: &[u8]| {
        let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), data]
            .concat()
    };
    let idx = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
    vec![
        tagged(0, b"a,b,label,key\n1,2.5,0,x\n-3,4e2,1,\"y,z\"\n"),
        tagged(0, b"1,2,3\n4,5,6\n"),
        tagged(1, &npy("2, 3", "<f4", &[0; 24])),
        tagged(1, &npy("2, 3", "<f8", &[0; 48])),
        tagged(1, &npy("2,", "|u1", &[1, 2])),
        tagged(2, &idx),
        tagged(4, &[0; 24]),
        tagged(5, &[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]),
    ]
}

/// A configuration of a training run.
pub fn config(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = Config::parse(text, Path::new("config.toml"));
    }
}

pub fn config_seeds() -> Vec<Vec<u8>> {
    let mut seeds = files(&folder("std-host/train/examples"));
    seeds.extend(
        files(&folder("std-host/train/tests/all"))
            .into_iter()
            .filter(|text| text.starts_with(b"[") || text.starts_with(b"#")),
    );
    seeds
}
