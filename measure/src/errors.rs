//! The largest error: over many arguments, and over the roundings that protocols leave to chance.

use core::fmt;
use std::thread;

use anyhow::{Result, ensure};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::functions::engine::Comparison;
use sharelet_core::functions::engine::twin::Rounding;
use sharelet_core::ring::Ring;

use crate::exact::{self, Element};
use crate::function::Kind;
use crate::inputs::{self, Random};
use crate::run::{Job, Room, apply};

/// The seed of random arguments and roundings.
pub const SEED: u64 = 20_261_122;
/// Elements of a batch.
const BATCH: usize = 2048;
const WORKERS: u64 = 2;
/// The most words of an operand or a result.
const MAX_COLUMNS: usize = 16;

/// How many arguments to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Words of which all are tried, one of so many.
    pub step: usize,
    /// Random words where not all are tried. Rows have several words.
    pub random: u64,
}

impl Effort {
    /// What the page states.
    pub const FULL: Self = Self { step: 1, random: 10_000_000 };

    /// Random rows of ends, of so many numbers each.
    #[must_use]
    pub const fn rows_of_ends(self, columns: usize) -> u64 {
        self.random / 10 / columns as u64
    }
}

/// The roundings of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Down,
    Up,
    Random,
}

/// The largest error that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worst {
    /// In units of the result's scale.
    pub units: f64,
    /// Elements of the domain that were tried, each with one or more choices of roundings.
    pub elements: u64,
    /// Whether these are all of the domain.
    pub all: bool,
}

impl Worst {
    fn or(self, other: Self) -> Self {
        Self {
            units: self.units.max(other.units),
            elements: self.elements + other.elements,
            all: self.all && other.all,
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} units over {} elements", self.units, self.elements)
    }
}

/// The choices that show the worst of a kind of result; for all but composed ones they are all that
/// there is to show.
const fn choices(kind: Kind) -> &'static [Choice] {
    match kind {
        Kind::Exact => &[Choice::Down],
        Kind::Rounded => &[Choice::Down, Choice::Up],
        Kind::Composed => &[Choice::Down, Choice::Up, Choice::Random],
    }
}

/// A generator for a job, a part of it, and a purpose.
fn generator(job: Job, ring_bits: u32, part: u64) -> ChaCha8Rng {
    let name = job
        .function
        .name()
        .bytes()
        .fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    ChaCha8Rng::seed_from_u64(
        SEED ^ name.wrapping_mul(1 << 20) ^ u64::from(job.frac_bits * 128 + ring_bits) << 8 ^ part,
    )
}

/// A row of the table: the largest error of a job.
///
/// # Errors
/// If the function does not exist for these fraction bits, or an exact one is not.
pub fn worst<R: Ring>(job: Job, effort: Effort) -> Result<Worst> {
    let parts: Vec<Result<Worst>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|part| scope.spawn(move || worst_of_part::<R>(job, effort, part)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker stopped")))
            .collect()
    });
    let worst =
        parts.into_iter().try_fold(Worst { all: true, ..Worst::default() }, |sum, part| {
            part.map(|part| sum.or(part))
        })?;
    ensure!(
        job.function.kind() != Kind::Exact || worst.units == 0.0,
        "{} is not exact: {worst}",
        job.function.name()
    );
    Ok(worst)
}

/// The largest error over the words from `low` to `high`, of a function of one variable.
///
/// # Errors
/// As [`worst`].
pub fn worst_between<R: Ring>(job: Job, low: i64, high: i64) -> Result<Worst> {
    let mut trial = Trial::<R>::new(job, 0);
    trial.words((low..=high).map(|x| [x, 0, 0]))?;
    trial.finish(true)
}

fn worst_of_part<R: Ring>(job: Job, effort: Effort, part: u64) -> Result<Worst> {
    let mut trial = Trial::<R>::new(job, part);
    let mine = |(place, _): &(usize, i64)| place % 2 == usize::try_from(part).unwrap_or(0);
    let shape = job.function.shape();
    let ends =
        || inputs::ends(job, R::BITS, 0).into_iter().enumerate().filter(mine).map(|(_, end)| end);
    match (shape.operands, shape.columns) {
        (1, 1) => trial.words(ends().map(|x| [x, 0, 0]))?,
        (1, columns) => {
            let mut equal = ends();
            trial
                .drawn(ends().count() as u64, |_, [row, ..]| row.fill(equal.next().unwrap_or(0)))?;
            trial.drawn(effort.rows_of_ends(columns) / WORKERS, |inputs, [row, ..]| {
                inputs.row_of_ends(row)
            })?;
        }
        _ => {
            let pairs = inputs::pairs(job, R::BITS).step_by(effort.step).enumerate();
            let pairs = pairs.filter(|(place, _)| place % 2 == usize::try_from(part).unwrap_or(0));
            let mut third = Random::new(job, R::BITS, generator(job, R::BITS, 3 * WORKERS + part));
            trial.words(pairs.map(|(_, [x, y])| [x, y, third.end()]))?;
        }
    }
    if let Some(all) = inputs::all(job, R::BITS) {
        trial.words(all.step_by(effort.step).enumerate().filter(mine).map(|(_, x)| [x, 0, 0]))?;
        if inputs::is_total(job.function) {
            trial.drawn(effort.random / 10 / WORKERS, |inputs, [x, ..]| inputs.anywhere(x))?;
        }
        return trial.finish(effort.step == 1);
    }
    trial.drawn(effort.random / WORKERS / shape.columns as u64, Random::next)?;
    trial.finish(false)
}

/// A batch that is being filled, and what was found so far.
struct Trial<R> {
    job: Job,
    room: Room<R>,
    rng: ChaCha8Rng,
    inputs: Random,
    filled: usize,
    worst: Worst,
}

impl<R: Ring> Trial<R> {
    fn new(job: Job, part: u64) -> Self {
        let inputs = Random::new(job, R::BITS, generator(job, R::BITS, part));
        let rng = generator(job, R::BITS, WORKERS + part);
        Self {
            job,
            room: Room::new(job, BATCH),
            rng,
            inputs,
            filled: 0,
            worst: Worst { all: true, ..Worst::default() },
        }
    }

    /// Tries elements of one word per operand.
    fn words(&mut self, elements: impl Iterator<Item = [i64; 3]>) -> Result<()> {
        for element in elements {
            for (operand, word) in self.room.operands.iter_mut().zip(element) {
                if let Some(place) = operand.get_mut(self.filled) {
                    *place = R::from_u64(word.cast_unsigned());
                }
            }
            self.push()?;
        }
        Ok(())
    }

    /// Tries elements that are drawn.
    fn drawn(
        &mut self,
        count: u64,
        mut draw: impl FnMut(&mut Random, [&mut [i64]; 3]),
    ) -> Result<()> {
        let columns = self.job.function.shape().columns;
        for _ in 0..count {
            draw_element(&mut self.inputs, &mut self.room, self.filled, columns, &mut draw);
            self.push()?;
        }
        Ok(())
    }

    /// Counts an element in; a full batch is run.
    fn push(&mut self) -> Result<()> {
        self.filled += 1;
        if self.filled == BATCH { self.run() } else { Ok(()) }
    }

    fn run(&mut self) -> Result<()> {
        let mut tried = 0;
        for &choice in choices(self.job.function.kind()) {
            let rng = &mut self.rng;
            let mut bits = 1_u64;
            let up = || match choice {
                Choice::Down => false,
                Choice::Up => true,
                Choice::Random => {
                    if bits == 1 {
                        bits = rng.next_u64() | 1 << 63;
                    }
                    bits >>= 1;
                    bits & 1 == 1
                }
            };
            let mut engine = Rounding::new(up, Comparison::Tables);
            embassy_futures::block_on(apply(&mut engine, self.job, &mut self.room))?;
            let found = largest(self.job, &self.room, self.filled);
            self.worst.units = self.worst.units.max(found.units);
            tried = found.elements;
        }
        self.worst.elements += tried;
        self.filled = 0;
        Ok(())
    }

    fn finish(mut self, all: bool) -> Result<Worst> {
        if self.filled > 0 {
            self.run()?;
        }
        Ok(Worst { all: all && self.worst.all, ..self.worst })
    }
}

/// The largest error of the first `elements` elements, of those in the domain.
#[must_use]
pub fn largest<R: Ring>(job: Job, room: &Room<R>, elements: usize) -> Worst {
    let shape = job.function.shape();
    let (mut operands, mut out) = ([const { [0_i64; MAX_COLUMNS] }; 3], [0_i64; MAX_COLUMNS]);
    let read = |words: &[R], element: usize, columns: usize, to: &mut [i64; MAX_COLUMNS]| {
        for (to, word) in to.iter_mut().zip(words.iter().skip(element * columns).take(columns)) {
            *to = word.to_i64();
        }
    };
    let mut worst = Worst::default();
    for element in 0..elements {
        for (operand, to) in room.operands.iter().zip(&mut operands) {
            read(operand, element, shape.columns, to);
        }
        read(&room.out, element, shape.outputs, &mut out);
        let element = Element {
            operands: operands
                .each_ref()
                .map(|words| words.get(..shape.columns).unwrap_or_default()),
            out: out.get(..shape.outputs).unwrap_or_default(),
        };
        let Some(error) = exact::error(job, R::BITS, element) else { continue };
        // What is not a number must not pass as no error.
        worst.units = worst.units.max(if error.is_nan() { f64::INFINITY } else { error });
        worst.elements += 1;
    }
    worst
}

/// Fills the operands of the first `elements` elements with arguments of the domain.
pub fn fill<R: Ring>(job: Job, room: &mut Room<R>, elements: usize) {
    let shape = job.function.shape();
    let mut inputs = Random::new(job, R::BITS, generator(job, R::BITS, 2 * WORKERS));
    for element in 0..elements {
        draw_element(&mut inputs, room, element, shape.columns, &mut Random::next);
    }
}

/// Draws the operands of one element.
fn draw_element<R: Ring>(
    inputs: &mut Random,
    room: &mut Room<R>,
    element: usize,
    columns: usize,
    draw: &mut impl FnMut(&mut Random, [&mut [i64]; 3]),
) {
    let mut drawn = [const { [0_i64; MAX_COLUMNS] }; 3];
    draw(inputs, drawn.each_mut().map(|words| words.get_mut(..columns).unwrap_or_default()));
    for (operand, words) in room.operands.iter_mut().zip(&drawn) {
        let places = operand.iter_mut().skip(element * columns).take(columns);
        for (place, word) in places.zip(words) {
            *place = R::from_u64(word.cast_unsigned());
        }
    }
}
