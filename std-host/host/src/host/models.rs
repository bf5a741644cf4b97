//! The models that a host serves, and which device gets which. They may change while it runs: a
//! session that is under way ends with the model that it began with.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use sharelet_core::session::wire::control::DeviceId;
use tokio::sync::watch;

/// Models by name, and who gets which.
#[derive(Debug)]
pub struct Served<M> {
    /// The models.
    pub models: BTreeMap<String, Arc<M>>,
    /// What devices get that are not named; nothing if it is none.
    pub default: Option<String>,
    /// What named devices get.
    pub devices: BTreeMap<DeviceId, String>,
}

impl<M> Clone for Served<M> {
    fn clone(&self) -> Self {
        let Self { models, default, devices } = self;
        Self { models: models.clone(), default: default.clone(), devices: devices.clone() }
    }
}

impl<M> Default for Served<M> {
    fn default() -> Self {
        Self { models: BTreeMap::new(), default: None, devices: BTreeMap::new() }
    }
}

impl<M> Served<M> {
    /// One model, for every device.
    #[must_use]
    pub fn one(name: String, model: Arc<M>) -> Self {
        let models = BTreeMap::from([(name.clone(), model)]);
        Self { models, default: Some(name), devices: BTreeMap::new() }
    }

    /// The name of a device's model, whether there is such a model or not.
    #[must_use]
    pub fn name_of(&self, device: DeviceId) -> Option<&str> {
        self.devices.get(&device).or(self.default.as_ref()).map(String::as_str)
    }

    /// A device's model.
    #[must_use]
    pub fn of(&self, device: DeviceId) -> Option<Arc<M>> {
        self.models.get(self.name_of(device)?).cloned()
    }
}

/// What is served now.
#[derive(Debug)]
pub struct Models<M> {
    current: RwLock<Served<M>>,
    changes: watch::Sender<()>,
}

impl<M> Models<M> {
    /// Begins with `served`.
    #[must_use]
    pub fn new(served: Served<M>) -> Self {
        Self { current: RwLock::new(served), changes: watch::Sender::new(()) }
    }

    /// One model, for every device.
    #[must_use]
    pub fn one(model: Arc<M>) -> Self {
        Self::new(Served::one(String::new(), model))
    }

    fn current(&self) -> RwLockReadGuard<'_, Served<M>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is no model.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current().models.is_empty()
    }

    /// A device's model and its name, if it has one now.
    #[must_use]
    pub fn named(&self, device: DeviceId) -> Option<(String, Arc<M>)> {
        let current = self.current();
        Some((current.name_of(device)?.to_owned(), current.of(device)?))
    }

    /// A device's model, if it has one now.
    #[must_use]
    pub fn of(&self, device: DeviceId) -> Option<Arc<M>> {
        self.current().of(device)
    }

    /// The model of devices that are not named, if they have one now.
    #[must_use]
    pub fn general(&self) -> Option<Arc<M>> {
        let current = self.current();
        current.models.get(current.default.as_ref()?).cloned()
    }

    /// Serves something else from now on. Connections of devices whose model is another one now end
    /// after the session that is under way.
    pub fn replace(&self, served: Served<M>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = served;
        self.changes.send_replace(());
    }

    /// To be asked for before a model is: no change after it is missed.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.changes.subscribe())
    }
}

/// Changes, as a connection sees them.
pub(crate) struct Changes(watch::Receiver<()>);

impl Changes {
    /// Waits until `device` has another model than `model`, or none.
    pub(crate) async fn until_replaced<M>(
        &mut self,
        models: &Models<M>,
        device: DeviceId,
        model: &Arc<M>,
    ) {
        while models.of(device).is_some_and(|current| Arc::ptr_eq(&current, model)) {
            if self.0.changed().await.is_err() {
                core::future::pending::<()>().await;
            }
        }
    }
}
