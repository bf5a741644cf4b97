//! Memory that programs hold, sampled as a run goes on.

use std::fs;

/// The resident set of a program that runs, in bytes.
pub(crate) fn resident_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("the system says what it holds") * 1024
}

/// Samples of several programs, each with how far the run had come, from 0 to 1.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<(f64, Vec<u64>)>);

impl Samples {
    /// Takes one of each program.
    pub(crate) fn take(&mut self, progress: f64, ids: &[u32]) {
        self.0.push((progress, ids.iter().map(|id| resident_bytes(*id)).collect()));
    }

    /// The median of a program's samples between two points of the run, or of all if there is none.
    fn median(&self, program: usize, from: f64, to: f64) -> u64 {
        let of = |inside: &dyn Fn(f64) -> bool| {
            let samples = self.0.iter().filter(|(progress, _)| inside(*progress));
            let mut bytes: Vec<u64> =
                samples.filter_map(|(_, bytes)| bytes.get(program).copied()).collect();
            bytes.sort_unstable();
            bytes.get(bytes.len() / 2).copied()
        };
        of(&|progress| (from..=to).contains(&progress)).or_else(|| of(&|_| true)).unwrap_or(0)
    }

    /// What each program held after the first tenth, and at the end, in bytes.
    pub(crate) fn first_and_last(&self) -> Vec<(u64, u64)> {
        let programs = self.0.first().map_or(0, |(_, bytes)| bytes.len());
        (0..programs)
            .map(|program| (self.median(program, 0.1, 0.15), self.median(program, 0.95, 1.0)))
            .collect()
    }

    /// The most that all held together, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes.iter().sum()).max().unwrap_or(0)
    }
}
