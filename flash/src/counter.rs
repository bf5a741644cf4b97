//! A counter of sessions or queries in flash.
//!
//! Every number is one record of 32 bytes, which holds the lowest number that is not used, and the
//! key's public name. It is written before the number is used. A power cut at any moment leaves the
//! counter where it was or further on.
//!
//! **No record, no number.** Erased sectors look the same before the first number and after an
//! accident, and counting again would open two readings under one mask. So the first record is
//! written when the device is provisioned, by [`Counter::create`] or, with the key page, by a flash
//! tool ([`born`]); without it there is [`StoreError::Missing`].
//!
//! **Whatever cannot be read may have been a number.** A record that was cut, or that the flash has
//! lost since, could have had a number up to [`ORDER_SESSIONS`] beyond the one before, so as many
//! numbers are left out for it. There are enough: 2^53 such losses.
//!
//! **What was told stays.** A host remembers the highest number that a device has asked for, and
//! refuses one that asks for less: it may be a copy. So a number that does not follow from the
//! records is recorded as unused before it is told.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;
use sharelet_core::keystream::KeyId;
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::{CounterError, SessionCounter};

use crate::error::StoreError;
use crate::log::{Log, Sectors, encode};
use crate::page::KeyPage;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 32;

/// The first record of a page's counter, for a flash tool to write at the beginning of the first
/// sector when it writes the page. It erases all sectors before.
#[must_use]
pub fn born(page: &KeyPage) -> [u8; RECORD_BYTES] {
    *encode(page.counter_start(), &page.key_id(), &[])
}

/// A counter.
pub struct Counter<F> {
    log: Log<F, RECORD_BYTES>,
    unused: Option<u64>,
    /// Whether `unused` follows from what is in flash.
    kept: bool,
    /// Whether a record of `unused` may be there, of which nothing came back.
    begun: bool,
}

impl<F: NorFlash> Counter<F> {
    /// The counter of the key with this public name. Nothing is read yet.
    pub fn new(flash: F, sectors: Sectors, key: KeyId) -> Self {
        Self { log: Log::new(flash, sectors, key), unused: None, kept: false, begun: false }
    }

    /// Begins the counter of a page that was never used, in place of another key's: erases the
    /// sectors. After a power cut it may be called again.
    ///
    /// # Errors
    /// [`StoreError::KeyUsed`], and [`StoreError::Begun`] if the key has its counter here already;
    /// [`StoreError`] of the flash.
    pub async fn create(flash: F, sectors: Sectors, page: &KeyPage) -> Result<Self, StoreError> {
        if page.used() {
            return Err(StoreError::KeyUsed);
        }
        let mut counter = Self::new(flash, sectors, page.key_id());
        counter.log.begin(page.counter_start(), &[]).await?;
        (counter.unused, counter.kept) = (Some(page.counter_start()), true);
        Ok(counter)
    }

    /// The lowest number that was not used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unused(&mut self) -> Result<u64, StoreError> {
        let unused = match self.unused {
            Some(unused) => unused,
            None => {
                let newest = self.log.newest().await?;
                self.kept = newest.lost == 0;
                let skipped = (u64::from(ORDER_SESSIONS) + 1).saturating_mul(newest.lost.into());
                newest.number.checked_add(skipped).ok_or(StoreError::Exhausted)?
            }
        };
        self.unused = Some(unused);
        if self.kept {
            return Ok(unused);
        }
        // Numbers of the log only rise: the newest is the highest, whatever is lost of it.
        let unused = unused.checked_add(u64::from(self.begun)).ok_or(StoreError::Exhausted)?;
        (self.unused, self.begun) = (Some(unused), true);
        self.log.append(unused, &[]).await?;
        self.kept = true;
        Ok(unused)
    }

    /// Records `number`, and every one below it, as used. If this fails, the number is not given
    /// again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record(&mut self, number: u64) -> Result<(), StoreError> {
        if number < self.unused().await? {
            return Err(StoreError::AlreadyUsed);
        }
        let unused = number.checked_add(1).ok_or(StoreError::Exhausted)?;
        (self.unused, self.kept, self.begun) = (Some(unused), false, true);
        self.log.append(unused, &[]).await?;
        self.kept = true;
        Ok(())
    }
}

impl<F> fmt::Debug for Counter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("unused", &self.unused).finish_non_exhaustive()
    }
}

impl<F: NorFlash> SessionCounter for Counter<F> {
    async fn next(&mut self) -> Result<u64, CounterError> {
        self.unused().await.map_err(log)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.record(session).await.map_err(log)
    }
}

/// Sessions know one error; what happened, and what to do, goes to the log.
fn log(error: StoreError) -> CounterError {
    // Where there is a logger: on a device.
    #[cfg(all(feature = "defmt", target_os = "none"))]
    defmt::error!("{}", defmt::Display2Format(&error));
    let _ = error;
    CounterError
}
