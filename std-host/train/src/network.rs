//! The shape of a network that is trained: layers, sizes, loss. Public, and the same for both
//! servers, the dealer and the twin.

use serde::{Deserialize, Serialize};

/// Words of a sample between two layers, and weights of a layer, at most.
pub const MAX_ELEMS: usize = 1 << 26;

/// What a batch normalisation adds to a variance.
pub const NORM_EPSILON: f64 = 1e-5;
/// How much of a batch's statistics goes into those that are kept, over `2^NORM_KEPT_BITS`: a
/// tenth.
pub const NORM_KEPT: u32 = 6554;
/// See [`NORM_KEPT`].
pub const NORM_KEPT_BITS: u32 = 16;
/// The largest weight of a network with a batch normalisation.
pub const NORM_LARGEST_WEIGHT: f64 = 1024.0;

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
    /// Batch normalisation: each channel less its mean, over its standard deviation, times a
    /// weight, plus a bias (Ioffe and Szegedy 2015). In a step mean and deviation are those of the
    /// batch, afterwards those that training has kept. See [`super::normalise`].
    BatchNorm,
}

/// How many words a layer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Weights.
    pub weights: usize,
    /// Biases.
    pub biases: usize,
    /// What is kept of batches: means of channels, then their variances.
    pub statistics: usize,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.weights.saturating_add(self.biases).saturating_add(self.statistics)
    }
}

impl Layer {
    /// Whether it multiplies by weights: a dense layer, or a convolution.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        matches!(self, Self::Dense { .. } | Self::Convolution { .. })
    }

    /// Words for such an input: none where there is nothing to train, `None` where there are too
    /// many to count.
    fn parameters(&self, input: Shape) -> Option<Counts> {
        let (outputs, each) = match self {
            Self::BatchNorm => {
                let channels = input.channels;
                let statistics = channels.checked_mul(2)?;
                return Some(Counts { weights: channels, biases: channels, statistics });
            }
            Self::Dense { outputs } => (*outputs, input.elems()),
            Self::Convolution { filters, window } => {
                let cells = window.kernel.0.checked_mul(window.kernel.1)?;
                (*filters, input.channels.checked_mul(cells)?)
            }
            _ => (0, 0),
        };
        Some(Counts { weights: outputs.checked_mul(each)?, biases: outputs, statistics: 0 })
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

/// Networks that the field compares with, for 10 classes: letters for images of 28 x 28, names for
/// colour images of 32 x 32.
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
    /// `AlexNet` (Krizhevsky et al. 2012) as FALCON has it for small images: five convolutions, two
    /// batch normalisations, three dense layers.
    AlexNet,
    /// `VGG16` (Simonyan and Zisserman 2015): thirteen convolutions of 3 x 3, each with a batch
    /// normalisation, and three dense layers of 4,096, 4,096 and 10.
    Vgg16,
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
    /// Nothing to normalise.
    #[error(
        "layer {layer}: a batch normalisation belongs behind a dense layer or a convolution; share \
         the data with --standardise, if it is what is to be normalised"
    )]
    Norm {
        /// Counted from 1.
        layer: usize,
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
            if layer.parameters(shape).is_none_or(|counts| counts.weights > MAX_ELEMS) {
                return Err(NetworkError::TooLarge { layer: number });
            }
            shape = match layer {
                Layer::Dense { outputs } => Shape::vector(*outputs),
                Layer::Convolution { filters, window } => windowed(window, *filters)?,
                Layer::BatchNorm if !self.layers.iter().take(index).any(Layer::has_weights) => {
                    return Err(NetworkError::Norm { layer: number });
                }
                Layer::Relu | Layer::BatchNorm => shape,
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

    /// Words of each layer.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn parameters(&self) -> Result<Vec<Counts>, NetworkError> {
        let shapes = self.shapes()?;
        let sizes = self.layers.iter().zip(&shapes);
        Ok(sizes.map(|(layer, input)| layer.parameters(*input).unwrap_or_default()).collect())
    }

    /// A network that the field compares with.
    #[must_use]
    pub fn named(name: NetworkName) -> Self {
        use Layer::{BatchNorm, Dense, Relu};
        let window = |kernel, stride| Window {
            kernel: (kernel, kernel),
            stride: (stride, stride),
            padding: (0, 0),
        };
        let padded = |filters, kernel, stride, padding| Layer::Convolution {
            filters,
            window: Window { padding: (padding, padding), ..window(kernel, stride) },
        };
        let convolution = |filters, kernel, stride| padded(filters, kernel, stride, 0);
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
            NetworkName::AlexNet => {
                // FALCON pads images of 33 x 33 by 9: the same sizes, and the same first pixels.
                let pool = Layer::MaxPool(window(3, 2));
                let mut layers = vec![padded(96, 11, 4, 10), pool, Relu, BatchNorm];
                layers.extend([padded(256, 5, 1, 1), pool, Relu, BatchNorm]);
                layers.extend(
                    [384, 384, 256]
                        .into_iter()
                        .flat_map(|filters| [padded(filters, 3, 1, 1), Relu]),
                );
                layers.extend([dense(256), Relu, dense(256), Relu, dense(10)]);
                layers
            }
            NetworkName::Vgg16 => {
                let stages = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];
                let stage = |(filters, count): (usize, usize)| {
                    let layers = [padded(filters, 3, 1, 1), BatchNorm, Relu];
                    let before = core::iter::repeat_n(layers, count - 1).flatten();
                    // The largest first: it is the same, and fewer are activated.
                    before.chain([padded(filters, 3, 1, 1), BatchNorm, pool, Relu])
                };
                let end = [dense(4096), Relu, dense(4096), Relu, dense(10)];
                stages.into_iter().flat_map(stage).chain(end).collect()
            }
        };
        let input = match name {
            NetworkName::AlexNet | NetworkName::Vgg16 => {
                Shape { channels: 3, height: 32, width: 32 }
            }
            _ => Shape { channels: 1, height: 28, width: 28 },
        };
        Self { input, layers, loss: Loss::CrossEntropy }
    }
}
