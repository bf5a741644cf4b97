//! What an import chose, and how far it is from the float network.

use core::cmp::Ordering;
use core::fmt;

use sharelet_core::session::network::{Network, RING_BITS};

use super::layer::{Layer, count};
use super::pieces::Pieced;
use super::scales::real;
use sharelet_model::MAX_LAYERS;

/// A share of weights that become zero above which there is a warning.
const ZEROED_SHARE: f64 = 0.02;

/// An error of the answer, relative to its size, above which there is a warning.
const LARGE_ERROR: f64 = 0.05;

/// An error of the answer, relative to its size, above which weights that vanish are named.
const NOTICED_ERROR: f64 = 0.01;

/// An error of the answer, relative to its size, that a proof is worth.
const SMALL_ERROR: f64 = 0.002;

/// How much more may be lost at half the calibrated level, and at the limit, than at that level.
const OTHER_LEVELS: f64 = 5.0;
/// And with readings that are unlike the calibration ones, relative to the size of answers to
/// those, where nothing is proved of them: they are told of.
const UNLIKE: f64 = 50.0;

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// Name in the file.
    pub name: String,
    /// Its linear map, for people.
    pub shape: String,
    /// The layer whose input is added.
    pub skip: Option<usize>,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Fraction bits of the accumulator.
    pub frac_bits: i32,
    /// Fraction bits of the weights.
    pub weight_frac_bits: i32,
    /// Bits that the activation drops.
    pub shift: u8,
    /// The smallest float accumulator over the calibration readings.
    pub low: f64,
    /// The largest one.
    pub high: f64,
    /// Width of the gate, in bits.
    pub gate_bits: u8,
    /// Bits between the largest integer accumulator and what the gate takes.
    pub headroom_bits: f64,
    /// Root mean square of the error of the accumulators, relative to that of the accumulators.
    pub error: f64,
    /// Weights that are not zero in float and are in the ring.
    pub zeroed: usize,
    /// Outputs all of whose weights became zero.
    pub dead_outputs: usize,
    /// Weights in all.
    pub weights: usize,
    /// Whether no reading that is accepted can make an accumulator wrap around, here or before.
    pub proved: bool,
}

/// Answers to calibration readings times a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The factor.
    pub factor: f64,
    /// Root mean square of the error of the answers, relative to that of the answers.
    pub error: f64,
    /// The largest error of an element of an answer.
    pub largest_error: f64,
}

impl Level {
    /// Of pairs of answers, in float and the model's.
    pub(super) fn new(factor: f64, answers: &[(Vec<f64>, Vec<f64>)]) -> Self {
        let (mut error, mut size, mut largest_error) = (0.0, 0.0, 0.0_f64);
        for (float, answer) in answers.iter().flat_map(|(float, answer)| float.iter().zip(answer)) {
            error += (answer - float).powi(2);
            size += float * float;
            largest_error = largest_error.max((answer - float).abs());
        }
        let error = if size == 0.0 { error.sqrt() } else { (error / size).sqrt() };
        Self { factor, error, largest_error }
    }
}

/// The whole import.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Per layer.
    pub layers: Vec<LayerReport>,
    /// Calibration readings.
    pub readings: usize,
    /// Fraction bits of the input.
    pub input_frac_bits: u8,
    /// The largest magnitude of an input that the model takes, of inputs with an exponent times
    /// two to that.
    pub input_limit: f64,
    /// What each input has in fraction bits beyond these; nothing where all have these.
    pub input_exponents: Vec<i8>,
    /// Root mean square of the error of the answer, relative to that of the answer.
    pub error: f64,
    /// The largest error of an element of an answer.
    pub largest_error: f64,
    /// Readings for which the largest element of the answer is the same as in float.
    pub same_largest: usize,
    /// Functions that the recipient of an answer applies to it, first to last.
    pub left_off: Vec<String>,
    /// Errors at other levels than the calibrated one, too.
    pub levels: Vec<Level>,
    /// The largest error of an answer, relative to its size, to readings that are accepted and
    /// unlike the calibration ones: silence, offsets, noise, corners.
    pub unlike: f64,
    /// The same, but relative to the size of answers to calibration readings if that is larger:
    /// what decides on gates. Straight pieces are off by as much where answers are small, however
    /// wide gates are.
    pub(super) unlike_in_size: f64,
    /// Activation functions that are computed as straight pieces, first to last.
    pub pieces: Vec<Pieced>,
    /// Whether more pieces were wanted than there is room for.
    pub coarse_pieces: bool,
    /// Layers of a quantised network whose values the file limits, where no reading that was tried
    /// comes near the limit and so the model has none.
    pub untried_limits: Vec<String>,
    /// The largest value that a quantised network counts, where calibration readings are small
    /// beside it.
    pub steps_unused: Option<f64>,
}

impl LayerReport {
    pub(super) fn new(
        layer: &Layer,
        (low, high): (f64, f64),
        float: &[f64],
        words: &[i64],
        frac_bits: i32,
        weights: &[i64],
    ) -> Self {
        let largest = words.iter().map(|word| word.unsigned_abs()).max().unwrap_or(0).max(1);
        let vanished = |(&word, &weight): (&i64, &f64)| word == 0 && weight != 0.0;
        let (_, row) = layer.map.shape.weights();
        let rows = weights.chunks_exact(row.max(1)).zip(layer.map.weights.chunks_exact(row.max(1)));
        Self {
            name: layer.name.clone(),
            shape: layer.map.shape.to_string(),
            skip: layer.skip.as_ref().map(|skip| skip.from),
            relu: layer.relu,
            frac_bits,
            weight_frac_bits: 0,
            shift: 0,
            low,
            high,
            gate_bits: RING_BITS,
            headroom_bits: 31.0 - real(i64::try_from(largest).unwrap_or(i64::MAX), 0).log2(),
            error: relative_error(float, words, frac_bits),
            zeroed: weights.iter().zip(&layer.map.weights).filter(|&pair| vanished(pair)).count(),
            dead_outputs: rows
                .filter(|(words, weights)| {
                    words.iter().all(|&word| word == 0)
                        && weights.iter().any(|&weight| weight != 0.0)
                })
                .count(),
            weights: weights.len(),
            proved: false,
        }
    }
}

impl Report {
    pub(super) fn new(
        mut layers: Vec<LayerReport>,
        network: &Network<MAX_LAYERS>,
        float: &[f64],
        words: &[i64],
        left_off: Vec<String>,
    ) -> Self {
        for (report, layer) in layers.iter_mut().zip(network.layers()) {
            (report.weight_frac_bits, report.shift, report.gate_bits) =
                (i32::from(layer.weight_frac_bits), layer.shift, layer.gate_bits);
            report.headroom_bits -= f64::from(RING_BITS - layer.gate_bits);
        }
        let frac_bits = i32::from(network.output_frac_bits());
        let largest_error =
            float.iter().zip(words).map(|(float, &word)| (real(word, frac_bits) - float).abs());
        let width = network.outputs().max(1);
        let same_largest = float
            .chunks_exact(width)
            .zip(words.chunks_exact(width))
            .filter(|(float, words)| largest(float, f64::total_cmp) == largest(words, i64::cmp));
        Self {
            readings: words.len() / width,
            input_frac_bits: network.input_frac_bits(),
            input_limit: real(network.input_limit().into(), network.input_frac_bits().into()),
            input_exponents: Vec::new(),
            error: relative_error(float, words, frac_bits),
            largest_error: largest_error.fold(0.0, f64::max),
            same_largest: same_largest.count(),
            left_off,
            layers,
            levels: Vec::new(),
            unlike: 0.0,
            unlike_in_size: 0.0,
            pieces: Vec::new(),
            coarse_pieces: false,
            untried_limits: Vec::new(),
            steps_unused: None,
        }
    }

    /// Whether no reading that is accepted can make any accumulator wrap around.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.layers.iter().all(|layer| layer.proved)
    }

    /// Whether answers are off by less than matters.
    pub(super) fn is_good(&self) -> bool {
        self.error <= 2.0 * SMALL_ERROR
    }

    /// Whether answers are as good as another report's, or off by less than matters.
    pub(super) fn is_as_good_as(&self, other: &Self) -> bool {
        self.error <= SMALL_ERROR.max(2.0 * other.error)
            && self.worst_level() <= SMALL_ERROR.max(2.0 * other.worst_level())
            && self.same_largest + self.readings / 500 >= other.same_largest
    }

    /// Whether answers are as good as those of another report, or off by at most `max_error`; at
    /// other levels than the calibrated one, and for readings unlike all others, by five times as
    /// much; where ranges are only tried, by 50 times as much for the latter. Elements that are
    /// nearer to each other than that may change places.
    pub(super) fn costs_little(&self, other: &Self, max_error: f64) -> bool {
        let unlike = if self.is_proved() { OTHER_LEVELS } else { UNLIKE };
        self.error <= max_error.max(2.0 * other.error)
            && self.worst_level() <= (OTHER_LEVELS * max_error).max(2.0 * other.worst_level())
            && self.unlike_in_size <= (unlike * max_error).max(2.0 * other.unlike_in_size)
    }

    /// The error at the level where it is largest.
    pub(super) fn worst_level(&self) -> f64 {
        self.levels.iter().map(|level| level.error).fold(self.error, f64::max)
    }

    /// Weights that became zero, where they are so many that it may matter; and an answer that is
    /// far off.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let LayerReport { name, zeroed, weights, dead_outputs, .. } = layer;
            if *dead_outputs > 0 {
                warnings.push(format!(
                    "layer {index} (`{name}`): all weights of {dead_outputs} output(s) become \
                     zero; scale the weights of the layer to similar size, or lower \
                     --headroom-bits"
                ));
            } else if *zeroed > 0
                && self.error > NOTICED_ERROR
                && count(*zeroed) > ZEROED_SHARE * count(*weights)
            {
                warnings.push(format!(
                    "layer {index} (`{name}`): {zeroed} of {weights} weights become zero; check \
                     the error in the table, lower --headroom-bits if it is too large"
                ));
            }
        }
        if self.error > LARGE_ERROR {
            warnings.push(format!(
                "the answer is off by {:.1} % of its size; see in the table where the error \
                 begins, and scale that layer's inputs and weights to similar size",
                self.error * 100.0
            ));
        }
        if let Some(index) = self.layers.iter().position(|layer| !layer.proved) {
            warnings.push(format!(
                "that no accumulator wraps around is proved up to layer {index}, and tried from \
                 there on: answers to readings that are unlike the calibration ones may be wrong \
                 beyond these errors; calibrate with the extremes that occur"
            ));
        }
        if self.coarse_pieces {
            warnings.push(
                "straight pieces of activation functions bring about more than they may: there is \
                 no room for more than 65535 copies of a layer's values, and \
                 none for pieces that are off by less than 2^-12; see the errors at the end, and \
                 use smaller layers, or ReLU"
                    .to_owned(),
            );
        }
        if let Some(largest) = self.steps_unused {
            warnings.push(format!(
                "the network counts readings up to {largest} in magnitude, and calibration \
                 readings are less than an eighth of that: are they in its unit? Bytes are divided \
                 by 255 unless --divide says otherwise"
            ));
        }
        if !self.untried_limits.is_empty() {
            warnings.push(format!(
                "the file limits values of {}; no reading that was tried comes near, so the model \
                 does not: answers to readings that would are those of a network without these \
                 limits; calibrate with the extremes that occur",
                self.untried_limits.join(", ")
            ));
        }
        if self.unlike > LARGE_ERROR {
            warnings.push(format!(
                "answers to readings that are unlike the calibration ones (silence, offsets, \
                 noise) are off by up to {:.1} % of their size; calibrate with such readings, or \
                 lower --headroom-bits to refuse those beyond the calibrated level",
                100.0 * self.unlike
            ));
        }
        for level in self.levels.iter().filter(|level| level.error > LARGE_ERROR) {
            warnings.push(format!(
                "answers to readings at {} times the calibrated level are off by {:.1} % of their \
                 size; calibrate with readings at that level, or lower --headroom-bits to refuse \
                 them",
                level.factor,
                100.0 * level.error
            ));
        }
        warnings
    }
}

impl Report {
    /// Scales and limits of inputs, eight to a line.
    fn fmt_input(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.input_exponents.is_empty() {
            return writeln!(
                f,
                "input: {} fraction bits, readings up to {:.4} in magnitude are taken",
                self.input_frac_bits, self.input_limit
            );
        }
        writeln!(f, "input: a scale for each value; readings up to these magnitudes are taken:")?;
        let all: Vec<(usize, &i8)> = self.input_exponents.iter().enumerate().collect();
        for some in all.chunks(8) {
            let limit = |&(value, &exponent): &(usize, &i8)| {
                let limit = self.input_limit * 2.0_f64.powi(-i32::from(exponent));
                format!("{value}: {}", significant(limit))
            };
            let limits: Vec<String> = some.iter().map(limit).collect();
            writeln!(f, "  {}", limits.join(", "))?;
        }
        Ok(())
    }
}

/// A limit in four digits, rounded down.
fn significant(limit: f64) -> String {
    let unit = 10.0_f64.powf((limit.log10().floor() - 3.0).min(0.0));
    let places = if unit < 1.0 { (-unit.log10()).round() } else { 0.0 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let places = places as usize;
    format!("{:.places$}", (limit / unit).floor() * unit)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "layer  shape                             after       weight bits  shift  gate bits  \
             largest accumulator  head-room  range       error      zeroed  name"
        )?;
        for (index, layer) in self.layers.iter().enumerate() {
            let shape = &layer.shape;
            let after = match (layer.skip, layer.relu) {
                (None, false) => "-".to_owned(),
                (None, true) => "ReLU".to_owned(),
                (Some(from), false) => format!("+ {from}"),
                (Some(from), true) => format!("+ {from}, ReLU"),
            };
            let largest = format!(
                "{:.4} of {:.4}",
                layer.high.max(-layer.low),
                2.0_f64.powi(i32::from(layer.gate_bits) - 1 - layer.frac_bits)
            );
            writeln!(
                f,
                "{index:<5}  {shape:<32}  {after:<10}  {bits:<11}  {shift:<5}  {gate:<9}  \
                 {largest:<19}  {room:<4.2} bits  {range:<10}  {error:<9}  {zeroed:<6}  {name}",
                bits = layer.weight_frac_bits,
                shift = layer.shift,
                gate = layer.gate_bits,
                room = layer.headroom_bits,
                range = if layer.proved { "proved" } else { "calibrated" },
                error = percent(layer.error),
                zeroed = layer.zeroed,
                name = layer.name,
            )?;
        }
        self.fmt_input(f)?;
        for Pieced { name, function, knots, values, bound, limits } in &self.pieces {
            let whatever = match limits {
                Some([usual, limit]) => format!(
                    "up to {usual:.4}, and up to {limit:.4}, below which all values stay that were \
                     tried, by as much of their square"
                ),
                None => "whatever the value".to_owned(),
            };
            writeln!(
                f,
                "{function} of `{name}`: straight pieces, off by at most {bound:.6} {whatever}; \
                 {knots} ReLUs for each of {values} values"
            )?;
        }
        if !self.left_off.is_empty() {
            writeln!(
                f,
                "the answer is what goes into {}: its recipient applies that, it is not part of \
                 the model",
                self.left_off.join(", then ")
            )?;
        }
        for level in &self.levels {
            writeln!(
                f,
                "at {} times the calibrated level: error {}, largest {:.6}",
                (100.0 * level.factor).round() / 100.0,
                percent(level.error),
                level.largest_error
            )?;
        }
        writeln!(
            f,
            "at silence, offsets and noise up to the limit: error at most {}",
            percent(self.unlike)
        )?;
        write!(
            f,
            "answer: error {} (root mean square, against float), largest {:.6}; the largest \
             element is the same for {} of {} calibration readings",
            percent(self.error),
            self.largest_error,
            self.same_largest,
            self.readings
        )
    }
}

/// Where the first largest element is.
fn largest<T>(values: &[T], order: fn(&T, &T) -> Ordering) -> Option<usize> {
    let (index, _) =
        values.iter().enumerate().max_by(|a, b| order(a.1, b.1).then(b.0.cmp(&a.0)))?;
    Some(index)
}

fn percent(share: f64) -> String {
    format!("{:.4} %", 100.0 * share)
}

/// `rms(word - float) / rms(float)`.
fn relative_error(float: &[f64], words: &[i64], frac_bits: i32) -> f64 {
    let (mut error, mut size) = (0.0, 0.0);
    for (&float, &word) in float.iter().zip(words) {
        error += (real(word, frac_bits) - float).powi(2);
        size += float * float;
    }
    if size == 0.0 { error.sqrt() } else { (error / size).sqrt() }
}
