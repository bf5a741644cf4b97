//! A model in the clear: a network description, its weights and biases as ring elements, and its
//! file (`.slt`).
//!
//! The file is `magic | version | length of the body | body (postcard) | SHA-256 of everything
//! before`. It is written to a temporary file beside its destination and renamed, so that a reader
//! sees the old model or the new one.

use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sharelet_core::fixed::{self, FixedError};
use sharelet_core::ring::Ring;
use sharelet_core::session::linear;
use sharelet_core::session::network::{Affine, Network, NetworkError};
use sharelet_core::session::wire::task::Task;
use sharelet_core::shape::Part;
use sharelet_link::files::{FileError, write_file};

use super::scores::{Scores, classes_of_pairs};

/// The most layers a model on the host may have.
pub const MAX_LAYERS: usize = 250;

/// Version of the model file that this program writes and reads.
pub const FILE_VERSION: u16 = 5;

const MAGIC: &[u8; 8] = b"SLTMODEL";
const HEADER_BYTES: usize = MAGIC.len() + 2 + 8;
const DIGEST_BYTES: usize = 32;

/// A quantised network together with its weights; it belongs to the host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Model {
    /// The public description.
    pub network: Network<MAX_LAYERS>,
    /// Weights per layer, row-major, two's complement: those of its map, then those of what is
    /// carried over.
    pub weights: Vec<Vec<u32>>,
    /// Biases per layer, at the scale of the accumulator, two's complement.
    pub biases: Vec<Vec<u32>>,
    /// Names of the outputs, or nothing.
    pub labels: Vec<String>,
    /// What the network applied to its answer, which is left to whoever gets it.
    pub scores: Option<Scores>,
    /// Name of the model, for people.
    pub name: String,
}

/// Shapes only: the weights are the host's secret.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("network", &self.network)
            .field("labels", &self.labels)
            .field("scores", &self.scores)
            .field("weights", &"<redacted>")
            .field("biases", &"<redacted>")
            .finish()
    }
}

/// What is wrong with a model or its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The file is not that of a model.
    #[error("{path}: {fault}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: FileFault,
    },
    /// The description breaks a rule.
    #[error("the network description is not valid: {0}; import the model again")]
    Network(NetworkError),
    /// Weights or biases do not have the size the description states.
    #[error(
        "layer {layer} has {found} {what} where its shape needs {expected}; import the model again"
    )]
    Shape {
        /// Index of the layer.
        layer: usize,
        /// `weights` or `biases`.
        what: &'static str,
        /// Elements that the description needs.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// The number of labels is neither zero nor the number of outputs.
    #[error("{found} labels for {expected} outputs; give one label per output or none")]
    Labels {
        /// Outputs of the network.
        expected: usize,
        /// Labels found.
        found: usize,
    },
    /// The input of an inference has the wrong length.
    #[error(
        "an input of {found} values where the model takes {expected}; check that the readings \
         belong to this model"
    )]
    InputLength {
        /// Inputs of the network.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A reading cannot be represented at the model's input scale.
    #[error("the reading is refused: {0}")]
    Reading(FixedError),
}

/// What is wrong with the file of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// It does not begin like a model file.
    #[error("not a sharelet model file; make one with `sharelet import`")]
    NotAModel,
    /// It is of another version.
    #[error(
        "model file version {0}, this program reads version {FILE_VERSION}; import the model \
         again"
    )]
    Version(u16),
    /// It is shorter or longer than it says.
    #[error(
        "{found} bytes where {expected} are expected: the file is cut or has been appended to; \
         copy or import it again"
    )]
    Length {
        /// Bytes that the header announces.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The checksum does not match.
    #[error("the checksum does not match: the file is damaged; copy or import it again")]
    Checksum,
    /// The checksum matches but the body cannot be decoded.
    #[error(
        "the body cannot be decoded: the file was written by a faulty program; import the model \
         again"
    )]
    Malformed,
}

/// The body of the file. Signed integers, because `postcard` writes small ones in few bytes.
#[derive(Serialize, Deserialize)]
struct Body {
    name: String,
    labels: Vec<String>,
    scores: Option<Scores>,
    network: Network<MAX_LAYERS>,
    weights: Vec<Vec<i32>>,
    biases: Vec<Vec<i32>>,
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
    /// Checks that the description is valid and that weights, biases and labels have its shapes.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.network.validate().map_err(ModelError::Network)?;
        let layers = self.network.layers();
        for layer in 0..layers.len().max(self.weights.len()).max(self.biases.len()) {
            let outputs = layers.get(layer).map_or(0, |layer| usize::from(layer.outputs()));
            let weights = self.network.weight_elems(layer);
            for (what, values, expected) in
                [("weights", &self.weights, weights), ("biases", &self.biases, outputs)]
            {
                let found = values.get(layer).map_or(0, Vec::len);
                if found != expected {
                    return Err(ModelError::Shape { layer, what, expected, found });
                }
            }
        }
        let outputs = self.network.outputs();
        let expected = match self.scores {
            Some(Scores::OneVsOne) => classes_of_pairs(outputs).unwrap_or(outputs),
            _ => outputs,
        };
        if !self.labels.is_empty() && self.labels.len() != expected {
            return Err(ModelError::Labels { expected, found: self.labels.len() });
        }
        Ok(())
    }

    /// A reading as ring elements at the model's input scale.
    ///
    /// # Errors
    /// [`ModelError::InputLength`]; [`ModelError::Reading`] for NaN, infinities and values beyond
    /// the calibrated range.
    pub fn encode(&self, reading: &[f32]) -> Result<Vec<u32>, ModelError> {
        self.check_length(reading.len())?;
        let mut words = vec![0; reading.len()];
        fixed::encode(
            reading,
            self.network.input_scale(),
            self.network.input_limit().into(),
            &mut words,
        )
        .map_err(ModelError::Reading)?;
        Ok(words)
    }

    /// The largest magnitude of each input that the model takes.
    #[must_use]
    pub fn input_limits(&self) -> Vec<f64> {
        let network = &self.network;
        let exponent = |input| network.input_exponents().get(input).copied().unwrap_or(0);
        let limit = |input| {
            let frac_bits = i32::from(network.input_frac_bits()) + i32::from(exponent(input));
            f64::from(network.input_limit()) * 2.0_f64.powi(-frac_bits)
        };
        (0..network.inputs()).map(limit).collect()
    }

    /// An answer as reals.
    #[must_use]
    pub fn decode(&self, answer: &[u32]) -> Vec<f32> {
        answer.iter().map(|&word| fixed::decode(word, self.network.output_frac_bits())).collect()
    }

    /// What data parties know of the model, whose file is `file`: shapes, scales, and a digest of
    /// the file, which tells nothing about the weights but whether a guess of all of them is right.
    /// Exponents of inputs are not in it: they go beside it, as
    /// [`Network::input_exponents`] has them.
    #[must_use]
    pub fn task(&self, file: &[u8]) -> Task {
        let elems = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let digest = Sha256::new().chain_update(b"sharelet task 1\0").chain_update(file).finalize();
        Task {
            ring_bits: 32,
            input_frac_bits: self.network.input_frac_bits(),
            output_frac_bits: self.network.output_frac_bits(),
            inputs: elems(self.network.inputs()),
            outputs: elems(self.network.outputs()),
            input_limit: self.network.input_limit(),
            model: digest.first_chunk().copied().unwrap_or_default(),
        }
    }

    /// The exact answer in the clear, bit for bit what a session must give: the twin of the core.
    ///
    /// # Errors
    /// [`ModelError::InputLength`] if the input has the wrong length.
    pub fn infer(&self, input: &[u32]) -> Result<Vec<u32>, ModelError> {
        self.check_length(input.len())?;
        let mut vectors = vec![0; self.network.vectors_elems()];
        vectors.get_mut(..input.len()).unwrap_or_default().copy_from_slice(input);
        Ok(self.network.twin(self, &mut vectors).unwrap_or_default().to_vec())
    }

    /// The label of the largest element of an answer, or of the class that pairs elect; `None`
    /// without labels.
    #[must_use]
    pub fn label(&self, answer: &[u32]) -> Option<&str> {
        let reals: Vec<f64> = answer.iter().map(|word| f64::from(word.cast_signed())).collect();
        let elected = self.scores.and_then(|scores| scores.elected(&reals));
        self.labels.get(elected.or_else(|| largest(answer))?).map(String::as_str)
    }

    /// Writes the model to a file, atomically: on an error the file is as it was.
    ///
    /// # Errors
    /// A model that [`Model::validate`] refuses is not written; otherwise [`ModelError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        self.validate()?;
        let malformed =
            |()| ModelError::File { path: path.to_owned(), fault: FileFault::Malformed };
        let bytes = self.to_bytes().map_err(malformed)?;
        Ok(write_file(path, &[&bytes])?)
    }

    /// Reads a model from a file and checks it whole.
    ///
    /// # Errors
    /// A cut, damaged or foreign file is refused with the variant that says so.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = fs::read(path).map_err(FileError::at(path))?;
        Self::from_bytes(&bytes, path)
    }

    /// Reads a model from the bytes of a file; `path` only names it in errors.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, ModelError> {
        let body =
            body(bytes).map_err(|fault| ModelError::File { path: path.to_owned(), fault })?;
        let model = Self {
            network: body.network,
            weights: words(&body.weights, i32::cast_unsigned),
            biases: words(&body.biases, i32::cast_unsigned),
            labels: body.labels,
            scores: body.scores,
            name: body.name,
        };
        model.validate()?;
        Ok(model)
    }

    /// The bytes of the file.
    fn to_bytes(&self) -> Result<Vec<u8>, ()> {
        let body = postcard::to_allocvec(&Body {
            name: self.name.clone(),
            labels: self.labels.clone(),
            scores: self.scores,
            network: self.network.clone(),
            weights: words(&self.weights, u32::cast_signed),
            biases: words(&self.biases, u32::cast_signed),
        })
        .map_err(|_| ())?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + DIGEST_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FILE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(digest.as_slice());
        Ok(bytes)
    }

    fn check_length(&self, found: usize) -> Result<(), ModelError> {
        let expected = self.network.inputs();
        if found == expected { Ok(()) } else { Err(ModelError::InputLength { expected, found }) }
    }
}

/// The words of all layers, as the file has them or the model.
fn words<W: Copy, O>(layers: &[Vec<W>], cast: fn(W) -> O) -> Vec<Vec<O>> {
    layers.iter().map(|layer| layer.iter().copied().map(cast).collect()).collect()
}

/// The body of a file whose frame is right.
fn body(bytes: &[u8]) -> Result<Body, FileFault> {
    let found = bytes.len() as u64;
    let minimum = (HEADER_BYTES + DIGEST_BYTES) as u64;
    let cut = || FileFault::Length { expected: minimum, found };
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        // A file cut within the magic is a cut file, not a foreign one.
        return Err(if MAGIC.starts_with(bytes) { cut() } else { FileFault::NotAModel });
    };
    let (version, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let version = u16::from_le_bytes(*version);
    if version != FILE_VERSION {
        return Err(FileFault::Version(version));
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let expected = u64::from_le_bytes(*length).saturating_add(minimum);
    if found != expected {
        return Err(FileFault::Length { expected, found });
    }
    let (body, digest) = rest.split_last_chunk::<DIGEST_BYTES>().ok_or_else(cut)?;
    let hashed = bytes.get(..HEADER_BYTES + body.len()).unwrap_or_default();
    if Sha256::digest(hashed).as_slice() != digest {
        return Err(FileFault::Checksum);
    }
    match postcard::take_from_bytes(body) {
        Ok((body, [])) => Ok(body),
        _ => Err(FileFault::Malformed),
    }
}

/// Index of the largest element, read as signed; the first one of equals.
#[must_use]
pub fn largest<R: Ring>(answer: &[R]) -> Option<usize> {
    let signed = answer.iter().map(|word| word.to_i64());
    signed
        .enumerate()
        .max_by_key(|&(index, value)| (value, core::cmp::Reverse(index)))
        .map(|(index, _)| index)
}
