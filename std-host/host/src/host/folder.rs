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
//! What a host makes of it is in [`shelf`](super::shelf).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::files::{FileError, write_file};

const ENDING: &str = "slt";
const DEVICES: &str = "devices.toml";
/// Letters of a model's name, at most.
const LONGEST_NAME: usize = 64;

/// Why a folder of models cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
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
pub(super) type Stamp = (u64, Option<SystemTime>, [u64; 3]);

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
#[derive(Clone, Debug)]
pub struct Folder {
    directory: PathBuf,
}

/// That this may be a model's name.
///
/// # Errors
/// [`FolderError::Name`].
pub fn expect_name(name: &str) -> Result<(), FolderError> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_plain);
    if is_name && !name.starts_with('.') {
        return Ok(());
    }
    Err(FolderError::Name(name.to_owned()))
}

impl Folder {
    /// The folder at `directory`, of which nothing is read yet.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The folder.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a model.
    ///
    /// # Errors
    /// [`FolderError::Name`].
    pub fn path(&self, name: &str) -> Result<PathBuf, FolderError> {
        expect_name(name)?;
        Ok(self.directory.join(format!("{name}.{ENDING}")))
    }

    /// The names of the models that are there.
    ///
    /// # Errors
    /// [`FolderError::File`].
    pub fn names(&self) -> Result<Vec<String>, FolderError> {
        Ok(self.files()?.into_keys().collect())
    }

    pub(super) fn files(&self) -> Result<BTreeMap<String, Stamp>, FolderError> {
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
    /// [`FolderError::File`], but not for a file that is not there; [`FolderError::Devices`].
    pub fn devices(&self) -> Result<Option<Devices>, FolderError> {
        let path = self.directory.join(DEVICES);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::at(&path)(error).into()),
        };
        let devices: Devices = toml::from_str(&text).map_err(|error| {
            let what = error.to_string().trim_end().to_owned();
            FolderError::Devices { path: path.clone(), what }
        })?;
        match devices.devices.keys().find(|name| DeviceId::new(name).is_none()) {
            Some(name) => {
                let what = format!("`{name}` is no name of a device");
                Err(FolderError::Devices { path, what })
            }
            None => Ok(Some(devices)),
        }
    }

    /// The model that every device gets where nobody has said who gets which: the only one.
    ///
    /// # Errors
    /// [`FolderError::File`].
    pub fn only(&self) -> Result<Option<String>, FolderError> {
        let mut names = self.names()?;
        Ok(if names.len() == 1 { names.pop() } else { None })
    }

    /// That there is a model of this name.
    ///
    /// # Errors
    /// [`FolderError::Missing`].
    pub fn expect(&self, name: &str) -> Result<(), FolderError> {
        if self.names()?.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(FolderError::Missing { path: self.directory.clone(), name: name.to_owned() })
    }

    /// Writes who gets which model.
    ///
    /// # Errors
    /// [`FolderError::File`].
    pub fn assign(&self, devices: &Devices) -> Result<(), FolderError> {
        let path = self.directory.join(DEVICES);
        let text = toml::to_string(devices).map_err(|error| FolderError::Devices {
            path: path.clone(),
            what: error.to_string(),
        })?;
        Ok(write_file(&path, &[text.as_bytes()])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_devices() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Folder::new(folder.path().to_owned());
        for name in ["", ".", "..", "a/b", ".hidden", "a b"] {
            assert!(matches!(shelf.path(name), Err(FolderError::Name(_))), "{name}");
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
        assert!(matches!(shelf.expect("gone"), Err(FolderError::Missing { .. })));
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
}
