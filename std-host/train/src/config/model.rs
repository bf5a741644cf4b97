//! The model of a configuration, and the network that it stands for.

use serde::{Deserialize, Serialize};

use super::error::FieldError;
use crate::network::{Layer, Loss, Network, NetworkError, NetworkName, Shape, Window};

/// What is trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Which sort.
    pub kind: ModelKind,
    /// A network that the field knows by a letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NetworkName>,
    /// What a network takes, if it has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Its layers, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<LayerEntry>,
    /// The loss of a network; by default [`Loss::CrossEntropy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
}

/// Sorts of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Layers, as described.
    Network,
    /// One output, squared error.
    LinearRegression,
    /// One output, logistic loss, labels 0 and 1.
    LogisticRegression,
    /// One output, hinge loss, labels 0 and 1. Its margin comes from `weight_decay`.
    Svm,
}

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of values (784), or [channels, rows, columns] ([1, 28, 28])"
)]
pub enum Input {
    /// So many values.
    Values(usize),
    /// Channels, rows, columns.
    Image([usize; 3]),
}

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "kernel, stride and padding take a number for rows and columns (5), or [rows, \
                 columns] ([5, 1])"
)]
pub enum Sides {
    /// Both alike.
    Square(usize),
    /// Rows and columns.
    Each([usize; 2]),
}

/// A layer. Kinds without fields have braces: serde lets unknown fields pass where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerEntry {
    /// [`Layer::Dense`].
    Dense {
        /// Outputs.
        outputs: usize,
    },
    /// [`Layer::Convolution`].
    Convolution {
        /// Output channels.
        filters: usize,
        /// Of the window.
        kernel: Sides,
        /// By default 1.
        #[serde(default = "one")]
        stride: Sides,
        /// Smaller than the kernel; by default 0.
        #[serde(default = "zero")]
        padding: Sides,
    },
    /// [`Layer::Relu`].
    Relu {},
    /// [`Layer::MaxPool`].
    MaxPool {
        /// Of the window.
        kernel: Sides,
        /// By default the kernel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Sides>,
    },
    /// [`Layer::AveragePool`].
    AveragePool {
        /// Of the window.
        kernel: Sides,
        /// By default the kernel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Sides>,
    },
    /// [`Layer::BatchNorm`].
    BatchNorm {},
}

const fn one() -> Sides {
    Sides::Square(1)
}

const fn zero() -> Sides {
    Sides::Square(0)
}

impl Sides {
    /// Rows, then columns.
    #[must_use]
    pub const fn pair(self) -> (usize, usize) {
        match self {
            Self::Square(side) => (side, side),
            Self::Each([rows, columns]) => (rows, columns),
        }
    }
}

impl LayerEntry {
    /// The layer.
    #[must_use]
    pub fn layer(&self) -> Layer {
        let pool = |kernel: Sides, stride: Option<Sides>| Window {
            kernel: kernel.pair(),
            stride: stride.unwrap_or(kernel).pair(),
            padding: (0, 0),
        };
        match *self {
            Self::Dense { outputs } => Layer::Dense { outputs },
            Self::Convolution { filters, kernel, stride, padding } => Layer::Convolution {
                filters,
                window: Window {
                    kernel: kernel.pair(),
                    stride: stride.pair(),
                    padding: padding.pair(),
                },
            },
            Self::Relu {} => Layer::Relu,
            Self::MaxPool { kernel, stride } => Layer::MaxPool(pool(kernel, stride)),
            Self::AveragePool { kernel, stride } => Layer::AveragePool(pool(kernel, stride)),
            Self::BatchNorm {} => Layer::BatchNorm,
        }
    }
}

impl Model {
    /// The network; `features` is the width of the data, which linear models take theirs from.
    /// Without it they have one value.
    pub(super) fn network(&self, features: Option<usize>) -> Result<Network, FieldError> {
        let linear = |loss| Network {
            input: Shape::vector(features.unwrap_or(1)),
            layers: vec![Layer::Dense { outputs: 1 }],
            loss,
        };
        let network = match self.kind {
            ModelKind::LinearRegression => linear(Loss::SquaredError),
            ModelKind::LogisticRegression => linear(Loss::Logistic),
            ModelKind::Svm => linear(Loss::Hinge),
            ModelKind::Network => self.layers()?,
        };
        network.shapes().map_err(|error| {
            let field = match &error {
                NetworkError::NoWeights => "model.layer".to_owned(),
                NetworkError::Outputs { .. } => "model.loss".to_owned(),
                NetworkError::Empty { layer: 0 } | NetworkError::TooLarge { layer: 0 } => {
                    "model.input".to_owned()
                }
                NetworkError::Empty { layer }
                | NetworkError::TooLarge { layer }
                | NetworkError::Norm { layer }
                | NetworkError::Window { layer, .. } => format!("model.layer[{layer}]"),
            };
            FieldError { field, reason: error.to_string() }
        })?;
        Ok(network)
    }

    /// A network as it is described, unchecked.
    fn layers(&self) -> Result<Network, FieldError> {
        let loss = self.loss.unwrap_or(Loss::CrossEntropy);
        if let Some(name) = self.name {
            return Ok(Network { loss, ..Network::named(name) });
        }
        let input = match self.input {
            Some(Input::Values(values)) => Shape::vector(values),
            Some(Input::Image([channels, height, width])) => Shape { channels, height, width },
            None => {
                let reason = "a network needs `name`, or `input` and `[[model.layer]]`";
                return Err(FieldError::new("model", reason));
            }
        };
        Ok(Network { input, layers: self.layer.iter().map(LayerEntry::layer).collect(), loss })
    }

    pub(super) fn validate(&self) -> Result<(), FieldError> {
        let named = self.name.is_some();
        let alone =
            "is for kind = \"network\"; other kinds have one dense layer and their own loss";
        let own = "a network with a name has its own; leave this out, or leave `name` out";
        let linear = self.kind != ModelKind::Network;
        let reason = if linear { alone } else { own };
        for (there, field) in [
            (linear && named, "model.name"),
            ((linear || named) && self.input.is_some(), "model.input"),
            ((linear || named) && !self.layer.is_empty(), "model.layer"),
            (linear && self.loss.is_some(), "model.loss"),
        ] {
            if there {
                return Err(FieldError::new(field, reason));
            }
        }
        for (index, layer) in self.layer.iter().enumerate() {
            let LayerEntry::Convolution { kernel, padding, .. } = layer else { continue };
            let (kernel, padding) = (kernel.pair(), padding.pair());
            if padding.0 >= kernel.0.max(1) || padding.1 >= kernel.1.max(1) {
                let field = format!("model.layer[{}].padding", index + 1);
                let reason =
                    "must be smaller than the kernel: a window of zeros alone learns nothing";
                return Err(FieldError::new(&field, reason));
            }
        }
        self.network(None).map(|_| ())
    }
}
