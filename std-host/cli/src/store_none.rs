//! A build without stores beyond one machine: there are no options for them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use sharelet_host::store::engine::{Registry, Store};
use sharelet_host::store::host::HostStore;

use super::common::LinkArgs;

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

    /// It is not.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        false
    }
}

/// No host's store.
#[derive(Args, Debug, Clone)]
pub struct HostStoreArgs {}

impl HostStoreArgs {
    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn open(&self, _: &Path, _: &DealerStoreArgs) -> Result<Option<HostStore>> {
        Ok(None)
    }
}

/// No store that is looked at.
#[derive(Args, Debug, Clone)]
pub struct LookedAtArgs {}

impl LookedAtArgs {
    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn summary(&self, _: Option<&Path>) -> Result<Option<String>> {
        Ok(None)
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

    /// It is not.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        false
    }
}
