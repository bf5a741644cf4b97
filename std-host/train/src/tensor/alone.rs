//! Preparing without a dealer: the two servers make a session's correlations themselves.
//!
//! Records of element-wise protocols come from oblivious transfers (`sharelet_prepare`), and shares
//! of the products of masks from encryption over rings (`sharelet_rlwe`): `P0` encrypts its masks,
//! `P1` multiplies. Every party draws its masks itself.
//!
//! ```text
//! once per pair      base transfers both ways
//! once per session   P0's public key, random bytes of both
//! once per program   4 messages of transfers, both ways
//!                    for each product of masked tensors
//!                    P0 -> P1  its masks, encrypted
//!                    P1 -> P0  the product, under a mask of its own
//! ```
//!
//! Both parties are assumed to follow the protocol: a `P1` that deviates in its reply, and sees
//! what comes of it, learns about `P0`'s key, and a `P0` that encrypts wrongly about `P1`'s masks.
//! The transfers alone catch who cheats in them.

use core::convert::Infallible;

use rand_chacha::ChaCha12Rng;
use rand_core::{CryptoRng, Rng as _, SeedableRng as _};
use sharelet_core::correlation::LengthError;
use sharelet_core::functions::engine::offline::{Count, Offline, Task, Usage};
use sharelet_core::functions::engine::{Comparison, EngineError, Link, Settings, Truncation};
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::share::Party as Side;
use sharelet_prepare::{Failed, FieldBits, Kept, Pair, PrepareError};
use sharelet_rlwe::matrix::{self, Shape};
use sharelet_rlwe::{Public, Secret, Words64};
use thiserror::Error;
use zeroize::Zeroizing;

use super::lowered::Lowered;
use super::offline;
use super::party::Prepared;
use super::{Bilinear, Machine, Masked, Program, Tensors, add, check};

/// Why two servers could not prepare. `E` is the link's error.
#[derive(Debug, Error)]
pub enum AloneError<E> {
    /// The transfers, the peer, or the link.
    #[error(transparent)]
    Transfers(#[from] Failed<E>),
    /// The encrypted products.
    #[error("encrypted products: {0}")]
    Products(#[from] sharelet_rlwe::Error),
    /// The program's sizes are wrong, or it needs a dealer.
    #[error("{0}")]
    Program(EngineError<Infallible>),
}

impl<E> From<EngineError<Infallible>> for AloneError<E> {
    fn from(error: EngineError<Infallible>) -> Self {
        Self::Program(error)
    }
}

impl<E> From<PrepareError> for AloneError<E> {
    fn from(error: PrepareError) -> Self {
        Self::Transfers(error.into())
    }
}

/// The settings of a program whose correlations two parties make alone.
#[must_use]
pub const fn settings(truncation: Truncation) -> Settings {
    Settings { comparison: Comparison::Ot, truncation }
}

/// A server's side of a pair that prepares alone, in one session of the pair.
#[derive(Debug)]
pub struct Alone {
    side: Side,
    pair: Pair,
    keys: Keys,
}

/// `P0` decrypts, `P1` multiplies.
enum Keys {
    Secret(Box<Secret<Words64>>),
    Public(Box<Public<Words64>>),
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(<redacted>)")
    }
}

impl Alone {
    /// Begins a session with the peer: `P0`'s public key, and a name of both parties' randomness.
    ///
    /// # Errors
    /// The link's; a peer that sends no key.
    pub async fn begin<L: Link>(
        side: Side,
        kept: (&Kept, FieldBits),
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Self, AloneError<L::Error>> {
        let (keys, public) = match side {
            Side::P0 => {
                let secret = Secret::new(rng);
                let public = secret.public(rng);
                say(link, &public).await?;
                (Keys::Secret(Box::new(secret)), public)
            }
            Side::P1 => {
                let public = hear(link, Public::<Words64>::bytes()).await?;
                (Keys::Public(Box::new(Public::read(&public)?)), public)
            }
        };
        // The name of the session is bound to the key.
        let pair = sharelet_prepare::link::begin(side, kept, &public, rng, link).await?;
        Ok(Self { side, pair, keys })
    }

    /// Prepares a program with the peer, who does the same; `program` is the one to come, without
    /// its data.
    ///
    /// # Errors
    /// The link's; a program that needs a dealer; a peer that prepares another program, or cheats
    /// in the transfers.
    pub async fn prepare<P: Program, L: Link>(
        &mut self,
        program: &mut P,
        truncation: Truncation,
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Prepared, AloneError<L::Error>> {
        let settings = settings(truncation);
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        let rng_of_masks = ChaCha12Rng::from_seed(*seed);
        let own = Own { rng: rng_of_masks, taken: Vec::new(), products: Vec::new() };
        let engine = Offline::new(Plans::default(), settings);
        let (_, engine, Own { taken, products, .. }) =
            offline::run(program, Machine::new(engine, own))?;
        let Plans { count: Count(Usage { work_bytes, .. }), mut plan } = engine.into_task();
        for Factors { map, .. } in &products {
            plan.bind(format!("{map:?}").as_bytes());
        }
        plan.bind(&taken.len().to_le_bytes());
        // The first message tells whether both prepare the same.
        let made = sharelet_prepare::link::prepare(&mut self.pair, &plan, rng, link).await?;
        let shares = self.multiply(&products, rng, link).await?;
        let (_, records) = made.into_records();
        Ok(Prepared::made(self.side, settings, work_bytes, records, [taken, shares]))
    }

    /// Shares of all products of masks, one after the other.
    async fn multiply<L: Link>(
        &self,
        products: &[Factors],
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Vec<u64>, AloneError<L::Error>> {
        let mut shares = Vec::new();
        for Factors { map, x, y } in products {
            let lowered = Lowered(map);
            let [rows, inner, columns] = lowered.sizes();
            let shape = Shape::new(rows, inner, columns)?;
            let [a, b] = lowered.operands(x, y).map(Zeroizing::new);
            let crossed = match &self.keys {
                Keys::Secret(secret) => {
                    say(link, &matrix::request(secret, &shape, &a, &b, rng)?).await?;
                    matrix::finish(secret, &shape, &hear(link, shape.reply_bytes()).await?)?
                }
                Keys::Public(public) => {
                    let request = hear(link, shape.request_bytes()).await?;
                    let (reply, share) = matrix::respond(public, &shape, &a, &b, &request, rng)?;
                    say(link, &reply).await?;
                    share
                }
            };
            let mut share = lowered.result(crossed);
            add(map, x, y, &mut share).map_err(EngineError::Correlations)?;
            shares.extend(share);
        }
        Ok(shares)
    }
}

/// Sends what the peer hears.
async fn say<L: Link>(link: &mut L, message: &[u8]) -> Result<(), AloneError<L::Error>> {
    link.exchange([message, &[]], [&mut [], &mut []]).await.map_err(Failed::Link)?;
    Ok(())
}

/// Hears what the peer says: so many bytes.
async fn hear<L: Link>(link: &mut L, bytes: usize) -> Result<Vec<u8>, AloneError<L::Error>> {
    let mut message = vec![0; bytes];
    link.exchange([&[], &[]], [&mut message, &mut []]).await.map_err(Failed::Link)?;
    Ok(message)
}

/// A party's masks, and which of them are multiplied.
struct Own {
    rng: ChaCha12Rng,
    taken: Vec<u64>,
    products: Vec<Factors>,
}

/// A map, and a party's shares of the masks of what it takes.
struct Factors {
    map: Bilinear,
    x: Zeroizing<Vec<u64>>,
    y: Zeroizing<Vec<u64>>,
}

impl Tensors for Own {
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        let mask: Vec<u64> = (0..elems).map(|_| self.rng.next_u64()).collect();
        self.taken.extend(&mask);
        Ok(mask)
    }

    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError> {
        check(map, x.mask.len(), y.mask.len())?;
        let [x, y] = [x, y].map(|operand| Zeroizing::new(operand.mask.clone()));
        self.products.push(Factors { map: *map, x, y });
        Ok(vec![0; map.out_elems()])
    }
}

/// Counts, and plans the transfers.
#[derive(Default)]
struct Plans {
    count: Count,
    plan: sharelet_prepare::Plan,
}

impl Task for Plans {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        self.plan.operation(protocol, elements)?;
        self.count.operation(protocol, elements)
    }

    fn operations<P: Protocol, Q: Protocol>(
        &mut self,
        first: (&P, usize),
        second: (&Q, usize),
    ) -> Result<(), EngineError<Infallible>> {
        self.plan.operations(first, second)?;
        self.count.operations(first, second)
    }
}
