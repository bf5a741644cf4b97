//! Why a store beyond this machine is of no help.

use core::time::Duration;

/// Why a store beyond this machine is of no help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// No address of a store.
    #[error("{address}: {what}; give it as nats://HOST:PORT or tls://HOST:PORT")]
    Address {
        /// The address, without a password.
        address: String,
        /// What is wrong.
        what: String,
    },
    /// A link that leaves the machine without being sealed.
    #[error(
        "what is on the way there could be held back and played again; use tls:// for a store that \
         is not on this machine"
    )]
    Plain,
    /// It cannot be connected to.
    #[error("{what}; is it running, and may this user use it?")]
    Connect {
        /// What the library says.
        what: String,
    },
    /// It does not answer.
    #[error(
        "no answer within {} s: it is gone, or slow, or this user may not do this; what was begun \
         is not used",
        limit.as_secs()
    )]
    Slow {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The connection to it is down.
    #[error("the connection to it is down, and is tried again; what was begun is not used")]
    Away,
    /// There is no store of this party.
    #[error(
        "there is no store of {party}, or a part of it is missing; `sharelet store make` makes \
         what is missing. If there were numbers in it, what was spent is forgotten: begin with a \
         new identity, and provision the devices anew"
    )]
    None {
        /// The party.
        party: String,
    },
    /// There is a store of this party already.
    #[error("there is a store of {party} already; it is not touched")]
    Exists {
        /// The party.
        party: String,
    },
    /// It is kept in another way than this program keeps it.
    #[error(
        "the stream {stream} is not as `sharelet store make` makes it ({what}): a record could be \
         lost; remove it, if nothing was ever spent there"
    )]
    Otherwise {
        /// The stream.
        stream: String,
        /// What differs.
        what: String,
    },
    /// Something was not sealed by this party.
    #[error(
        "what is kept at {place} is damaged, or was sealed under another identity; is it the \
         identity that made the store?"
    )]
    Foreign {
        /// Where it is kept.
        place: String,
    },
    /// The store has less than it had.
    #[error(
        "what was spent or revoked of {device} is forgotten there: it is a copy of an earlier day, \
         or somebody has changed it. Provision the device under another name"
    )]
    Forgotten {
        /// The device.
        device: String,
    },
    /// It takes no more.
    #[error(
        "it has no room for {bytes} bytes more; use what is there, or give it more with `sharelet \
         store make --max-megabytes`"
    )]
    Full {
        /// What was to be kept.
        bytes: u64,
    },
    /// It has not as much room as was asked for.
    #[error("it has no {bytes} bytes to set aside; ask for less with --max-megabytes")]
    Reserved {
        /// What was asked for.
        bytes: u64,
    },
    /// It takes messages that are too small.
    #[error(
        "its messages have at most {max_payload} bytes, which is too little; let them have a \
         megabyte (`max_payload`)"
    )]
    Parts {
        /// The largest message that it takes.
        max_payload: usize,
    },
    /// The corrections and models are there, and the numbers are not.
    #[error(
        "the numbers of {party} are gone, and what was dealt is there: what was spent is \
         forgotten. Begin with a new identity, and provision the devices anew"
    )]
    Lost {
        /// The party.
        party: String,
    },
    /// It refuses.
    #[error("{what}")]
    Failed {
        /// What the library says.
        what: String,
    },
    /// The program's own thread for it is gone.
    #[error("the connection has ended")]
    Ended,
}

impl NatsError {
    /// What the library says, with its causes.
    pub(crate) fn failed(error: &dyn core::error::Error) -> Self {
        Self::Failed { what: said(error) }
    }
}

/// The number of the server's error, if it is one.
pub(crate) fn refused(error: &dyn core::error::Error) -> Option<u64> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<async_nats::jetstream::Error>() {
            return Some(refused.error_code().0);
        }
        cause = inner.source();
    }
    None
}

/// An error with its causes.
pub(crate) fn said(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
