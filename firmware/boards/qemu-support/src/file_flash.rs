//! A file of the PC in place of flash.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom, Write};
use sharelet_firmware::flash::Sectors;

#[cfg(feature = "cuts")]
use crate::power::{self, reaching};

const SECTOR_BYTES: usize = 1024;
/// All of it.
pub const SECTORS: Sectors = Sectors { first: 0, count: 2 };

/// Flash with sectors of 1 KB.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
}

impl FileFlash {
    /// Keeps what is written in `file`.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file }
    }

    fn at(&mut self, offset: u32) -> Result<&mut File, NorFlashErrorKind> {
        self.file.seek(SeekFrom::Start(offset.into())).map_err(io)?;
        Ok(&mut self.file)
    }
}

/// All of them, where the power does not fail.
#[cfg(not(feature = "cuts"))]
fn reaching(bytes: usize) -> usize {
    bytes
}

fn io(_: semihosting::io::Error) -> NorFlashErrorKind {
    NorFlashErrorKind::Other
}

impl ErrorType for FileFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        // What is behind the end was never written.
        bytes.fill(0xFF);
        let (file, mut read) = (self.at(offset)?, 0);
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).map_err(io)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        SECTORS.count as usize * SECTOR_BYTES
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let whole = (to - from) as usize;
        let erased = reaching(whole);
        let file = self.at(from)?;
        for begin in (0..erased).step_by(32) {
            let piece = (erased - begin).min(32);
            file.write_all(&[0xFF; 32][..piece]).map_err(io)?;
        }
        file.flush().map_err(io)?;
        #[cfg(feature = "cuts")]
        if erased < whole {
            power::cut();
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let written = reaching(bytes.len());
        let file = self.at(offset)?;
        file.write_all(&bytes[..written]).map_err(io)?;
        #[cfg(feature = "cuts")]
        if let Some(next) = bytes.get(written) {
            file.write_all(&[power::torn(*next)]).map_err(io)?;
            power::cut();
        }
        file.flush().map_err(io)
    }
}
