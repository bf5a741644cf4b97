//! `sharelet devices`: who is paired with a program, who gets other keys, and who is no more.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use sharelet_core::DeviceId;
use sharelet_host::store::engine::Registry;
use sharelet_host::store::identity::Own;
use sharelet_host::store::keys::KeysFolder;
use sharelet_host::store::peers::folder_of;
use sharelet_link::monitor::{self, DeviceFigures};
use sharelet_link::{Party, Peers as _, Role};

use super::common::{WrongArguments, output, until_stopped};
use super::monitor::address_of;
use super::provision::{self, ChannelKeys, ProvisionArgs, Provisioned};
use super::store::{DealerStoreArgs, HostStoreArgs};
use super::top::ago;
use super::units::parse_name;

const EXAMPLES: &str = include_str!("examples/devices.txt");

/// Arguments of `sharelet devices`.
#[derive(Args, Debug, Clone)]
#[command(about = "List devices, make, change and revoke them", after_help = EXAMPLES)]
pub struct DevicesArgs {
    /// The identity of the host, or of a server: its peers are beside it.
    #[arg(long, value_name = "FILE.id")]
    pub id: PathBuf,
    /// The dealer's state, if it is on this machine.
    #[arg(long, value_name = "DIR")]
    pub dealer_state: Option<PathBuf>,
    #[command(flatten)]
    dealer: DealerStoreArgs,
    #[command(flatten)]
    host: HostStoreArgs,
    /// Where the host that runs tells its figures: what was given to its `--monitor`.
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    pub monitor: Option<String>,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Subcommand, Debug, Clone)]
enum Change {
    /// Make devices of this host: `sharelet provision`, paired with it.
    Provision(Made),
    /// Give devices other keys: the old ones count no more, and what is open is cut within seconds.
    Rotate(Made),
    /// Let devices in no more: what is open is cut within seconds, and nothing is dealt for them.
    Revoke {
        /// The devices.
        #[arg(value_name = "NAME", required = true, value_parser = parse_name)]
        names: Vec<DeviceId>,
    },
}

/// Devices that get keys.
#[derive(Args, Debug, Clone)]
struct Made {
    /// The devices.
    #[arg(value_name = "NAME", value_parser = parse_name, required_unless_present = "from")]
    names: Vec<DeviceId>,
    /// More names: a file with one on each line; what follows a # is left out.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Write key pages for boards, NAME.page, in place of files for programs.
    #[arg(long)]
    page: bool,
    /// How a board makes its channels; psk is for parts without room for public keys.
    #[arg(long, value_enum, default_value_t)]
    channel: ChannelKeys,
    /// Where the files are written.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
}

/// Who asks for inferences: a device, or a data party of two servers.
const ROLES: [Role; 2] = [Role::Device, Role::DataParty];

/// Lists or revokes.
///
/// # Errors
/// A file cannot be used; nobody of a name is known.
pub fn run(args: &DevicesArgs) -> Result<()> {
    // An identity that is not there has no peers, and nobody could be revoked.
    let own = Own::load(&args.id)?;
    let names = match &args.change {
        None => return list(args),
        Some(Change::Provision(made)) => return make(args, &own, made, false),
        Some(Change::Rotate(made)) => return make(args, &own, made, true),
        Some(Change::Revoke { names }) => names,
    };
    let mut failed = Vec::new();
    for name in names {
        if let Err(error) = revoke(args, &own, *name) {
            failed.push(format!("{name}: {error}"));
        }
    }
    if !failed.is_empty() {
        bail!("not all are revoked at {}: {}", own.party, failed.join("; "));
    }
    Ok(())
}

/// Makes devices, or gives those that there are other keys.
fn make(args: &DevicesArgs, own: &Own, made: &Made, rotates: bool) -> Result<()> {
    if own.party.role != Role::Host {
        let wrong = "only a host makes devices; see `sharelet provision` for data parties";
        return Err(WrongArguments(wrong.to_owned()).into());
    }
    let names = provision::names(&made.names, made.from.as_deref())?;
    for &name in names.iter().filter(|_| rotates) {
        let peer = Party { role: Role::Device, name };
        if !folder_of(&args.id).is_paired(&peer)? {
            bail!("{name} is not known here, so it has no keys to change; nothing was changed");
        }
        let ratcheted = folder_of(&args.id).ratchet(&peer).is_some();
        if ratcheted != (made.channel == ChannelKeys::Psk) {
            let needed =
                if ratcheted { "give --page --channel psk" } else { "leave --channel out" };
            bail!(
                "{name} has keys of the other kind: {needed}, or revoke it and provision it anew; \
                 nothing was changed"
            );
        }
    }
    let store = args.host.open(&args.id, &args.dealer)?;
    let made_again = names.clone();
    provision::run(&ProvisionArgs {
        names,
        from: None,
        role: Provisioned::Device,
        state: args.dealer_state.clone(),
        dealer: args.dealer.clone(),
        peers: vec![args.id.clone()],
        fingerprint: Vec::new(),
        page: made.page,
        channel: made.channel,
        output: made.output.clone(),
        force: rotates,
        take: None,
    })?;
    // Other keys are let in again.
    if let Some(store) = store {
        made_again.into_iter().try_for_each(|name| store.revoke(name, false))?;
    }
    Ok(())
}

/// Where the dealer has its devices, if it can be reached from here.
fn registry(args: &DevicesArgs) -> Result<Option<Box<dyn Registry>>> {
    let folder = args.dealer_state.as_deref().map(KeysFolder::of);
    if folder.is_some() && args.dealer.is_given() {
        let wrong = "--dealer-state and --dealer-store: a dealer has one of the two";
        return Err(WrongArguments(wrong.to_owned()).into());
    }
    Ok(args.dealer.open()?.or(folder.map(|folder| Box::new(folder) as Box<dyn Registry>)))
}

fn revoke(args: &DevicesArgs, own: &Own, name: DeviceId) -> Result<()> {
    // A dealer has keys of devices, and none of data parties: one may have a device's name.
    let is_server = matches!(own.party.role, Role::Server0 | Role::Server1);
    let registry = registry(args)?;
    if is_server && registry.is_some() {
        let wrong = "a dealer has no keys of a server's peers; leave --dealer-state and \
                     --dealer-store out";
        return Err(WrongArguments(wrong.to_owned()).into());
    }
    let peers = folder_of(&args.id);
    let mut known = false;
    for role in ROLES {
        let peer = Party { role, name };
        if peers.is_paired(&peer)? {
            peers.remove(&peer)?;
            known = true;
        }
    }
    // First at all machines: a copy of the folder of peers may be on each.
    if let Some(store) = args.host.open(&args.id, &args.dealer)?
        && (known || store.standing(name)?.is_some())
    {
        store.revoke(name, true)?;
        known = true;
    }
    let forgotten = registry.map(|registry| registry.forget_key(name)).transpose()?;
    known |= forgotten == Some(true);
    if !known {
        bail!("is not known here; `sharelet devices` lists who is");
    }
    let is_dealt = forgotten.is_none() && !is_server;
    let dealt = if is_dealt { "; the dealer still has its key" } else { "" };
    output(&format!("{name} is revoked{dealt}\n"))
}

fn list(args: &DevicesArgs) -> Result<()> {
    let peers = folder_of(&args.id).all()?;
    let keys = registry(args)?.map(|registry| registry.devices()).transpose()?;
    let live: Option<BTreeMap<String, DeviceFigures>> = match &args.monitor {
        Some(wanted) => Some(figures(&address_of(wanted))?),
        None => None,
    };
    let mut lines = format!("{:<16}  {:<10}", "name", "role");
    lines += if keys.is_some() { "  dealer " } else { "" };
    if live.is_some() {
        lines += "  connected  ready  since start  today         in all     next       seen";
    }
    lines += "\n";
    let peers = peers.into_iter().filter(|peer| ROLES.contains(&peer.role));
    let mut known: Vec<(&str, DeviceId)> =
        peers.map(|Party { role, name }| (role.word(), name)).collect();
    // A dealer has keys of those that are no peers of it, and does not know what they are.
    for &name in keys.iter().flatten() {
        if !known.iter().any(|(_, known)| *known == name) {
            known.push(("-", name));
        }
    }
    for (role, name) in known {
        let mut line = format!("{:<16}  {role:<10}", name.as_str());
        if let Some(keys) = &keys {
            line += if keys.contains(&name) { "  has key" } else { "  no key " };
        }
        if let Some(live) = &live {
            line += &live
                .get(name.as_str())
                .map_or_else(|| figures_of(&DeviceFigures::of(name.as_str())), figures_of);
        }
        lines += line.trim_end();
        lines += "\n";
    }
    output(&lines)
}

/// The figures of a device, as columns.
fn figures_of(of: &DeviceFigures) -> String {
    let connected = if of.connected { "yes" } else { "no" };
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let (today, sessions, next) = (of_today(of), number(of.sessions), number(of.next_session));
    let (ready, evaluated, seen) = (of.ready, of.evaluated, ago(of.seen_unix_seconds));
    let counts = format!("{ready:>5}  {evaluated:>11}  {today:<12}  {sessions:<9}  {next:<9}");
    format!("  {connected:<9}  {counts}  {seen}")
}

/// Sessions of today, and how many there may be.
fn of_today(of: &DeviceFigures) -> String {
    match (of.today, of.most_a_day) {
        (Some(today), Some(most)) => format!("{today}/{most}"),
        (Some(today), None) => today.to_string(),
        (None, _) => "-".to_owned(),
    }
}

fn figures(address: &str) -> Result<BTreeMap<String, DeviceFigures>> {
    let (_, text) = until_stopped(async |_| monitor::ask(address, "/devices").await)?;
    let devices: Vec<DeviceFigures> = serde_json::from_str(&text)?;
    Ok(devices.into_iter().map(|device| (device.name.clone(), device)).collect())
}
