//! Corrections and masked models: a stream of parts, each under a subject of its own.
//!
//! ```text
//! PREFIX . NAME . NONCE . PARTS . PART      NAME: a few words; the nonce in hexadecimal digits
//! ```
//!
//! Parts are published in order, so what has its last part is whole. What is used is taken out of
//! the stream, and leaves nothing behind.

use std::collections::BTreeMap;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use futures_util::TryStreamExt as _;
use sharelet_link::hex;

use super::bridge::Bridge;
use super::error::{NatsError, refused};
use super::seal::{NONCE_BYTES, Nonce, Seal};
use sharelet_host::store::StoreError;

/// What a message may have beside a part: its subject and headers.
const AROUND_BYTES: usize = 4 << 10;
/// Largest part, where the server takes more.
const PART_BYTES: usize = 1 << 20;
/// What a part takes in the stream beside its bytes, at most.
const PART_OVERHEAD_BYTES: u64 = 1 << 10;
/// Most parts: no correction and no model has more bytes.
const MOST_PARTS: usize = 4096;
/// The server's number of the error for what does not fit any more.
const STORE_FAILED: u64 = 10077;

/// Something that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob {
    /// The words of its name.
    pub(crate) name: Vec<String>,
    nonce: Nonce,
    parts: usize,
}

impl Blob {
    fn subject(&self, prefix: &str) -> String {
        format!("{prefix}.{}.{}.{}", self.name.join("."), hex::hex(&self.nonce), self.parts)
    }

    /// What a subject of a part says, and the part.
    fn of(prefix: &str, subject: &str) -> Option<(Self, usize)> {
        let words: Vec<&str> =
            subject.strip_prefix(prefix)?.strip_prefix('.')?.split('.').collect();
        let [name @ .., digits, parts, part] = &words[..] else { return None };
        let mut nonce = [0; NONCE_BYTES];
        hex::decode(digits, &mut nonce)?;
        let name = name.iter().map(|&word| word.to_owned()).collect();
        let (parts, part) = (parts.parse().ok()?, part.parse().ok()?);
        (part < parts && parts <= MOST_PARTS).then_some((Self { name, nonce, parts }, part))
    }
}

/// The blobs of a party.
#[derive(Debug)]
pub(crate) struct Blobs {
    context: Context,
    stream: Stream,
    prefix: String,
}

impl Blobs {
    pub(crate) fn new(context: Context, stream: Stream, prefix: String) -> Self {
        Self { context, stream, prefix }
    }

    /// What is there under a name, or under names that begin so, and whether it is whole.
    pub(crate) fn list(
        &self,
        bridge: &Bridge,
        name: &[&str],
    ) -> Result<Vec<(Blob, bool)>, NatsError> {
        let filter = format!("{}.{}.>", self.prefix, name.join("."));
        let (stream, prefix) = (self.stream.clone(), self.prefix.clone());
        bridge.wait_aside(async move {
            let info = stream.info_with_subjects(filter).await;
            let mut subjects = info.map_err(|error| NatsError::failed(&error))?;
            let mut found: BTreeMap<Blob, usize> = BTreeMap::new();
            while let Some((subject, _)) =
                subjects.try_next().await.map_err(|error| NatsError::failed(&error))?
            {
                if let Some((blob, _)) = Blob::of(&prefix, &subject) {
                    *found.entry(blob).or_default() += 1;
                }
            }
            let whole = |(blob, parts): (Blob, usize)| {
                let whole = blob.parts == parts;
                (blob, whole)
            };
            Ok(found.into_iter().map(whole).collect())
        })
    }

    /// Keeps something; it is whole and durable when this returns.
    pub(crate) fn put(
        &self,
        (bridge, seal): (&Bridge, &Seal),
        name: &[&str],
        plain: &[u8],
    ) -> Result<(), Failure> {
        let (nonce, sealed) = seal.seal(&name.join("."), plain)?;
        let most = self.context.client().server_info().max_payload;
        let part_bytes = most.saturating_sub(AROUND_BYTES).clamp(1 << 10, PART_BYTES);
        let parts = sealed.len().div_ceil(part_bytes);
        if parts > MOST_PARTS {
            return Err(NatsError::Parts { max_payload: most }.into());
        }
        let name = name.iter().map(|&word| word.to_owned()).collect();
        let blob = Blob { name, nonce, parts };
        let subject = blob.subject(&self.prefix);
        for (part, bytes) in sealed.chunks(part_bytes).enumerate() {
            let done = self.put_part(bridge, format!("{subject}.{part}"), bytes, plain.len());
            if let Err(error) = done {
                // What stays is removed with the session, or by the next attempt; where there is no
                // answer, that one would not come, either.
                if !matches!(error, NatsError::Slow { .. } | NatsError::Away) {
                    let _ = self.remove_subject(bridge, format!("{subject}.>"));
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn put_part(
        &self,
        bridge: &Bridge,
        subject: String,
        part: &[u8],
        all_bytes: usize,
    ) -> Result<(), NatsError> {
        let (context, bytes) = (self.context.clone(), all_bytes as u64);
        if context.client().connection_state() != State::Connected {
            // Parts would wait in memory for the server, though nobody waits for them.
            return Err(NatsError::Away);
        }
        let payload = part.to_vec().into();
        bridge.wait_aside(async move {
            let failed = |error| match refused(&error) {
                Some(STORE_FAILED) => NatsError::Full { bytes },
                _ => NatsError::failed(&error),
            };
            context.publish(subject, payload).await.map_err(failed)?.await.map_err(failed)?;
            Ok(())
        })
    }

    /// The last message of a subject, which may have wildcards.
    fn last(&self, bridge: &Bridge, subject: String) -> Result<Option<StreamMessage>, NatsError> {
        let stream = self.stream.clone();
        bridge.wait_aside(async move {
            match stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(NatsError::failed(&error)),
            }
        })
    }

    /// Reads what is there under a name: what was put there at last. `None` if there is nothing, or
    /// it is not whole, or damaged.
    pub(crate) fn get(
        &self,
        (bridge, seal): (&Bridge, &Seal),
        name: &[&str],
    ) -> Result<Option<Vec<u8>>, NatsError> {
        let any = format!("{}.{}.*.*.*", self.prefix, name.join("."));
        let Some(last) = self.last(bridge, any)? else { return Ok(None) };
        // Parts come in order: the last one is there, or it is not whole.
        let found = Blob::of(&self.prefix, &last.subject);
        let Some((blob, _)) = found.filter(|(blob, part)| part + 1 == blob.parts) else {
            return Ok(None);
        };
        // Whoever answers may answer with what lies elsewhere.
        if blob.name != name {
            return Ok(None);
        }
        self.read(bridge, seal, &blob)
    }

    /// Reads something that was listed. `None` if it is not there any more, or damaged.
    pub(crate) fn read(
        &self,
        bridge: &Bridge,
        seal: &Seal,
        blob: &Blob,
    ) -> Result<Option<Vec<u8>>, NatsError> {
        let subject = blob.subject(&self.prefix);
        let mut sealed = Vec::new();
        for part in 0..blob.parts {
            let Some(part) = self.last(bridge, format!("{subject}.{part}"))? else {
                return Ok(None);
            };
            sealed.extend_from_slice(&part.payload);
        }
        Ok(seal.open(&blob.name.join("."), &blob.nonce, &sealed))
    }

    /// Removes one thing that was listed.
    pub(crate) fn remove_one(&self, bridge: &Bridge, blob: &Blob) -> Result<(), NatsError> {
        self.remove_subject(bridge, format!("{}.>", blob.subject(&self.prefix)))
    }

    /// When something was put there: a number that grows; `None` if it is gone.
    pub(crate) fn age(&self, bridge: &Bridge, blob: &Blob) -> Result<Option<u64>, NatsError> {
        let last = self.last(bridge, format!("{}.0", blob.subject(&self.prefix)))?;
        Ok(last.map(|message| message.sequence))
    }

    /// Removes what is there under a name, or under names that begin so, whole or not.
    pub(crate) fn remove(&self, bridge: &Bridge, name: &[&str]) -> Result<(), NatsError> {
        self.remove_subject(bridge, format!("{}.{}.>", self.prefix, name.join(".")))
    }

    fn remove_subject(&self, bridge: &Bridge, filter: String) -> Result<(), NatsError> {
        let stream = self.stream.clone();
        bridge.wait_aside(async move {
            stream.purge().filter(filter).await.map_err(|error| NatsError::failed(&error))?;
            Ok(())
        })
    }

    /// Whether there is room for `bytes`.
    pub(crate) fn expect_room(&self, bridge: &Bridge, bytes: u64) -> Result<(), NatsError> {
        let stream = self.stream.clone();
        bridge.wait(async move {
            let info = stream.get_info().await.map_err(|error| NatsError::failed(&error))?;
            let most = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX);
            let used = info.state.bytes;
            // Each part comes with its subject, and with what the stream keeps of it.
            let parts = bytes / (PART_BYTES / 4) as u64 + 1;
            let bytes = bytes.saturating_add(parts * PART_OVERHEAD_BYTES);
            if used.saturating_add(bytes) > most { Err(NatsError::Full { bytes }) } else { Ok(()) }
        })
    }
}

/// The store's failure, or this machine's.
#[derive(Debug)]
pub(crate) enum Failure {
    Nats(NatsError),
    Store(StoreError),
}

impl From<NatsError> for Failure {
    fn from(error: NatsError) -> Self {
        Self::Nats(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_say_what_they_are_part_of() {
        let name = vec!["cor".to_owned(), "pump".to_owned(), "7".to_owned()];
        let blob = Blob { name, nonce: [7; NONCE_BYTES], parts: 3 };
        let subject = format!("{}.2", blob.subject("sharelet.host.a"));
        assert_eq!(Blob::of("sharelet.host.a", &subject), Some((blob, 2)));
        for foreign in [
            "sharelet.host.b.cor.x.00.1.0",
            "sharelet.host.a",
            "sharelet.host.a.cor.07.3.0",
            &subject.replace(".3.2", ".3.3"),
            &subject.replace(".3.2", ".9999999.3"),
            &subject.replace(".3.2", ".x.3"),
        ] {
            assert_eq!(Blob::of("sharelet.host.a", foreign), None, "{foreign}");
        }
    }
}
