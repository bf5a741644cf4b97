//! A session counter in two sectors of NOR flash, for boards to use.
//!
//! Every number is one record, appended to a sector; a full sector is left as it is and the other
//! one erased. The record with the largest number is therefore never erased before a larger one is
//! written, and a power cut at any moment leaves the counter where it was or one further. Nothing
//! is repaired: what is not a record is passed over.
//!
//! A record takes 32 bytes. Two sectors of 128 KB with 10,000 erase cycles each last for 80 million
//! sessions, two pages of 4 KB for 2.5 million.

use core::fmt;

use embedded_storage::nor_flash::NorFlash;

use crate::board::{CounterError, SessionCounter};

const RECORD_BYTES: u32 = 32;
const ERASED: [u8; RECORD_BYTES as usize] = [0xFF; RECORD_BYTES as usize];

/// Why no number could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum FlashCounterError {
    /// The flash driver reports an error.
    Flash,
    /// What was written reads back differently.
    NotWritten,
    /// The last number was used.
    Exhausted,
    /// The number to record was used before.
    AlreadyUsed,
    /// The two sectors are not aligned, or the flash cannot write 32 bytes at a time.
    Layout,
}

impl fmt::Display for FlashCounterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flash => {
                "the session counter's flash reports an error; check that nothing else writes there"
            }
            Self::NotWritten => {
                "a session number reads back differently; the flash is worn out, use other sectors"
            }
            Self::Exhausted => {
                "the last session number was used; provision a new key, then erase the counter"
            }
            Self::AlreadyUsed => {
                "the host granted a session number that was used before; restore the host's newest \
                 state"
            }
            Self::Layout => {
                "the counter's sectors are not aligned, or the flash cannot write 32 bytes; \
                 correct the board"
            }
        })
    }
}

/// The counter. Erase both sectors when, and only when, a new key is provisioned.
#[derive(Debug)]
pub struct FlashCounter<F> {
    flash: F,
    first: u32,
    sector_bytes: u32,
    place: Option<Place>,
}

/// The last number used, and where the next record goes.
#[derive(Clone, Copy, Debug)]
struct Place {
    used: u64,
    sector: u32,
    offset: u32,
}

impl<F: NorFlash> FlashCounter<F> {
    /// Counts in two neighbouring sectors that begin `first` bytes into the flash.
    pub fn new(flash: F, first: u32) -> Self {
        let sector_bytes = u32::try_from(F::ERASE_SIZE).unwrap_or(0);
        Self { flash, first, sector_bytes, place: None }
    }

    fn used(&mut self) -> Result<u64, FlashCounterError> {
        let place = match self.place {
            Some(place) => place,
            None => self.find()?,
        };
        self.place = Some(place);
        Ok(place.used)
    }

    fn record(&mut self, session: u64) -> Result<(), FlashCounterError> {
        if session <= self.used()? {
            return Err(FlashCounterError::AlreadyUsed);
        }
        // Forgotten until the record is known to be there, so that an error leads to a fresh look
        // at the flash.
        let Some(mut place) = self.place.take() else { return Err(FlashCounterError::Flash) };
        if place.offset + RECORD_BYTES > self.sector_bytes {
            place.sector ^= 1;
            place.offset = 0;
            let start = self.address(place);
            self.flash
                .erase(start, start + self.sector_bytes)
                .map_err(|_| FlashCounterError::Flash)?;
        }
        place.used = session;
        let bytes = encode(session);
        self.flash.write(self.address(place), &bytes).map_err(|_| FlashCounterError::Flash)?;
        if self.read(place)? != bytes {
            return Err(FlashCounterError::NotWritten);
        }
        place.offset += RECORD_BYTES;
        self.place = Some(place);
        Ok(())
    }

    /// Looks for the largest number, and for the end of what was written in its sector.
    fn find(&mut self) -> Result<Place, FlashCounterError> {
        let aligned = self.sector_bytes != 0 && self.first.is_multiple_of(self.sector_bytes);
        if !aligned || !(RECORD_BYTES as usize).is_multiple_of(F::WRITE_SIZE) {
            return Err(FlashCounterError::Layout);
        }
        let mut found = Place { used: 0, sector: 0, offset: 0 };
        for sector in 0..2 {
            let mut written = Place { used: 0, sector, offset: 0 };
            let mut offset = 0;
            while offset + RECORD_BYTES <= self.sector_bytes {
                let bytes = self.read(Place { offset, ..written })?;
                offset += RECORD_BYTES;
                if bytes != ERASED {
                    written.offset = offset;
                    written.used = written.used.max(decode(&bytes).unwrap_or(0));
                }
            }
            if written.used > found.used || sector == 0 {
                found = written;
            }
        }
        Ok(found)
    }

    fn address(&self, place: Place) -> u32 {
        self.first + place.sector * self.sector_bytes + place.offset
    }

    fn read(&mut self, place: Place) -> Result<[u8; RECORD_BYTES as usize], FlashCounterError> {
        let mut bytes = ERASED;
        self.flash.read(self.address(place), &mut bytes).map_err(|_| FlashCounterError::Flash)?;
        Ok(bytes)
    }
}

impl<F: NorFlash> SessionCounter for FlashCounter<F> {
    async fn next(&mut self) -> Result<u64, CounterError> {
        self.used()
            .and_then(|used| used.checked_add(1).ok_or(FlashCounterError::Exhausted))
            .map_err(log)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.record(session).map_err(log)
    }
}

/// Sessions know one error; what happened, and what to do, goes to the log.
fn log(error: FlashCounterError) -> CounterError {
    defmt::error!("{}", defmt::Display2Format(&error));
    CounterError
}

/// The number, its complement, both again.
fn encode(number: u64) -> [u8; RECORD_BYTES as usize] {
    let mut bytes = ERASED;
    for (index, chunk) in bytes.as_chunks_mut().0.iter_mut().enumerate() {
        *chunk = if index % 2 == 0 { number.to_le_bytes() } else { (!number).to_le_bytes() };
    }
    bytes
}

fn decode(bytes: &[u8; RECORD_BYTES as usize]) -> Option<u64> {
    let number = u64::from_le_bytes(*bytes.first_chunk()?);
    (encode(number) == *bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};

    use super::*;

    const SECTOR: usize = 256;

    /// Two sectors that lose power after so many bytes written or erased.
    struct Flash {
        bytes: [u8; 2 * SECTOR],
        power: usize,
    }

    impl Flash {
        fn spend(&mut self) -> Result<(), NorFlashErrorKind> {
            self.power = self.power.checked_sub(1).ok_or(NorFlashErrorKind::Other)?;
            Ok(())
        }
    }

    impl ErrorType for &mut Flash {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for &mut Flash {
        const READ_SIZE: usize = 1;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
            Ok(())
        }
        fn capacity(&self) -> usize {
            2 * SECTOR
        }
    }

    impl NorFlash for &mut Flash {
        const WRITE_SIZE: usize = 32;
        const ERASE_SIZE: usize = SECTOR;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            for index in from as usize..to as usize {
                self.spend()?;
                self.bytes[index] = 0xFF;
            }
            Ok(())
        }
        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            for (index, byte) in bytes.iter().enumerate() {
                self.spend()?;
                let cell = &mut self.bytes[offset as usize + index];
                assert_eq!(*cell, 0xFF, "a flash word was written twice");
                *cell = *byte;
            }
            Ok(())
        }
    }

    /// Takes the next number, as the device task does.
    fn take(counter: &mut FlashCounter<&mut Flash>) -> Result<u64, FlashCounterError> {
        let next = counter.used()? + 1;
        counter.record(next).map(|()| next)
    }

    #[test]
    fn counts_over_many_sectors_and_restarts() {
        let mut flash = Flash { bytes: [0xFF; 2 * SECTOR], power: usize::MAX };
        for expected in 1..100 {
            assert_eq!(take(&mut FlashCounter::new(&mut flash, 0)), Ok(expected));
        }
        let mut counter = FlashCounter::new(&mut flash, 0);
        for expected in 100..200 {
            assert_eq!(take(&mut counter), Ok(expected));
        }
        assert_eq!(counter.record(199), Err(FlashCounterError::AlreadyUsed));
        assert_eq!(counter.record(1000), Ok(()));
        assert_eq!(take(&mut counter), Ok(1001));
    }

    #[test]
    fn no_number_is_handed_out_twice_wherever_the_power_is_cut() {
        for power in 0..3000 {
            let mut flash = Flash { bytes: [0xFF; 2 * SECTOR], power };
            let mut last = 0;
            while let Ok(number) = take(&mut FlashCounter::new(&mut flash, 0)) {
                last = number;
            }
            flash.power = usize::MAX;
            let next = take(&mut FlashCounter::new(&mut flash, 0));
            assert!(
                next.is_ok_and(|next| next > last),
                "after {power} bytes: {last}, then {next:?}"
            );
        }
    }
}
