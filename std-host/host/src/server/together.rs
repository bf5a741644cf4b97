//! Two servers who prepare sessions together, without a dealer, each before it runs.
//!
//! Base transfers and keys are made anew for every connection: nothing lies on a disk that could be
//! used twice, and a peer that was caught at cheating has learned nothing of the next.

use std::io;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sharelet_core::functions::engine::Truncation;
use sharelet_core::share::Party;
use zeroize::Zeroizing;

use sharelet_link::exchange::Exchange;
use sharelet_link::{Reader, Writer};
use sharelet_prepare::FieldBits;
use sharelet_train::network::NetworkError;
use sharelet_train::tensor::Program;
use sharelet_train::tensor::alone::{Alone, AloneError};
use sharelet_train::tensor::party::Prepared;

/// Why a session could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TogetherError {
    /// The link, or the other server.
    #[error(transparent)]
    Alone(#[from] AloneError<io::Error>),
    /// The layers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// A server's side of what two prepare on a connection.
#[derive(Debug)]
pub(super) struct Together {
    party: Party,
    /// From the first session on.
    alone: Option<Box<Alone>>,
}

impl Together {
    pub(super) const fn new(party: Party) -> Self {
        Self { party, alone: None }
    }

    /// The correlations of a program: the one to come, on data that means nothing.
    pub(super) async fn prepare<P: Program>(
        &mut self,
        program: &mut P,
        truncation: Truncation,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Prepared, TogetherError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(TogetherError::Randomness)?;
        let mut rng = ChaCha20Rng::from_seed(*seed);
        let alone = match &mut self.alone {
            Some(alone) => alone,
            none => {
                let kept = sharelet_prepare::link::meet(&mut rng, link).await;
                let kept = (&kept.map_err(AloneError::from)?, FieldBits::Two);
                let begun = Alone::begin(self.party, kept, &mut rng, link).await?;
                none.insert(Box::new(begun))
            }
        };
        Ok(alone.prepare(program, truncation, &mut rng, link).await?)
    }
}
