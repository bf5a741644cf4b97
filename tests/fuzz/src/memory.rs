//! A store in memory, which is new for every run: what was recorded before counts for nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use sharelet_core::keystream::Key;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_host::store::StoreError;
use sharelet_host::store::engine::{Entry, Registry, Store};
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::spent::Spent;
use sharelet_host::store::spool::{Origin, SpoolError};
use sharelet_link::Party;

#[derive(Debug, Default)]
struct Records {
    keys: HashMap<DeviceId, [u8; 32]>,
    spent: HashMap<DeviceId, Entry>,
    models: HashMap<(Option<Party>, [u8; 32]), Vec<u8>>,
}

/// What a dealer keeps.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Records>);

impl Memory {
    /// With one device.
    pub fn of(device: DeviceId, key: [u8; 32]) -> Self {
        let memory = Self::default();
        memory.records().keys.insert(device, key);
        memory
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap()
    }
}

impl Registry for Memory {
    fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        let key = self.records().keys.get(&device).copied();
        Ok(key.map(|key| DeviceKey { device, key: Key::from_bytes(key), used: false }))
    }

    fn put_key(&self, key: &DeviceKey, _: bool) -> Result<(), StoreError> {
        self.records().keys.insert(key.device, *key.key.expose());
        Ok(())
    }

    fn forget_key(&self, device: DeviceId) -> Result<bool, StoreError> {
        Ok(self.records().keys.remove(&device).is_some())
    }

    fn devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        Ok(self.records().keys.keys().copied().collect())
    }
}

impl Store for Memory {
    fn spent(&self, device: DeviceId) -> Result<Option<Entry>, StoreError> {
        Ok(self.records().spent.get(&device).cloned())
    }

    fn spend(&self, device: DeviceId, seen: Option<u64>, to: &Spent) -> Result<bool, StoreError> {
        let mut records = self.records();
        if records.spent.get(&device).map(|entry| entry.revision) != seen {
            return Ok(false);
        }
        let revision = seen.map_or(0, |seen| seen + 1);
        records.spent.insert(device, Entry { revision, spent: to.clone() });
        Ok(true)
    }

    fn spenders(&self) -> Result<Vec<DeviceId>, StoreError> {
        Ok(self.records().spent.keys().copied().collect())
    }

    fn sessions(&self, _: DeviceId) -> Result<Vec<(u64, Option<Origin>)>, StoreError> {
        Ok(Vec::new())
    }

    fn stock(&self) -> Result<Vec<(DeviceId, usize)>, StoreError> {
        Ok(Vec::new())
    }

    fn expect_room(&self, _: DeviceId, _: usize) -> Result<(), StoreError> {
        Ok(())
    }

    fn put(&self, _: DeviceId, _: u64, _: &Origin, _: &[u8]) -> Result<(), StoreError> {
        unreachable!("a dealer keeps no corrections")
    }

    fn get(&self, _: DeviceId, _: u64, _: &Origin, _: usize) -> Result<Vec<u8>, SpoolError> {
        unreachable!("a dealer keeps no corrections")
    }

    fn remove(&self, _: DeviceId, _: u64, _: Option<&Origin>) {}

    fn expect_there(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn seed(&self, _: &[u8; 32]) -> Result<Key, StoreError> {
        unreachable!("a dealer has no model of its own")
    }

    fn put_model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.records().models.insert((owner, *id), bytes.to_vec());
        Ok(())
    }

    fn model(&self, owner: Option<Party>, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records().models.get(&(owner, *id)).cloned())
    }

    fn remove_model(&self, owner: Option<Party>, id: &[u8; 32]) -> StoreError {
        self.records().models.remove(&(owner, *id));
        StoreError::MaskedModel { path: "memory".into() }
    }

    fn make_room(&self, _: Party, _: usize) -> Result<(), StoreError> {
        Ok(())
    }

    fn model_count(&self) -> Result<usize, StoreError> {
        Ok(self.records().models.len())
    }
}
