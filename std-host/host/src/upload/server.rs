//! A server takes owners' data: streams it to its disk, and registers it once the other server has
//! it, too.
//!
//! [`wire`] is what it speaks with owners; their side is [`owner`](super::owner).

use std::sync::Arc;

use sharelet_core::share::Party;

use super::wire::{self, KEYS_PER_FRAME, Kind, Refusal, Standing, Welcome, WireError};
use crate::data::description::Description;
use crate::data::keys::KEY_HASH_BYTES;
use crate::data::shares::PIECE_ELEMS;
use crate::store::datasets::file::SEED_BYTES;
use crate::store::datasets::{DatasetError, Datasets, Incoming, Progress};
use sharelet_link::frame::{self, Header};
use sharelet_link::service::{Leave, Service, Visit};
use sharelet_link::{Connection, Party as ChannelParty, Reader, Role, Writer};

/// Most words of an upload, features and labels, unless another bound is given: 16 GB.
pub const MOST_ELEMS: u64 = 1 << 31;

/// Why a connection to an owner ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The connection or its bytes.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The owner was refused, with the reason.
    #[error("refused: {0}")]
    Refused(Refusal),
}

impl From<DatasetError> for UploadError {
    fn from(error: DatasetError) -> Self {
        Self::Refused(match error {
            DatasetError::Registered { upload, .. } => Refusal::Registered { upload },
            DatasetError::OtherUpload { .. } => Refusal::OtherUpload,
            DatasetError::NotStored { .. } => Refusal::NotStored,
            DatasetError::Disagree { other, what, .. } => Refusal::Disagree { other, what },
            DatasetError::Digest { .. } => Refusal::Digest,
            DatasetError::Impossible { .. } => Refusal::Protocol,
            error => {
                tracing::error!("{error}");
                Refusal::State
            }
        })
    }
}

impl From<Leave> for UploadError {
    fn from(leave: Leave) -> Self {
        Self::Refused(match leave {
            Leave::Stopping => Refusal::ShuttingDown,
            Leave::Full => Refusal::Busy,
            Leave::TooSlow => Refusal::TooSlow,
        })
    }
}

/// A server that takes owners' data.
#[derive(Debug)]
pub struct Collector {
    datasets: Arc<Datasets>,
    most_elems: u64,
}

impl Collector {
    /// A server that keeps uploads of at most `most_elems` words in `datasets`.
    #[must_use]
    pub fn new(datasets: Arc<Datasets>, most_elems: u64) -> Arc<Self> {
        Arc::new(Self { datasets, most_elems })
    }
}

impl Service for Collector {
    type Error = UploadError;

    fn roles(&self) -> &[Role] {
        &[Role::Owner]
    }

    async fn converse(
        self: Arc<Self>,
        connection: Connection,
        mut visit: Visit,
    ) -> Result<(), UploadError> {
        let peer = connection.peer();
        let Connection { mut reader, mut writer, .. } = connection;
        let session = Session {
            peer,
            datasets: self.datasets.clone(),
            most_elems: self.most_elems,
            visit: &mut visit,
            reader: &mut reader,
            writer: &mut writer,
        };
        let ended = session.run().await;
        let refusal = match &ended {
            Ok(()) => return ended,
            Err(UploadError::Refused(refusal)) => refusal.clone(),
            Err(UploadError::Wire(WireError::Version { .. })) => {
                Refusal::Version { ours: wire::VERSION }
            }
            Err(UploadError::Wire(WireError::TimedOut)) => Refusal::TooSlow,
            Err(UploadError::Wire(_)) => Refusal::Protocol,
        };
        // The reason matters more than whether it arrives.
        let _ = frame::send(&mut writer, Kind::Refuse, &refusal).await;
        ended
    }
}

struct Session<'s> {
    datasets: Arc<Datasets>,
    most_elems: u64,
    visit: &'s mut Visit,
    /// Who the owner has proved to be.
    peer: Option<ChannelParty>,
    reader: &'s mut Reader,
    writer: &'s mut Writer,
}

impl Session<'_> {
    async fn run(mut self) -> Result<(), UploadError> {
        let hello =
            async { Ok::<_, UploadError>(frame::read_hello(self.reader, Kind::Hello).await?) };
        self.visit.greeting(hello).await?;
        self.visit.enter()?;
        let welcome = Welcome::of(self.datasets.party(), self.most_elems);
        wire::welcome(self.writer, &welcome).await?;
        if !self.visit.next(self.reader).await? {
            return Ok(());
        }
        let description: Description = frame::receive(self.reader, Kind::Begin).await?;
        self.check(&description)?;
        let _claim =
            self.datasets.claim(&description).ok_or(UploadError::Refused(Refusal::UnderWay))?;
        let asked = description.clone();
        let mut progress =
            blocking(&self.datasets, move |datasets| datasets.progress(&asked)).await?;
        frame::send(self.writer, Kind::Standing, &Standing::from(progress)).await?;
        // Nobody else gets the place of an owner that has sent something: it waits for the other
        // server. Who has only named an upload can be anybody.
        loop {
            let begun = match progress {
                Progress::New => self.visit.next(self.reader).await?,
                _ => self.visit.next_of_work(self.reader).await?,
            };
            if !begun {
                return Ok(());
            }
            match Header::read(self.reader).await?.kind {
                Kind::Send if progress != Progress::Registered => {
                    self.take(&description).await?;
                    progress = Progress::Stored;
                    frame::send_bytes(self.writer, Kind::Stored, &[]).await?;
                }
                Kind::Commit => {
                    let registered = description.clone();
                    blocking(&self.datasets, move |datasets| datasets.register(&registered))
                        .await?;
                    let Description { dataset, owner, rows, .. } = &description;
                    tracing::info!(
                        %dataset,
                        %owner,
                        upload = %description.id,
                        "registered {rows} rows",
                    );
                    progress = Progress::Registered;
                    frame::send_bytes(self.writer, Kind::Registered, &[]).await?;
                }
                found => {
                    return Err(WireError::UnexpectedFrame { expected: Kind::Commit, found }.into());
                }
            }
        }
    }

    fn check(&self, description: &Description) -> Result<(), UploadError> {
        if !description.is_valid() {
            return Err(UploadError::Refused(Refusal::Description));
        }
        if self.peer.is_some_and(|peer| peer.name.as_str() != description.owner.as_str()) {
            return Err(UploadError::Refused(Refusal::NotYours));
        }
        let (found, most) = (description.elems().unwrap_or(u64::MAX), self.most_elems);
        if found > most {
            Err(UploadError::Refused(Refusal::TooLarge { found, most }))
        } else {
            Ok(())
        }
    }

    /// Takes keys and share, a frame at a time, and stores them.
    async fn take(&mut self, description: &Description) -> Result<(), UploadError> {
        let begun = description.clone();
        let mut incoming = blocking(&self.datasets, move |datasets| datasets.begin(begun)).await?;
        while incoming.key_bytes() > 0 {
            incoming =
                self.take_frame(incoming, Kind::Keys, KEYS_PER_FRAME * KEY_HASH_BYTES).await?;
        }
        let (kind, most) = match self.datasets.party() {
            #[allow(clippy::cast_possible_truncation)]
            Party::P0 => (Kind::Seed, SEED_BYTES as usize),
            Party::P1 => (Kind::Piece, PIECE_ELEMS * 8),
        };
        while incoming.share_bytes() > 0 {
            incoming = self.take_frame(incoming, kind, most).await?;
        }
        let body = frame::receive_bytes(self.reader, Kind::Finish, 32).await?;
        let digest: [u8; 32] =
            body.try_into().map_err(|_| WireError::Malformed { kind: Kind::Finish })?;
        blocking(&self.datasets, move |datasets| datasets.store(incoming, &digest)).await
    }

    /// Takes a frame as long as it may be, or as what is left.
    async fn take_frame(
        &mut self,
        mut incoming: Incoming,
        kind: Kind,
        most: usize,
    ) -> Result<Incoming, UploadError> {
        let left = if kind == Kind::Keys { incoming.key_bytes() } else { incoming.share_bytes() };
        let expected = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        let body =
            zeroize::Zeroizing::new(frame::receive_bytes(self.reader, kind, expected).await?);
        blocking(&self.datasets, move |_| incoming.append(&body).map(|()| incoming)).await
    }
}

/// Runs what waits for the disk beside the tasks that wait for the network.
async fn blocking<T: Send + 'static>(
    datasets: &Arc<Datasets>,
    work: impl FnOnce(&Datasets) -> Result<T, DatasetError> + Send + 'static,
) -> Result<T, UploadError> {
    let datasets = datasets.clone();
    match tokio::task::spawn_blocking(move || work(&datasets)).await {
        Ok(done) => Ok(done?),
        Err(error) => {
            tracing::error!("a task that works on the disk ended: {error}");
            Err(UploadError::Refused(Refusal::State))
        }
    }
}
