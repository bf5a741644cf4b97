//! The responder.

use embedded_io_async::{Read, Write};
use rand_core::CryptoRng;

use crate::cipher::{Keys, Refused};
use crate::error::{Error, Reason};
use crate::handshake::{Handshake, Secrets};
use crate::hello::{Hello, Offer, Pattern};
use crate::io;
#[cfg(feature = "x25519")]
use crate::key::{Pin, Resumption, ephemeral};
use crate::party::Party;
use crate::pins::{Identity, Pins};
use crate::ratchet::Ratchet;
use crate::record::NO_PLAINTEXT;
use crate::symmetric::MESSAGE_BYTES;

/// What a responder gets: the peer has shown that it is who it says it is, now.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// For the channel.
    pub keys: Keys,
    /// Who has connected.
    pub peer: Party,
    /// How the two were authenticated.
    pub pattern: Pattern,
}

/// Waits for a peer's handshake and for the record that confirms it.
///
/// Draws 32 random bytes. What a stranger costs: 88 bytes are read; a role and a name that are not
/// pinned, or a resumption that is not kept, are refused without any computation; whoever says a
/// name that is known makes the responder compute a public key and two shared ones, or one tag;
/// nothing is kept of it. Whoever repeats what a peer has said, and was lost on the way, has the
/// responder go as far as the peer has gone, once. The time is the transport's to bound.
///
/// # Errors
/// [`Error::Unknown`] for whoever is not pinned, [`Error::Authentication`] for whoever does not
/// hold the keys, and the others of handshakes; the peer has been told where that helps it. What
/// the transport carries is then of no more use.
pub async fn accept<T: Read + Write>(
    transport: &mut T,
    own: &Identity,
    pins: &mut impl Pins,
    rng: &mut impl CryptoRng,
) -> Result<Accepted, Error> {
    let (hello, mut secrets) = match answer(transport, own, pins, rng).await {
        Ok(answered) => answered,
        Err(error) => {
            if let Some(reason) = error.reason() {
                // That the peer cannot be told is no news to the caller.
                let _ = refuse(transport, reason).await;
            }
            return Err(error);
        }
    };
    let (peer, pattern) = (hello.from, hello.offer.pattern());
    let header = io::read_array(transport).await?;
    let tag = io::read_array(transport).await?;
    let confirmed = secrets.keys.check_confirmation(&tag);
    if header != NO_PLAINTEXT || confirmed.is_err() {
        return Err(Error::Authentication);
    }
    #[cfg(feature = "x25519")]
    if let Some(resumption) = secrets.resumption {
        pins.keep(&peer, resumption);
    }
    Ok(Accepted { keys: secrets.keys, peer, pattern })
}

/// Tells an initiator, in place of an answer, why there is none.
///
/// # Errors
/// [`Error::Transport`].
pub async fn refuse(transport: &mut impl Write, reason: Reason) -> Result<(), Error> {
    io::write_all(transport, &[reason.byte()]).await?;
    io::flush(transport).await
}

/// What is known of an initiator before it has shown anything.
enum Known {
    #[cfg(feature = "x25519")]
    Pinned(Pin),
    #[cfg(feature = "x25519")]
    Left(Resumption),
    Provisioned(Ratchet),
    /// The resumption that it offers is not kept.
    NoResumption,
}

/// Reads a hello and the first message, and answers with the second.
async fn answer<T: Read + Write>(
    transport: &mut T,
    own: &Identity,
    pins: &mut impl Pins,
    rng: &mut impl CryptoRng,
) -> Result<(Hello, Secrets), Error> {
    let (mut hello, mut message) = read_first(transport).await?;
    let mut known = look_up(&hello, pins)?;
    if let Known::NoResumption = known {
        refuse(transport, Reason::ResumptionUnknown).await?;
        (hello, message) = read_first(transport).await?;
        known = look_up(&hello, pins)?;
    }
    let (answer, secrets) = known.answer(&hello, own, &message, pins, rng)?;
    io::write_all(transport, &[0]).await?;
    io::write_all(transport, &answer).await?;
    io::flush(transport).await?;
    Ok((hello, secrets))
}

async fn read_first(io: &mut impl Read) -> Result<(Hello, [u8; MESSAGE_BYTES]), Error> {
    Hello::check_prefix(&io::read_array(io).await?)?;
    let hello = Hello::parse_body(&io::read_array(io).await?)?;
    Ok((hello, io::read_array(io).await?))
}

fn look_up(hello: &Hello, pins: &mut impl Pins) -> Result<Known, Error> {
    let known = match hello.offer {
        #[cfg(feature = "x25519")]
        Offer::KkPsk0 => pins.pin(&hello.from).map(Known::Pinned),
        #[cfg(feature = "x25519")]
        Offer::NnPsk0(id) => {
            let resumption = pins.resumption(&hello.from, &id);
            // One of another name is none, whatever the store does.
            let left = resumption.filter(|resumption| *resumption.id() == id).map(Known::Left);
            Some(left.unwrap_or(Known::NoResumption))
        }
        Offer::Psk { .. } => pins.ratchet(&hello.from).map(Known::Provisioned),
        #[cfg(not(feature = "x25519"))]
        Offer::KkPsk0 => None,
        #[cfg(not(feature = "x25519"))]
        Offer::NnPsk0(_) => Some(Known::NoResumption),
    };
    known.ok_or(Error::Unknown(hello.from))
}

impl Known {
    /// The handshake without its transport: the second message, and the keys.
    fn answer(
        self,
        hello: &Hello,
        own: &Identity,
        message: &[u8; MESSAGE_BYTES],
        pins: &mut impl Pins,
        rng: &mut impl CryptoRng,
    ) -> Result<([u8; MESSAGE_BYTES], Secrets), Error> {
        let prologue = hello.prologue(own.party());
        let (handshake, left): (Result<_, Refused>, _) = match self {
            #[cfg(feature = "x25519")]
            Self::Pinned(pin) => {
                (Handshake::kk_psk0(&prologue, false, own.key()?, &pin, ephemeral(rng)), None)
            }
            #[cfg(feature = "x25519")]
            Self::Left(resumption) => {
                (Handshake::nn_psk0(&prologue, false, &resumption, ephemeral(rng)), None)
            }
            Self::Provisioned(ratchet) => {
                let (ratchet, behind) = follow(hello, own.party(), ratchet, pins)?;
                let at = behind.then(|| ratchet.copied());
                let (key, left) = ratchet.advance();
                (Ok(Handshake::psk(&prologue, key, rng)), Some((at, left)))
            }
            Self::NoResumption => return Err(Error::Malformed),
        };
        let mut handshake = handshake.map_err(|_| Error::Authentication)?;
        let read = handshake.read(message);
        match (&read, left) {
            (Ok(()), Some((_, left))) => pins.advanced(&hello.from, left)?,
            // Its hello was the peer's, and the message was not. If this is not stored, then since
            // another connection has done so, or the next one has to follow again.
            (Err(_), Some((Some(at), _))) => drop(pins.advanced(&hello.from, at)),
            _ => {}
        }
        read.map_err(|_| Error::Authentication)?;
        let answer = handshake.write().map_err(|_| Error::Authentication)?;
        let secrets = handshake.finish(false).map_err(|_| Error::Authentication)?;
        Ok((answer, secrets))
    }
}

/// Goes to the step at which a peer says it is, if it is the peer who says so; and whether that is
/// ahead. The peer's steps only rise, so those before count as used, whatever comes of the
/// handshake. What is too far ahead for once is stored, and left to the next connection.
fn follow(
    hello: &Hello,
    own: &Party,
    ratchet: Ratchet,
    pins: &mut impl Pins,
) -> Result<(Ratchet, bool), Error> {
    let offered = hello.step(own, ratchet.hello())?;
    let behind = ratchet.step() < offered;
    let ratchet = ratchet.follow(offered)?;
    match ratchet.step() {
        next if next < offered => {
            pins.advanced(&hello.from, ratchet)?;
            Err(Error::Behind { next, offered })
        }
        _ => Ok((ratchet, behind)),
    }
}
