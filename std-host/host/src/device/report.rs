//! The report: one line of text per event, for the program that started the device; the firmware
//! writes the same.
//!
//! ```text
//! boot board=native
//! session number=N prepare_us=T bytes_up=A bytes_down=B round_trips=R
//! answer index=K bytes_up=A bytes_down=B round_trips=R online_us=T values=v0,v1,... frac_bits=F
//! error NAME: text
//! done count=N
//! ```

use core::fmt::{self, Display};
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use sharelet_core::ring::Ring;

use super::{DeviceError, Inference};
use sharelet_link::Counts;
use sharelet_link::files::private_file;

/// Words of a ring as signed integers with commas between them.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a, R>(pub &'a [R]);

impl<R: Ring> Display for Values<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, value)| {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", value.to_i64())
        })
    }
}

/// A report file, or none.
#[derive(Debug, Default)]
pub struct Report(Option<File>);

impl Report {
    /// A new report file.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: Option<&Path>) -> io::Result<Self> {
        let mut report = Self(path.map(|path| private_file().open(path)).transpose()?);
        report.line(format_args!("boot board=native"))?;
        Ok(report)
    }

    fn line(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.write_all(format!("{line}\n").as_bytes()))
    }

    /// A session is prepared.
    ///
    /// # Errors
    /// What the system says; so below.
    pub fn prepared(&mut self, session: u64, traffic: Counts, took: Duration) -> io::Result<()> {
        let Counts { sent_bytes, received_bytes, round_trips } = traffic;
        let took = took.as_micros();
        self.line(format_args!(
            "session number={session} prepare_us={took} bytes_up={sent_bytes} \
             bytes_down={received_bytes} round_trips={round_trips}"
        ))
    }

    /// A reading is inferred.
    ///
    /// # Errors
    /// What the system says.
    pub fn answer(&mut self, inference: &Inference<'_>) -> io::Result<()> {
        let Counts { sent_bytes, received_bytes, round_trips } = inference.traffic;
        let (index, took, frac_bits) =
            (inference.index, inference.took.as_micros(), inference.frac_bits);
        let values = Values(inference.values);
        self.line(format_args!(
            "answer index={index} bytes_up={sent_bytes} bytes_down={received_bytes} \
             round_trips={round_trips} online_us={took} values={values} frac_bits={frac_bits}"
        ))
    }

    /// Something failed.
    ///
    /// # Errors
    /// What the system says.
    pub fn failed(&mut self, error: &DeviceError) -> io::Result<()> {
        self.line(format_args!("error {}: {error}", error.name()))
    }

    /// Everything is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn done(&mut self, count: usize) -> io::Result<()> {
        self.line(format_args!("done count={count}"))
    }
}
