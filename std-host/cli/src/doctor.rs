//! `sharelet doctor`: looks a deployment over, and says what is wrong with it and what to do.

mod kept;

use core::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use super::common::{CONNECT, counter_of, output, runtime};
use super::monitor::address_of;
use super::store::LookedAtArgs;
use super::units::parse_endpoint;
use super::versions::versions;
use sharelet_host::store::StoreError;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::identity::{Own, peers_of};
use sharelet_host::store::peers::folder_of;
use sharelet_link::monitor::{self, DeviceFigures};
use sharelet_link::{Keyring, Peers as _, Role, Route, tcp};

const EXAMPLES: &str = include_str!("examples/doctor.txt");

/// Arguments of `sharelet doctor`.
#[derive(Args, Debug, Clone)]
#[command(about = "Check versions, keys, counters, stores and peers", after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// An identity, and its peers.
    #[arg(long, value_name = "FILE")]
    pub id: Option<PathBuf>,
    /// A key of sessions, and its counter.
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// A state directory of a dealer, host or server 1, or of two that prepare with each other. The
    /// program must be stopped for a look inside.
    #[arg(long, value_name = "DIR")]
    pub state: Vec<PathBuf>,
    /// Where a host, dealer or server that runs tells its figures: what was given to its
    /// `--monitor`.
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    pub monitor: Vec<String>,
    /// A model, or a folder of models.
    #[arg(long, value_name = "PATH")]
    pub models: Vec<PathBuf>,
    #[command(flatten)]
    store: LookedAtArgs,
    /// A peer that is to be reached.
    #[arg(long, value_name = "ROLE=ADDRESS", value_parser = parse_peer, requires = "id")]
    pub reach: Vec<(Role, String)>,
}

fn parse_peer(text: &str) -> Result<(Role, String), String> {
    let wrong = || "give ROLE=HOST:PORT, such as dealer=127.0.0.1:7100".to_owned();
    let (role, address) = text.split_once('=').ok_or_else(wrong)?;
    Ok((Role::from_word(role).ok_or_else(wrong)?, parse_endpoint(address)?))
}

/// What was looked at, a line each.
#[derive(Default)]
struct Findings {
    wrong: usize,
}

impl Findings {
    fn good(&self, what: impl Display) -> Result<()> {
        output(&format!("ok     {what}\n"))
    }

    fn wrong(&mut self, what: impl Display) -> Result<()> {
        self.wrong += 1;
        output(&format!("WRONG  {what}\n"))
    }

    /// A secret is for its owner alone.
    fn privacy(&mut self, path: &Path) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                let path = path.display();
                return self.wrong(format!("{path}: others may read it; run `chmod go= {path}`"));
            }
        }
        Ok(())
    }

    fn identity(&mut self, path: &Path) -> Result<()> {
        let own = match Own::load(path) {
            Ok(own) => own,
            Err(error) => return self.wrong(error),
        };
        self.good(format!("{}  {}", own.card().fingerprint(), own.party))?;
        self.privacy(path)?;
        let (peers, folder) = (folder_of(path), peers_of(path));
        let all = match peers.all() {
            Ok(all) => all,
            Err(error) => return self.wrong(error),
        };
        if all.is_empty() {
            self.wrong(format!("{}: nobody is paired; see `sharelet pair`", folder.display()))?;
        } else {
            self.privacy(&folder)?;
        }
        for peer in all {
            match (peers.pin(&peer), peers.ratchet(&peer)) {
                (Some(pin), _) => {
                    self.good(format!("{}  {peer}", pin.public.fingerprint(&peer)))?
                }
                (None, Some(ratchet)) => {
                    let step = ratchet.step();
                    self.good(format!("a provisioned key at step {step}  {peer}"))?;
                }
                (None, None) => self.wrong(format!("{peer}: its file is damaged; pair again"))?,
            }
        }
        Ok(())
    }

    fn key(&mut self, path: &Path) -> Result<()> {
        match FileCounter::open(&counter_of(path), path, false) {
            Ok((key, counter)) => {
                let (device, next) = (key.device, counter.unused()?);
                self.good(format!("{}: key of {device}, next session {next}", path.display()))?;
                self.privacy(path)
            }
            Err(StoreError::Locked { path }) => {
                self.good(format!("{}: in use by a program that runs", path.display()))
            }
            Err(error) => self.wrong(error),
        }
    }

    /// A program that runs: whether it is ready, and who has nothing in stock.
    async fn monitor(&mut self, wanted: &str) -> Result<()> {
        let address = address_of(wanted);
        let (ready, why) = match monitor::ask(&address, "/readyz").await {
            Ok(answer) => answer,
            Err(error) => return self.wrong(format!("{address}: {error}")),
        };
        match monitor::ask(&address, "/versions").await {
            Ok((true, theirs)) if spoken(&theirs) == spoken(&versions()) => {}
            Ok((true, theirs)) => {
                let theirs = shown(&theirs);
                let differs = format!("{address}: runs {theirs}, and not as this program; update");
                self.wrong(format!("{differs} one of them"))?;
            }
            Ok((false, _)) => self.wrong(format!("{address}: does not tell its versions"))?,
            Err(error) => return self.wrong(format!("{address}: {error}")),
        }
        if !ready {
            return self.wrong(format!("{address}: not ready: {}", shown(&why)));
        }
        let devices = match monitor::ask(&address, "/devices").await {
            Ok((_, devices)) => serde_json::from_str(&devices).map_err(io::Error::from),
            Err(error) => Err(error),
        };
        let devices: Vec<DeviceFigures> = match devices {
            Ok(devices) => devices,
            Err(error) => return self.wrong(format!("{address}: its devices: {error}")),
        };
        let stock: u64 = devices.iter().map(|device| device.ready).sum();
        let here = devices.iter().filter(|device| device.connected).count();
        self.good(format!(
            "{address}: ready; {} devices, {here} of them connected; {stock} sessions in stock",
            devices.len(),
        ))
    }

    async fn reach(&mut self, route: &Route, role: Role, address: &str) -> Result<()> {
        let start = Instant::now();
        match tcp::connect(address, role, route, CONNECT, CONNECT).await {
            Ok(connection) => {
                let (took, peer) = (start.elapsed().as_millis(), connection.peer());
                let peer = peer.map_or_else(|| role.to_string(), |peer| peer.to_string());
                self.good(format!("{address}: {peer} is there, {took} ms for the handshake"))
            }
            Err(error) => self.wrong(format!("{address}: {error}")),
        }
    }
}

/// What a program speaks, whatever its own version is.
fn spoken(versions: &str) -> Option<&str> {
    versions.trim().split_once(": ").map(|(_, spoken)| spoken)
}

/// The first line of what somebody else says, as a terminal can print it.
fn shown(said: &str) -> String {
    const MOST: usize = 300;
    let line = said.lines().next().unwrap_or_default();
    line.chars().take(MOST).flat_map(char::escape_debug).collect()
}

/// Looks at everything that is named.
///
/// # Errors
/// Something is wrong, or nothing was named.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let DoctorArgs { id, key, state, monitor, models, store, reach } = args;
    let named = [key, state, models].iter().any(|paths| !paths.is_empty());
    if id.is_none() && !named && monitor.is_empty() {
        bail!("nothing to look at; name an --id, --key, --state, --models or --monitor");
    }
    let mut findings = Findings::default();
    findings.good(versions())?;
    if let Some(id) = id {
        findings.identity(id)?;
    }
    key.iter().try_for_each(|key| findings.key(key))?;
    state.iter().try_for_each(|state| findings.state(state))?;
    models.iter().try_for_each(|models| findings.models(models))?;
    findings.store(store, id.as_deref())?;
    if !monitor.is_empty() {
        runtime()?.block_on(async {
            for address in monitor {
                findings.monitor(address).await?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
    }
    if let Some(id) = id.as_deref().filter(|_| !reach.is_empty()) {
        let keyring = Keyring::new(Own::load(id)?.identity(), folder_of(id));
        let route = Route::sealed(keyring.into(), None);
        runtime()?.block_on(async {
            for (role, address) in reach {
                findings.reach(&route, *role, address).await?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
    }
    match findings.wrong {
        0 => Ok(()),
        1 => bail!("one thing is wrong"),
        wrong => bail!("{wrong} things are wrong"),
    }
}
