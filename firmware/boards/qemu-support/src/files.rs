//! The PC's files in place of a sensor and of a flash page.

use core::fmt;

use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom, Write};
use sharelet_core::keystream::KeyId;
#[cfg(all(feature = "device", not(feature = "large")))]
use sharelet_firmware::board::NoRoom;
use sharelet_firmware::board::{
    CounterError, InstructionMeter, NoRandom, Random, Sensor, SessionCounter,
};
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES, PageError};

/// Why a file did not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum FileError {
    /// The file of readings is not made of rows of the network's input width.
    NotRows,
    /// All readings were used.
    Exhausted,
    /// The counter file is not 16 bytes long.
    NotACounter,
    /// The counter file is that of another key.
    OtherCounter,
    /// The last session number was used.
    CounterExhausted,
    /// The session number to record was used before.
    AlreadyUsed,
    /// The PC reported an error.
    Io,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRows => {
                "inputs=PATH is not made of rows of the network's input width; write it for this \
                 model"
            }
            Self::Exhausted => "inputs=PATH has no further reading; ask for fewer with count=",
            Self::NotACounter => {
                "counter=PATH is not 16 bytes long; name the file that `sharelet provision` made"
            }
            Self::OtherCounter => {
                "counter=PATH is the counter of another key; name the one of this device's key"
            }
            Self::CounterExhausted => {
                "the last session number was used; provision the device with a new key"
            }
            Self::AlreadyUsed => {
                "the host granted a session number that was used before; restore the host's newest \
                 state"
            }
            Self::Io => "the PC reports an error on a file; check that it is readable and writable",
        })
    }
}

/// Readings from a file of little-endian `f32` rows.
#[derive(Debug)]
pub struct FileSensor {
    file: File,
}

impl FileSensor {
    /// Reads from the beginning of `file`.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file }
    }

    /// The next row.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn next_row(&mut self, features: &mut [f32]) -> Result<(), FileError> {
        let length = self.file.metadata().map_err(|_| FileError::Io)?.len();
        if length % (features.len() as u64 * 4) != 0 {
            return Err(FileError::NotRows);
        }
        let mut bytes = [0; 256];
        for piece in features.chunks_mut(bytes.len() / 4) {
            let bytes = &mut bytes[..piece.len() * 4];
            self.file.read_exact(bytes).map_err(|_| FileError::Exhausted)?;
            for (value, word) in piece.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*word);
            }
        }
        Ok(())
    }
}

impl Sensor for FileSensor {
    type Error = FileError;

    async fn read(&mut self, features: &mut [f32]) -> Result<(), FileError> {
        self.next_row(features)
    }
}

/// The session counter in a file of 16 bytes, as `sharelet device` keeps it on a PC: the lowest
/// number not used, and the public name of the key that it counts for.
#[derive(Debug)]
pub struct FileCounter {
    file: File,
    key: KeyId,
}

impl FileCounter {
    /// Counts in `file` for the key of this name.
    #[must_use]
    pub fn new(file: File, key: KeyId) -> Self {
        Self { file, key }
    }
}

impl FileCounter {
    fn unused(&mut self) -> Result<u64, FileError> {
        let (mut unused, mut key) = ([0; 8], [0; 8]);
        if self.file.metadata().map_err(io)?.len() != 16 {
            return Err(FileError::NotACounter);
        }
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.file.read_exact(&mut unused).map_err(io)?;
        self.file.read_exact(&mut key).map_err(io)?;
        if self.key != key {
            return Err(FileError::OtherCounter);
        }
        Ok(u64::from_le_bytes(unused))
    }

    fn record(&mut self, session: u64) -> Result<(), FileError> {
        if session < self.unused()? {
            return Err(FileError::AlreadyUsed);
        }
        let next = session.checked_add(1).ok_or(FileError::CounterExhausted)?;
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.file.write_all(&next.to_le_bytes()).map_err(io)?;
        self.file.flush().map_err(io)
    }
}

impl SessionCounter for FileCounter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        self.unused().map_err(log)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.record(session).map_err(log)
    }
}

fn io(_: semihosting::io::Error) -> FileError {
    FileError::Io
}

/// Sessions know one error; what happened, and what to do, goes to the log.
fn log(error: FileError) -> CounterError {
    defmt::error!("{}", defmt::Display2Format(&error));
    CounterError
}

/// Where the key page is in flash.
#[derive(Clone, Copy, Debug)]
pub struct PageAt {
    address: usize,
}

impl PageAt {
    /// The page at `address`.
    ///
    /// # Safety
    /// [`PAGE_BYTES`] bytes at `address` must be readable memory that nothing writes to.
    #[must_use]
    pub const unsafe fn at(address: usize) -> Self {
        Self { address }
    }

    /// Reads the page.
    ///
    /// # Errors
    /// [`PageError`].
    pub fn read(self) -> Result<KeyPage, PageError> {
        let mut page = [0; PAGE_BYTES];
        for (to, from) in page.iter_mut().zip(self.address..) {
            // SAFETY: `at` made its caller promise this. The read is volatile because a programmer,
            // not the compiler, put the bytes there.
            *to = unsafe { (from as *const u8).read_volatile() };
        }
        KeyPage::parse(&page)
    }
}

/// Where masked weights are kept.
#[cfg(all(feature = "device", feature = "large"))]
pub(crate) type Kept = &'static mut [u32];
/// Nowhere.
#[cfg(all(feature = "device", not(feature = "large")))]
pub(crate) type Kept = NoRoom;

/// RAM beyond the board's memory map.
#[derive(Clone, Copy, Debug)]
// Where nothing is kept, nobody asks where.
#[cfg_attr(not(all(feature = "device", feature = "large")), allow(dead_code))]
pub struct RoomAt {
    address: usize,
    words: usize,
}

impl RoomAt {
    /// The board has nothing but its memory map.
    pub const NONE: Self = Self { address: 0, words: 0 };

    /// `words` words at `address`.
    ///
    /// # Safety
    /// They must be RAM that nothing else uses, and `address` a multiple of four.
    #[must_use]
    pub const unsafe fn at(address: usize, words: usize) -> Self {
        Self { address, words }
    }

    /// There is nothing of it; `None` if something is asked for.
    #[cfg(all(feature = "device", not(feature = "large")))]
    pub(crate) fn take(self, words: usize) -> Option<Kept> {
        (words == self.words).then_some(NoRoom)
    }

    /// The first `words` of it; `None` if there are fewer. To be called once.
    #[cfg(all(feature = "device", feature = "large"))]
    pub(crate) fn take(self, words: usize) -> Option<Kept> {
        if words == 0 {
            return Some(&mut []);
        }
        let first = (words <= self.words).then_some(self.address as *mut u32)?;
        // SAFETY: `at` made its caller promise that this is memory of nobody else; whatever is in
        // it, words are. The program is begun once.
        Some(unsafe { core::slice::from_raw_parts_mut(first, words) })
    }
}

/// Random bytes of the PC that runs the emulator, for which there is no other source. A real board
/// has a generator of its own.
#[derive(Debug)]
pub struct PcRandom {
    file: File,
}

impl PcRandom {
    /// Reads from `file`: the PC's `/dev/urandom`, or bytes that are used for one start alone.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file }
    }
}

impl Random for PcRandom {
    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        self.file.read_exact(bytes).map_err(|_| NoRandom)
    }
}

/// Instructions executed, from virtual time less the time slept.
#[derive(Clone, Copy, Debug)]
pub struct VirtualTime;

impl InstructionMeter for VirtualTime {
    fn instructions(&self) -> u64 {
        crate::clock::busy_instructions()
    }
}
