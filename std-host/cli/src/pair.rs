//! `sharelet pair`: two programs get to know each other's keys.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use sharelet_channel::{Pin, Ratchet};
use sharelet_core::Key;

use super::common::{WrongArguments, given, output, print};
use super::units::parse_name;
use sharelet_host::store::StoreError;
use sharelet_host::store::error::IdentityError;
use sharelet_host::store::identity::{Card, Own};
use sharelet_host::store::peers::{Paired, folder_of};
use sharelet_link::{Party, Role};

const EXAMPLES: &str = include_str!("examples/pair.txt");

/// Arguments of `sharelet pair`.
#[derive(Args, Debug, Clone)]
#[command(about = "Pin a peer's key, after a look at its fingerprint", after_help = EXAMPLES)]
pub struct PairArgs {
    /// The identity of this side.
    #[arg(value_name = "FILE.id")]
    pub own: PathBuf,
    /// The peer's card; or its identity, if it is on this machine: then both are paired.
    #[arg(value_name = "FILE.card", required_unless_present_any = ["forget", "list"])]
    pub peer: Option<PathBuf>,
    /// The peer's fingerprint, as the other side prints it; asked for if not given.
    #[arg(long, value_name = "LETTERS", requires = "peer")]
    pub fingerprint: Option<String>,
    /// Replace the key of a peer that is paired already.
    #[arg(long, requires = "peer")]
    pub force: bool,
    /// Forget a peer: it gets through no handshake from now on, and what is open is cut within
    /// seconds.
    #[arg(long, value_name = "ROLE:NAME", value_parser = parse_party, conflicts_with = "peer")]
    pub forget: Option<Party>,
    /// Print the peers.
    #[arg(long, conflicts_with_all = ["peer", "forget"])]
    pub list: bool,
}

fn parse_party(text: &str) -> Result<Party, String> {
    let wrong = || "give ROLE:NAME, such as device:pump-07".to_owned();
    let (role, name) = text.split_once(':').ok_or_else(wrong)?;
    Ok(Party { role: Role::from_word(role).ok_or_else(wrong)?, name: parse_name(name)? })
}

/// Pairs, forgets or lists.
///
/// # Errors
/// A file cannot be used, the fingerprint is another one, or the peer is paired already.
pub fn run(args: &PairArgs) -> Result<()> {
    let own = Own::load(&args.own)?;
    let peers = folder_of(&args.own);
    if args.list {
        return peers.all()?.iter().try_for_each(|peer| output(&format!("{peer}\n")));
    }
    if let Some(peer) = &args.forget {
        peers.remove(peer)?;
        return output(&format!(
            "{} knows {peer} no more; connections that are open are cut\n",
            own.party
        ));
    }
    let peer = Peer::load(given(args.peer.as_deref(), "peer")?)?;
    let line = |card: &Card| format!("{}  {}\n", card.fingerprint(), card.party);
    output(&format!("this side   {}other side  {}", line(&own.card()), line(&peer.card)))?;
    peer.check(&own, Some(&args.own), args.force)?;
    peer.expect_fingerprint(args.fingerprint.as_slice())?;
    peer.pin(&own, Some(&args.own))
}

/// A peer's card; with its identity, if that is on this machine.
pub(super) struct Peer {
    card: Card,
    own: Option<(PathBuf, Own)>,
}

impl Peer {
    /// Reads either file.
    pub(super) fn load(path: &Path) -> Result<Self> {
        match Own::load(path) {
            Ok(own) => Ok(Self { card: own.card(), own: Some((path.to_owned(), own)) }),
            Err(StoreError::Identity { source: IdentityError::NoSecret, .. }) => {
                Ok(Self { card: Card::load(path)?, own: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the two have something to say to each other, and are not paired already: `id` is
    /// the file of `own`, if it has one.
    pub(super) fn check(&self, own: &Own, id: Option<&Path>, force: bool) -> Result<()> {
        let (one, other) = (own.party, self.card.party);
        if !meets(one.role, other.role) {
            bail!("{one} and {other} have nothing to say to each other");
        }
        let paired =
            |id: Option<&Path>, peer| id.map_or(Ok(false), |id| folder_of(id).is_paired(peer));
        let there = self.own.as_ref().map(|(path, _)| path.as_path());
        if !force && (paired(id, &other)? || paired(there, &one)?) {
            bail!("{one} is paired with {other} already; with --force the keys are replaced");
        }
        Ok(())
    }

    /// What came on a card is held against what the other side says, on `told` or when asked.
    ///
    /// # Errors
    /// The fingerprint is another one, or nobody says it.
    pub(super) fn expect_fingerprint(&self, told: &[String]) -> Result<()> {
        if self.own.is_some() { Ok(()) } else { expect_fingerprint(&self.card, told) }
    }

    /// Prints its fingerprint, role and name.
    pub(super) fn show(&self) -> Result<()> {
        output(&format!("{}  {}\n", self.card.fingerprint(), self.card.party))
    }

    /// What `own` is to hold of the peer.
    ///
    /// # Errors
    /// The peer's public key is nobody's.
    pub(super) fn pin_of(&self, own: &Own) -> Result<Pin> {
        Ok(Pin::paired(&own.key, &own.party, &self.card.party, self.card.public)?)
    }

    /// Its role and name.
    pub(super) fn party(&self) -> Party {
        self.card.party
    }

    /// The identity to which a secret can be given.
    pub(super) fn keeper(&self) -> Result<&Path> {
        let Some((path, _)) = &self.own else {
            let peer = self.card.party;
            bail!("{peer} has only its card here; a secret goes to its identity: provision there");
        };
        Ok(path)
    }

    /// Gives the peer the secret that it shares with a board without a key pair.
    pub(super) fn provision(&self, board: Party, secret: &Key) -> Result<()> {
        let ratchet = Ratchet::new(Key::from_bytes(*secret.expose()));
        folder_of(self.keeper()?).put(&board, &Paired::Provisioned(ratchet))?;
        tracing::info!("{} has a secret in common with {board}", self.card.party);
        Ok(())
    }

    /// Pins each other's keys, where they are on this machine: `id` is the file of `own`.
    pub(super) fn pin(&self, own: &Own, id: Option<&Path>) -> Result<()> {
        let peer = self.card.party;
        if let Some(id) = id {
            folder_of(id).put(&peer, &Paired::Static(self.pin_of(own)?))?;
            tracing::info!("{} is paired with {peer}", own.party);
        }
        if let Some((path, there)) = &self.own {
            let pin = Pin::paired(&there.key, &peer, &own.party, own.key.public())?;
            folder_of(path).put(&own.party, &Paired::Static(pin))?;
            tracing::info!("{peer} is paired with {}", own.party);
        }
        Ok(())
    }
}

/// The letters of a fingerprint, however they are grouped.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn expect_fingerprint(card: &Card, told: &[String]) -> Result<()> {
    let expected = card.fingerprint().to_string();
    if !told.is_empty() {
        if !told.iter().any(|told| letters(told) == letters(&expected)) {
            bail!(
                "the fingerprint of {} is {expected}, and not the one that was given: the card is \
                 another one, or was exchanged on its way; fetch it again, and compare",
                card.party
            );
        }
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let missing = "--fingerprint is missing: ask the other side for it, over another way than \
                       the card came";
        return Err(WrongArguments(missing.to_owned()).into());
    }
    print(&format!("Does {} print {expected} on its side? [y/N] ", card.party))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("not paired; fetch the card again, and compare the fingerprints");
    }
    Ok(())
}

/// Whether two roles ever connect to each other.
fn meets(one: Role, other: Role) -> bool {
    use Role::{Console, DataParty, Dealer, Device, Host, Owner, Server0, Server1};
    let one_way = |one, other| {
        matches!(
            (one, other),
            (Device | Dealer, Host)
                | (Dealer | DataParty | Owner | Console | Server0, Server1)
                | (DataParty | Owner | Console, Server0)
        )
    };
    one_way(one, other) || one_way(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_compared_by_their_letters() {
        assert_eq!(letters("ABCD-efgh 2345"), "abcdefgh2345");
    }

    #[test]
    fn roles_that_connect_can_be_paired() {
        assert!(meets(Role::Host, Role::Device) && meets(Role::Dealer, Role::Server1));
        assert!(!meets(Role::Dealer, Role::Device), "the dealer never meets a device");
        assert!(!meets(Role::Host, Role::Host) && !meets(Role::Dealer, Role::Server0));
    }
}
