//! The plaintext twin of a program, and what else its parties may get.

use core::convert::Infallible;

use super::{Engine, EngineError, Settings};
use crate::functions::protocol::Protocol;
use crate::ring::Ring;

/// Runs a program on plaintext: every protocol is replaced by its twin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Twin {
    /// The settings of the parties; a twin rounds down, so that its results do not depend on them.
    pub settings: Settings,
}

impl Engine for Twin {
    type Error = EngineError<Infallible>;

    fn constant<R: Ring>(&self, value: R) -> R {
        value
    }

    fn settings(&self) -> Settings {
        self.settings
    }

    async fn run<P: Protocol>(
        &mut self,
        protocol: &P,
        mut data: P::Data<'_>,
    ) -> Result<(), Self::Error> {
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

/// Runs a program on plaintext as [`Twin`], with every rounding that protocols leave to chance
/// decided by `up`: true is up.
///
/// A run of the parties gives what some choice gives, so choices show how far results can be off.
#[derive(Clone, Copy, Debug)]
pub struct Rounding<U> {
    up: U,
    settings: Settings,
}

impl<U: FnMut() -> bool> Rounding<U> {
    /// A run with these choices.
    pub fn new(up: U, settings: impl Into<Settings>) -> Self {
        Self { up, settings: settings.into() }
    }
}

impl<U: FnMut() -> bool> Engine for Rounding<U> {
    type Error = EngineError<Infallible>;

    fn constant<R: Ring>(&self, value: R) -> R {
        value
    }

    fn settings(&self) -> Settings {
        self.settings
    }

    async fn run<P: Protocol>(
        &mut self,
        protocol: &P,
        mut data: P::Data<'_>,
    ) -> Result<(), Self::Error> {
        protocol.elements(&data)?;
        protocol.twin_rounded(&mut data, &mut self.up);
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
