//! The messages of two parties over a link.

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use sharelet_core::functions::engine::Link;
use sharelet_core::share::Party;
use sharelet_ot::extension::FieldBits;

use crate::error::{Failed, PrepareError};
use crate::exchange::exchange;
use crate::kept::Kept;
use crate::pair::{Made, Pair, Transfers, Verified};
use crate::plan::Plan;
use crate::silent::{Silence, Silent};

/// Makes what two parties keep of each other: one message each, once per pair.
///
/// # Errors
/// The link's; a peer that sends no points of the group.
pub async fn meet<L: Link>(
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<Kept, Failed<L::Error>> {
    let (own, beginning) = Kept::begin(rng);
    let message = exchange(link, &own, own.len()).await?;
    Ok(beginning.finish(&message)?)
}

/// Begins a session with the peer: one message each, 32 random bytes. The session's name follows
/// from both, and from `context`, which both must have alike, so that it never repeats.
///
/// # Errors
/// The link's.
pub async fn begin<L: Link>(
    party: Party,
    (kept, field): (&Kept, FieldBits),
    context: &[u8],
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<Pair, Failed<L::Error>> {
    let mut own = [0; 32];
    rng.fill_bytes(&mut own);
    let peers = exchange(link, &own, own.len()).await?;
    let [first, second] = match party {
        Party::P0 => [own.as_slice(), &peers],
        Party::P1 => [peers.as_slice(), &own],
    };
    let name = Sha256::new()
        .chain_update("sharelet prepare session")
        .chain_update(first)
        .chain_update(second)
        .chain_update(context)
        .finalize();
    Ok(Pair::new(party, kept, name.into(), field))
}

/// Prepares a program with the peer, who does the same: four messages each. With silent transfers
/// two, and three more for each call that is made.
///
/// # Errors
/// The link's; a peer that cheats in the transfers, or prepares another program.
pub async fn prepare<L: Link>(
    pair: &mut Pair,
    plan: &Plan,
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<Made, Failed<L::Error>> {
    match pair.take_silence() {
        Silence::Never => {}
        Silence::Lost => return Err(PrepareError::Lost.into()),
        Silence::Fresh => return prepare_silently(pair, None, plan, rng, link).await,
        Silence::Ready(silent) => {
            return prepare_silently(pair, Some(silent), plan, rng, link).await;
        }
    }
    let mut transfers = transfer(pair, plan, link).await?;
    let (own, verified) = transfers.make(plan, rng)?;
    finish(&own, verified, link).await
}

/// Makes the transfers of a program: three messages.
async fn transfer<L: Link>(
    pair: &mut Pair,
    plan: &Plan,
    link: &mut L,
) -> Result<Transfers, Failed<L::Error>> {
    let (own, asked) = pair.ask(plan)?;
    let message = exchange(link, &own, asked.expected_bytes()?).await?;
    let (own, accepted) = asked.accept(&message)?;
    let message = exchange(link, &own, accepted.expected_bytes()).await?;
    let (own, answered) = accepted.answer(&message)?;
    let message = exchange(link, &own, answered.expected_bytes()).await?;
    Ok(answered.check(&message)?)
}

async fn finish<L: Link>(
    own: &[u8],
    verified: Verified<'_>,
    link: &mut L,
) -> Result<Made, Failed<L::Error>> {
    let message = exchange(link, own, verified.expected_bytes()?).await?;
    Ok(verified.finish(&message)?)
}

async fn prepare_silently<L: Link>(
    pair: &mut Pair,
    silent: Option<Box<Silent>>,
    plan: &Plan,
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<Made, Failed<L::Error>> {
    // Both must prepare the same, and have as many transfers left of the same ones.
    let [to_send, to_receive] = silent.as_ref().map_or([0, 0], |silent| silent.left());
    let of_p0_and_p1 = match pair.party() {
        Party::P0 => [to_send, to_receive],
        Party::P1 => [to_receive, to_send],
    };
    let name = Sha256::new()
        .chain_update("sharelet prepare silently")
        .chain_update(plan.digest())
        .chain_update([u8::from(silent.is_some())])
        .chain_update(of_p0_and_p1.map(|left| (left as u64).to_le_bytes()).as_flattened())
        .finalize();
    if exchange(link, &name, name.len()).await? != name.as_slice() {
        return Err(PrepareError::OtherProgram.into());
    }
    let needed = pair.needs(plan)?;
    let mut silent = match silent {
        Some(silent) => silent,
        None => {
            let (sending, receiving) = transfer(pair, &Silent::seeds(), link).await?.into_cursors();
            Box::new(Silent::new(sending, receiving)?)
        }
    };
    silent.fill(needed, link).await?;
    let (sending, receiving) = silent.lend(needed);
    let mut transfers = Transfers::new(pair.party(), sending, receiving);
    let (own, verified) = transfers.make(plan, rng)?;
    let made = finish(&own, verified, link).await?;
    let (sending, receiving) = transfers.into_cursors();
    silent.give_back(sending, receiving)?;
    pair.keep_silent(silent);
    Ok(made)
}
