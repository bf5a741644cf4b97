//! The report: one line of text per event, for the program on the PC that started the board.

use core::fmt::{self, Write as _};

use semihosting::fs::File;
use semihosting::io::Write as _;
use semihosting::process;
use sharelet_firmware::board::{AnswerSink, Counts, Inference};

use crate::memory;

/// The report file, and the rule when to stop.
#[derive(Debug)]
pub struct Report {
    file: Option<File>,
    count: u32,
    used: u32,
    retries: u32,
    refused: u32,
}

impl Report {
    /// A report that nobody reads.
    #[must_use]
    pub fn new() -> Self {
        Self { file: None, count: 1, used: 0, retries: 0, refused: 0 }
    }

    /// Writes to `file`.
    #[must_use]
    pub fn to(file: File) -> Self {
        Self { file: Some(file), ..Self::new() }
    }

    /// Exits after `count` readings, or after more than `retries` failures. A reading that is
    /// refused is no failure, since the host would see the exit; but the status tells it in the
    /// end.
    pub fn stop_after(&mut self, count: u32, retries: u32) {
        self.count = count;
        self.retries = retries;
    }

    /// Writes one line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        // A report that cannot be written is found missing by whoever asked for it.
        let _ = self.write_fmt(line).and_then(|()| self.write_char('\n'));
    }

    /// The first line: which board, and what the image takes.
    pub fn boot(&mut self, board: &str) {
        let (flash, ram) = (memory::flash_bytes(), memory::static_ram_bytes());
        self.line(format_args!("boot board={board} flash_bytes={flash} static_ram_bytes={ram}"));
    }

    /// The last lines of a success; ends the emulator.
    pub fn done(&mut self, count: u32) -> ! {
        let (used, of) = memory::stack_used_and_size();
        self.line(format_args!("stack used={used} of={of}"));
        self.line(format_args!("done count={count}"));
        process::exit(0)
    }

    /// The last lines of a failure; ends the emulator.
    pub fn fail(&mut self, name: &str, text: &dyn fmt::Display) -> ! {
        self.line(format_args!("error {name}: {text}"));
        process::exit(1)
    }

    /// After the last one the emulator ends.
    fn used_a_reading(&mut self) {
        self.used += 1;
        if self.used < self.count {
            return;
        }
        match self.refused {
            0 => self.done(self.used),
            _ => self.fail(
                "Reading",
                &"readings that the model is not made for have no answer; see the errors above",
            ),
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match &mut self.file {
            Some(file) => file.write_all(text.as_bytes()).map_err(|_| fmt::Error),
            None => Ok(()),
        }
    }
}

/// Signed integers with commas between them, two's complement words as the ring has them.
pub(crate) struct Values<'a>(pub(crate) &'a [u32]);

impl fmt::Display for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", value.cast_signed())?;
        }
        Ok(())
    }
}

impl AnswerSink for Report {
    fn prepared(&mut self, session: u64, traffic: Counts, instructions: u64) {
        let Counts { sent_bytes, received_bytes, round_trips } = traffic;
        self.line(format_args!(
            "session number={session} prepare_instructions={instructions} bytes_up={sent_bytes} \
             bytes_down={received_bytes} round_trips={round_trips}"
        ));
    }

    fn answer(&mut self, inference: &Inference<'_>) {
        self.line(format_args!(
            "answer index={} bytes_up={} bytes_down={} round_trips={} online_instructions={} \
             values={} frac_bits={}",
            inference.index,
            inference.traffic.sent_bytes,
            inference.traffic.received_bytes,
            inference.traffic.round_trips,
            inference.instructions,
            Values(inference.values),
            inference.frac_bits,
        ));
        self.used_a_reading();
    }

    fn failed(&mut self, name: &'static str, reason: &dyn fmt::Display) {
        self.line(format_args!("error {name}: {reason}"));
        if name == "Reading" {
            self.refused += 1;
            return self.used_a_reading();
        }
        match self.retries.checked_sub(1) {
            Some(left) => self.retries = left,
            None => process::exit(1),
        }
    }
}
