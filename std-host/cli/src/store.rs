//! `sharelet store`: state beyond one machine, and the options of who uses it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Subcommand};
use sharelet_host::store::engine::{Registry, Store};
use sharelet_host::store::host::HostStore;
use sharelet_host::store::identity::Own;
use sharelet_host::store::peers::folder_of;
use sharelet_link::Role;
use sharelet_nats::{Access, Made, Nats, Room, make};

use super::common::{LinkArgs, WrongArguments, output};

/// As much as no store has.
const MOST_MEGABYTES: u64 = 1 << 32;
const EXAMPLES: &str = include_str!("examples/store.txt");

/// Arguments of `sharelet store`.
#[derive(Args, Debug, Clone)]
#[command(about = "Keep state where many machines reach it", after_help = EXAMPLES)]
pub struct StoreArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug, Clone)]
enum What {
    /// Make the store of a host or a dealer, or give one more room.
    Make {
        #[command(flatten)]
        at: At,
        /// Whose it is.
        #[arg(long, value_name = "FILE.id")]
        id: PathBuf,
        /// Most megabytes of corrections and masked models: 1,024, or as it is.
        #[arg(
            long,
            value_name = "N",
            value_parser = clap::value_parser!(u64).range(1..=MOST_MEGABYTES),
        )]
        max_megabytes: Option<u64>,
        /// Servers of a cluster that keep each record, 1 to 5: one, or as it is. With three, one
        /// that is lost loses nothing.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
        replicas: Option<u8>,
    },
    /// Show what is in the store of a host or a dealer.
    Show {
        #[command(flatten)]
        at: At,
        /// Whose it is.
        #[arg(long, value_name = "FILE.id")]
        id: PathBuf,
    },
}

/// Where a store is.
#[derive(Args, Debug, Clone)]
pub struct At {
    /// The server of NATS, with JetStream: nats://HOST:PORT on this machine, tls://HOST:PORT
    /// elsewhere, either with USER:PASSWORD@ before the host.
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    tls: Tls,
}

/// How a store proves who it is, and this program.
#[derive(Args, Debug, Clone)]
pub struct Tls {
    /// Certificates of authorities that vouch for the store, beside the system's.
    #[arg(long, value_name = "FILE")]
    store_ca: Option<PathBuf>,
    /// A certificate that this program shows to the store.
    #[arg(long, value_name = "FILE", requires = "store_key")]
    store_cert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "store_cert")]
    store_key: Option<PathBuf>,
}

impl Tls {
    /// The store at an address.
    ///
    /// # Errors
    /// The address is none.
    pub fn access(&self, url: &str) -> Result<Access> {
        let certificate = self.store_cert.clone().zip(self.store_key.clone());
        let access = Access::new(url)?.with_authorities(self.store_ca.clone());
        Ok(access.with_certificate(certificate))
    }
}

/// A store that a host or a dealer uses.
#[derive(Args, Debug, Clone)]
pub struct SharedArgs {
    /// Keep the state in a store that others of this name use, too: see `sharelet store --help`.
    /// The state directory keeps what this machine has seen of it.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    #[command(flatten)]
    tls: Tls,
}

impl SharedArgs {
    /// The store, if one is named.
    ///
    /// # Errors
    /// It cannot be used; or there is no identity, which its contents are sealed under.
    pub fn open(&self, link: &LinkArgs, state: &Path) -> Result<Option<Arc<dyn Store>>> {
        self.store.as_deref().map(|url| open(url, &self.tls, link, state)).transpose()
    }

    /// Whether one is named.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.store.is_some()
    }
}

fn open(url: &str, tls: &Tls, link: &LinkArgs, state: &Path) -> Result<Arc<dyn Store>> {
    let id = link.id.as_deref().ok_or_else(|| {
        let wrong = "--store: what is kept there is sealed under an identity; give --id";
        WrongArguments(wrong.to_owned())
    })?;
    if let Some(peer) = folder_of(id).provisioned()?.first() {
        let wrong = format!(
            "--store: the key of {peer} (--channel psk) moves forward at one machine alone; give \
             it a host of its own"
        );
        return Err(WrongArguments(wrong).into());
    }
    let access = tls.access(url)?;
    let store = Nats::open(&access, &owner(id)?, Some(state))?;
    tracing::info!("state is kept at {access}");
    Ok(Arc::new(store))
}

/// A dealer's store, for who makes or forgets keys of devices.
#[derive(Args, Debug, Clone)]
pub struct DealerStoreArgs {
    /// The dealer's store, where it has one beyond its machine.
    #[arg(long, value_name = "URL", requires = "dealer_id")]
    dealer_store: Option<String>,
    /// The dealer's identity, under which its store is sealed.
    #[arg(long, value_name = "FILE.id", requires = "dealer_store")]
    dealer_id: Option<PathBuf>,
    #[command(flatten)]
    tls: Tls,
}

impl DealerStoreArgs {
    /// The store, if one is named.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(&self) -> Result<Option<Box<dyn Registry>>> {
        let (Some(url), Some(id)) = (&self.dealer_store, &self.dealer_id) else { return Ok(None) };
        let own = owner(id)?;
        if own.party.role != Role::Dealer {
            let wrong = format!("{} is the identity of {}, no dealer", id.display(), own.party);
            return Err(WrongArguments(wrong).into());
        }
        Ok(Some(Box::new(Nats::open(&self.tls.access(url)?, &own, None)?)))
    }

    /// Whether one is named.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.dealer_store.is_some()
    }
}

/// The store of a host, for who lets devices in, or in no more, at all of its machines.
#[derive(Args, Debug, Clone)]
pub struct HostStoreArgs {
    /// The host's store, where it has one beyond its machine: who is revoked is let in at none of
    /// its machines.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl HostStoreArgs {
    /// The store of the host with the identity `id`, if one is named; `dealer` says how a store
    /// proves who it is.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(&self, id: &Path, dealer: &DealerStoreArgs) -> Result<Option<HostStore>> {
        let Some(url) = &self.store else { return Ok(None) };
        let own = owner(id)?;
        if own.party.role != Role::Host {
            let wrong =
                format!("--store: {} is the identity of {}, no host", id.display(), own.party);
            return Err(WrongArguments(wrong).into());
        }
        let store = Nats::open(&dealer.tls.access(url)?, &own, None)?;
        Ok(Some(HostStore::shared(Arc::new(store))))
    }
}

/// The identity of who has a store.
fn owner(id: &Path) -> Result<Own> {
    let own = Own::load(id)?;
    if !matches!(own.party.role, Role::Host | Role::Dealer) {
        let wrong = format!("{}: hosts and dealers have stores, not {}", id.display(), own.party);
        return Err(WrongArguments(wrong).into());
    }
    Ok(own)
}

/// A store that is looked at.
#[derive(Args, Debug, Clone)]
pub struct LookedAtArgs {
    /// The store of the host or dealer whose identity this is, beyond this machine.
    #[arg(long, value_name = "URL", requires = "id")]
    store: Option<String>,
    #[command(flatten)]
    tls: Tls,
}

impl LookedAtArgs {
    /// What is in the store of an identity, in a line; `None` if no store is named.
    ///
    /// # Errors
    /// It cannot be reached or used.
    pub fn summary(&self, id: Option<&Path>) -> Result<Option<String>> {
        let named = self.store.as_deref().zip(id);
        named.map(|(url, id)| summary(url, &self.tls, id)).transpose()
    }
}

fn summary(url: &str, tls: &Tls, id: &Path) -> Result<String> {
    let (access, own) = (tls.access(url)?, owner(id)?);
    let store = Nats::open(&access, &own, None)?;
    let kept = if own.party.role == Role::Dealer {
        let (devices, models) = (store.devices()?.len(), store.model_count()?);
        format!("keys of {devices} devices and {models} masked models")
    } else {
        let stock = store.stock()?;
        let sessions: usize = stock.iter().map(|(_, sessions)| sessions).sum();
        format!("{sessions} sessions ready for {} devices", stock.len())
    };
    let spent = store.spenders()?.len();
    Ok(format!("the store of {} at {access}: {kept}; {spent} have spent numbers", own.party))
}

/// Makes a store, or shows one.
///
/// # Errors
/// It cannot be reached or used.
pub fn run(args: &StoreArgs) -> Result<()> {
    match &args.what {
        What::Make { at, id, max_megabytes, replicas } => {
            let (access, own) = (at.tls.access(&at.url)?, owner(id)?);
            let replicas = replicas.map(usize::from);
            let room = Room { max_bytes: max_megabytes.map(|most| most << 20), replicas };
            let done = match make(&access, &own, room)? {
                Made::Made => "made",
                Made::Changed => "changed",
            };
            output(&format!("the store of {} at {access}: {done}\n", own.party))
        }
        What::Show { at, id } => {
            let (access, own) = (at.tls.access(&at.url)?, owner(id)?);
            let store = Nats::open(&access, &own, None)?;
            let (spent, models) = (store.spenders()?.len(), store.model_count()?);
            let mut lines = format!("the store of {} at {access}\n", own.party);
            lines += &format!("devices with spent numbers: {spent}\n");
            match own.party.role {
                Role::Dealer => {
                    lines += &format!("masked models: {models}\n");
                    for device in store.devices()? {
                        lines += &format!("{device:<16}  has key\n");
                    }
                }
                _ => {
                    for (device, sessions) in store.stock()? {
                        lines += &format!("{device:<16}  {sessions} sessions ready\n");
                    }
                }
            }
            output(&lines)
        }
    }
}
