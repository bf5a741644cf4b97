//! The initiator.

use embedded_io_async::{Read, Write};
use rand_core::CryptoRng;

use crate::cipher::{Keys, TAG_BYTES};
use crate::error::{Error, Reason};
use crate::handshake::{Handshake, Secrets};
#[cfg(feature = "x25519")]
use crate::hello::Offer;
use crate::hello::{HELLO_BYTES, Hello, Pattern};
use crate::io;
#[cfg(feature = "x25519")]
use crate::key::{Pin, Resumption, ephemeral};
use crate::party::Party;
#[cfg(feature = "x25519")]
use crate::pins::Identity;
use crate::ratchet::ConnectionKey;
use crate::record::NO_PLAINTEXT;
use crate::symmetric::MESSAGE_BYTES;

/// Bytes that begin a connection.
const FIRST_BYTES: usize = HELLO_BYTES + MESSAGE_BYTES;
/// Bytes that confirm it.
const CONFIRMATION_BYTES: usize = NO_PLAINTEXT.len() + TAG_BYTES;

/// What an initiator gets: the peer has shown that it is who was expected.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected {
    /// For the channel.
    pub keys: Keys,
    /// How the two were authenticated.
    pub pattern: Pattern,
    /// For the next connection to the same peer, in place of an older one.
    #[cfg(feature = "x25519")]
    pub resumption: Option<Resumption>,
}

/// Connects with static keys or, if there is one, with the resumption of the session before; that
/// is used up. If the responder no longer has it, the static keys follow on the same connection.
///
/// Draws 32 or 64 random bytes.
///
/// # Errors
/// [`Error::Authentication`] if the peer does not hold the pinned keys, [`Error::Refused`] if it
/// refuses, and the others of handshakes. What the transport carries is then of no more use.
#[cfg(feature = "x25519")]
pub async fn connect<T: Read + Write>(
    transport: &mut T,
    own: &Identity,
    peer: &Party,
    pin: &Pin,
    resumption: Option<Resumption>,
    rng: &mut impl CryptoRng,
) -> Result<Connected, Error> {
    let mut resumption = resumption;
    loop {
        let offer = resumption.as_ref().map_or(Offer::KkPsk0, |left| Offer::NnPsk0(*left.id()));
        let hello = Hello { from: *own.party(), offer };
        let mut handshake = begin(&hello.prologue(peer), own, pin, resumption.take(), rng)?;
        match (exchange(transport, &hello, &mut handshake).await, offer) {
            (Err(Error::Refused(Reason::ResumptionUnknown)), Offer::NnPsk0(_)) => {}
            (secrets, _) => return confirm(transport, offer.pattern(), secrets?).await,
        }
    }
}

/// Not a part of the future above, which waits while it holds the handshake.
#[cfg(feature = "x25519")]
#[inline(never)]
fn begin(
    prologue: &[u8],
    own: &Identity,
    pin: &Pin,
    resumption: Option<Resumption>,
    rng: &mut impl CryptoRng,
) -> Result<Handshake, Error> {
    let ephemeral = ephemeral(rng);
    let handshake = match &resumption {
        Some(resumption) => Handshake::nn_psk0(prologue, true, resumption, ephemeral),
        None => Handshake::kk_psk0(prologue, true, own.key()?, pin, ephemeral),
    };
    handshake.map_err(|_| Error::Authentication)
}

/// Connects with a provisioned key, see [`Ratchet::advance`](crate::Ratchet::advance).
///
/// Draws 32 random bytes.
///
/// # Errors
/// [`Error::Authentication`] if the peer does not hold the key of this step, [`Error::Refused`] if
/// it refuses, and the others of handshakes. What the transport carries is then of no more use.
pub async fn connect_psk<T: Read + Write>(
    transport: &mut T,
    own: &Party,
    peer: &Party,
    key: ConnectionKey,
    rng: &mut impl CryptoRng,
) -> Result<Connected, Error> {
    let hello = Hello::provisioned(*own, peer, key.step(), key.hello());
    let mut handshake = Handshake::psk(&hello.prologue(peer), key, rng);
    let secrets = exchange(transport, &hello, &mut handshake).await?;
    confirm(transport, hello.offer.pattern(), secrets).await
}

/// Sends hello and first message, and reads the answer: a byte, and the second message if it is 0.
async fn exchange<T: Read + Write>(
    transport: &mut T,
    hello: &Hello,
    handshake: &mut Handshake,
) -> Result<Secrets, Error> {
    let message = handshake.write().map_err(|_| Error::Authentication)?;
    io::send::<FIRST_BYTES>(transport, [&hello.emit(), &message]).await?;
    let [answer] = io::read_array(transport).await?;
    if answer != 0 {
        let reason = Reason::from_byte(answer).ok_or(Error::Malformed)?;
        return Err(Error::Refused(reason));
    }
    let message = io::read_array(transport).await?;
    handshake.read(&message).map_err(|_| Error::Authentication)?;
    handshake.finish(true).map_err(|_| Error::Authentication)
}

/// Shows the responder that this side has the keys, and so that the handshake was not a replay.
async fn confirm(
    transport: &mut impl Write,
    pattern: Pattern,
    mut secrets: Secrets,
) -> Result<Connected, Error> {
    let tag = secrets.keys.confirm().map_err(|_| Error::Exhausted)?;
    io::send::<CONFIRMATION_BYTES>(transport, [&NO_PLAINTEXT, &tag]).await?;
    Ok(Connected {
        keys: secrets.keys,
        pattern,
        #[cfg(feature = "x25519")]
        resumption: secrets.resumption,
    })
}
