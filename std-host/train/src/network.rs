//! The shape of a network that is trained: layers, sizes, loss. Public, and the same for both
//! servers, the dealer and the twin.

use serde::{Deserialize, Serialize};

/// Words of a sample between two layers, and weights of a layer, at most.
pub const MAX_ELEMS: usize = 1 << 26;

/// Sizes of one sample: channels, then rows, then columns. A plain vector is `channels x 1 x 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Channels of an image, or the length of a vector.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A plain vector.
    #[must_use]
    pub const fn vector(len: usize) -> Self {
        Self { channels: len, height: 1, width: 1 }
    }

    /// Words of a sample, if it has from 1 to [`MAX_ELEMS`].
    #[must_use]
    pub fn checked_elems(&self) -> Option<usize> {
        let elems = self.channels.checked_mul(self.height)?.checked_mul(self.width)?;
        (1..=MAX_ELEMS).contains(&elems).then_some(elems)
    }

    /// Words of a sample.
    #[must_use]
    pub const fn elems(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// A window that moves over an image: of a convolution or a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows and columns of the window.
    pub kernel: (usize, usize),
    /// Steps down and right.
    pub stride: (usize, usize),
    /// Rows above and below, columns left and right, that count as zero. Pools have none.
    pub padding: (usize, usize),
}

impl Window {
    /// Rows and columns of windows in an image; `None` if not even one fits, a stride is 0, or the
    /// padding is beyond all memory.
    #[must_use]
    pub fn places(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        let along = |size: usize, kernel: usize, stride: usize, padding: usize| {
            let padded = size.checked_add(padding.checked_mul(2)?)?;
            (kernel > 0).then_some(())?;
            Some(padded.checked_sub(kernel)?.checked_div(stride)? + 1)
        };
        Some((
            along(height, self.kernel.0, self.stride.0, self.padding.0)?,
            along(width, self.kernel.1, self.stride.1, self.padding.1)?,
        ))
    }

    /// Rows and columns of the window, row by row.
    pub fn cells(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.kernel.0).flat_map(move |row| (0..self.kernel.1).map(move |column| (row, column)))
    }

    /// Where the words of a batch lie that one cell of every window sees, without padding:
    /// `batch x channels x rows x columns` of them.
    pub fn indices(
        self,
        batch: usize,
        shape: Shape,
        (y, x): (usize, usize),
    ) -> impl Iterator<Item = usize> {
        let (rows, columns) =
            Self { padding: (0, 0), ..self }.places(shape.height, shape.width).unwrap_or((0, 0));
        (0..batch * shape.channels).flat_map(move |image| {
            (0..rows).flat_map(move |row| {
                let first = (image * shape.height + row * self.stride.0 + y) * shape.width + x;
                (0..columns).map(move |column| first + column * self.stride.1)
            })
        })
    }
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// All inputs to so many outputs, with a bias. Weights are `outputs x inputs`, row-major.
    Dense {
        /// Outputs.
        outputs: usize,
    },
    /// A convolution with a bias per filter. Weights are
    /// `filters x channels x kernel rows x kernel columns`.
    Convolution {
        /// Output channels.
        filters: usize,
        /// The window.
        window: Window,
    },
    /// `max(x, 0)`.
    Relu,
    /// The largest of each window, per channel.
    MaxPool(Window),
    /// The mean of each window, per channel.
    AveragePool(Window),
}

impl Layer {
    /// Whether there is something to train.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        matches!(self, Self::Dense { .. } | Self::Convolution { .. })
    }

    /// Weights and biases for such an input, in words: `(0, 0)` where there are none, `None` where
    /// there are too many to count.
    fn parameters(&self, input: Shape) -> Option<(usize, usize)> {
        let (outputs, each) = match self {
            Self::Dense { outputs } => (*outputs, input.elems()),
            Self::Convolution { filters, window } => {
                let cells = window.kernel.0.checked_mul(window.kernel.1)?;
                (*filters, input.channels.checked_mul(cells)?)
            }
            _ => (0, 0),
        };
        Some((outputs.checked_mul(each)?, outputs))
    }
}

/// What is minimised: the mean over a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Cross-entropy of the softmax of the outputs; labels are classes.
    CrossEntropy,
    /// Half the squared distance, summed over the outputs; labels are numbers, or classes (then
    /// one-hot).
    SquaredError,
    /// Logistic loss of one output; labels are 0 or 1.
    Logistic,
    /// Hinge loss of one output, `max(0, 1 - y t)` with `t = -1` or `1`; labels are 0 or 1.
    Hinge,
}

/// Networks that the field compares with, for images of 28 x 28 and 10 classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkName {
    /// 784-128-128-10.
    A,
    /// Two convolutions of 16 filters.
    B,
    /// Two convolutions of 20 and 50 filters.
    C,
    /// One convolution of 5 filters.
    D,
}

/// A network and its loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// A sample.
    pub input: Shape,
    /// Layers, first to last.
    pub layers: Vec<Layer>,
    /// The loss.
    pub loss: Loss,
}

/// Why layers do not fit each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is nothing to train.
    #[error("a network without a dense layer or convolution has nothing to train")]
    NoWeights,
    /// A size of zero.
    #[error("layer {layer}: sizes must be at least 1")]
    Empty {
        /// Counted from 1.
        layer: usize,
    },
    /// More words than memory is meant for.
    #[error("layer {layer}: more than {MAX_ELEMS} words; make it smaller")]
    TooLarge {
        /// Counted from 1; 0 for the input.
        layer: usize,
    },
    /// A window that is larger than what it moves over.
    #[error(
        "layer {layer}: a window of {}x{} does not fit an image of {height}x{width}",
        .window.kernel.0,
        .window.kernel.1,
    )]
    Window {
        /// Counted from 1.
        layer: usize,
        /// The window.
        window: Window,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
    /// A loss for one output on several.
    #[error("the {loss:?} loss takes one output, and the last layer has {outputs}")]
    Outputs {
        /// The loss.
        loss: Loss,
        /// Outputs of the last layer.
        outputs: usize,
    },
}

impl Network {
    /// Whether answers are right or wrong, and not only near.
    #[must_use]
    pub fn classifies(&self, outputs: usize) -> bool {
        self.loss != Loss::SquaredError || outputs > 1
    }

    /// Sizes between layers: the input's first, then what each layer gives.
    ///
    /// # Errors
    /// [`NetworkError`] if layers do not fit each other.
    pub fn shapes(&self) -> Result<Vec<Shape>, NetworkError> {
        let mut shapes = vec![self.input];
        let mut shape = self.input;
        let check = |shape: Shape, layer| {
            if [shape.channels, shape.height, shape.width].contains(&0) {
                return Err(NetworkError::Empty { layer });
            }
            shape.checked_elems().map(|_| ()).ok_or(NetworkError::TooLarge { layer })
        };
        check(shape, 0)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let number = index + 1;
            let windowed = |window: &Window, channels| {
                let (height, width) =
                    window.places(shape.height, shape.width).ok_or(NetworkError::Window {
                        layer: number,
                        window: *window,
                        height: shape.height,
                        width: shape.width,
                    })?;
                Ok(Shape { channels, height, width })
            };
            if layer.parameters(shape).is_none_or(|(weights, _)| weights > MAX_ELEMS) {
                return Err(NetworkError::TooLarge { layer: number });
            }
            shape = match layer {
                Layer::Dense { outputs } => Shape::vector(*outputs),
                Layer::Convolution { filters, window } => windowed(window, *filters)?,
                Layer::Relu => shape,
                Layer::MaxPool(window) | Layer::AveragePool(window) => {
                    windowed(&Window { padding: (0, 0), ..*window }, shape.channels)?
                }
            };
            check(shape, number)?;
            shapes.push(shape);
        }
        if !self.layers.iter().any(Layer::has_weights) {
            return Err(NetworkError::NoWeights);
        }
        if matches!(self.loss, Loss::Logistic | Loss::Hinge) && shape.elems() != 1 {
            return Err(NetworkError::Outputs { loss: self.loss, outputs: shape.elems() });
        }
        Ok(shapes)
    }

    /// Weights and biases of each layer, in words: `(0, 0)` where there are none.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn parameters(&self) -> Result<Vec<(usize, usize)>, NetworkError> {
        let shapes = self.shapes()?;
        let sizes = self.layers.iter().zip(&shapes);
        Ok(sizes.map(|(layer, input)| layer.parameters(*input).unwrap_or_default()).collect())
    }

    /// A network that the field compares with.
    #[must_use]
    pub fn named(name: NetworkName) -> Self {
        use Layer::{Dense, Relu};
        let window = |kernel, stride| Window {
            kernel: (kernel, kernel),
            stride: (stride, stride),
            padding: (0, 0),
        };
        let convolution = |filters, kernel, stride| Layer::Convolution {
            filters,
            window: window(kernel, stride),
        };
        let pool = Layer::MaxPool(window(2, 2));
        let dense = |outputs| Dense { outputs };
        let pooled = |filters: [usize; 2], hidden| {
            let stage = |filters| [convolution(filters, 5, 1), pool, Relu];
            let end = [dense(hidden), Relu, dense(10)];
            filters.into_iter().flat_map(stage).chain(end).collect()
        };
        let layers = match name {
            NetworkName::A => vec![dense(128), Relu, dense(128), Relu, dense(10)],
            NetworkName::B => pooled([16, 16], 100),
            NetworkName::C => pooled([20, 50], 500),
            NetworkName::D => vec![convolution(5, 2, 2), Relu, dense(100), Relu, dense(10)],
        };
        let input = Shape { channels: 1, height: 28, width: 28 };
        Self { input, layers, loss: Loss::CrossEntropy }
    }
}
