//! What device and host do alike: meet, tally, and hold a session's randomness.

use core::time::Duration;
use std::io;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use sharelet_alone::Task;
use sharelet_core::functions::engine::Link;
use sharelet_core::share::Party;
use sharelet_link::exchange::Exchange;
use sharelet_link::{Counts, Reader, Writer};
use sharelet_prepare::{FieldBits, Kept};
use zeroize::Zeroizing;

use super::AloneError;
use crate::store::StoreError;
use crate::store::kept::{KeptFile, KeptId};

/// Of the extension: four bytes per transfer for stores, where bytes count, and eight otherwise,
/// where time does.
pub(crate) const fn field(stores: bool) -> FieldBits {
    if stores { FieldBits::Four } else { FieldBits::Two }
}

/// A generator that the system has seeded.
pub(crate) fn rng() -> Result<ChaCha20Rng, StoreError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(StoreError::Randomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

/// A peer may compute so long before a message.
pub(crate) const COMPUTING: Duration = Duration::from_secs(300);

/// Messages over a connection's halves, counted.
pub(crate) struct Tallied<'c> {
    exchange: Exchange<&'c mut Reader, &'c mut Writer>,
    pub(crate) counts: Counts,
}

impl<'c> Tallied<'c> {
    pub(crate) fn new(reader: &'c mut Reader, writer: &'c mut Writer) -> Self {
        Self { exchange: Exchange::new(reader, writer), counts: Counts::default() }
    }
}

impl Link for Tallied<'_> {
    type Error = io::Error;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), io::Error> {
        // The peer computes before it answers; then its bytes have the time that they take.
        let (reader, _) = self.exchange.halves();
        reader.await_message(COMPUTING);
        reader.begin_message(COMPUTING);
        let received: usize = peer.iter().map(|part| part.len()).sum();
        self.counts.sent_bytes += own.iter().map(|part| part.len() as u64).sum::<u64>();
        self.counts.received_bytes += received as u64;
        self.counts.round_trips += u32::from(received > 0);
        let done = self.exchange.exchange(own, peer).await;
        self.exchange.halves().0.end_message();
        done
    }
}

/// What both keep of each other, and what they call it: as it lies on the disk, if both have the
/// same, or made now. Without a file nothing is kept: of a peer that has not proved who it is.
pub(crate) async fn kept(
    party: Party,
    file: Option<&KeptFile>,
    [own, peer]: [Option<KeptId>; 2],
    loaded: Option<Box<Kept>>,
    link: &mut Tallied<'_>,
) -> Result<(KeptId, Box<Kept>), AloneError> {
    if let Some(kept) = own.filter(|_| own == peer).zip(loaded) {
        return Ok(kept);
    }
    let (message, beginning) = Kept::begin(&mut rng()?);
    let mut peers = vec![0; message.len()];
    link.exchange([&message, &[]], [&mut peers, &mut []]).await.map_err(wire)?;
    let kept = Box::new(beginning.finish(&peers)?);
    let [first, second] = match party {
        Party::P0 => [&message, &peers],
        Party::P1 => [&peers, &message],
    };
    let name = Sha256::new().chain_update("sharelet kept").chain_update(first).chain_update(second);
    let id: KeptId = name.finalize().first_chunk().copied().unwrap_or_default();
    if let Some(file) = file {
        file.save(&id, &kept)?;
    }
    Ok((id, kept))
}

/// The connection's failure.
pub(crate) fn wire(error: io::Error) -> AloneError {
    AloneError::Wire(error.into())
}

/// The name of a pair: the device, and the host where it has proved one.
pub(crate) fn pair_name(device: [u8; 16], host: [u8; 16]) -> [u8; 32] {
    let name = Sha256::new().chain_update("sharelet pair").chain_update(device);
    name.chain_update(host).finalize().into()
}

/// The name of a model whose network both read alike.
pub(crate) fn model_name(digest: &[u8; 32], task: &Task) -> [u8; 32] {
    let name = Sha256::new().chain_update("sharelet stored model").chain_update(digest);
    name.chain_update(task.digest()).finalize().into()
}

/// Refuses a network whose preparation is too large: who owns it states it.
pub(crate) fn expect_bounded(task: &Task) -> Result<(), AloneError> {
    const MOST_BYTES: usize = 1 << 30;
    const MOST_TRANSFERS: u64 = 1 << 25;
    if task.encrypted_bytes() > MOST_BYTES || task.transfers() > MOST_TRANSFERS {
        let (bytes, transfers) = (task.encrypted_bytes(), task.transfers());
        return Err(AloneError::Unfit(format!(
            "the peer's network takes {bytes} bytes of ciphertexts and {transfers} transfers for \
             an inference; this side allows {MOST_BYTES} and {MOST_TRANSFERS}"
        )));
    }
    Ok(())
}
