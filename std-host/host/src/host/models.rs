//! The models that a host serves, and which device gets which. They may change while it runs: a
//! session that is under way ends with the model that it began with.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use sharelet_core::session::wire::control::DeviceId;
use tokio::sync::watch;

use super::model::HostModel;

/// Models by name, and who gets which.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The models.
    pub models: BTreeMap<String, Arc<HostModel>>,
    /// What devices get that are not named; nothing if it is none.
    pub default: Option<String>,
    /// What named devices get.
    pub devices: BTreeMap<DeviceId, String>,
}

impl Served {
    /// The name of a device's model, whether there is such a model or not.
    #[must_use]
    pub fn name_of(&self, device: DeviceId) -> Option<&str> {
        self.devices.get(&device).or(self.default.as_ref()).map(String::as_str)
    }

    /// A device's model.
    #[must_use]
    pub fn of(&self, device: DeviceId) -> Option<Arc<HostModel>> {
        self.models.get(self.name_of(device)?).cloned()
    }
}

/// What is served now.
#[derive(Debug)]
pub struct Models {
    current: RwLock<Served>,
    changes: watch::Sender<()>,
}

impl Models {
    /// Begins with `served`.
    #[must_use]
    pub fn new(served: Served) -> Self {
        Self { current: RwLock::new(served), changes: watch::Sender::new(()) }
    }

    /// One model, for every device.
    #[must_use]
    pub fn one(model: Arc<HostModel>) -> Self {
        let name = String::new();
        let models = BTreeMap::from([(name.clone(), model)]);
        Self::new(Served { models, default: Some(name), devices: BTreeMap::new() })
    }

    /// A device's model, if it has one now.
    #[must_use]
    pub fn of(&self, device: DeviceId) -> Option<Arc<HostModel>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).of(device)
    }

    /// The model of devices that are not named, if they have one now.
    #[must_use]
    pub fn general(&self) -> Option<Arc<HostModel>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.models.get(current.default.as_ref()?).cloned()
    }

    /// Serves something else from now on. Connections of devices whose model is another one now end
    /// after the session that is under way.
    pub fn replace(&self, served: Served) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = served;
        self.changes.send_replace(());
    }

    /// To be asked for before a model is: no change after it is missed.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.changes.subscribe())
    }
}

/// Changes, as a connection sees them.
pub(super) struct Changes(watch::Receiver<()>);

impl Changes {
    /// Waits until `device` has another model than `model`, or none.
    pub(super) async fn until_replaced(
        &mut self,
        models: &Models,
        device: DeviceId,
        model: &Arc<HostModel>,
    ) {
        while models.of(device).is_some_and(|current| Arc::ptr_eq(&current, model)) {
            if self.0.changed().await.is_err() {
                core::future::pending::<()>().await;
            }
        }
    }
}
