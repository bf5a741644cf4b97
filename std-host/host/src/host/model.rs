//! The model that a host serves: its weights, the seed that masks them, and the id under which the
//! dealer knows `A`.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::session::deal;
use sharelet_core::session::wire::task::Task;

use crate::dealer::client::{Client, ClientError};
use crate::dealer::masked;
use crate::store::host::HostStore;
use sharelet_link::files::FileError;
use sharelet_model::{Model, ModelError};

use super::error::HostError;
use super::shelf::Loaded;
use crate::store::host::record_name;
use crate::store::spent::ModelName;

/// A model that is served.
#[derive(Debug)]
pub struct HostModel {
    /// The model in the clear.
    pub model: Model,
    /// The seed of `E`.
    pub seed: Key,
    /// The id of `A`.
    pub masked_id: [u8; 32],
    /// Bytes of the corrections of a session.
    pub correction_bytes: usize,
    /// What data parties of two servers know of it.
    pub task: Task,
}

impl HostModel {
    /// Reads a model file and masks it; the seed belongs to the file, whatever its name. `progress`
    /// counts bytes of `A`.
    ///
    /// # Errors
    /// [`HostError::Model`] and [`HostError::Store`].
    pub fn load(
        path: &Path,
        store: &HostStore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, HostError> {
        let bytes = fs::read(path).map_err(FileError::at(path)).map_err(ModelError::Io)?;
        let model = Model::from_bytes(&bytes, path)?;
        masked::check(&model.network)
            .map_err(|refusal| HostError::Unservable { reason: refusal.to_string() })?;
        let seed = store.model_seed(&Sha256::digest(&bytes).into())?;
        let matrices = masked::mask(&model, &Keystream::<ChaCha12>::new(&seed), progress);
        let masked_id = masked::id(&masked::description(&model.network), &matrices);
        let correction_bytes = deal::correction_bytes(&model.network);
        let task = model.task(&bytes);
        Ok(Self { model, seed, masked_id, correction_bytes, task })
    }

    /// What it is called in the records of devices.
    #[must_use]
    pub fn name(&self) -> ModelName {
        record_name(&self.masked_id)
    }

    /// Makes sure that the dealer has `A`. Returns whether it had to be sent. `progress` counts
    /// bytes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offer_to(
        &self,
        client: &Client,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<bool, ClientError> {
        // Rare, and quicker than it is to keep `A` in memory beside `W`.
        let matrices = tokio::task::block_in_place(|| {
            masked::mask(&self.model, &Keystream::new(&self.seed), &mut |_| ())
        });
        client.offer(self.masked_id, &self.model.network, &matrices, progress).await
    }
}

impl Loaded for HostModel {
    type Error = HostError;

    fn read(path: &Path, store: &HostStore) -> Result<Self, HostError> {
        Self::load(path, store, &mut |_| ())
    }

    fn is(&self, other: &Self) -> bool {
        self.masked_id == other.masked_id
    }
}
