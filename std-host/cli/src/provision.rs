//! `sharelet provision`: devices, data parties and server 0 get the keys of their sessions.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use sharelet_core::{DeviceId, Key};
use sharelet_flash::page::KeyPage;
use sharelet_flash::{counter, ratchets};

use super::common::{WrongArguments, counter_of, expect_none, given, output};
use super::pair::Peer;
use super::store::DealerStoreArgs;
use super::terminal::progress;
use super::units::parse_name;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::engine::Registry;
use sharelet_host::store::identity::{Own, card_of};
use sharelet_host::store::key::{DeviceKey, random_key};
use sharelet_host::store::keys::{self, KeysFolder};
use sharelet_host::store::page;
use sharelet_link::files::{private_directory, write_file};
use sharelet_link::{Party, Role};

const EXAMPLES: &str = include_str!("examples/provision.txt");

/// Arguments of `sharelet provision`.
#[derive(Args, Debug, Clone)]
#[command(about = "Make the keys of devices", after_help = EXAMPLES)]
pub struct ProvisionArgs {
    /// The names: 1 to 16 letters, digits, `.`, `-` and `_`.
    #[arg(
        value_name = "NAME",
        value_parser = parse_name,
        required_unless_present_any = ["take", "from"],
    )]
    pub names: Vec<DeviceId>,
    /// More names: a file with one on each line; what follows a # is left out.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// What they are.
    #[arg(long, value_enum, default_value_t)]
    pub role: Provisioned,
    /// The dealer's state directory, if it is on this machine. Else NAME.dealer is for the dealer.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The dealer's store.
    #[command(flatten)]
    pub dealer: DealerStoreArgs,
    /// A peer to be paired with, as by `sharelet pair`: its identity, if it is on this machine, or
    /// its card. The host of a device, or the two servers of a data party.
    #[arg(long = "peer", value_name = "FILE")]
    pub peers: Vec<PathBuf>,
    /// The fingerprint of a peer of which there is only the card, as the other side prints it;
    /// asked for if not given.
    #[arg(long, value_name = "LETTERS", requires = "peers")]
    pub fingerprint: Vec<String>,
    /// Write key pages for boards, NAME.page, in place of files for programs.
    #[arg(long)]
    pub page: bool,
    /// How a board makes its channels; psk is for parts without room for public keys.
    #[arg(long, value_enum, default_value_t)]
    pub channel: ChannelKeys,
    /// Where the files are written.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Replace existing keys.
    #[arg(long)]
    pub force: bool,
    /// At the dealer: take over a key that was made elsewhere.
    #[arg(
        long,
        value_name = "NAME.dealer",
        conflicts_with_all = ["names", "from", "peers", "page"],
    )]
    pub take: Option<PathBuf>,
}

/// Who needs keys of sessions.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provisioned {
    /// The device of a host; its dealer knows the key of its sessions.
    #[default]
    Device,
    /// The data party of two servers; nobody else knows the key of its halves.
    DataParty,
    /// Server 0, whose identity is made by `sharelet keygen`; its dealer knows the key.
    #[value(name = "server-0")]
    Server0,
}

/// What a board proves who it is with.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelKeys {
    /// A key pair of its own.
    #[default]
    Static,
    /// A secret for each peer, which moves forward with every connection; no forward secrecy.
    Psk,
}

/// The files of one name.
struct Files {
    key: PathBuf,
    id: PathBuf,
    page: PathBuf,
    /// The first record of the counter in a board's flash.
    born: PathBuf,
    /// The first record of its ratchets.
    ratchets: PathBuf,
    dealer: PathBuf,
}

impl Files {
    fn of(name: DeviceId, directory: &Path) -> Self {
        let file = |ending| directory.join(format!("{name}.{ending}"));
        let [key, id, page] = ["key", "id", "page"].map(file);
        let [born, ratchets, dealer] = ["born", "ratchets", "dealer"].map(file);
        Self { key, id, page, born, ratchets, dealer }
    }
}

/// Makes the keys.
///
/// # Errors
/// A file cannot be written, or a peer not be paired; existing keys stay unless `--force` is given.
pub fn run(args: &ProvisionArgs) -> Result<()> {
    let registry = registry(args)?;
    let registry = registry.as_deref();
    if let Some(file) = &args.take {
        // Numbers that were dealt under it are recorded beside it, and nowhere else.
        let dealt = file.parent().map(|folder| folder.join(".dealt"));
        if args.dealer.is_given() && dealt.is_some_and(|dealt| dealt.exists()) {
            let wrong = format!(
                "--take {}: it is in use by a dealer whose numbers are on its machine; provision \
                 the device anew",
                file.display()
            );
            return Err(WrongArguments(wrong).into());
        }
        let key = DeviceKey::load(file)?;
        let device = key.device;
        given(registry, "state")?.put_key(&key, args.force)?;
        tracing::info!(%device, "the dealer knows the key; remove {}", file.display());
        return Ok(());
    }
    if args.page && args.role == Provisioned::Server0 {
        return Err(WrongArguments("--page: server 0 is no board".to_owned()).into());
    }
    if args.channel == ChannelKeys::Psk && !args.page {
        return Err(
            WrongArguments("--channel psk: for boards alone, with --page".to_owned()).into()
        );
    }
    let peers = args.peers.iter().map(|path| Peer::load(path)).collect::<Result<Vec<_>>>()?;
    for peer in &peers {
        peer.show()?;
        peer.expect_fingerprint(&args.fingerprint)?;
    }
    private_directory(&args.output)?;
    let names = names(&args.names, args.from.as_deref())?;
    for name in &names {
        expect_new(args, *name)?;
    }
    // One is made at once.
    const MANY: usize = 16;
    let bar = match names.len() {
        many if many >= MANY => progress("provisioning", many as u64, false),
        _ => ProgressBar::hidden(),
    };
    for name in names {
        provision(args, registry, name, &peers)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The names that are given, and those of a file.
///
/// # Errors
/// The file cannot be read, or a line of it is no name.
pub fn names(given: &[DeviceId], file: Option<&Path>) -> Result<Vec<DeviceId>> {
    let mut names = given.to_vec();
    names.extend(file.map(listed).transpose()?.unwrap_or_default());
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair.first() == pair.last());
    if let Some([name, _]) = twice {
        return Err(WrongArguments(format!("{name} is named twice")).into());
    }
    Ok(names)
}

/// The names that a file lists, all of them read before a key is made.
fn listed(file: &Path) -> Result<Vec<DeviceId>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut names = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        let wrong = |what: String| anyhow!("{}, line {number}: {what}", file.display());
        let name = parse_name(name).map_err(wrong)?;
        if names.contains(&name) {
            return Err(wrong(format!("{name} is named twice")));
        }
        names.push(name);
    }
    Ok(names)
}

/// Refuses to replace keys, before any is made.
fn expect_new(args: &ProvisionArgs, name: DeviceId) -> Result<()> {
    let files = Files::of(name, &args.output);
    let (key, numbers) = (&files.key, counter_of(&files.key));
    let has_identity = args.role != Provisioned::Server0;
    let kept = if args.page { &files.page } else { key };
    expect_none(kept, args.force)?;
    expect_none(&numbers, args.force)?;
    if has_identity && !args.page {
        expect_none(&files.id, args.force)?;
    }
    let others = [&card_of(&files.id), &files.born, &files.ratchets, &files.dealer];
    others.into_iter().filter(|_| has_identity).try_for_each(|path| expect_none(path, args.force))
}

/// Where a dealer has its devices, if it can be reached from here.
fn registry(args: &ProvisionArgs) -> Result<Option<Box<dyn Registry>>> {
    match (args.dealer.open()?, &args.state) {
        (Some(_), Some(_)) => {
            let wrong = "--state and --dealer-store: a dealer has one of the two";
            Err(WrongArguments(wrong.to_owned()).into())
        }
        (Some(store), None) => Ok(Some(store)),
        (None, state) => {
            Ok(state.as_deref().map(|state| Box::new(KeysFolder::of(state)) as Box<dyn Registry>))
        }
    }
}

fn provision(
    args: &ProvisionArgs,
    registry: Option<&dyn Registry>,
    name: DeviceId,
    peers: &[Peer],
) -> Result<()> {
    let files = Files::of(name, &args.output);
    let (key, numbers) = (&files.key, counter_of(&files.key));
    let role = match args.role {
        Provisioned::Device => Some(Role::Device),
        Provisioned::DataParty => Some(Role::DataParty),
        Provisioned::Server0 => None,
    };
    // A program is paired later, too; what is in a page stays there.
    let needed: &[Role] = match args.role {
        Provisioned::Device => &[Role::Host],
        Provisioned::DataParty => &[Role::Server0, Role::Server1],
        Provisioned::Server0 => &[],
    };
    let has = |role: &Role| peers.iter().any(|peer| peer.party().role == *role);
    if let Some(missing) = needed.iter().find(|role| args.page && !has(role)) {
        let wrong =
            format!("--peer: there is no {missing}, and a page holds the keys of its peers");
        return Err(WrongArguments(wrong).into());
    }
    let own = role.map(|role| Own::generate(Party { role, name })).transpose()?;
    let own = own.as_ref();
    // What a peer holds against is known before a key is made.
    if let Some(own) = own {
        let id = (!args.page).then_some(files.id.as_path());
        peers.iter().try_for_each(|peer| peer.check(own, id, args.force))?;
    }
    let psk = args.channel == ChannelKeys::Psk;
    let mut secrets = Vec::new();
    for peer in peers.iter().filter(|_| psk) {
        peer.keeper()?;
        secrets.push(random_key()?);
    }
    let give = |session: &DeviceKey| -> Result<()> {
        match (args.page, own) {
            (true, Some(own)) => {
                let page = if psk {
                    provisioned_page(own, session, peers, &secrets)?
                } else {
                    static_page(own, session, peers)?
                };
                FileCounter::create(&numbers, session.key_id())?;
                write_file(&files.born, &[&counter::born(&page)])?;
                if psk {
                    write_file(&files.ratchets, &[ratchets::born(&page).as_slice()])?;
                }
                page::save(&page, &files.page)?;
            }
            _ => {
                FileCounter::create(&numbers, session.key_id())?;
                session.save(key)?;
                own.map_or(Ok(()), |own| own.save(&files.id))?;
            }
        }
        Ok(())
    };
    match (registry, args.role) {
        (Some(registry), Provisioned::Device | Provisioned::Server0) => {
            keys::provision(registry, name, args.force, give)?;
        }
        (None, Provisioned::DataParty) => give(&DeviceKey::generate(name)?)?,
        (Some(_), Provisioned::DataParty) => {
            let wrong = "--state: no dealer knows the key of a data party";
            return Err(WrongArguments(wrong.to_owned()).into());
        }
        (None, _) => {
            let session = DeviceKey::generate(name)?;
            give(&session)?;
            session.save(&files.dealer)?;
            tracing::info!(
                "{} is for the dealer's machine: there, `sharelet provision --take` it",
                files.dealer.display()
            );
        }
    }
    let Some(own) = own else {
        tracing::info!(%name, "wrote {} and its counter", key.display());
        return Ok(());
    };
    if psk {
        for (peer, secret) in peers.iter().zip(&secrets) {
            peer.provision(own.party, secret)?;
        }
    } else {
        for peer in peers {
            peer.pin(own, (!args.page).then_some(files.id.as_path()))?;
        }
        own.card().save(&card_of(&files.id))?;
    }
    if !psk {
        output(&format!("{}  {}\n", own.card().fingerprint(), own.party))?;
    }
    if args.page {
        tracing::info!(
            %name,
            "wrote {}; flash it once, with what lies beside it, and delete both: whoever flashes \
             them again uses numbers again",
            files.page.display()
        );
    } else {
        let (key, id) = (key.display(), files.id.display());
        tracing::info!(%name, "wrote {id}, {key} and its counter; they go to the device alone");
    }
    Ok(())
}

/// The page of a board: its own key, the key of its sessions, and its peers.
fn static_page(own: &Own, session: &DeviceKey, peers: &[Peer]) -> Result<KeyPage> {
    let mut page = KeyPage::new(own.party, Key::from_bytes(*session.key.expose()), &own.key, 0);
    for peer in peers {
        page.pair(peer.party(), &peer.pin_of(own)?)?;
    }
    Ok(page)
}

/// The page of a board without a key pair: a secret for each peer.
fn provisioned_page(
    own: &Own,
    session: &DeviceKey,
    peers: &[Peer],
    secrets: &[Key],
) -> Result<KeyPage> {
    let key = Key::from_bytes(*session.key.expose());
    let mut page = KeyPage::provisioned(own.party, key, 0);
    for (peer, secret) in peers.iter().zip(secrets) {
        page.provision(peer.party(), Key::from_bytes(*secret.expose()))?;
    }
    Ok(page)
}
