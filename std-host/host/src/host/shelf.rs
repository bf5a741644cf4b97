//! What a host serves out of a [folder of models](super::folder): it is read again when something
//! in it has changed; whoever changes it renames files into it, so that nobody reads half of one.
//! With one model and no `devices.toml` every device gets that one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sharelet_core::session::wire::control::DeviceId;

use super::folder::{Devices, Folder, FolderError, Stamp};
use super::models::Served;
use crate::store::host::HostStore;

/// A model as a host serves it, read from a file.
pub trait Loaded: Sized {
    /// Why a file cannot be served.
    type Error: core::fmt::Display;

    /// Reads a model's file. Blocks.
    ///
    /// # Errors
    /// The file's; a model that cannot be served.
    fn read(path: &Path, store: &HostStore) -> Result<Self, Self::Error>;

    /// Whether the other one is the same model: nobody has to meet it again.
    fn is(&self, other: &Self) -> bool;
}

/// The models of a folder, as they were read last.
#[derive(Debug)]
pub struct Shelf<M> {
    folder: Folder,
    loaded: BTreeMap<String, (Stamp, Arc<M>)>,
    /// Files that could not be loaded: the log has a line for each, however often they are seen.
    refused: BTreeMap<String, Stamp>,
    seen: Option<(BTreeMap<String, Stamp>, Option<Devices>)>,
}

impl<M: Loaded> Shelf<M> {
    /// The folder at `directory`, of which nothing is read yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        let (loaded, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { folder: Folder::new(directory), loaded, refused, seen: None }
    }

    /// Forgets what it has seen: the next look reads every file.
    pub fn forget(&mut self) {
        self.seen = None;
        self.refused.clear();
        for (known, _) in self.loaded.values_mut() {
            known.0 = u64::MAX;
        }
    }

    /// Reads what has changed since the last time: what is to be served, or `None`
    /// if nothing has changed. A model that cannot be served is an error in the log, and what had
    /// its name before is served on. Blocks.
    ///
    /// # Errors
    /// [`FolderError`]: nothing has changed for the host.
    pub fn look(&mut self, store: &HostStore) -> Result<Option<Served<M>>, FolderError> {
        let (files, devices) = (self.folder.files()?, self.folder.devices()?);
        if self.seen.as_ref().is_some_and(|seen| *seen == (files.clone(), devices.clone())) {
            return Ok(None);
        }
        self.loaded.retain(|name, _| files.contains_key(name));
        for (name, stamp) in &files {
            let same = self.loaded.get(name).is_some_and(|(known, _)| known == stamp);
            if same || self.refused.get(name) == Some(stamp) {
                continue;
            }
            match self.load(name, store) {
                Ok(model) => {
                    self.refused.remove(name);
                    match self.loaded.get_mut(name) {
                        // The same model in another file: nobody has to meet it again.
                        Some((known, same)) if same.is(&model) => *known = *stamp,
                        _ => drop(self.loaded.insert(name.clone(), (*stamp, Arc::new(model)))),
                    }
                }
                Err(error) => {
                    let kept = self.loaded.contains_key(name);
                    let kept = if kept { "; the one before it is served on" } else { "" };
                    tracing::error!("the model `{name}` is not served: {error}{kept}");
                    self.refused.insert(name.clone(), *stamp);
                }
            }
        }
        // One that cannot be served is there all the same.
        let only = files.keys().next().filter(|_| files.len() == 1 && devices.is_none()).cloned();
        let said = devices.clone().unwrap_or_default();
        let models: BTreeMap<_, _> =
            self.loaded.iter().map(|(name, (_, model))| (name.clone(), model.clone())).collect();
        let default = said.default.clone().or(only);
        if default.is_none() && said.devices.is_empty() && !models.is_empty() {
            return Err(FolderError::NoDefault { path: self.folder.directory().to_owned() });
        }
        if let Some(name) = default.as_ref().filter(|name| !models.contains_key(*name)) {
            tracing::warn!("there is no model `{name}`, the default: its devices are not served");
        }
        let mut named = BTreeMap::new();
        for (device, name) in &said.devices {
            if !models.contains_key(name) {
                tracing::warn!(%device, "there is no model `{name}`: the device is not served");
            }
            named.extend(DeviceId::new(device).map(|device| (device, name.clone())));
        }
        self.seen = Some((files, devices));
        Ok(Some(Served { models, default, devices: named }))
    }

    fn load(&self, name: &str, store: &HostStore) -> Result<M, M::Error> {
        // A name that the folder has told is one.
        let path = self.folder.path(name).unwrap_or_else(|_| self.folder.directory().to_owned());
        M::read(&path, store)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::model::HostModel;

    #[test]
    fn what_is_no_model_is_not_served_and_the_rest_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = HostStore::open(&folder.path().join("state")).expect("opens");
        let models = folder.path().join("models");
        fs::create_dir(&models).expect("makes it");
        let mut shelf = Shelf::<HostModel>::new(models.clone());
        assert!(shelf.look(&store).expect("reads").expect("at first").models.is_empty());
        assert!(shelf.look(&store).expect("reads").is_none());
        fs::write(models.join("pump.slt"), "no model").expect("writes");
        assert!(shelf.look(&store).expect("reads").expect("changed").models.is_empty());
        assert!(shelf.look(&store).expect("reads").is_none());
        fs::remove_dir_all(&models).expect("removes");
        assert!(matches!(shelf.look(&store), Err(FolderError::File(_))));
    }
}
