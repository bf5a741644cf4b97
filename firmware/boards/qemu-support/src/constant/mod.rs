//! Counts the instructions of the device's side on secrets of every kind: whole sessions over
//! channels with a host in the same program, handshakes, records, readings.
//!
//! There is no network, no interrupt and no sleep, so that a count depends on the code and its
//! inputs alone. Of every part the least and the most are reported; they are the same number,
//! unless the time tells of a secret. One part leaks on purpose, so that this is seen to be seen.

mod counts;
mod exact;
mod keystreams;
mod line;
mod parties;
mod secrets;

use core::hint::black_box;

use semihosting::process;
use sharelet_core::encode_or_zero;

use crate::args::Args;
use crate::report::Report;
use counts::{Counts, PART_NAMES, Part};
pub use exact::{Board, start};
use parties::Handshake;
pub use parties::Memory;
use secrets::{FRAC_BITS, INPUTS, LIMIT, Secrets};

/// Counts, reports and ends the emulator.
pub fn run(board: &str, memory: &'static mut Memory) -> ! {
    let (args, mut report) = match Args::read() {
        Ok(read) => read,
        Err((mut report, text)) => report.fail("Arguments", &text),
    };
    report.boot(board);
    let counts = &Counts::new();
    for trial in 0..args.count {
        exact::feed();
        let secrets = &mut Secrets::new(trial.into());
        readings(counts, secrets, trial);
        if let Err(text) = parties::session(counts, memory, secrets, trial) {
            report.fail("Session", &text);
        }
        if let Err(text) = parties::records(counts, secrets) {
            report.fail("Record", &text);
        }
    }
    report_counts(counts, &mut report);
    for handshake in Handshake::ALL {
        let counts = &Counts::new();
        exact::feed();
        let sizes = parties::handshake(&Counts::new(), handshake, &mut Secrets::new(0), true);
        let sizes = match sizes {
            Ok(sizes) => sizes,
            Err(text) => report.fail("Handshake", &text),
        };
        for trial in 0..args.handshakes {
            exact::feed();
            let secrets = &mut Secrets::new(trial.into());
            if let Err(text) = parties::handshake(counts, handshake, secrets, false) {
                report.fail("Handshake", &text);
            }
        }
        let (least, most) = counts.of(Part::Handshake);
        report.line(format_args!(
            "handshake pattern={} count={} least={least} most={most} bytes_up={} bytes_down={} \
             stack_bytes={} state_bytes={}",
            handshake.name(),
            args.handshakes,
            sizes.up_bytes,
            sizes.down_bytes,
            sizes.stack_bytes,
            sizes.state_bytes,
        ));
    }
    report.line(format_args!(
        "record bytes={} channel_bytes={}",
        parties::RECORD_BYTES,
        parties::channel_bytes()
    ));
    exact::feed();
    keystreams::count(&mut report);
    report.line(format_args!("done count={}", args.count));
    process::exit(0)
}

fn report_counts(counts: &Counts, report: &mut Report) {
    for (part, name) in PART_NAMES {
        let (least, most) = counts.of(part);
        report.line(format_args!("part name={name} least={least} most={most}"));
    }
}

/// A reading becomes words, whatever is in it; and the leak.
fn readings(counts: &Counts, secrets: &mut Secrets, trial: u32) {
    let reading = secrets.reading(trial);
    let mut words = [0_u32; INPUTS];
    let mut fits = Ok(());
    counts.measure(Part::Empty, || black_box(&reading).len());
    counts.measure(Part::Encode, || {
        fits = encode_or_zero(black_box(&reading), FRAC_BITS, LIMIT, &mut words);
    });
    counts.measure(Part::Leak, || leak(black_box(&words)));
}

/// A branch on a secret. Without the black boxes the compiler would make none of it.
fn leak(words: &[u32]) -> u32 {
    let mut sum = 0;
    for word in words {
        if word.cast_signed() > 0 {
            sum = black_box(sum) + black_box(*word);
        }
    }
    sum
}
