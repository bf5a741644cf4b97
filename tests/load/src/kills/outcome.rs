//! What came of kills.

use crate::figure::Figure;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Kills of a program that was at work.
    pub points: u64,
    /// Numbers that were used twice, or that a state on the disk had forgotten.
    pub reused: u64,
    /// Readings without an answer, and training runs without a model, after all was started again.
    pub lost: u64,
    /// Answers and models that differ from the plaintext twin's.
    pub wrong: u64,
    /// Devices that gave up although everybody was there again; started again, they went on.
    pub gave_up: u64,
    /// Readings and runs that were looked at.
    pub results: u64,
    /// What was found, as text.
    pub said: Vec<String>,
}

impl Outcome {
    pub(super) fn say(&mut self, text: String) {
        println!("{text}");
        self.said.push(text);
    }

    /// All of it, named `kills/...`.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("kills/points", self.points, "kills"),
            Figure::new("kills/results", self.results, "results"),
            Figure::new("kills/reused", self.reused, "numbers"),
            Figure::new("kills/lost", self.lost, "results"),
            Figure::new("kills/wrong", self.wrong, "results"),
            Figure::new("kills/gave_up", self.gave_up, "devices"),
        ]
    }
}
