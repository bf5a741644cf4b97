//! A host whose folder of models changes while it runs.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use sharelet_host::alone::host as alone;
use sharelet_host::alone::served::Served as AloneModel;
use sharelet_host::host::Host;
use sharelet_host::host::model::HostModel;
use sharelet_host::host::models::Served;
use sharelet_host::host::shelf::{Loaded, Shelf};
use sharelet_host::store::host::HostStore;
use tokio::sync::Notify;

/// A host that serves what is in a folder.
pub trait Reloads: Send + Sync + 'static {
    /// A model as it serves it.
    type Model: Loaded + Send + Sync + 'static;

    /// Its state.
    fn store(&self) -> &HostStore;

    /// Makes sure that a model can be served.
    fn admit(&self, model: &Self::Model) -> impl Future<Output = Result<(), String>> + Send;

    /// Serves other models from now on.
    fn replace(&self, served: Served<Self::Model>);
}

impl Reloads for Host {
    type Model = HostModel;

    fn store(&self) -> &HostStore {
        &self.source().store
    }

    /// The dealer must have it.
    async fn admit(&self, model: &HostModel) -> Result<(), String> {
        let offered = model.offer_to(&self.source().client, &mut |_| ()).await;
        offered.map(drop).map_err(|error| error.to_string())
    }

    fn replace(&self, served: Served<HostModel>) {
        Self::replace(self, served);
    }
}

impl Reloads for alone::Host {
    type Model = AloneModel;

    fn store(&self) -> &HostStore {
        Self::store(self)
    }

    /// Nobody else has to know of it.
    async fn admit(&self, _model: &AloneModel) -> Result<(), String> {
        Ok(())
    }

    fn replace(&self, served: Served<AloneModel>) {
        Self::replace(self, served);
    }
}

/// A folder at the start, and what tells that it may have changed.
pub struct Watch<M> {
    /// The folder.
    pub shelf: Shelf<M>,
    /// SIGHUP.
    pub reload: Arc<Notify>,
    /// What is served now.
    pub served: Served<M>,
}

impl<M> core::fmt::Debug for Watch<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// There is nothing to begin with.
pub fn no_models(folder: &Path) -> anyhow::Error {
    let folder = folder.display();
    anyhow::anyhow!("{folder}: there is no model that can be served; see `sharelet models add`")
}

/// Serves what comes to a folder of models, and no more what goes.
pub async fn look_after<H: Reloads>(host: Arc<H>, watch: Watch<H::Model>) {
    let Watch { shelf, reload, served: mut now } = watch;
    const EVERY: Duration = Duration::from_secs(2);
    let (mut resting, mut wanted, mut said) = (Some(shelf), None, String::new());
    // Models that the dealer did not take: the log has a line for each, however often it is tried.
    let mut untaken = Vec::new();
    while let Some(mut shelf) = resting.take() {
        tokio::select! {
            () = reload.notified() => {
                tracing::info!("looking for models");
                shelf.forget();
                said.clear();
            }
            () = tokio::time::sleep(EVERY) => {}
        }
        let source = host.clone();
        let looking = move || {
            let found = shelf.look(source.store());
            (shelf, found)
        };
        // It ends abruptly only together with the program.
        let Ok((shelf, found)) = tokio::task::spawn_blocking(looking).await else { return };
        resting = Some(shelf);
        match found {
            Ok(None) => {}
            Ok(Some(served)) => {
                wanted = Some(served);
                said.clear();
            }
            // Once, and not each time that somebody looks.
            Err(error) => {
                let error = error.to_string();
                if error != said {
                    tracing::error!("{error}; what was served before is served on");
                }
                said = error;
            }
        }
        if let Some(served) = wanted.take() {
            wanted = take_over(&host, served, &mut now, &mut untaken).await;
        }
    }
}

/// Serves what is wanted, as far as it can be served: with a dealer, a model is when the dealer has
/// it, and until then what had its name before. What is left to be tried again.
async fn take_over<H: Reloads>(
    host: &Arc<H>,
    wanted: Served<H::Model>,
    now: &mut Served<H::Model>,
    untaken: &mut Vec<Arc<H::Model>>,
) -> Option<Served<H::Model>> {
    let (mut served, mut is_whole) = (wanted.clone(), true);
    for (name, model) in &wanted.models {
        let known = now.models.values().any(|known| Arc::ptr_eq(known, model));
        if known {
            continue;
        }
        let tried = untaken.iter().position(|tried| tried.is(model));
        let Err(error) = host.admit(model).await else {
            tried.map(|tried| untaken.remove(tried));
            continue;
        };
        is_whole = false;
        if tried.is_none() {
            untaken.push(model.clone());
            tracing::error!("the model `{name}` is tried again, and not served yet: {error}");
        }
        match now.models.get(name) {
            Some(before) => served.models.insert(name.clone(), before.clone()),
            None => served.models.remove(name),
        };
    }
    let same = |(name, model): (&String, &Arc<H::Model>)| {
        now.models.get(name).is_some_and(|known| Arc::ptr_eq(known, model))
    };
    let is_new = served.models.len() != now.models.len()
        || !served.models.iter().all(same)
        || (&served.default, &served.devices) != (&now.default, &now.devices);
    if is_new {
        announce_models(&served);
        *now = served.clone();
        host.replace(served);
    }
    (!is_whole).then_some(wanted)
}

/// Tells the log what is served.
pub fn announce_models<M>(served: &Served<M>) {
    let names: Vec<&str> = served.models.keys().map(String::as_str).collect();
    let default = served.default.as_deref().unwrap_or("none");
    let (names, devices) = (names.join(", "), served.devices.len());
    tracing::info!("models: {names}; default: {default}; {devices} devices have one of their own");
}
