//! The owner's side of an upload: the same conversation with two servers.
//!
//! Nothing is registered until both servers have stored everything. If the owner or a server goes
//! away between the two registrations, the same upload id ends them later: what is stored stays
//! stored.

use core::time::Duration;

use sha2::{Digest as _, Sha256};
use sharelet_core::keystream::Key;

use super::wire::{self, KEYS_PER_FRAME, Kind, Standing, Welcome, WireError};
use crate::data::description::{Description, UploadId};
use crate::data::keys::KeyHash;
use crate::data::name::Name;
use crate::data::openings::Openings;
use crate::data::shares::{self, Encoded, PIECE_ELEMS, Splitter, fresh_seed};
use crate::data::{DataError, Table};
use sharelet_link::{Connection, LinkError, frame};

/// A server must answer within this time when it has much to write to its disk.
const ANSWER: Duration = Duration::from_secs(600);

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A server cannot be reached.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A server refused, or its connection failed. Nothing was registered.
    #[error("server {server}: {source}; nothing was registered")]
    Server {
        /// Its address.
        server: String,
        /// What is wrong.
        source: WireError,
    },
    /// A server says that it is neither of two parties.
    #[error("server {server} says that it is party {party}; there are 0 and 1")]
    Party {
        /// Its address.
        server: String,
        /// The party.
        party: u8,
    },
    /// Both servers say that they are the same party.
    #[error(
        "servers {first} and {second} both say that they are party {party}; start one with \
         --party 0 and the other with --party 1. Nothing was sent"
    )]
    SameParty {
        /// Address of one.
        first: String,
        /// Address of the other.
        second: String,
        /// The party.
        party: u8,
    },
    /// The servers differ in what they take.
    #[error(
        "the servers differ in {field}: {zero} at party 0, {one} at party 1; start both with the \
         same options and version. Nothing was sent"
    )]
    Configuration {
        /// The field.
        field: &'static str,
        /// What party 0 says.
        zero: u64,
        /// What party 1 says.
        one: u64,
    },
    /// The servers compute otherwise than this program.
    #[error(
        "the servers' {field} is {theirs}, this program's {ours}; install matching versions. \
         Nothing was sent"
    )]
    Version {
        /// The field.
        field: &'static str,
        /// What both servers say.
        theirs: u64,
        /// What this program has.
        ours: u64,
    },
    /// One server has registered the upload, and the other has lost it.
    #[error(
        "party {registered} has registered upload {upload}, and the other server has lost it; \
         delete it at party {registered} and share again"
    )]
    Lost {
        /// The upload.
        upload: UploadId,
        /// Who has it.
        registered: u8,
    },
    /// Both servers hold everything, but it is not known whether both have registered it.
    #[error(
        "server {server}: {source}. Both servers hold the upload, but not both may have \
         registered it: end it with the same command and --upload-id {upload}"
    )]
    Unfinished {
        /// Address of the server that failed.
        server: String,
        /// The upload.
        upload: UploadId,
        /// What is wrong.
        source: WireError,
    },
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The data was sent and registered.
    Sent,
    /// The servers held the data from an earlier attempt; it was registered now.
    Completed,
    /// Both servers had registered the upload before.
    AlreadyRegistered,
}

/// What is uploaded.
#[derive(Debug)]
pub struct Upload<'u> {
    /// What becomes public of it.
    pub description: &'u Description,
    /// Features and labels.
    pub encoded: &'u Encoded,
    /// A hashed key for each row, or none.
    pub keys: &'u [KeyHash],
}

/// A server as the owner sees it.
struct Server {
    address: String,
    connection: Connection,
    welcome: Welcome,
}

impl Server {
    async fn greet(address: String, mut connection: Connection) -> Result<Self, OwnerError> {
        let greeting = async {
            frame::greet(&mut connection.writer, Kind::Hello, &[]).await?;
            wire::read_welcome(&mut connection.reader).await
        };
        match greeting.await {
            Ok(welcome) => Ok(Self { address, connection, welcome }),
            Err(source) => Err(OwnerError::Server { server: address, source }),
        }
    }

    fn failed(&self) -> impl FnOnce(WireError) -> OwnerError {
        let server = self.address.clone();
        move |source| OwnerError::Server { server, source }
    }

    async fn begin(&mut self, description: &[u8]) -> Result<Standing, OwnerError> {
        let asked = async {
            frame::send_bytes(&mut self.connection.writer, Kind::Begin, description).await?;
            frame::receive(&mut self.connection.reader, Kind::Standing).await
        };
        let asked = asked.await;
        asked.map_err(self.failed())
    }

    /// Sends keys and a share of what is `described`, and waits until the server has stored them.
    async fn send(
        &mut self,
        described: &[u8],
        keys: &[KeyHash],
        share: Share<'_>,
    ) -> Result<(), OwnerError> {
        let sent = match self.send_frames(described, keys, share).await {
            // A server that refuses closes the connection, which the writer notices first.
            Err(error @ (WireError::Io(_) | WireError::Closed)) => {
                match frame::receive_bytes(&mut self.connection.reader, Kind::Stored, 0).await {
                    Err(refused @ WireError::Refused(_)) => Err(refused),
                    _ => Err(error),
                }
            }
            sent => sent,
        };
        sent.map_err(self.failed())
    }

    async fn send_frames(
        &mut self,
        described: &[u8],
        keys: &[KeyHash],
        share: Share<'_>,
    ) -> Result<(), WireError> {
        let Connection { reader, writer, .. } = &mut self.connection;
        let mut digest = Sha256::new().chain_update(described);
        frame::send_bytes(writer, Kind::Send, &[]).await?;
        for keys in keys.chunks(KEYS_PER_FRAME) {
            digest.update(keys.as_flattened());
            frame::send_bytes(writer, Kind::Keys, keys.as_flattened()).await?;
        }
        match share {
            Share::Seed(seed) => {
                digest.update(seed.expose());
                frame::send_bytes(writer, Kind::Seed, seed.expose()).await?;
            }
            Share::Words { words, splitter, progress } => {
                let mut bytes = Vec::with_capacity(PIECE_ELEMS * 8);
                for (number, piece) in (0..).zip(words.chunks(PIECE_ELEMS)) {
                    let mut piece = piece.to_vec();
                    splitter.split(number, &mut piece);
                    bytes.clear();
                    bytes.extend(piece.iter().flat_map(|word| word.to_le_bytes()));
                    digest.update(&bytes);
                    frame::send_bytes(writer, Kind::Piece, &bytes).await?;
                    progress(bytes.len() as u64);
                }
            }
        }
        frame::send_bytes(writer, Kind::Finish, &digest.finalize()).await?;
        reader.await_message(ANSWER);
        frame::receive_bytes(reader, Kind::Stored, 0).await.map(|_| ())
    }

    async fn commit(&mut self, upload: UploadId) -> Result<(), OwnerError> {
        let committed = async {
            frame::send_bytes(&mut self.connection.writer, Kind::Commit, &[]).await?;
            self.connection.reader.await_message(ANSWER);
            frame::receive_bytes(&mut self.connection.reader, Kind::Registered, 0).await
        };
        match committed.await {
            Ok(_) => Ok(()),
            Err(source) => {
                Err(OwnerError::Unfinished { server: self.address.clone(), upload, source })
            }
        }
    }
}

enum Share<'s> {
    Seed(&'s Key),
    Words { words: &'s [u64], splitter: &'s Splitter, progress: &'s mut (dyn FnMut(u64) + Send) },
}

/// What becomes public of a table under an upload id.
#[must_use]
pub fn describe(
    table: &Table,
    id: UploadId,
    dataset: Name,
    owner: Name,
    frac_bits: u8,
    openings: Openings,
) -> Description {
    let [feature_bits, target_bits] = shares::magnitude_bits(table, frac_bits);
    Description {
        id,
        dataset,
        owner,
        rows: table.rows as u64,
        columns: table.columns.clone(),
        labels: table.labels,
        label_columns: table.label_columns.clone(),
        frac_bits,
        keyed: table.keys.is_some(),
        standardised: table.standardised,
        feature_bits,
        target_bits,
        openings,
    }
}

/// Gives two servers, each an address and a connection, their shares of an upload. The seed is
/// drawn here, and used for nothing else. `progress` is told bytes as they are sent.
///
/// # Errors
/// [`OwnerError`]: whatever it is, no server lists an upload that the other does not hold.
pub async fn share(
    upload: Upload<'_>,
    servers: [(String, Connection); 2],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Outcome, OwnerError> {
    let description = upload.description;
    let [(first, first_connection), (second, second_connection)] = servers;
    let (first, second) = tokio::try_join!(
        Server::greet(first, first_connection),
        Server::greet(second, second_connection)
    )?;
    let (mut zero, mut one) = pair(first, second)?;
    let described = frame::encode(Kind::Begin, description).map_err(zero.failed())?;
    let standings = tokio::try_join!(zero.begin(&described), one.begin(&described))?;
    let outcome = match standings {
        (Standing::Registered, Standing::Registered) => return Ok(Outcome::AlreadyRegistered),
        (Standing::Registered, Standing::New) => {
            return Err(OwnerError::Lost { upload: description.id, registered: 0 });
        }
        (Standing::New, Standing::Registered) => {
            return Err(OwnerError::Lost { upload: description.id, registered: 1 });
        }
        (Standing::New, _) | (_, Standing::New) => {
            let seed = fresh_seed()?;
            let splitter = Splitter::new(&seed);
            let words =
                Share::Words { words: upload.encoded.words(), splitter: &splitter, progress };
            tokio::try_join!(
                zero.send(&described, upload.keys, Share::Seed(&seed)),
                one.send(&described, upload.keys, words)
            )?;
            Outcome::Sent
        }
        _ => Outcome::Completed,
    };
    // Server 0 first: where two owners' uploads do not fit each other, it decides for both.
    zero.commit(description.id).await.map_err(not_begun)?;
    one.commit(description.id).await?;
    Ok(outcome)
}

/// What server 0 refuses to register for its contents is registered nowhere; after other errors
/// that is not known.
fn not_begun(error: OwnerError) -> OwnerError {
    use wire::Refusal::{Disagree, NotStored, OtherUpload, Registered};
    match error {
        OwnerError::Unfinished {
            server,
            source:
                source @ WireError::Refused(
                    Disagree { .. } | NotStored | OtherUpload | Registered { .. },
                ),
            ..
        } => OwnerError::Server { server, source },
        other => other,
    }
}

/// Which of two servers is which party.
fn pair(first: Server, second: Server) -> Result<(Server, Server), OwnerError> {
    for server in [&first, &second] {
        if server.welcome.party > 1 {
            return Err(OwnerError::Party {
                server: server.address.clone(),
                party: server.welcome.party,
            });
        }
    }
    let party = first.welcome.party;
    if party == second.welcome.party {
        return Err(OwnerError::SameParty { first: first.address, second: second.address, party });
    }
    let (zero, one) = if party == 0 { (first, second) } else { (second, first) };
    if let Some((field, zero, one)) = zero.welcome.difference(&one.welcome) {
        return Err(OwnerError::Configuration { field, zero, one });
    }
    let ours = Welcome::of(sharelet_core::share::Party::P0, zero.welcome.most_elems);
    if let Some((field, theirs, ours)) = zero.welcome.difference(&ours) {
        return Err(OwnerError::Version { field, theirs, ours });
    }
    Ok((zero, one))
}
