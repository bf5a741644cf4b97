//! Keys of devices, in files, so that a device can be provisioned while the dealer runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::files::{FileError, private_directory, sync_directory, write_file};

use super::engine::Registry;
use super::error::{KeyError, StoreError};
use super::key::DeviceKey;
use super::state::OF_WITNESS;

/// The folder of keys in a dealer's state.
#[derive(Clone, Debug)]
pub struct KeysFolder(PathBuf);

impl KeysFolder {
    /// The keys in the state at `directory`, which need not be there yet.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self(directory.join("keys"))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self, device: DeviceId) -> PathBuf {
        self.0.join(format!("{device}.key"))
    }
}

impl KeysFolder {
    /// Where a dealer keeps its devices elsewhere, its folder of keys is nobody's.
    fn expect_own(&self) -> Result<(), StoreError> {
        let state = self.0.parent().unwrap_or(&self.0);
        let seen = state.join(OF_WITNESS);
        if seen.try_exists().map_err(FileError::at(&seen))? {
            return Err(StoreError::Elsewhere { path: state.to_owned() });
        }
        Ok(())
    }
}

impl Registry for KeysFolder {
    fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        let path = self.file(device);
        match DeviceKey::load(&path) {
            Ok(key) if key.device == device => Ok(Some(key)),
            Ok(_) => Err(StoreError::Key { path, source: KeyError::Name }),
            Err(StoreError::File(error)) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn expect_writable(&self) -> Result<(), StoreError> {
        self.expect_own()?;
        private_directory(&self.0)?;
        let probe = self.0.join(".probe");
        write_file(&probe, &[])?;
        match fs::remove_file(&probe) {
            // Another one that looks at the same time was faster.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::at(&probe)(error).into())
            }
            _ => Ok(()),
        }
    }

    fn put_key(&self, key: &DeviceKey, force: bool) -> Result<(), StoreError> {
        self.expect_own()?;
        private_directory(&self.0)?;
        let path = self.file(key.device);
        if !force && path.try_exists().map_err(FileError::at(&path))? {
            return Err(StoreError::KeyExists { device: key.device.to_string() });
        }
        key.save(&path)
    }

    fn forget_key(&self, device: DeviceId) -> Result<bool, StoreError> {
        self.expect_own()?;
        let path = self.file(device);
        match fs::remove_file(&path) {
            Ok(()) => {
                sync_directory(&path)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FileError::at(&path)(error).into()),
        }
    }

    fn devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.expect_own()?;
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FileError::at(&self.0))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter_map(|name| DeviceId::new(name.strip_suffix(".key")?)).collect())
    }
}

/// Makes a key for `device`; once `give` has written it for the device, it is kept in `registry`.
/// The dealer may be running.
///
/// # Errors
/// [`StoreError::KeyExists`] unless `force`; nothing is written then. If `give` fails, the dealer
/// knows the key that it knew before.
pub fn provision<E: From<StoreError>>(
    registry: &dyn Registry,
    device: DeviceId,
    force: bool,
    give: impl FnOnce(&DeviceKey) -> Result<(), E>,
) -> Result<DeviceKey, E> {
    match registry.key(device) {
        Ok(None) => {}
        // One that is damaged is replaced with `force`, and is in the way without.
        Ok(Some(_)) | Err(StoreError::Key { .. }) if force => {}
        Ok(Some(_)) | Err(StoreError::Key { .. }) => {
            return Err(StoreError::KeyExists { device: device.to_string() }.into());
        }
        // Where it could not be kept, nothing is given out.
        Err(error) => return Err(error.into()),
    }
    registry.expect_writable()?;
    let key = DeviceKey::generate(device)?;
    give(&key)?;
    registry.put_key(&key, force)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_provisioned_one_by_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = KeysFolder::of(directory.path());
        let device = DeviceId::new("d").expect("a name");
        assert!(keys.key(device).expect("reads").is_none());
        let full = |_: &_| Err(StoreError::Lost { path: directory.path().to_owned() });
        assert!(provision(&keys, device, false, full).is_err());
        assert!(keys.key(device).expect("reads").is_none(), "the device never got it");
        let given = |_: &_| Ok::<_, StoreError>(());
        let first = provision(&keys, device, false, given).expect("new");
        assert!(matches!(
            provision(&keys, device, false, given),
            Err(StoreError::KeyExists { .. })
        ));
        let second = provision(&keys, device, true, given).expect("forced");
        let key = keys.key(device).expect("reads").expect("known");
        assert_eq!(key.key_id(), second.key_id());
        assert_ne!(first.key_id(), second.key_id());
        assert_eq!(keys.devices().expect("reads"), [device]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode(&keys.file(device)), 0o600);
            assert_eq!(mode(keys.path()), 0o700);
        }
        assert!(keys.forget_key(device).expect("removes"));
        assert!(!keys.forget_key(device).expect("removes"));
        assert!(keys.devices().expect("reads").is_empty());
    }
}
