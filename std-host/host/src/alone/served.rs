//! A model that is served without a dealer.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sharelet_alone::Task;
use sharelet_model::Model;

use super::AloneError;
use crate::host::shelf::Loaded;
use crate::store::host::HostStore;

/// A model that is served without a dealer.
pub struct Served {
    model: Model,
    /// A digest of its file, which tells nothing about the weights but whether a guess of all of
    /// them is right.
    digest: [u8; 32],
    task: Task,
}

impl core::fmt::Debug for Served {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Served").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Served {
    /// Reads a model, and checks that its weights can be hidden.
    ///
    /// # Errors
    /// The file's; [`AloneError::Model`] with the number if they cannot.
    pub fn load(path: &Path) -> Result<Self, AloneError> {
        let unfit = |error: String| AloneError::Unfit(error);
        let bytes =
            fs::read(path).map_err(|error| unfit(format!("{}: {error}", path.display())))?;
        let model = Model::from_bytes(&bytes, path).map_err(|error| unfit(error.to_string()))?;
        Self::new(model, &bytes)
    }

    /// Of a model whose file is `file`.
    ///
    /// # Errors
    /// [`AloneError::Model`].
    pub fn new(model: Model, file: &[u8]) -> Result<Self, AloneError> {
        let task = Task::new(model.network.clone())?;
        task.check(&model)?;
        let digest =
            Sha256::new().chain_update("sharelet alone model 1").chain_update(file).finalize();
        let digest = digest.into();
        Ok(Self { model, digest, task })
    }

    /// A digest of its file.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What both parties know of it.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl Loaded for Served {
    type Error = AloneError;

    fn read(path: &Path, _store: &HostStore) -> Result<Self, AloneError> {
        Self::load(path)
    }

    fn is(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
