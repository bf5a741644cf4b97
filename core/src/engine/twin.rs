//! The plaintext twin of a program.

use core::convert::Infallible;

use super::{Comparison, Engine, EngineError};
use crate::protocol::stepwise::Protocol;
use crate::ring::Ring;

/// Runs a program on plaintext: every protocol is replaced by its twin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Twin {
    /// The kind of comparison that the parties use; the results do not depend on it.
    pub comparison: Comparison,
}

impl Engine for Twin {
    type Error = EngineError<Infallible>;

    fn constant<R: Ring>(&self, value: R) -> R {
        value
    }

    fn comparison(&self) -> Comparison {
        self.comparison
    }

    async fn run<P: Protocol>(&mut self, protocol: &P, mut data: P::Data<'_>) -> Result<(), Self::Error> {
        protocol.elements(&data)?;
        protocol.twin(&mut data);
        Ok(())
    }

    async fn run_both<P: Protocol, Q: Protocol>(
        &mut self,
        (first, data_1): (&P, P::Data<'_>),
        (second, data_2): (&Q, Q::Data<'_>),
    ) -> Result<(), Self::Error> {
        self.run(first, data_1).await?;
        self.run(second, data_2).await
    }
}
