//! Making the halves of sessions, from what a pair keeps.
//!
//! ```text
//! once per connection  P0 -> P1  public keys;  both: random bytes, which name the session
//! once per call        1  P0 -> P1  masks, encrypted          both: transfers are asked for
//!                      2                                      both: challenges
//!                      3  P1 -> P0  their products            both: proofs
//!                      4  P0 -> P1  its digits for the gates, under its choices
//! ```
//!
//! A call makes some sessions at once, in four messages whatever the network. A batch of 4,096 for
//! a store is made part by part (`filling`).

use rand_core::CryptoRng;
use sharelet_core::functions::engine::Link;
use sharelet_core::share::Party;
use sharelet_model::Model;
use sharelet_prepare::link::begin;
use sharelet_prepare::pair::{Accepted, Asked};
use sharelet_prepare::{FieldBits, Kept, Made, Pair};
use sharelet_rlwe::{Public, Secret, Words32};
use zeroize::Zeroizing;

use crate::error::{AloneError, of_link};
use crate::half::{Correlations, Half, mask_elems, said_bytes};
use crate::layers::{Shares, add_public};
use crate::network::Gates;
use crate::task::Task;

/// What a session begins with is bound to this.
const CONTEXT: &[u8] = b"sharelet alone 2";

/// The party with the input, in one session with the peer: it decrypts.
#[derive(Debug)]
pub struct P0 {
    pub(crate) pair: Pair,
    pub(crate) secrets: Vec<Secret<Words32>>,
}

/// The party with the weights: it multiplies.
#[derive(Debug)]
pub struct P1 {
    pub(crate) pair: Pair,
    pub(crate) publics: Vec<Public<Words32>>,
}

impl P0 {
    /// Begins a session with the peer, of whom `kept` is kept.
    ///
    /// # Errors
    /// The link's.
    pub async fn begin<L: Link>(
        task: &Task,
        kept: (&Kept, FieldBits),
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Self, AloneError<L::Error>> {
        let secrets: Vec<_> = (0..task.products.keys()).map(|_| Secret::new(rng)).collect();
        let publics: Vec<u8> = secrets.iter().flat_map(|secret| secret.public(rng)).collect();
        link.exchange([&publics, &[]], [&mut [], &mut []]).await.map_err(of_link)?;
        let pair = begin(Party::P0, kept, &bound(&publics), rng, link).await?;
        Ok(Self { pair, secrets })
    }

    /// With silent transfers for batches; both parties, or none.
    #[must_use]
    pub fn silently(self) -> Self {
        Self { pair: self.pair.silently(), ..self }
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
        let plan = gates.plan(sessions);
        let masks: Vec<Shares> = (0..sessions).map(|_| draw(task, rng)).collect();
        let mut request = Vec::with_capacity(sessions * products.request_bytes());
        for masks in &masks {
            request.extend(products.request(&self.secrets, masks, rng)?);
        }
        let (own, asked) = self.pair.ask(&plan)?;
        let bytes = [asked.expected_bytes()?, 0];
        let [message, _] = exchange(link, [&own, &request], bytes).await?;
        let reply_bytes = sessions * products.reply_bytes();
        let accepted = challenge(asked, &message, link).await?;
        let (made, reply) = prove(accepted, (&[], reply_bytes), rng, link).await?;
        let mut halves = Vec::with_capacity(sessions);
        for ((masks, correlations), reply) in
            masks.into_iter().zip(split(made, gates)).zip(parts(&reply, products.reply_bytes()))
        {
            let mut shares = products.finish(&self.secrets, reply)?;
            add_public(network, &masks, &mut shares);
            halves.push(half_of_p0(task, masks, shares, correlations));
        }
        tell(&halves, task, link).await?;
        Ok(halves)
    }
}

impl P1 {
    /// Begins a session with the peer, of whom `kept` is kept.
    ///
    /// # Errors
    /// The link's; a peer that sends no keys.
    pub async fn begin<L: Link>(
        task: &Task,
        kept: (&Kept, FieldBits),
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<Self, AloneError<L::Error>> {
        let bytes = task.products.keys() * Public::<Words32>::bytes();
        let [keys, _] = exchange(link, [&[], &[]], [bytes, 0]).await?;
        let publics = keys.chunks(Public::<Words32>::bytes()).map(Public::read);
        let publics = publics.collect::<Result<_, _>>()?;
        let pair = begin(Party::P1, kept, &bound(&keys), rng, link).await?;
        Ok(Self { pair, publics })
    }

    /// With silent transfers for batches; both parties, or none.
    #[must_use]
    pub fn silently(self) -> Self {
        Self { pair: self.pair.silently(), ..self }
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
        let Task { gates, products, .. } = task;
        let plan = gates.plan(sessions);
        let (own, asked) = self.pair.ask(&plan)?;
        let bytes = [asked.expected_bytes()?, sessions * products.request_bytes()];
        let [message, request] = exchange(link, [&own, &[]], bytes).await?;
        let accepted = challenge(asked, &message, link).await?;
        let mut reply = Vec::with_capacity(sessions * products.reply_bytes());
        let mut shares = Vec::with_capacity(sessions);
        for request in parts(&request, products.request_bytes()).take(sessions) {
            let (part, share) = products.respond(&self.publics, model, request, rng)?;
            reply.extend(part);
            shares.push(share);
        }
        let (made, _) = prove(accepted, (&reply, 0), rng, link).await?;
        listen(shares.into_iter(), made, task, link).await
    }
}

pub(crate) fn half_of_p0(
    task: &Task,
    masks: Shares,
    shares: Shares,
    correlations: Correlations,
) -> Half {
    let (party, digest, said) = (Party::P0, task.digest(), Vec::new());
    Half { party, digest, masks, shares, said, correlations }
}

/// `P0` says what it says ahead.
pub(crate) async fn tell<L: Link>(
    halves: &[Half],
    task: &Task,
    link: &mut L,
) -> Result<(), AloneError<L::Error>> {
    let said: Vec<u8> = halves.iter().flat_map(|half| half.choices(task)).collect();
    exchange(link, [&said, &[]], [0, 0]).await?;
    Ok(())
}

/// `P1`'s halves, with what `P0` says ahead.
pub(crate) async fn listen<L: Link>(
    shares: impl ExactSizeIterator<Item = Shares>,
    made: Made,
    task: &Task,
    link: &mut L,
) -> Result<Vec<Half>, AloneError<L::Error>> {
    let bytes = said_bytes(&task.network, &task.gates);
    let [said, _] = exchange(link, [&[], &[]], [shares.len() * bytes, 0]).await?;
    let halves = shares.zip(split(made, &task.gates)).zip(parts(&said, bytes));
    let half = |((shares, correlations), said): ((_, _), &[u8])| Half {
        party: Party::P1,
        digest: task.digest(),
        masks: Shares::default(),
        shares,
        said: said.to_vec(),
        correlations,
    };
    Ok(halves.map(half).collect())
}

/// What the name of a session is made of, beside both parties' randomness: it is bound to the keys.
fn bound(keys: &[u8]) -> Vec<u8> {
    [CONTEXT, keys].concat()
}

/// Fresh masks of what each layer takes, and of an answer that comes out of a gate.
pub(crate) fn draw(task: &Task, rng: &mut impl CryptoRng) -> Shares {
    let elems = mask_elems(Party::P0, &task.network, &task.gates);
    let mut vector = |elems: usize| (0..elems).map(|_| rng.next_u32()).collect();
    Zeroizing::new(elems.into_iter().map(&mut vector).collect())
}

/// The second message.
async fn challenge<'p, L: Link>(
    asked: Asked<'p>,
    first: &[u8],
    link: &mut L,
) -> Result<(Accepted<'p>, Vec<u8>), AloneError<L::Error>> {
    let (own, accepted) = asked.accept(first)?;
    let [message, _] = exchange(link, [&own, &[]], [accepted.expected_bytes(), 0]).await?;
    Ok((accepted, message))
}

/// The third message, with what else is said, and so many bytes are expected, in it.
async fn prove<L: Link>(
    (accepted, challenges): (Accepted<'_>, Vec<u8>),
    (more, more_bytes): (&[u8], usize),
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<(Made, Vec<u8>), AloneError<L::Error>> {
    let (own, answered) = accepted.answer(&challenges)?;
    let bytes = [answered.expected_bytes(), more_bytes];
    let [message, theirs] = exchange(link, [&own, more], bytes).await?;
    // Gates take no corrections.
    let (_, verified) = answered.verify(&message, rng)?;
    Ok((verified.finish(&[])?, theirs))
}

/// What each session spends.
pub(crate) fn split(made: Made, gates: &Gates) -> impl Iterator<Item = Correlations> {
    let (records, strings) = made.into_parts();
    let (records, mut strings) = (Zeroizing::new(records), strings.split(gates.strings()));
    let bytes = gates.record_bytes();
    (0..).map_while(move |session: usize| {
        let own = records.get(session * bytes..(session + 1) * bytes)?;
        Some(Correlations { records: Zeroizing::new(own.to_vec()), strings: strings.next()? })
    })
}

/// Equal parts of a message, one per session; a network without private weights has empty ones.
fn parts(message: &[u8], bytes: usize) -> impl Iterator<Item = &[u8]> {
    (0..).map(move |part: usize| message.get(part * bytes..(part + 1) * bytes).unwrap_or_default())
}

pub(crate) async fn exchange<L: Link>(
    link: &mut L,
    own: [&[u8]; 2],
    bytes: [usize; 2],
) -> Result<[Vec<u8>; 2], AloneError<L::Error>> {
    let [mut first, mut second] = bytes.map(|bytes| vec![0; bytes]);
    link.exchange(own, [&mut first, &mut second]).await.map_err(of_link)?;
    Ok([first, second])
}
