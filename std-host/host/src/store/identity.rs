//! Who a program is: the file with its own key, and the card that its peers get.
//!
//! Both are TOML, to be read by people: a role, a name, and the key in hexadecimal digits. The
//! card is public. What counts when it travels is its fingerprint.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sharelet_channel::{Fingerprint, Identity, PublicKey, StaticKey};
use sharelet_link::files::{FileError, write_file};
use sharelet_link::{Party, Role, hex};
use zeroize::Zeroizing;

use super::error::{IdentityError, StoreError};
use super::key::random_key;

/// A program's role and name, and the key that proves them.
#[derive(Debug)]
pub struct Own {
    /// Role and name.
    pub party: Party,
    /// The static key.
    pub key: StaticKey,
}

/// What a program's peers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// Role and name.
    pub party: Party,
    /// The public key.
    pub public: PublicKey,
}

/// The text of either file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    role: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Zeroizing<String>>,
}

impl Text {
    fn of(party: Party) -> Self {
        let (role, name) = (party.role.word().to_owned(), party.name.as_str().to_owned());
        Self { role, name, public: None, secret: None }
    }

    fn load(path: &Path) -> Result<Self, StoreError> {
        let text = Zeroizing::new(fs::read_to_string(path).map_err(FileError::at(path))?);
        toml::from_str(&text).map_err(|_| IdentityError::NotOne.at(path))
    }

    fn save(&self, path: &Path) -> Result<(), StoreError> {
        let text = toml::to_string(self).map_err(|_| IdentityError::NotOne.at(path))?;
        Ok(write_file(path, &[Zeroizing::new(text).as_bytes()])?)
    }

    fn party(&self) -> Result<Party, IdentityError> {
        let role = Role::from_word(&self.role).ok_or(IdentityError::Role)?;
        Party::new(role, &self.name).ok_or(IdentityError::Name)
    }
}

/// 32 bytes of hexadecimal digits.
pub(super) fn bytes<const N: usize>(digits: &str) -> Result<Zeroizing<[u8; N]>, IdentityError> {
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode(digits, &mut *bytes).ok_or(IdentityError::Digits)?;
    Ok(bytes)
}

impl Own {
    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// [`StoreError::Randomness`].
    pub fn generate(party: Party) -> Result<Self, StoreError> {
        Ok(Self { party, key: StaticKey::from_bytes(*random_key()?.expose()) })
    }

    /// Reads an identity's file.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`StoreError::Identity`], also if others may read it.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let text = Text::load(path)?;
        #[cfg(unix)]
        if text.secret.is_some() {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path).map_err(FileError::at(path))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(IdentityError::Readable.at(path));
            }
        }
        let read = || {
            let secret = text.secret.as_deref().ok_or(IdentityError::NoSecret)?;
            let key = StaticKey::from_bytes(*bytes(secret)?);
            Ok(Self { party: text.party()?, key })
        };
        read().map_err(|error: IdentityError| error.at(path))
    }

    /// Writes the identity's file, readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let secret = Some(Zeroizing::new(hex::hex(self.key.expose())));
        Text { secret, ..Text::of(self.party) }.save(path)
    }

    /// The card for its peers.
    #[must_use]
    pub fn card(&self) -> Card {
        Card { party: self.party, public: self.key.public() }
    }

    /// For the channel.
    #[must_use]
    pub fn identity(self) -> Identity {
        Identity::new(self.party, self.key)
    }
}

impl Card {
    /// What people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint(&self.party)
    }

    /// Reads a card.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Identity`].
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let text = Text::load(path)?;
        let read = || {
            let public = text.public.as_deref().ok_or(IdentityError::NoCard)?;
            Ok(Self { party: text.party()?, public: PublicKey::from_bytes(*bytes(public)?) })
        };
        read().map_err(|error: IdentityError| error.at(path))
    }

    /// Writes the card.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let public = Some(hex::hex(self.public.as_bytes()));
        Text { public, ..Text::of(self.party) }.save(path)
    }
}

/// Where the peers of an identity are kept: beside its file, with the ending `peers`.
#[must_use]
pub fn peers_of(identity: &Path) -> PathBuf {
    identity.with_extension("peers")
}

/// Where the card of an identity is written: beside its file, with the ending `card`.
#[must_use]
pub fn card_of(identity: &Path) -> PathBuf {
    identity.with_extension("card")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Party {
        Party::new(Role::Host, "hall-2").expect("a name")
    }

    #[test]
    fn an_identity_and_its_card_survive_their_files_and_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hall-2.id");
        let own = Own::generate(host()).expect("randomness");
        own.save(&path).expect("saves");
        own.card().save(&card_of(&path)).expect("saves");
        let read = Own::load(&path).expect("loads");
        assert_eq!((read.party, read.key.expose()), (host(), own.key.expose()));
        assert_eq!(Card::load(&card_of(&path)).expect("loads"), own.card());
        let wrong = |found| matches!(found, Err(StoreError::Identity { .. }));
        assert!(wrong(Own::load(&card_of(&path)).map(drop)));
        assert!(wrong(Card::load(&path).map(drop)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
            set(0o640).expect("sets");
            assert!(wrong(Own::load(&path).map(drop)), "others may read it");
            set(0o600).expect("sets");
        }
        let text = fs::read_to_string(&path).expect("text");
        for (from, to) in [("host", "ghost"), ("hall-2", "hall 2"), ("secret = \"", "secret = \"0")]
        {
            fs::write(&path, text.replacen(from, to, 1)).expect("writes");
            assert!(wrong(Own::load(&path).map(drop)), "{from}");
        }
        assert!(!format!("{own:?}").contains(&hex::hex(own.key.expose())[..8]));
    }
}
