//! The linear layers of a network: private weights of `P1` times masks of `P0`, a matrix each.
//!
//! A dense layer is a matrix times a vector. A layer of windows is a matrix of a row per filter
//! times the columns that the windows cut out of the image, for every group of channels.

use core::ops::Range;

use rand_core::CryptoRng;
use sharelet_core::ring::Ring as _;
use sharelet_core::session::linear::with_weights;
use sharelet_core::shape::{Shape, Window};
use sharelet_model::Model;
use sharelet_rlwe::{Error, Public, Secret, Words32, weights};
use zeroize::Zeroizing;

use crate::network::Network;

/// A product of a layer.
#[derive(Clone, Debug)]
pub struct Product {
    /// The layer, and which of its parts.
    layer: usize,
    part: usize,
    /// The layer whose input is multiplied.
    source: usize,
    /// The key of that input: one for each that is multiplied.
    key: usize,
    /// Weights, among those of the part.
    weights: Range<usize>,
    /// Results, among those of the layer.
    outputs: Range<usize>,
    /// What is cut out of the image, if it is one: the windows, and the group of channels.
    windows: Option<(Window, usize)>,
    shape: weights::Shape,
}

/// All products of a network, first layer first.
#[derive(Clone, Debug)]
pub struct Products {
    products: Vec<Product>,
    /// Elements of each layer's output.
    outputs: Vec<usize>,
    keys: usize,
}

/// A party's shares of what all layers' private weights make of the masks, layer by layer.
pub type Shares = Zeroizing<Vec<Vec<u32>>>;

impl Product {
    /// The products of a part with private weights.
    fn of_part(place: [usize; 3], shape: Shape) -> Result<Vec<Self>, Error> {
        let [layer, part, source] = place;
        let make = |[rows, inner, columns]: [usize; 3], group: usize, window: Option<Window>| {
            Ok(Self {
                layer,
                part,
                source,
                key: 0,
                weights: group * rows * inner..(group + 1) * rows * inner,
                outputs: group * rows * columns..(group + 1) * rows * columns,
                windows: window.map(|window| (window, group)),
                shape: weights::Shape::new(rows, inner, columns)?,
            })
        };
        match shape {
            Shape::Dense { inputs, outputs } => {
                Ok(vec![make([outputs.into(), inputs.into(), 1], 0, None)?])
            }
            Shape::Convolution(window) => {
                let groups = usize::from(window.groups);
                let (rows, columns) = window.outputs();
                let filters = usize::from(window.filters).checked_div(groups).unwrap_or(0);
                let sizes = [filters, window.depth() * window.kernel_elems(), rows * columns];
                (0..groups).map(|group| make(sizes, group, Some(window))).collect()
            }
            // Public weights: nothing is shared.
            _ => Ok(Vec::new()),
        }
    }

    /// The layer whose input is multiplied.
    #[must_use]
    pub fn source(&self) -> usize {
        self.source
    }

    /// Of all keys, that of the vector that is multiplied.
    ///
    /// # Errors
    /// [`Error::Sizes`] of the keys of another network.
    pub fn key_of<'k, K>(&self, keys: &'k [K]) -> Result<&'k K, Error> {
        keys.get(self.key).ok_or(Error::Sizes)
    }

    /// Rows and columns of a matrix that takes the vector as it is.
    #[must_use]
    pub fn matrix(&self) -> Option<[usize; 2]> {
        let outputs = self.outputs.len();
        let inputs = self.weights.len().checked_div(outputs)?;
        self.windows.is_none().then_some([outputs, inputs])
    }

    /// The matrix that the weights are multiplied by, out of the vector of masks.
    fn columns(&self, masks: &[u32]) -> Zeroizing<Vec<u32>> {
        let Some((window, group)) = self.windows else { return Zeroizing::new(masks.to_vec()) };
        Zeroizing::new(columns(&window, group, masks))
    }

    /// The weights of a model.
    ///
    /// # Errors
    /// [`Error::Operand`] if they are another network's.
    pub fn of_model<'m>(&self, model: &'m Model) -> Result<Zeroizing<Vec<i32>>, Error> {
        let parts = model.network.parts(self.layer);
        let all: &'m [u32] = model.weights.get(self.layer).map_or(&[], Vec::as_slice);
        let of_part = with_weights(&parts, all).nth(self.part).map(|(_, weights)| weights);
        let own = of_part.and_then(|weights| weights.get(self.weights.clone()));
        let found = of_part.map_or(0, <[u32]>::len);
        let expected = self.weights.end;
        let own = own.ok_or(Error::Operand { operand: "W", expected, found })?;
        Ok(Zeroizing::new(own.iter().map(|weight| weight.cast_signed()).collect()))
    }

    /// Adds a share of the product to those of the layers.
    pub fn add(&self, share: &[u32], shares: &mut Shares) {
        let to = shares.get_mut(self.layer).and_then(|layer| layer.get_mut(self.outputs.clone()));
        for (to, word) in to.unwrap_or_default().iter_mut().zip(share) {
            *to = to.wrapping_add(*word);
        }
    }
}

/// What the windows see of a group's channels: a row for every weight of a filter, and in it a word
/// for every place of the window; zero where it lies in the padding.
fn columns(window: &Window, group: usize, image: &[u32]) -> Vec<u32> {
    let (rows, columns) = window.outputs();
    let [height, width] = [window.height, window.width].map(usize::from);
    let (depth, kernel) = (window.depth(), window.kernel);
    // Place `at` of the window, and word `offset` in it: where in the image, if not in the padding.
    let place = |at: usize, offset: usize, stride: u8, before: u8, length: usize| {
        let padded = at * usize::from(stride) + offset;
        padded.checked_sub(before.into()).filter(|&place| place < length)
    };
    let mut out = Vec::with_capacity(depth * window.kernel_elems() * rows * columns);
    for channel in group * depth..(group + 1) * depth {
        for kernel_row in 0..kernel.0.into() {
            for kernel_column in 0..kernel.1.into() {
                for at in 0..rows * columns {
                    let (row, column) = (at / columns, at % columns);
                    let row = place(row, kernel_row, window.stride.0, window.before.0, height);
                    let column =
                        place(column, kernel_column, window.stride.1, window.before.1, width);
                    let word = row.zip(column).and_then(|(row, column)| {
                        image.get((channel * height + row) * width + column)
                    });
                    out.push(word.copied().unwrap_or(0));
                }
            }
        }
    }
    out
}

impl Products {
    /// The products of a network.
    ///
    /// # Errors
    /// [`Error::Sizes`] if messages would be too long.
    pub fn of(network: &Network) -> Result<Self, Error> {
        let mut products = Vec::new();
        for layer in 0..network.layers().len() {
            for (number, part) in network.parts(layer).iter().enumerate() {
                let place = [layer, number, part.source.into()];
                products.extend(Product::of_part(place, part.shape)?);
            }
        }
        let mut sources: Vec<usize> = products.iter().map(Product::source).collect();
        sources.sort_unstable();
        sources.dedup();
        for product in &mut products {
            product.key = sources.binary_search(&product.source).unwrap_or(0);
        }
        let outputs = network.layers().iter().map(|layer| layer.outputs().into()).collect();
        Ok(Self { products, outputs, keys: sources.len() })
    }

    /// Keys of `P0`: one for each vector that is multiplied by private weights. What `P1` makes of
    /// the ciphertexts of one vector cannot be added to a reply about another: so what `P0` says
    /// under the next layer's mask does not depend on that mask, even if `P1` deviates.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.keys
    }

    /// Bytes of a request for one session.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.products.iter().map(|product| product.shape.request_bytes()).sum()
    }

    /// Bytes of the reply to it.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        self.products.iter().map(|product| product.shape.reply_bytes()).sum()
    }

    /// Whether the model's weights can be hidden in the noise of replies.
    ///
    /// # Errors
    /// [`Error::Noise`] with the number, [`Error::Operand`] for weights of another network.
    pub fn check(&self, model: &Model) -> Result<(), Error> {
        for product in &self.products {
            let _ = product.shape.noise_bits(&product.of_model(model)?)?;
        }
        Ok(())
    }

    /// One by one.
    #[must_use]
    pub fn all(&self) -> &[Product] {
        &self.products
    }

    /// Shares of nothing yet.
    #[must_use]
    pub fn zeros(&self) -> Shares {
        Zeroizing::new(self.outputs.iter().map(|&outputs| vec![0; outputs]).collect())
    }

    /// `P0`'s request, of the masks of what each layer takes.
    ///
    /// # Errors
    /// [`Error::Operand`] if masks are missing.
    pub fn request(
        &self,
        secrets: &[Secret<Words32>],
        masks: &[Vec<u32>],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let mut request = Vec::with_capacity(self.request_bytes());
        for product in &self.products {
            let masks = masks.get(product.source).map_or(&[][..], Vec::as_slice);
            let columns = product.columns(masks);
            request.extend(weights::request(
                product.key_of(secrets)?,
                &product.shape,
                &columns,
                rng,
            )?);
        }
        Ok(request)
    }

    /// `P1`'s reply to a request, and its shares.
    ///
    /// # Errors
    /// As [`Products::check`]; a request that is none.
    pub fn respond(
        &self,
        publics: &[Public<Words32>],
        model: &Model,
        request: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Shares), Error> {
        let (expected, found) = (self.request_bytes(), request.len());
        if found != expected {
            return Err(Error::Length { expected, found });
        }
        let (mut reply, mut shares) = (Vec::with_capacity(self.reply_bytes()), self.zeros());
        let mut rest = request;
        for product in &self.products {
            let own = product.of_model(model)?;
            let (of_product, more) = split(rest, product.shape.request_bytes());
            rest = more;
            let public = product.key_of(publics)?;
            let (part, share) = weights::respond(public, &product.shape, &own, of_product, rng)?;
            reply.extend(part);
            product.add(&share, &mut shares);
        }
        Ok((reply, shares))
    }

    /// `P0`'s shares, out of the reply.
    ///
    /// # Errors
    /// A reply that is none.
    pub fn finish(&self, secrets: &[Secret<Words32>], reply: &[u8]) -> Result<Shares, Error> {
        let (expected, found) = (self.reply_bytes(), reply.len());
        if found != expected {
            return Err(Error::Length { expected, found });
        }
        let (mut shares, mut rest) = (self.zeros(), reply);
        for product in &self.products {
            let (of_product, more) = split(rest, product.shape.reply_bytes());
            rest = more;
            let secret = product.key_of(secrets)?;
            product.add(&weights::finish(secret, &product.shape, of_product)?, &mut shares);
        }
        Ok(shares)
    }
}

fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// Adds to `P0`'s shares what public weights make of the masks: nothing is shared of it.
pub fn add_public(network: &Network, masks: &[Vec<u32>], shares: &mut Shares) {
    for (layer, shares) in shares.iter_mut().enumerate() {
        for part in network.parts(layer).iter().filter(|part| !part.shape.is_private()) {
            let masks = masks.get(usize::from(part.source)).map_or(&[][..], Vec::as_slice);
            part.shape.add_product(&[], u32::from_u64(part.public), masks, shares);
        }
    }
}
