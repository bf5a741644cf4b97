//! Making the halves of sessions, from what a pair keeps.
//!
//! ```text
//! once per connection  P0 -> P1  a public key;  both: random bytes, which name the session
//! once per call        1  P0 -> P1  masks, encrypted          both: transfers are asked for
//!                      2                                      both: challenges
//!                      3                                      both: proofs
//!                      4  P1 -> P0  their products            both: corrections
//! ```
//!
//! A call makes some sessions at once, in four messages each way whatever the network. A batch of
//! 4,096 for a store takes a request and a reply for each product, and then the transfers in parts.

use rand_core::CryptoRng;
use sharelet_core::functions::engine::Link;
use sharelet_core::share::Party;
use sharelet_model::Model;
use sharelet_prepare::link::{begin, prepare};
use sharelet_prepare::pair::{Asked, Verified};
use sharelet_prepare::{FieldBits, Kept, Pair};
use sharelet_rlwe::batch::SLOTS;
use sharelet_rlwe::{Public, Secret, Words32};
use zeroize::Zeroizing;

use crate::error::{AloneError, of_link, offline};
use crate::half::Half;
use crate::layers::{Shares, add_public};
use crate::network::{Gates, Network};
use crate::task::Task;

/// What a session begins with is bound to this.
const CONTEXT: &[u8] = b"sharelet alone 1";

/// The party with the input, in one session with the peer: it decrypts.
#[derive(Debug)]
pub struct P0 {
    pair: Pair,
    secret: Box<Secret<Words32>>,
}

/// The party with the weights: it multiplies.
#[derive(Debug)]
pub struct P1 {
    pair: Pair,
    public: Box<Public<Words32>>,
}

impl P0 {
    /// Begins a session with the peer, of whom `kept` is kept.
    ///
    /// # Errors
    /// The link's.
    pub async fn begin<L: Link>(
        kept: (&Kept, FieldBits),
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Self, AloneError<L::Error>> {
        let secret = Box::new(Secret::new(rng));
        let public = secret.public(rng);
        link.exchange([&public, &[]], [&mut [], &mut []]).await.map_err(of_link)?;
        let pair = begin(Party::P0, kept, &bound(&public), rng, link).await?;
        Ok(Self { pair, secret })
    }

    /// Makes `P0`'s halves of so many sessions. The peer does the same.
    ///
    /// # Errors
    /// The link's; a peer that cheats in the transfers, or prepares something else.
    pub async fn prepare<L: Link>(
        &mut self,
        task: &Task,
        sessions: usize,
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Vec<Half>, AloneError<L::Error>> {
        let Task { network, gates, products, .. } = task;
        let plan = gates.plan(network, sessions).map_err(offline)?;
        let masks: Vec<Shares> = (0..sessions).map(|_| draw(network, rng)).collect();
        let mut request = Vec::with_capacity(sessions * products.request_bytes());
        for masks in &masks {
            request.extend(products.request(&self.secret, masks, rng)?);
        }
        let (own, asked) = self.pair.ask(&plan)?;
        let bytes = [asked.expected_bytes()?, 0];
        let [message, _] = exchange(link, [&own, &request], bytes).await?;
        let (own, verified) = prove(asked, &message, rng, link).await?;
        let bytes = [verified.expected_bytes()?, sessions * products.reply_bytes()];
        let [message, reply] = exchange(link, [&own, &[]], bytes).await?;
        let (_, records) = verified.finish(&message)?.into_records();
        let records = records_of(records, gates, sessions);
        let mut halves = Vec::with_capacity(sessions);
        for ((masks, records), reply) in
            masks.into_iter().zip(records).zip(parts(&reply, products.reply_bytes(), sessions))
        {
            let mut shares = products.finish(&self.secret, reply)?;
            add_public(network, &masks, &mut shares);
            halves.push(Half { party: Party::P0, masks, shares, records });
        }
        Ok(halves)
    }

    /// Makes `P0`'s halves of [`SLOTS`] sessions; `made` is told of every part of the transfers.
    ///
    /// # Errors
    /// As [`P0::prepare`]; [`AloneError::NoBatches`].
    pub async fn prepare_batch<L: Link>(
        &mut self,
        task: &Task,
        rng: &mut impl CryptoRng,
        link: &mut L,
        made: impl FnMut(usize),
    ) -> Result<Vec<Half>, AloneError<L::Error>> {
        let Task { network, products, .. } = task;
        let batches = task.batches.as_ref().ok_or(AloneError::NoBatches)?;
        let masks: Vec<Shares> = (0..SLOTS).map(|_| draw(network, rng)).collect();
        let mut shares = vec![products.zeros(); SLOTS];
        for number in 0..batches.count() {
            let [_, reply_bytes] = batches.bytes(number)?;
            let request = batches.request(number, &self.secret, &masks, rng)?;
            exchange(link, [&request, &[]], [0, 0]).await?;
            let [reply, _] = exchange(link, [&[], &[]], [reply_bytes, 0]).await?;
            batches.finish(number, &self.secret, &reply, &mut shares)?;
        }
        for (masks, shares) in masks.iter().zip(&mut shares) {
            add_public(network, masks, shares);
        }
        let records = records_of_batch(&mut self.pair, task, rng, link, made).await?;
        let halves = masks.into_iter().zip(shares).zip(records);
        let half = |((masks, shares), records)| Half { party: Party::P0, masks, shares, records };
        Ok(halves.map(half).collect())
    }
}

impl P1 {
    /// Begins a session with the peer, of whom `kept` is kept.
    ///
    /// # Errors
    /// The link's; a peer that sends no key.
    pub async fn begin<L: Link>(
        kept: (&Kept, FieldBits),
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Self, AloneError<L::Error>> {
        let [key, _] = exchange(link, [&[], &[]], [Public::<Words32>::bytes(), 0]).await?;
        let public = Box::new(Public::read(&key)?);
        let pair = begin(Party::P1, kept, &bound(&key), rng, link).await?;
        Ok(Self { pair, public })
    }

    /// Makes `P1`'s halves of so many sessions. The peer does the same.
    ///
    /// # Errors
    /// The link's; a peer that cheats in the transfers, or prepares something else; weights that
    /// cannot be hidden.
    pub async fn prepare<L: Link>(
        &mut self,
        task: &Task,
        model: &Model,
        sessions: usize,
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Vec<Half>, AloneError<L::Error>> {
        let Task { network, gates, products, .. } = task;
        let plan = gates.plan(network, sessions).map_err(offline)?;
        let (own, asked) = self.pair.ask(&plan)?;
        let bytes = [asked.expected_bytes()?, sessions * products.request_bytes()];
        let [message, request] = exchange(link, [&own, &[]], bytes).await?;
        let (own, verified) = prove(asked, &message, rng, link).await?;
        let mut reply = Vec::with_capacity(sessions * products.reply_bytes());
        let mut shares = Vec::with_capacity(sessions);
        for request in parts(&request, products.request_bytes(), sessions) {
            let (part, share) = products.respond(&self.public, model, request, rng)?;
            reply.extend(part);
            shares.push(share);
        }
        let bytes = [verified.expected_bytes()?, 0];
        let [message, _] = exchange(link, [&own, &reply], bytes).await?;
        let (_, records) = verified.finish(&message)?.into_records();
        let halves = shares.into_iter().zip(records_of(records, gates, sessions));
        let half = |(shares, records)| Half {
            party: Party::P1,
            masks: Shares::default(),
            shares,
            records,
        };
        Ok(halves.map(half).collect())
    }

    /// Makes `P1`'s halves of [`SLOTS`] sessions; `made` is told of every part of the transfers.
    ///
    /// # Errors
    /// As [`P1::prepare`]; [`AloneError::NoBatches`].
    pub async fn prepare_batch<L: Link>(
        &mut self,
        task: &Task,
        model: &Model,
        rng: &mut impl CryptoRng,
        link: &mut L,
        made: impl FnMut(usize),
    ) -> Result<Vec<Half>, AloneError<L::Error>> {
        let batches = task.batches.as_ref().ok_or(AloneError::NoBatches)?;
        let mut shares = vec![task.products.zeros(); SLOTS];
        for number in 0..batches.count() {
            let [request_bytes, _] = batches.bytes(number)?;
            let [request, _] = exchange(link, [&[], &[]], [request_bytes, 0]).await?;
            let reply = batches.respond(number, &self.public, model, &request, &mut shares, rng)?;
            exchange(link, [&reply, &[]], [0, 0]).await?;
        }
        let records = records_of_batch(&mut self.pair, task, rng, link, made).await?;
        let halves = shares.into_iter().zip(records);
        let half = |(shares, records)| Half {
            party: Party::P1,
            masks: Shares::default(),
            shares,
            records,
        };
        Ok(halves.map(half).collect())
    }
}

/// The records of a batch, as many sessions at once as keep memory small.
async fn records_of_batch<L: Link>(
    pair: &mut Pair,
    task: &Task,
    rng: &mut impl CryptoRng,
    link: &mut L,
    mut made: impl FnMut(usize),
) -> Result<Vec<Zeroizing<Vec<u8>>>, AloneError<L::Error>> {
    let mut all = Vec::with_capacity(SLOTS);
    while all.len() < SLOTS {
        let sessions = task.sessions_at_once().min(SLOTS - all.len());
        let plan = task.gates.plan(&task.network, sessions).map_err(offline)?;
        let records = prepare(pair, &plan, rng, link).await?.into_records().1;
        all.extend(records_of(records, &task.gates, sessions));
        made(all.len());
    }
    Ok(all)
}

/// What the name of a session is made of, beside both parties' randomness: it is bound to the key.
fn bound(key: &[u8]) -> Vec<u8> {
    [CONTEXT, key].concat()
}

/// Fresh masks of what each layer takes.
fn draw(network: &Network, rng: &mut impl CryptoRng) -> Shares {
    let mut vector = |elems: u16| (0..elems).map(|_| rng.next_u32()).collect();
    Zeroizing::new(network.layers().iter().map(|layer| vector(layer.inputs())).collect())
}

/// The second and the third message; the fourth is for the caller to send.
async fn prove<'p, L: Link>(
    asked: Asked<'p>,
    first: &[u8],
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<(Vec<u8>, Verified<'p>), AloneError<L::Error>> {
    let (own, accepted) = asked.accept(first)?;
    let [message, _] = exchange(link, [&own, &[]], [accepted.expected_bytes(), 0]).await?;
    let (own, answered) = accepted.answer(&message)?;
    let [message, _] = exchange(link, [&own, &[]], [answered.expected_bytes(), 0]).await?;
    Ok(answered.verify(&message, rng)?)
}

/// The records of each session.
fn records_of(
    records: Vec<u8>,
    gates: &Gates,
    sessions: usize,
) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let (records, bytes) = (Zeroizing::new(records), gates.record_bytes());
    (0..sessions).map(move |session| {
        let own = records.get(session * bytes..(session + 1) * bytes).unwrap_or_default();
        Zeroizing::new(own.to_vec())
    })
}

/// Equal parts of a message, one per session; a network without private weights has empty ones.
fn parts(message: &[u8], bytes: usize, sessions: usize) -> impl Iterator<Item = &[u8]> {
    let part = move |session| message.get(session * bytes..(session + 1) * bytes);
    (0..sessions).map(move |session| part(session).unwrap_or_default())
}

async fn exchange<L: Link>(
    link: &mut L,
    own: [&[u8]; 2],
    bytes: [usize; 2],
) -> Result<[Vec<u8>; 2], AloneError<L::Error>> {
    let [mut first, mut second] = bytes.map(|bytes| vec![0; bytes]);
    link.exchange(own, [&mut first, &mut second]).await.map_err(of_link)?;
    Ok([first, second])
}
