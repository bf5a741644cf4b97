//! A dealer and a host in this process, for a model that is tried out: real parties with real keys,
//! sealed connections and state on the disk. Only that all of them are here makes it nobody's
//! secret.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use sharelet_channel::Pin;
use sharelet_cli::common::{CONNECT, LinkArgs, counter_of};
use sharelet_core::session::wire::control::Answer;
use sharelet_host::dealer::client::Client;
use sharelet_host::dealer::{Dealer, MODELS};
use sharelet_host::host::model::HostModel;
use sharelet_host::host::models::Models;
use sharelet_host::host::provider::{Source, Supply};
use sharelet_host::host::{self, Host, Patience};
use sharelet_host::store::StoreError;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::host::{HostStore, Quota};
use sharelet_host::store::identity::Own;
use sharelet_host::store::keys::{KeysFolder, provision};
use sharelet_host::store::peers::{Paired, folder_of};
use sharelet_link::service::{self, Limits, Service};
use sharelet_link::tcp::Listener;
use sharelet_link::{Party, Role, Route};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::errors::{failed, input};
use crate::model::Model;
use crate::work::{interruptible, runtime};

/// Sessions that are kept ready: a device that infers many rows seldom waits.
const AHEAD: u32 = 16;
/// How long connections have to end.
const GRACE: Duration = Duration::from_secs(5);

/// Dealer and host, and the files of a device that may meet them.
#[pyclass(frozen, module = "sharelet._sharelet")]
#[derive(Debug)]
pub struct Loopback {
    /// Where the host listens.
    address: String,
    /// Keys and states; they go with it.
    folder: PathBuf,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    runtime: Runtime,
    stop: CancellationToken,
    services: [JoinHandle<()>; 2],
    folder: TempDir,
}

#[pymethods]
impl Loopback {
    /// Starts both.
    #[new]
    fn new(py: Python<'_>, model: &Model) -> PyResult<Self> {
        let model = model.inner.clone();
        interruptible(py, move |_| start(&model))
    }

    #[getter]
    fn address(&self) -> &str {
        &self.address
    }

    /// Identity, key and counter of the device.
    #[getter]
    fn files(&self) -> (PathBuf, PathBuf, PathBuf) {
        let [id, key] = ["device.id", "device.key"].map(|name| self.folder.join(name));
        let counter = counter_of(&key);
        (id, key, counter)
    }

    /// Stops both, and removes all keys. What is stopped stays so.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return Ok(()) };
        interruptible(py, move |_| {
            let Running { runtime, stop, services, folder } = running;
            stop.cancel();
            let ended = async {
                for service in services {
                    // One that ended badly has ended, too.
                    drop(service.await);
                }
            };
            // Those that do not end in time end with the runtime.
            drop(runtime.block_on(async { tokio::time::timeout(GRACE, ended).await }));
            runtime.shutdown_timeout(GRACE);
            folder.close().map_err(failed)
        })
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { runtime, stop, .. }) = running {
            stop.cancel();
            runtime.shutdown_background();
        }
    }
}

fn party(role: Role, name: &str) -> PyResult<Party> {
    Party::new(role, name).ok_or_else(|| failed("a party has no name"))
}

/// Makes an identity in a file.
fn identity(folder: &Path, role: Role, name: &str) -> PyResult<(Own, PathBuf)> {
    let own = Own::generate(party(role, name)?).map_err(failed)?;
    let path = folder.join(format!("{name}.id"));
    own.save(&path).map_err(failed)?;
    Ok((own, path))
}

/// Each of two parties gets the other's key.
fn pair(one: &(Own, PathBuf), other: &(Own, PathBuf)) -> PyResult<()> {
    for ((own, path), (peer, _)) in [(one, other), (other, one)] {
        let public = peer.key.public();
        let pin = Pin::paired(&own.key, &own.party, &peer.party, public);
        let pin = Paired::Static(pin.map_err(failed)?);
        folder_of(path).put(&peer.party, &pin).map_err(failed)?;
    }
    Ok(())
}

fn route(id: &Path, role: Role) -> PyResult<Route> {
    let link = LinkArgs { id: Some(id.to_owned()), insecure_plaintext: false, wan: None };
    link.route(role).map_err(failed)
}

/// A service on a port of its own.
async fn serve<S: Service>(
    service: Arc<S>,
    route: Route,
    limits: Limits,
    stop: &CancellationToken,
) -> PyResult<(String, JoinHandle<()>)> {
    let listener = Listener::bind("127.0.0.1:0", route).await.map_err(failed)?;
    let address = listener.local_address().map_err(failed)?.to_string();
    Ok((address, tokio::spawn(service::serve(service, listener, limits, stop.clone()))))
}

fn start(model: &sharelet_model::Model) -> PyResult<Loopback> {
    let folder = TempDir::with_prefix("sharelet-").map_err(failed)?;
    let at = |name: &str| folder.path().join(name);
    let dealer = identity(folder.path(), Role::Dealer, "dealer")?;
    let host = identity(folder.path(), Role::Host, "host")?;
    let device = identity(folder.path(), Role::Device, "device")?;
    pair(&dealer, &host)?;
    pair(&host, &device)?;
    let key = at("device.key");
    let give = |made: &sharelet_host::store::key::DeviceKey| {
        FileCounter::create(&counter_of(&key), made.key_id())?;
        made.save(&key)
    };
    let keys = KeysFolder::of(&at("dealer-state"));
    provision::<StoreError>(&keys, device.0.party.name, false, give).map_err(failed)?;
    let file = at("model.slt");
    model.save(&file).map_err(failed)?;
    let (runtime, stop) = (runtime()?, CancellationToken::new());
    let started = runtime.block_on(async {
        let store = DealerStore::open(&at("dealer-state")).map_err(failed)?;
        let route_of_dealer = route(&dealer.1, Role::Dealer)?;
        let service = Dealer::new(store, MODELS);
        let (address, dealing) = serve(service, route_of_dealer, Limits::default(), &stop).await?;
        let store = HostStore::open(&at("host-state")).map_err(failed)?.with_quota(Quota::NONE);
        let route = route(&host.1, Role::Host)?;
        let client = Client::new(address, route.clone(), CONNECT, host::limits().stall);
        let served = HostModel::load(&file, &store, &mut |_| ()).map_err(input)?;
        served.offer_to(&client, &mut |_| ()).await.map_err(failed)?;
        let supply = Supply { ahead: AHEAD, batch: AHEAD, ..Supply::default() };
        let models = Models::one(Arc::new(served));
        let source = Source { models, store, client, supply, readiness: Box::new(|_, _, _| ()) };
        let service = Host::new(source, Answer::Device, Box::new(|_| ()), Patience::default());
        let (address, hosting) = serve(service, route, host::limits(), &stop).await?;
        Ok::<_, PyErr>((address, [hosting, dealing]))
    });
    let (address, services) = match started {
        Ok(started) => started,
        Err(error) => {
            runtime.shutdown_background();
            return Err(error);
        }
    };
    let path = folder.path().to_owned();
    let running = Mutex::new(Some(Running { runtime, stop, services, folder }));
    Ok(Loopback { address, folder: path, running })
}
