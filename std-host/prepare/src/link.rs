//! The messages of two parties over a link.

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use sharelet_core::functions::engine::Link;
use sharelet_core::share::Party;
use sharelet_ot::extension::FieldBits;

use crate::error::Failed;
use crate::kept::Kept;
use crate::pair::{Made, Pair};
use crate::plan::Plan;

async fn exchange<L: Link>(
    link: &mut L,
    own: &[u8],
    expected_bytes: usize,
) -> Result<Vec<u8>, Failed<L::Error>> {
    let mut message = vec![0; expected_bytes];
    link.exchange([own, &[]], [&mut message, &mut []]).await.map_err(Failed::Link)?;
    Ok(message)
}

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

/// Prepares a program with the peer, who does the same: four messages each.
///
/// # Errors
/// The link's; a peer that cheats in the transfers, or prepares another program.
pub async fn prepare<L: Link>(
    pair: &mut Pair,
    plan: &Plan,
    rng: &mut impl CryptoRng,
    link: &mut L,
) -> Result<Made, Failed<L::Error>> {
    let (own, asked) = pair.ask(plan)?;
    let message = exchange(link, &own, asked.expected_bytes()?).await?;
    let (own, accepted) = asked.accept(&message)?;
    let message = exchange(link, &own, accepted.expected_bytes()).await?;
    let (own, answered) = accepted.answer(&message)?;
    let message = exchange(link, &own, answered.expected_bytes()).await?;
    let (own, verified) = answered.verify(&message, rng)?;
    let message = exchange(link, &own, verified.expected_bytes()?).await?;
    Ok(verified.finish(&message)?)
}
