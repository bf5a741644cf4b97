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

    async fn run_both<P: Protocol, Q: Protocol>(
        &mut self,
        first: (&P, P::Data<'_>),
        second: (&Q, Q::Data<'_>),
    ) -> Result<(), Self::Error> {
        Rounding::new(|| false, self.settings).run_both(first, second).await
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

    async fn run_both<P: Protocol, Q: Protocol>(
        &mut self,
        (first, mut data_1): (&P, P::Data<'_>),
        (second, mut data_2): (&Q, Q::Data<'_>),
    ) -> Result<(), Self::Error> {
        first.elements(&data_1)?;
        second.elements(&data_2)?;
        first.twin_rounded(&mut data_1, &mut self.up);
        second.twin_rounded(&mut data_2, &mut self.up);
        Ok(())
    }
}
