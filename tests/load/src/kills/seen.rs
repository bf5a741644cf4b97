//! Numbers that were seen in use, in reports and logs.

use std::collections::{BTreeSet, HashSet};

/// What a program's log and a device's report name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    names: HashSet<String>,
    /// Sessions that a device has taken.
    pub(super) taken: BTreeSet<u64>,
    /// Sessions that were evaluated.
    pub(super) evaluated: BTreeSet<u64>,
    /// Queries that were evaluated, by either server.
    pub(super) queries: HashSet<String>,
    /// Halves of a store that were spent.
    pub(super) halves: u64,
    /// What was seen twice.
    pub(super) twice: Vec<String>,
}

/// The word behind `key` in a line.
fn after<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split_once(key)?.1.split_whitespace().next()
}

impl Seen {
    fn once(&mut self, name: String) {
        if !self.names.insert(name.clone()) {
            self.twice.push(name);
        }
    }

    /// Takes in the report of a device.
    pub(super) fn report(&mut self, text: &str) {
        let numbers = text.lines().filter_map(|line| after(line, "session number="));
        for session in numbers.filter_map(|number| number.parse().ok()) {
            self.once(format!("session {session} of the device"));
            self.taken.insert(session);
        }
    }

    /// Takes in the log of a program, which is whole: the program has ended.
    pub(super) fn log(&mut self, program: &str, text: &str) {
        for line in text.lines() {
            if line.contains(" spends half ") {
                let half = after(line, " spends half ").unwrap_or_default();
                self.once(format!("half {half} of a store, spent by {program}"));
                self.halves += 1;
            } else if line.contains(" evaluated ") {
                let (query, session) = (after(line, "query="), after(line, "session="));
                if let Some(session) = session.and_then(|session| session.parse().ok()) {
                    self.once(format!("session {session}, evaluated by {program}"));
                    self.evaluated.insert(session);
                } else if let Some(query) = query {
                    self.once(format!("query {query}, answered by {program}"));
                    self.queries.insert(query.to_owned());
                }
            }
            let first = after(line, "dealt sessions ").and_then(|first| first.parse::<u64>().ok());
            let last = after(line, " to ").and_then(|last| last.parse::<u64>().ok());
            if let Some((first, last)) = first.zip(last) {
                (first..=last).for_each(|session| self.once(format!("session {session}, dealt")));
            }
            let count = after(line, " deals ").and_then(|count| count.parse::<u64>().ok());
            let first = after(line, ", from ").and_then(|first| first.parse::<u64>().ok());
            if let Some((first, count)) = first.zip(count) {
                let sessions = first..first + count;
                sessions.for_each(|session| self.once(format!("session {session}, dealt")));
            }
        }
    }
}
