//! A flash that loses its power.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// How words answer that were written in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// With what is in them.
    Plain,
    /// With an error, as with error correction.
    Corrected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Erased,
    Written,
    /// Written in part, or erased in part: not to be written before it is erased.
    Torn,
}

/// A flash with words of `WORD` bytes and sectors of `SECTOR`. Its power ends after so many bytes
/// written or erased.
#[derive(Clone, Debug)]
pub struct Chip<const WORD: usize, const SECTOR: usize = 128> {
    bytes: Vec<u8>,
    states: Vec<State>,
    words: Words,
    pub power: usize,
    /// Whether it then comes back: an error of the flash, and no more.
    pub recovers: bool,
    /// How many writes fail, whatever the power.
    pub worn: u32,
    /// How often each sector was erased.
    pub erased: Vec<u32>,
}

impl<const WORD: usize, const SECTOR: usize> Chip<WORD, SECTOR> {
    pub fn new(words: Words, sectors: usize) -> Self {
        let bytes = vec![0xFF; sectors * SECTOR];
        let states = vec![State::Erased; bytes.len() / WORD];
        Self {
            bytes,
            states,
            words,
            power: usize::MAX,
            recovers: false,
            worn: 0,
            erased: vec![0; sectors],
        }
    }

    /// The same, with so much power.
    pub fn with_power(&self, power: usize) -> Self {
        Self { power, ..self.clone() }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the words of these bytes unreadable.
    pub fn lose(&mut self, from: usize, to: usize) {
        self.bytes[from..to].fill(0x5A);
        self.states[from / WORD..to / WORD].fill(State::Torn);
    }

    fn spend(&mut self) -> bool {
        let spent = self.power.checked_sub(1);
        self.power = spent.unwrap_or(if self.recovers { usize::MAX } else { 0 });
        spent.is_some()
    }
}

impl<const WORD: usize, const SECTOR: usize> ErrorType for Chip<WORD, SECTOR> {
    type Error = NorFlashErrorKind;
}

impl<const WORD: usize, const SECTOR: usize> ReadNorFlash for Chip<WORD, SECTOR> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let from = offset as usize;
        let states = &self.states[from / WORD..(from + bytes.len()).div_ceil(WORD)];
        if self.words == Words::Corrected && states.contains(&State::Torn) {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.copy_from_slice(&self.bytes[from..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WORD: usize, const SECTOR: usize> NorFlash for Chip<WORD, SECTOR> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let (from, to) = (from as usize, to as usize);
        assert_eq!((from % SECTOR, to - from), (0, SECTOR));
        self.erased[from / SECTOR] += 1;
        for at in from..to {
            if !self.spend() {
                // Words that look erased are no more so than the others.
                self.states[from / WORD..to / WORD].fill(State::Torn);
                return Err(NorFlashErrorKind::Other);
            }
            self.bytes[at] = 0xFF;
        }
        self.states[from / WORD..to / WORD].fill(State::Erased);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        assert_eq!((offset as usize % WORD, bytes.len() % WORD), (0, 0));
        for (word, bytes) in (offset as usize / WORD..).zip(bytes.chunks(WORD)) {
            assert_eq!(self.states[word], State::Erased, "word {word} was written twice");
            if let Some(worn) = self.worn.checked_sub(1) {
                self.worn = worn;
                self.lose(word * WORD, (word + 1) * WORD);
                return Err(NorFlashErrorKind::Other);
            }
            for (at, byte) in (word * WORD..).zip(bytes) {
                if !self.spend() {
                    // Some bits of the byte are there; a word in which none is was not written.
                    self.bytes[at] = byte | 0x3C;
                    let written = self.bytes[word * WORD..=at].iter().any(|&byte| byte != 0xFF);
                    self.states[word] = if written { State::Torn } else { State::Erased };
                    return Err(NorFlashErrorKind::Other);
                }
                self.bytes[at] = *byte;
            }
            self.states[word] = State::Written;
        }
        Ok(())
    }
}
