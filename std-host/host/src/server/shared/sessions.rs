//! Where the sessions of a lane come from: dealt ahead, or prepared by the two servers, each before
//! its query is there.

use sharelet_core::share::Party;
use sharelet_link::exchange::Exchange;
use sharelet_link::{Reader, Writer};
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::serving::{Opened, Serving};
use sharelet_train::tensor::party::Prepared;

use crate::server::peer::PeerError;
use crate::server::together::{Together, TogetherError};
use crate::server::training::supply::{Supply, SupplyError};

/// The sessions of a chunk.
pub(super) enum Sessions {
    /// Of a dealer.
    Dealt(Supply),
    /// Of the two servers.
    Together(Together),
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSession {
    #[error("{0}")]
    Dealt(#[from] SupplyError),
    #[error("{0}")]
    Together(#[from] TogetherError),
}

impl From<NoSession> for PeerError {
    fn from(error: NoSession) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Sessions {
    pub(super) const fn together(party: Party) -> Self {
        Self::Together(Together::new(party))
    }

    /// The session that opens the weights.
    pub(super) async fn opening(
        &mut self,
        serving: &Serving,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Prepared, NoSession> {
        let together = match self {
            Self::Dealt(supply) => return Ok(supply.next().await?),
            Self::Together(together) => together,
        };
        let scaling = vec![[0; COLUMN_WORDS]; serving.standardised()];
        let zeros = serving.zeros();
        let mut program = serving.open(&zeros, &scaling);
        Ok(together.prepare(&mut program, serving.truncation(), link).await?)
    }

    /// The session of the next query.
    pub(super) async fn query(
        &mut self,
        serving: &Serving,
        weights: &Opened,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Prepared, NoSession> {
        let together = match self {
            Self::Dealt(supply) => return Ok(supply.next().await?),
            Self::Together(together) => together,
        };
        let zeros = vec![0; serving.inputs()];
        let mut program = serving.evaluate(weights, zeros).map_err(TogetherError::from)?;
        Ok(together.prepare(&mut program, serving.truncation(), link).await?)
    }
}
