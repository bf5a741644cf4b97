//! A folder of models, for a host that serves several: `NAME.slt`, and `devices.toml`, which says
//! who gets which.
//!
//! ```toml
//! default = "pump"
//!
//! [devices]
//! fan-03 = "fan"
//! ```
//!
//! A folder is read again when something in it has changed; whoever changes it renames files into
//! it, so that nobody reads half of one. With one model and no `devices.toml` every device gets
//! that one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::files::{FileError, write_file};

use super::error::HostError;
use super::model::HostModel;
use super::models::Served;
use crate::store::host::HostStore;

const ENDING: &str = "slt";
const DEVICES: &str = "devices.toml";
/// Letters of a model's name, at most.
const LONGEST_NAME: usize = 64;

/// Why a folder of models cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// The system.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of devices.
    #[error("{path}: {what}", path = path.display())]
    Devices {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        what: String,
    },
    /// A model's name.
    #[error("`{0}` is no name of a model: 1 to 64 letters, digits, `.`, `-` and `_`")]
    Name(String),
    /// There is no such model.
    #[error("{path}: there is no model `{name}`", path = path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// There are several models, and nobody says who gets which.
    #[error(
        "{path}: there are several models and no default; run `sharelet models default` or \
         `sharelet models assign`",
        path = path.display(),
    )]
    NoDefault {
        /// The folder.
        path: PathBuf,
    },
}

/// Who gets which model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// What devices get that are not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What named devices get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, String>,
}

/// What tells whether a file is another one: its length, when it was written, and what the system
/// calls it.
type Stamp = (u64, Option<SystemTime>, [u64; 3]);

fn stamp(about: &fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let called = {
        use std::os::unix::fs::MetadataExt as _;
        [about.dev(), about.ino(), about.ctime_nsec().unsigned_abs()]
    };
    #[cfg(not(unix))]
    let called = [0; 3];
    (about.len(), about.modified().ok(), called)
}

/// A folder of models.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    loaded: BTreeMap<String, (Stamp, Arc<HostModel>)>,
    /// Files that could not be loaded: the log has a line for each, however often they are seen.
    refused: BTreeMap<String, Stamp>,
    seen: Option<(BTreeMap<String, Stamp>, Option<Devices>)>,
}

impl Shelf {
    /// The folder at `directory`, of which nothing is read yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        let (loaded, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { directory, loaded, refused, seen: None }
    }

    /// The folder.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a model.
    ///
    /// # Errors
    /// [`ShelfError::Name`].
    pub fn path(&self, name: &str) -> Result<PathBuf, ShelfError> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
        let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_plain);
        if !is_name || name.starts_with('.') {
            return Err(ShelfError::Name(name.to_owned()));
        }
        Ok(self.directory.join(format!("{name}.{ENDING}")))
    }

    /// The names of the models that are there.
    ///
    /// # Errors
    /// [`ShelfError::File`].
    pub fn names(&self) -> Result<Vec<String>, ShelfError> {
        Ok(self.files()?.into_keys().collect())
    }

    fn files(&self) -> Result<BTreeMap<String, Stamp>, ShelfError> {
        let failed = FileError::at(&self.directory);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(FileError::at(&self.directory))?;
            let path = entry.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let is_model = path.extension().is_some_and(|ending| ending == ENDING);
            // One that was removed meanwhile is none. A link is what it leads to.
            if let Ok(about) = fs::metadata(&path)
                && is_model
                && self.path(name).is_ok()
            {
                files.insert(name.to_owned(), stamp(&about));
            }
        }
        Ok(files)
    }

    /// Who gets which model; `None` if nobody has said so.
    ///
    /// # Errors
    /// [`ShelfError::File`], but not for a file that is not there; [`ShelfError::Devices`].
    pub fn devices(&self) -> Result<Option<Devices>, ShelfError> {
        let path = self.directory.join(DEVICES);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::at(&path)(error).into()),
        };
        let devices: Devices = toml::from_str(&text).map_err(|error| {
            let what = error.to_string().trim_end().to_owned();
            ShelfError::Devices { path: path.clone(), what }
        })?;
        match devices.devices.keys().find(|name| DeviceId::new(name).is_none()) {
            Some(name) => {
                let what = format!("`{name}` is no name of a device");
                Err(ShelfError::Devices { path, what })
            }
            None => Ok(Some(devices)),
        }
    }

    /// The model that every device gets where nobody has said who gets which: the only one.
    ///
    /// # Errors
    /// [`ShelfError::File`].
    pub fn only(&self) -> Result<Option<String>, ShelfError> {
        let mut names = self.names()?;
        Ok(if names.len() == 1 { names.pop() } else { None })
    }

    /// That there is a model of this name.
    ///
    /// # Errors
    /// [`ShelfError::Missing`].
    pub fn expect(&self, name: &str) -> Result<(), ShelfError> {
        if self.names()?.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(ShelfError::Missing { path: self.directory.clone(), name: name.to_owned() })
    }

    /// Writes who gets which model.
    ///
    /// # Errors
    /// [`ShelfError::File`].
    pub fn assign(&self, devices: &Devices) -> Result<(), ShelfError> {
        let path = self.directory.join(DEVICES);
        let text = toml::to_string(devices)
            .map_err(|error| ShelfError::Devices { path: path.clone(), what: error.to_string() })?;
        Ok(write_file(&path, &[text.as_bytes()])?)
    }

    /// Forgets what it has seen: the next look reads every file.
    pub fn forget(&mut self) {
        self.seen = None;
        self.refused.clear();
        for (known, _) in self.loaded.values_mut() {
            known.0 = u64::MAX;
        }
    }

    /// Reads what has changed since the last time, and masks it: what is to be served, or `None`
    /// if nothing has changed. A model that cannot be served is an error in the log, and what had
    /// its name before is served on. Blocks.
    ///
    /// # Errors
    /// [`ShelfError`]: nothing has changed for the host.
    pub fn look(&mut self, store: &HostStore) -> Result<Option<Served>, ShelfError> {
        let (files, devices) = (self.files()?, self.devices()?);
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
                        Some((known, same)) if same.masked_id == model.masked_id => *known = *stamp,
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
            return Err(ShelfError::NoDefault { path: self.directory.clone() });
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

    fn load(&self, name: &str, store: &HostStore) -> Result<HostModel, HostError> {
        let path = self.path(name).unwrap_or_else(|_| self.directory.clone());
        HostModel::load(&path, store, &mut |_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_devices() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::new(folder.path().to_owned());
        for name in ["", ".", "..", "a/b", ".hidden", "a b"] {
            assert!(matches!(shelf.path(name), Err(ShelfError::Name(_))), "{name}");
        }
        for file in ["pump.slt", "fan.slt", "notes.txt", ".hidden.slt"] {
            fs::write(folder.path().join(file), "no model").expect("writes");
        }
        assert_eq!(shelf.names().expect("reads"), ["fan", "pump"]);
        assert_eq!(shelf.devices().expect("none"), None);
        let devices = Devices {
            default: Some("pump".to_owned()),
            devices: BTreeMap::from([("fan-03".to_owned(), "fan".to_owned())]),
        };
        shelf.assign(&devices).expect("writes");
        assert_eq!(shelf.devices().expect("reads"), Some(devices));
        assert!(matches!(shelf.expect("gone"), Err(ShelfError::Missing { .. })));
        shelf.expect("fan").expect("is there");
        assert_eq!(shelf.only().expect("reads"), None);
        for (text, said) in [
            ("default = 3", "line 1"),
            ("\n[device]\na = \"b\"", "line 2"),
            ("[devices]\n\"no name\" = \"pump\"", "`no name` is no name"),
        ] {
            fs::write(folder.path().join(DEVICES), text).expect("writes");
            let refused = shelf.devices().expect_err("refused").to_string();
            assert!(refused.contains(said) && refused.contains(DEVICES), "{refused}");
        }
    }

    #[test]
    fn what_is_no_model_is_not_served_and_the_rest_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = HostStore::open(&folder.path().join("state")).expect("opens");
        let models = folder.path().join("models");
        fs::create_dir(&models).expect("makes it");
        let mut shelf = Shelf::new(models.clone());
        assert!(shelf.look(&store).expect("reads").expect("at first").models.is_empty());
        assert!(shelf.look(&store).expect("reads").is_none());
        fs::write(models.join("pump.slt"), "no model").expect("writes");
        assert!(shelf.look(&store).expect("reads").expect("changed").models.is_empty());
        assert!(shelf.look(&store).expect("reads").is_none());
        fs::remove_dir_all(&models).expect("removes");
        assert!(matches!(shelf.look(&store), Err(ShelfError::File(_))));
    }
}
