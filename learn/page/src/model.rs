//! The built-in model and its readings, as the files of `demo/` have them; or another model's file.

use core::fmt;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sharelet_core::session::linear;
use sharelet_core::session::network::{Affine, Network};
use sharelet_core::shape::Part;

use crate::refusal::Refusal;

/// The most layers of a network on the page.
pub const LAYERS: usize = 8;

/// The file of the built-in model.
const BUILT_IN: &[u8] = include_bytes!("../../../demo/vibration.slt");
const READINGS: &[u8] = include_bytes!("../../../demo/windows.npy");
const TRUTHS: &str = include_str!("../../../demo/windows.txt");

/// What a model's file begins with: a word, a version, and the length of what follows. Behind that
/// lies a checksum: SHA-256 of everything before.
const MAGIC: &[u8] = b"SLTMODEL";
const VERSION: u16 = 5;
const HEADER_BYTES: usize = 18;
const CHECKSUM_BYTES: usize = 32;

#[derive(Deserialize)]
struct Body {
    name: String,
    labels: Vec<String>,
    /// A function of the answer; the page shows values.
    #[allow(dead_code, reason = "part of the file")]
    scores: Option<u32>,
    network: Network<LAYERS>,
    weights: Vec<Vec<i32>>,
    biases: Vec<Vec<i32>>,
}

/// A network with its weights.
pub struct Model {
    pub name: String,
    pub labels: Vec<String>,
    pub network: Network<LAYERS>,
    pub weights: Vec<Vec<u32>>,
    pub biases: Vec<Vec<u32>>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({}, <redacted>)", self.name)
    }
}

impl Affine for Model {
    fn affine<'v>(
        &self,
        layer: usize,
        parts: &[Part],
        input: impl Fn(u16) -> &'v [u32],
        out: &mut [u32],
    ) {
        if let (Some(weights), Some(bias)) = (self.weights.get(layer), self.biases.get(layer)) {
            linear::twin(parts, weights, bias, input, out);
        }
    }
}

impl Model {
    /// The built-in one.
    pub fn built_in() -> Result<Self, Refusal> {
        Self::read(BUILT_IN)
    }

    /// The model in a file.
    pub fn read(file: &[u8]) -> Result<Self, Refusal> {
        if file.is_empty() {
            return Err(Refusal::new(
                "The model file is empty. Choose a file that `sharelet import` has written.",
            ));
        }
        let damaged = || {
            Refusal::new(
                "The model file is cut or damaged. Copy it again, or import the model again.",
            )
        };
        let body = file.strip_prefix(MAGIC).ok_or_else(|| {
            Refusal::new("This is no model file. `sharelet import` makes one from ONNX or TFLite.")
        })?;
        let version = body.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
        if version != VERSION {
            return Err(Refusal::new(format!(
                "The model file is of version {version}, and this page reads version {VERSION}. \
                 Import the model again."
            )));
        }
        // A damaged model would show numbers, and wrong ones.
        let (file, checksum) = file.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
        let body = file.get(HEADER_BYTES..).ok_or_else(damaged)?;
        if Sha256::digest(file).as_slice() != checksum {
            return Err(damaged());
        }
        let Body { name, labels, network, weights, biases, .. } =
            postcard::from_bytes(body).map_err(|_| damaged())?;
        network.validate()?;
        let words = |layers: Vec<Vec<i32>>| -> Vec<Vec<u32>> {
            let words = |layer: Vec<i32>| layer.into_iter().map(i32::cast_unsigned).collect();
            layers.into_iter().map(words).collect()
        };
        let model = Self { name, labels, network, weights: words(weights), biases: words(biases) };
        model.check()?;
        Ok(model)
    }

    /// Whether weights, biases and labels have the shapes that the network says.
    fn check(&self) -> Result<(), Refusal> {
        let layers = self.network.layers();
        let fits = layers.len() == self.weights.len()
            && layers.len() == self.biases.len()
            && layers.iter().enumerate().all(|(index, layer)| {
                let lengths =
                    [&self.weights, &self.biases].map(|rows| rows.get(index).map_or(0, Vec::len));
                lengths == [self.network.weight_elems(index), usize::from(layer.outputs())]
            });
        let labelled = self.labels.is_empty() || self.labels.len() == self.network.outputs();
        if fits && labelled {
            return Ok(());
        }
        Err(Refusal::new(
            "The model has other numbers of weights, biases or labels than its layers need. Import \
             it again.",
        ))
    }

    /// The answer's label.
    pub fn label(&self, output: usize) -> String {
        self.labels.get(output).cloned().unwrap_or_else(|| format!("output {output}"))
    }
}

/// A built-in reading, and what the machine did.
pub fn reading(index: usize) -> Result<(Vec<f32>, &'static str), Refusal> {
    let (magic, rest) = READINGS.split_at_checked(8).unwrap_or_default();
    debug_assert!(magic.starts_with(b"\x93NUMPY"));
    let header = rest.first_chunk().map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)));
    let values = rest.get(2 + header..).unwrap_or_default().as_chunks().0;
    let rows = TRUTHS.lines().count();
    let width = values.len().checked_div(rows).unwrap_or(0);
    let row = values.chunks_exact(width.max(1)).nth(index).zip(TRUTHS.lines().nth(index));
    let (row, truth) = row.ok_or_else(|| {
        Refusal::new(format!("There are {rows} readings, from 0 on: there is no number {index}."))
    })?;
    Ok((row.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(), truth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_model_is_the_one_of_the_demo() {
        let model = Model::built_in().expect("the demo's file");
        let widths: Vec<u16> = model.network.layers().iter().map(|layer| layer.outputs()).collect();
        assert_eq!((model.network.inputs(), widths), (27, vec![32, 16, 4]));
        assert_eq!(model.labels, ["idle", "normal", "imbalance", "bearing-fault"]);
    }

    #[test]
    fn readings_have_the_networks_width() {
        for index in 0..12 {
            let (reading, _) = reading(index).expect("there are twelve");
            assert_eq!(reading.len(), 27);
        }
        assert!(reading(12).is_err());
    }

    #[test]
    fn files_that_are_none_are_refused() {
        let refused = |file: &[u8]| Model::read(file).expect_err("refused").0;
        assert!(refused(&[]).contains("empty"));
        assert!(refused(b"SLTMODEM").contains("no model file"));
        assert!(refused(b"SLTMODEL\x06\x00").contains("version 6"));
        assert!(refused(BUILT_IN.get(..100).expect("longer")).contains("damaged"));
        // A bit of a weight that fits as well as any other.
        for at in (HEADER_BYTES..BUILT_IN.len()).step_by(97) {
            let mut flipped = BUILT_IN.to_vec();
            flipped[at] ^= 1;
            assert!(refused(&flipped).contains("damaged"), "{at}");
        }
        // No layers: an empty model.
        let empty = postcard::to_allocvec(&(
            "none",
            Vec::<String>::new(),
            None::<u32>,
            Network::<LAYERS>::default(),
            Vec::<Vec<i32>>::new(),
            Vec::<Vec<i32>>::new(),
        ));
        let mut file = b"SLTMODEL\x05\x00".to_vec();
        file.extend([0; 8]);
        file.extend(empty.expect("small"));
        file.extend(Sha256::digest(&file));
        assert!(refused(&file).contains("ring of 0 bits"), "{}", refused(&file));
    }
}
