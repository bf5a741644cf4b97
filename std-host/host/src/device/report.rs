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
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use sharelet_core::ring::Ring;

use super::{DeviceError, Inference};
use sharelet_link::Counts;
use sharelet_link::files::{private_file, temporary_beside};

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

/// A file of its owner alone, in the place of one that was there. It has answers: a link would lead
/// them where somebody else wants them.
fn begin(path: &Path) -> io::Result<File> {
    // A pipe, a terminal, or what stands for nothing; also by a link, as /dev/stdout is one.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return private_file().open(path);
    }
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        let why = format!("{} is a link; name the file itself", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let (temporary, file) = temporary_beside(path).map_err(|error| error.source)?;
    fs::rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    Ok(file)
}

impl Report {
    /// A new report file.
    ///
    /// # Errors
    /// What the system says, or that there is a link.
    pub fn create(path: Option<&Path>) -> io::Result<Self> {
        let mut report = Self(path.map(begin).transpose()?);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers are their owner's to read, whatever lay there before.
    #[cfg(unix)]
    #[test]
    fn a_report_is_private_and_follows_no_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let [path, other, link] = ["report", "other", "link"].map(|name| folder.path().join(name));
        fs::write(&path, "of before, for all to read").expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("sets");
        drop(Report::create(Some(&path)).expect("creates"));
        assert_eq!(fs::read_to_string(&path).expect("reads"), "boot board=native\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::write(&other, "of somebody else").expect("writes");
        symlink(&other, &link).expect("links");
        let refused = Report::create(Some(&link)).expect_err("is a link").to_string();
        assert!(refused.contains("is a link"), "{refused}");
        assert_eq!(fs::read_to_string(&other).expect("reads"), "of somebody else");
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 3);
        Report::create(Some(Path::new("/dev/null"))).expect("a device is written to");
    }
}
