//! Which values are allowed.

use super::error::FieldError;
use super::fields::{Config, Data, FRAC_BITS, HeldOut, MAX_BATCH, Schedule, Training};
use crate::network::{Layer, Loss, NORM_LARGEST_WEIGHT};

/// Steps, epochs and intervals, at most.
const MAX_COUNT: usize = 1 << 31;
/// Least and most of a learning rate, also at the end of a schedule (where it may be 0).
const RATES: core::ops::RangeInclusive<f64> = 1e-9..=1e3;

impl Config {
    /// Checks all values.
    ///
    /// # Errors
    /// The first field that is not allowed, and what is.
    pub fn validate(&self) -> Result<(), FieldError> {
        self.data.validate()?;
        self.model.validate()?;
        self.training.validate()?;
        let bits = self.arithmetic.frac_bits;
        let reason = "16 to 24: with fewer nothing is learned, with more there is no room before \
                      the point; 20 is usual";
        ensure(FRAC_BITS.contains(&bits), "arithmetic.frac_bits", &bits, reason)?;
        let loss = self.model.network(None)?.loss;
        if matches!(loss, Loss::CrossEntropy | Loss::Logistic) {
            let reason = format!(
                "16 or 20: the {loss:?} loss takes exponentials and logarithms from tables, which \
                 there are for these"
            );
            ensure([16, 20].contains(&bits), "arithmetic.frac_bits", &bits, &reason)?;
        }
        count("checkpoint.every", self.checkpoint.every, MAX_COUNT)?;
        let keep = self.checkpoint.keep;
        let reason = "2 to 1000: a server that crashes may be a checkpoint behind the other";
        ensure((2..=1000).contains(&keep), "checkpoint.keep", &keep, reason)?;
        if let Some(model) = &self.open.model {
            name("open.model.to", &model.to)?;
        }
        // What is before the point of a product of two values: 64 bits less the sign, one bit of
        // head-room, twice the fraction.
        let (limit, most) = (self.stop.largest_weight, f64::from(1_u32 << (62 - 2 * bits)));
        let normalises = self.model.network(None)?.layers.contains(&Layer::BatchNorm);
        let (most, also) = match normalises {
            true => (most.min(NORM_LARGEST_WEIGHT), " and a batch normalisation"),
            false => (most, ""),
        };
        let reason = format!("above 0, at most {most} (with {bits} fraction bits{also})");
        ensure(limit > 0.0 && limit <= most, "stop.largest_weight", &limit, &reason)
    }
}

impl Data {
    fn validate(&self) -> Result<(), FieldError> {
        name("data.train", &self.train)?;
        if let Some(test) = &self.test {
            name("data.test", test)?;
            let reason = "another data set than `data.train`, or `held_out`";
            ensure(*test != self.train, "data.test", &test, reason)?;
            if self.held_out.is_some() {
                let reason = "give either `test` or `held_out`, not both";
                return Err(FieldError::new("data.held_out", reason));
            }
        }
        match self.held_out {
            None => Ok(()),
            Some(HeldOut::Rows(rows)) => count("data.held_out", rows, MAX_COUNT),
            Some(HeldOut::Fraction(part)) => {
                let reason = "a fraction above 0 and below 1 (0.1), or a number of rows without a \
                              point (1000)";
                ensure(part > 0.0 && part < 1.0, "data.held_out", &part, reason)
            }
        }
    }
}

impl Training {
    fn validate(&self) -> Result<(), FieldError> {
        count("training.epochs", self.epochs, 1_000_000)?;
        count("training.batch", self.batch, MAX_BATCH)?;
        let rate = self.learning_rate;
        ensure(RATES.contains(&rate), "training.learning_rate", &rate, "0.000000001 to 1000")?;
        for (field, part) in
            [("training.momentum", self.momentum), ("training.weight_decay", self.weight_decay)]
        {
            ensure((0.0..1.0).contains(&part), field, &part, "at least 0, below 1")?;
        }
        ensure(i64::try_from(self.seed).is_ok(), "training.seed", &self.seed, "0 to 2^63 - 1")?;
        match self.schedule {
            Schedule::Constant {} => Ok(()),
            Schedule::Step { epochs, factor } => {
                count("training.schedule.epochs", epochs, 1_000_000)?;
                let allowed = factor > 0.0 && factor <= 1.0;
                ensure(allowed, "training.schedule.factor", &factor, "above 0, at most 1")
            }
            Schedule::Cosine { last } | Schedule::Linear { last } => {
                let allowed = last == 0.0 || RATES.contains(&last);
                ensure(allowed, "training.schedule.last", &last, "0, or 0.000000001 to 1000")
            }
        }
    }
}

fn ensure(
    allowed: bool,
    field: &str,
    found: &dyn core::fmt::Display,
    what: &str,
) -> Result<(), FieldError> {
    if allowed {
        Ok(())
    } else {
        Err(FieldError::new(field, format!("{found} is not allowed; allowed is {what}")))
    }
}

fn count(field: &str, found: usize, most: usize) -> Result<(), FieldError> {
    ensure((1..=most).contains(&found), field, &found, &format!("1 to {most}"))
}

/// Names become parts of file names on the servers.
fn name(field: &str, name: &str) -> Result<(), FieldError> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let allowed =
        (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.');
    let shown = format!("{name:?}");
    ensure(allowed, field, &shown, "1 to 64 of A-Z a-z 0-9 - _ and ., with no . at the front")
}
