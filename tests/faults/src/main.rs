//! `sharelet-faults RUNS [FIGURES]`: so many runs, and what became of them, also as figures of a
//! benchmark.

use std::process::ExitCode;

use sharelet_faults::runs::Runs;

/// The seed of the first run.
const FIRST: u64 = 1;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(count) = args.next().and_then(|count| count.parse().ok()) else {
        eprintln!("sharelet-faults RUNS [FIGURES]");
        return ExitCode::from(2);
    };
    let tally = Runs::new().all(FIRST, count);
    println!("{tally:#?}");
    let figures = [
        ("runs", tally.runs),
        ("wrong", tally.wrong),
        ("hung", tally.hung),
        ("panics", tally.panics),
        ("changed_without_channel", tally.changed),
    ];
    let rows = figures.map(|(name, value)| {
        format!("{{\"name\": \"faults/{name}\", \"value\": {value}, \"unit\": \"runs\"}}")
    });
    if let Some(path) = args.next()
        && let Err(error) = std::fs::write(&path, format!("[{}]\n", rows.join(",\n")))
    {
        eprintln!("{path}: {error}");
        return ExitCode::FAILURE;
    }
    if tally.wrong + tally.hung + tally.panics > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
