//! What both parties know before they prepare.

use core::convert::Infallible;

use sharelet_core::share::Party;
use sharelet_model::Model;
use sharelet_prepare::Strings;
use sharelet_rlwe::batch::SLOTS;

use crate::batch::Batches;
use crate::error::AloneError;
use crate::layers::Products;
use crate::network::{Gates, Network};

/// A network, its gates and its products.
#[derive(Clone, Debug)]
pub struct Task {
    /// The description.
    pub network: Network,
    pub(crate) gates: Gates,
    pub(crate) products: Products,
    /// The same for many sessions at once, if that is possible.
    pub(crate) batches: Option<Batches>,
    /// Transfers that either party sends for a session, at most.
    transfers: u64,
}

/// Transfers of the sessions that are prepared at once, about: 100 MB of memory.
const AT_ONCE: u64 = 1 << 20;
/// Bytes of ciphertexts of the sessions that are prepared at once, about.
const BYTES_AT_ONCE: usize = 64 << 20;

impl Task {
    /// Of a network.
    ///
    /// # Errors
    /// A network that is too large.
    pub fn new(network: Network) -> Result<Self, AloneError<Infallible>> {
        let (gates, products) = (Gates::of(&network), Products::of(&network)?);
        let plan = gates.plan(1);
        let transfers = plan.transfers(Party::P0).max(plan.transfers(Party::P1));
        let batches = Batches::of(&products);
        Ok(Self { network, gates, products, batches, transfers })
    }

    /// Whether a model's weights can be hidden from the party that decrypts: to be asked before it
    /// is served.
    ///
    /// # Errors
    /// [`Error::Noise`](sharelet_rlwe::Error::Noise) with the number.
    pub fn check(&self, model: &Model) -> Result<(), AloneError<Infallible>> {
        Ok(self.products.check(model)?)
    }

    /// Digest of the description.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.gates.digest
    }

    /// Bytes of either party's records of one session, and the strings that it spends.
    #[must_use]
    pub fn spends(&self) -> (usize, Strings) {
        (self.gates.record_bytes(), self.gates.strings())
    }

    /// Bytes of the ciphertexts of one session, of both parties.
    #[must_use]
    pub fn encrypted_bytes(&self) -> usize {
        self.products.request_bytes().saturating_add(self.products.reply_bytes())
    }

    /// Random transfers of one session, of the party that sends more.
    #[must_use]
    pub const fn transfers(&self) -> u64 {
        self.transfers
    }

    /// Sessions that are best prepared at once: at least one.
    #[must_use]
    pub fn sessions_at_once(&self) -> usize {
        let of_transfers = usize::try_from(AT_ONCE / self.transfers.max(1)).unwrap_or(1);
        let of_bytes = BYTES_AT_ONCE / self.encrypted_bytes().max(1);
        of_transfers.min(of_bytes).clamp(1, SLOTS)
    }
}
