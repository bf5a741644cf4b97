//! A build without stores beyond one machine: there are no options for them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use sharelet_host::store::engine::{Registry, Store};

use super::common::{LinkArgs, expect_absent};

/// No store that a service uses.
#[derive(Args, Debug, Clone)]
pub struct SharedArgs {}

impl SharedArgs {
    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn open(&self, _: &LinkArgs, _: &Path) -> Result<Option<Arc<dyn Store>>> {
        Ok(None)
    }
}

/// What a host keeps beside its state.
#[derive(Args, Debug, Clone)]
pub struct HostSharedArgs {
    /// With `--prepare ot`: keep inferences that devices prepare ahead of time, for `sharelet
    /// prepare`.
    #[arg(long)]
    store: bool,
}

impl HostSharedArgs {
    /// None.
    ///
    /// # Errors
    /// [`WrongArguments`] where one is asked for.
    pub fn open(&self, _: &LinkArgs, _: &Path) -> Result<Option<Arc<dyn Store>>> {
        expect_absent(&[("store", self.store)], "a dealer; add --prepare ot")?;
        Ok(None)
    }

    /// Whether inferences are kept that devices prepare, where there is no dealer.
    ///
    /// # Errors
    /// Never.
    pub const fn keeps(&self) -> Result<bool> {
        Ok(self.store)
    }
}

/// No dealer's store.
#[derive(Args, Debug, Clone)]
pub struct DealerStoreArgs {}

impl DealerStoreArgs {
    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn open(&self) -> Result<Option<Box<dyn Registry>>> {
        Ok(None)
    }
}
