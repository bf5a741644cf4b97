//! Who may take answers: a file for the operator's console, and one for each server.
//!
//! A server has the digest of its own token alone, so that it cannot pose as the console at the
//! other server.
//!
//! ```text
//! "SLTO" | version 1 | 0: server 0's, 1: server 1's, 2: the console's | 2 zeros
//!        | operator's name, 16 bytes
//!        | SHA-256 of the server's token, 32 bytes, or both tokens, 64 bytes
//!        | CRC-32 (IEEE) of all before, little-endian
//! ```

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sharelet_core::keystream::Key;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::session::wire::servers::ConsoleHello;
use zeroize::Zeroizing;

use super::error::{ConsoleFileError, StoreError};
use super::key::random_key;
use sharelet_link::files::{FileError, write_file};

const MAGIC: [u8; 4] = *b"SLTO";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 4;
/// The kind of a console's file; smaller ones are the parties of servers.
const CONSOLE: u8 = 2;

fn role(kind: u8) -> &'static str {
    match kind {
        0 => "server 0",
        1 => "server 1",
        _ => "the console",
    }
}

/// What a console shows the two servers.
#[derive(Debug)]
pub struct ConsoleKey {
    /// The operator's name.
    pub name: DeviceId,
    /// A token for each server.
    pub tokens: [Key; 2],
}

/// What a server knows of its console.
#[derive(Clone, Debug)]
pub struct ServerConsole {
    /// The operator's name.
    pub name: DeviceId,
    digest: [u8; 32],
}

impl ServerConsole {
    /// Whether a console may take answers.
    #[must_use]
    pub fn admits(&self, hello: &ConsoleHello) -> bool {
        hello.name == self.name && digest(&hello.token) == self.digest
    }

    /// Reads the file of the server with number `party`.
    ///
    /// # Errors
    /// [`StoreError::File`] and [`StoreError::Console`].
    pub fn load(path: &Path, party: u8) -> Result<Self, StoreError> {
        let bytes = fs::read(path).map_err(FileError::at(path))?;
        let read = || {
            let (name, body) = parse(&bytes, party)?;
            Ok(Self {
                name,
                digest: *body
                    .first_chunk()
                    .filter(|_| body.len() == 32)
                    .ok_or(ConsoleFileError::Damaged)?,
            })
        };
        read().map_err(|source| StoreError::Console { path: path.to_owned(), source })
    }
}

fn digest(token: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(b"sharelet console 1\0").chain_update(token).finalize().into()
}

impl ConsoleKey {
    /// Tokens from the operating system.
    ///
    /// # Errors
    /// [`StoreError::Randomness`].
    pub fn generate(name: DeviceId) -> Result<Self, StoreError> {
        Ok(Self { name, tokens: [random_key()?, random_key()?] })
    }

    /// What server `party` is to know.
    #[must_use]
    pub fn for_server(&self, party: usize) -> ServerConsole {
        ServerConsole {
            name: self.name,
            digest: self.tokens.get(party).map_or([0; 32], |token| digest(token.expose())),
        }
    }

    /// Writes the console's file to `path`, and those of the servers beside it, with `.0` and `.1`
    /// after the name.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let tokens = Zeroizing::new(self.tokens.each_ref().map(|token| *token.expose()).concat());
        write(path, CONSOLE, self.name, &tokens)?;
        for party in [0, 1] {
            write(
                &server_path(path, party),
                party,
                self.name,
                &self.for_server(usize::from(party)).digest,
            )?;
        }
        Ok(())
    }

    /// Reads a console's file.
    ///
    /// # Errors
    /// [`StoreError::File`] and [`StoreError::Console`].
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let bytes = Zeroizing::new(fs::read(path).map_err(FileError::at(path))?);
        let read = || {
            let (name, body) = parse(&bytes, CONSOLE)?;
            let tokens: &[u8; 64] = body.try_into().map_err(|_| ConsoleFileError::Damaged)?;
            let (first, second) = tokens.split_at(32);
            let key = |bytes: &[u8]| {
                bytes.try_into().map(Key::from_bytes).map_err(|_| ConsoleFileError::Damaged)
            };
            Ok(Self { name, tokens: [key(first)?, key(second)?] })
        };
        read().map_err(|source| StoreError::Console { path: path.to_owned(), source })
    }
}

/// Where the file of a server lies beside that of the console.
#[must_use]
pub fn server_path(path: &Path, party: u8) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{party}"));
    name.into()
}

fn write(path: &Path, kind: u8, name: DeviceId, body: &[u8]) -> Result<(), StoreError> {
    let mut crc = crc32fast::Hasher::new();
    let parts = [&MAGIC[..], &[VERSION, kind, 0, 0], name.as_bytes(), body];
    parts.iter().for_each(|part| crc.update(part));
    let [magic, kind, name, body] = parts;
    Ok(write_file(path, &[magic, kind, name, body, &crc.finalize().to_le_bytes()])?)
}

fn parse(bytes: &[u8], expected: u8) -> Result<(DeviceId, &[u8]), ConsoleFileError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(ConsoleFileError::NotAConsole)?;
    let found = *rest.first().ok_or(ConsoleFileError::Damaged)?;
    if found != VERSION {
        return Err(ConsoleFileError::Version { found });
    }
    let (checked, sum) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(ConsoleFileError::Damaged)?;
    if crc32fast::hash(checked).to_le_bytes() != *sum {
        return Err(ConsoleFileError::Damaged);
    }
    let (header, body) =
        checked.split_first_chunk::<HEADER_BYTES>().ok_or(ConsoleFileError::Damaged)?;
    let [.., kind, _, _, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
    let name = DeviceId::from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
        .ok_or(ConsoleFileError::Damaged)?;
    if kind != expected {
        return Err(ConsoleFileError::Role { found: role(kind), expected: role(expected) });
    }
    Ok((name, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_survive_and_belong_to_one_role() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("operator");
        let name = DeviceId::new("control-room").expect("a name");
        let key = ConsoleKey::generate(name).expect("randomness");
        key.save(&path).expect("saves");
        let read = ConsoleKey::load(&path).expect("loads");
        for party in [0, 1] {
            let server = ServerConsole::load(&server_path(&path, party), party).expect("loads");
            let hello = |token: usize| ConsoleHello { name, token: *read.tokens[token].expose() };
            assert!(server.admits(&hello(party.into())));
            assert!(!server.admits(&hello(1 - usize::from(party))), "a token is for one server");
            let other = ConsoleHello {
                name: DeviceId::new("x").expect("a name"),
                token: *read.tokens[usize::from(party)].expose(),
            };
            assert!(!server.admits(&other));
            let wrong = ServerConsole::load(&server_path(&path, party), 1 - party)
                .expect_err("another server's");
            assert!(wrong.to_string().contains("is for server"), "{wrong}");
        }
        let bytes = fs::read(&path).expect("reads");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).expect("writes");
            assert!(
                matches!(ConsoleKey::load(&path), Err(StoreError::Console { .. })),
                "byte {at}"
            );
            fs::write(&path, &bytes[..at]).expect("writes");
            assert!(
                matches!(ConsoleKey::load(&path), Err(StoreError::Console { .. })),
                "cut at {at}"
            );
        }
        assert!(
            !format!("{key:?}").contains(&sharelet_link::hex::hex(key.tokens[0].expose())[..8])
        );
    }
}
