//! A masked model, `A = W - E`: all that the dealer ever knows of a model, and it is uniform to it.

use core::fmt;

use sha2::{Digest as _, Sha256};
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::ring::{read_le_slice, write_le_slice};
use sharelet_core::session::deal;
use sharelet_core::session::network::Network;

use super::wire::{Kind, MAX_CORRECTION_BYTES, MAX_MASKED_BYTES, Refusal};
use sharelet_link::frame;
use sharelet_model::{MAX_LAYERS, Model};

/// A masked model in memory.
pub struct MaskedModel {
    /// Its id.
    pub id: [u8; 32],
    /// Its network.
    pub network: Network<MAX_LAYERS>,
    /// The weights `A`, first layer first.
    pub layers: Vec<Vec<u32>>,
}

impl fmt::Debug for MaskedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedModel").field("network", &self.network).finish_non_exhaustive()
    }
}

/// Bytes of the masked weights of a network.
#[must_use]
pub fn bytes(network: &Network<MAX_LAYERS>) -> u64 {
    (0..network.layers().len()).map(|index| network.weight_elems(index) as u64 * 4).sum()
}

/// Checks a description from a peer, and how much memory it asks for; returns the bytes of `A`.
///
/// # Errors
/// [`Refusal::BadNetwork`], [`Refusal::TooLarge`].
pub fn check(network: &Network<MAX_LAYERS>) -> Result<usize, Refusal> {
    network.validate().map_err(|_| Refusal::BadNetwork)?;
    let bytes = usize::try_from(bytes(network)).unwrap_or(usize::MAX);
    if bytes > MAX_MASKED_BYTES || deal::correction_bytes(network) > MAX_CORRECTION_BYTES {
        return Err(Refusal::TooLarge);
    }
    Ok(bytes)
}

/// The id of a masked model; `docs/wire-format.md` says of what.
#[must_use]
pub fn id(description: &[u8], matrices: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"sharelet masked model 1\0");
    hash.update(u32::try_from(description.len()).unwrap_or(u32::MAX).to_le_bytes());
    hash.update(description);
    hash.update(matrices);
    hash.finalize().into()
}

/// The host's side: masks the weights of `model` with the keystream of its seed, layer by layer.
#[must_use]
pub fn mask(model: &Model, seed: &Keystream<ChaCha12>, progress: &mut dyn FnMut(u64)) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, weights) in (0_u16..).zip(&model.weights) {
        let mut masked = weights.clone();
        let parts = model.network.parts(usize::from(index));
        sharelet_core::session::linear::mask_weights(seed, index, &parts, &mut masked);
        let from = bytes.len();
        bytes.resize(from + masked.len() * 4, 0);
        write_le_slice(&masked, bytes.get_mut(from..).unwrap_or(&mut []));
        progress(masked.len() as u64 * 4);
    }
    bytes
}

/// The description's bytes, as they enter the id.
#[must_use]
pub fn description(network: &Network<MAX_LAYERS>) -> Vec<u8> {
    postcard::to_allocvec(network).unwrap_or_default()
}

impl MaskedModel {
    /// A masked model from its parts, whose lengths were checked.
    #[must_use]
    pub fn new(id: [u8; 32], network: Network<MAX_LAYERS>, matrices: &[u8]) -> Self {
        let mut rest = matrices;
        let layers = (0..network.layers().len()).map(|index| {
            let elems = network.weight_elems(index);
            let (bytes, tail) = rest.split_at_checked(elems * 4).unwrap_or((rest, &[]));
            rest = tail;
            let mut words = vec![0; elems];
            read_le_slice(bytes, &mut words);
            words
        });
        let layers = layers.collect();
        Self { id, network, layers }
    }

    /// The keystream of sessions of the model, under a device's key.
    #[must_use]
    pub fn bind(&self, key: &Keystream<ChaCha12>) -> Binding {
        Binding::of_network(key, &description(&self.network), &self.id)
    }

    /// A masked model from the bytes on disk: length of the description as `u32`, description,
    /// matrices. `None` if they are not the model `expected`.
    #[must_use]
    pub fn from_file(bytes: &[u8], expected: &[u8; 32]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (description, matrices) =
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        if id(description, matrices) != *expected {
            return None;
        }
        let network: Network<MAX_LAYERS> = frame::decode(Kind::Offer, description).ok()?;
        (check(&network).ok()? == matrices.len()).then(|| Self::new(*expected, network, matrices))
    }

    /// The bytes for the disk.
    #[must_use]
    pub fn file(description: &[u8], matrices: &[u8]) -> Vec<u8> {
        let length = u32::try_from(description.len()).unwrap_or(u32::MAX).to_le_bytes();
        [&length, description, matrices].concat()
    }
}
