//! A server takes owners' data: streams it to its disk, and registers it once the other server has
//! it, too.
//!
//! [`wire`](super::wire) is what it speaks with owners; their side is [`owner`](super::owner).

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;

use super::wire::{self, KEYS_PER_FRAME, Kind, Refusal, Standing, Welcome, WireError};
use crate::data::description::Description;
use crate::data::keys::KEY_HASH_BYTES;
use crate::data::shares::PIECE_ELEMS;
use crate::store::datasets::file::SEED_BYTES;
use crate::store::datasets::{DatasetError, Datasets, Incoming, Progress};
use sharelet_link::frame::{self, Header};
use sharelet_link::tcp::{self, Admission, Listener};
use sharelet_link::{Connection, Reader, Writer};

/// What a server allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Owners that are served at the same time.
    pub connections: usize,
    /// A greeting must arrive within this time.
    pub hello: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// The longest silence between messages: an owner waits for the other server meanwhile.
    pub idle: Duration,
    /// How long connections may go on after the server was told to stop.
    pub grace: Duration,
    /// Most words of an upload, features and labels.
    pub most_elems: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            hello: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            idle: Duration::from_secs(3600),
            grace: Duration::from_secs(3),
            // 16 GB.
            most_elems: 1 << 31,
        }
    }
}

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

/// Serves owners until `stop`.
pub async fn serve_all(
    listener: Listener,
    datasets: Arc<Datasets>,
    limits: Limits,
    stop: CancellationToken,
) {
    let serve_limits = tcp::ServeLimits {
        connections: limits.connections,
        stall: limits.stall,
        grace: limits.grace,
    };
    let one = |connection, peer: SocketAddr, admission| {
        let (datasets, stop) = (datasets.clone(), stop.clone());
        async move {
            match converse(connection, datasets, &limits, admission, stop).await {
                Ok(()) => tracing::debug!(%peer, "closed"),
                Err(error) => tracing::warn!(%peer, "connection ended: {error}"),
            }
        }
    };
    tcp::serve(listener, serve_limits, stop.clone(), one).await;
}

/// Serves one connection to its end, from the greeting on.
///
/// # Errors
/// [`UploadError`], for the log; the owner was told what concerns it.
pub async fn converse(
    connection: Connection,
    datasets: Arc<Datasets>,
    limits: &Limits,
    admission: Admission,
    stop: CancellationToken,
) -> Result<(), UploadError> {
    let Connection { mut reader, mut writer } = connection;
    let greeting =
        tokio::time::timeout(limits.hello, frame::read_hello(&mut reader, Kind::Hello)).await;
    match greeting.unwrap_or(Err(WireError::TimedOut)) {
        Err(error @ WireError::Version { .. }) => {
            refuse(&mut writer, &Refusal::Version { ours: wire::VERSION }).await;
            return Err(error.into());
        }
        greeting => greeting?,
    }
    if admission == Admission::Full {
        refuse(&mut writer, &Refusal::Busy).await;
        return Err(UploadError::Refused(Refusal::Busy));
    }
    serve(Connection { reader, writer }, datasets, limits, stop).await
}

/// Serves one connection to its end; the greeting of the owner has been read.
///
/// # Errors
/// As [`converse`].
pub async fn serve(
    connection: Connection,
    datasets: Arc<Datasets>,
    limits: &Limits,
    stop: CancellationToken,
) -> Result<(), UploadError> {
    let Connection { mut reader, mut writer } = connection;
    let session = Session { datasets, limits, reader: &mut reader, writer: &mut writer };
    let ended = tokio::select! {
        biased;
        ended = session.run() => ended,
        () = stop.cancelled() => Err(UploadError::Refused(Refusal::ShuttingDown)),
    };
    match &ended {
        Ok(()) => {}
        Err(UploadError::Refused(refusal)) => refuse(&mut writer, refusal).await,
        Err(UploadError::Wire(_)) => refuse(&mut writer, &Refusal::Protocol).await,
    }
    ended
}

/// Tells the owner why the connection ends; the reason matters more than whether it arrives.
async fn refuse(writer: &mut Writer, refusal: &Refusal) {
    let _ = frame::send(writer, Kind::Refuse, refusal).await;
}

struct Session<'s> {
    datasets: Arc<Datasets>,
    limits: &'s Limits,
    reader: &'s mut Reader,
    writer: &'s mut Writer,
}

impl Session<'_> {
    async fn run(mut self) -> Result<(), UploadError> {
        let party = self.datasets.party();
        wire::welcome(self.writer, &Welcome::of(party, self.limits.most_elems)).await?;
        self.reader.await_message(self.limits.idle);
        let Some(header) = Header::read_or_end(self.reader).await? else { return Ok(()) };
        if header.kind != Kind::Begin {
            return Err(unexpected(Kind::Begin, header.kind));
        }
        let description: Description = header.message(self.reader).await?;
        self.check(&description)?;
        let _claim =
            self.datasets.claim(&description).ok_or(UploadError::Refused(Refusal::UnderWay))?;
        let asked = description.clone();
        let mut progress =
            blocking(&self.datasets, move |datasets| datasets.progress(&asked)).await?;
        frame::send(self.writer, Kind::Standing, &Standing::from(progress)).await?;
        loop {
            self.reader.await_message(self.limits.idle);
            let Some(header) = Header::read_or_end(self.reader).await? else { return Ok(()) };
            match header.kind {
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
                found => return Err(unexpected(Kind::Commit, found)),
            }
        }
    }

    fn check(&self, description: &Description) -> Result<(), UploadError> {
        if !description.is_valid() {
            return Err(UploadError::Refused(Refusal::Description));
        }
        let (found, most) = (description.elems().unwrap_or(u64::MAX), self.limits.most_elems);
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

fn unexpected(expected: Kind, found: Kind) -> UploadError {
    WireError::UnexpectedFrame { expected, found }.into()
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
