//! The keys of a decrypting party: a secret, and a public key that replies are re-randomised with.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::error::Error;
use super::fresh::{encrypt, read, write};
use super::pair::Pair;
use super::poly::Poly;
use super::ring::Parameters;
use super::sample::{SEED_BYTES, Seed};

/// `P0`'s secret: ternary, uniform. It is wiped when dropped, and serves any number of requests.
pub struct Secret<P> {
    /// As values.
    values: Poly,
    set: PhantomData<P>,
}

/// An encryption of zero by `P0`: what `P1` makes fresh encryptions of zero from.
pub struct Public<P> {
    zero: Pair,
    set: PhantomData<P>,
}

impl<P: Parameters> Secret<P> {
    /// A fresh one.
    #[must_use]
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let coefficients = Seed::new(rng).stream(0).ternary(P::ring());
        Self { values: Poly::values_of_small(P::ring(), &coefficients), set: PhantomData }
    }

    /// The message that `P1` reads as [`Public`]: once, before its first reply. Its length is
    /// [`Public::bytes`].
    #[must_use]
    pub fn public(&self, rng: &mut impl CryptoRng) -> Vec<u8> {
        let (public, private) = (Seed::new(rng), Seed::new(rng));
        let (mut public_stream, mut private) = (public.stream(0), private.stream(0));
        let words = core::iter::empty();
        let b = encrypt(P::ring(), &self.values, &mut public_stream, &mut private, words);
        let mut message = vec![0; Public::<P>::bytes()];
        if let Some((seed, rest)) = message.split_first_chunk_mut() {
            *seed = *public.bytes();
            write(P::ring(), &b, rest);
        }
        message
    }

    /// As values.
    pub(crate) fn values(&self) -> &Poly {
        &self.values
    }
}

impl<P: Parameters> Public<P> {
    /// Bytes of its message: 55,328 of [`Words32`](crate::Words32), 190,496 of
    /// [`Words64`](crate::Words64).
    #[must_use]
    pub fn bytes() -> usize {
        SEED_BYTES + P::ring().fresh_bytes()
    }

    /// Reads what [`Secret::public`] wrote.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Residue`] if the message is not one.
    pub fn read(message: &[u8]) -> Result<Self, Error> {
        let length = Error::Length { expected: Self::bytes(), found: message.len() };
        let (seed, rest) = message.split_first_chunk().ok_or(length)?;
        if message.len() != Self::bytes() {
            return Err(length);
        }
        let zero = read(P::ring(), &mut Seed::from_bytes(*seed).stream(0), rest)?;
        Ok(Self { zero, set: PhantomData })
    }

    /// The encryption of zero, as values.
    pub(crate) fn zero(&self) -> &Pair {
        &self.zero
    }
}

impl<P> core::fmt::Debug for Secret<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(<redacted>)")
    }
}

impl<P> core::fmt::Debug for Public<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Public(..)")
    }
}
