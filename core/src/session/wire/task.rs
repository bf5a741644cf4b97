//! What a data party knows of a model beforehand, in place of a handshake: a file of 36 bytes.
//!
//! ```text
//! "SLTT" | version 1 or 2 | ring bits | fraction bits of inputs | fraction bits of outputs
//!        | inputs, u16 | outputs, u16 | largest magnitude of an input, u32: in units of the last
//!        | place, in the ring of 64 bits in ones
//!        | the model's fingerprint, 16 bytes | CRC-32 (IEEE) of the 32 bytes before
//! ```
//!
//! Version 2 says that every input has a scale of its own, and that their exponents follow. Who
//! has no room for them reads version 1 alone.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::checksum::crc32;

/// Bytes of a task file.
pub const TASK_BYTES: usize = 36;
const MAGIC: [u8; 4] = *b"SLTT";
const VERSION: u8 = 1;
/// With exponents of inputs behind it.
const VERSION_OF_COLUMNS: u8 = 2;
const CHECKED_BYTES: usize = 32;

/// What is asked of two servers: one model, as far as everybody may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Task {
    /// Bits of the ring: 32 for a model that server 1 owns, 64 for one that both servers share.
    pub ring_bits: u8,
    /// Fraction bits of the inputs.
    pub input_frac_bits: u8,
    /// Fraction bits of the outputs.
    pub output_frac_bits: u8,
    /// Inputs, in elements.
    pub inputs: u16,
    /// Outputs, in elements.
    pub outputs: u16,
    /// The largest magnitude of an input that the model is made for: in units of the last place; in
    /// the ring of 64 bits in ones.
    pub input_limit: u32,
    /// The model's fingerprint: a digest of its file.
    pub model: [u8; 16],
}

/// The first bytes of a model's fingerprint, as a query carries them.
pub type TaskId = [u8; 6];

/// A part of a task in which two servers can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Field {
    /// The bits of the ring.
    Ring,
    /// The fraction bits of the inputs.
    InputScale,
    /// The fraction bits of the outputs.
    OutputScale,
    /// The number of inputs.
    Inputs,
    /// The number of outputs.
    Outputs,
    /// The largest magnitude of an input.
    InputLimit,
    /// The model.
    Model,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ring => "ring bits",
            Self::InputScale => "input fraction bits",
            Self::OutputScale => "output fraction bits",
            Self::Inputs => "number of inputs",
            Self::Outputs => "number of outputs",
            Self::InputLimit => "input limit",
            Self::Model => "model",
        })
    }
}

/// Why a task file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TaskError {
    /// Not a task file.
    NotATask,
    /// Of a version that this program does not know.
    Version {
        /// The version that it states.
        found: u8,
    },
    /// Each input has a scale of its own, and the reader has no room for them.
    Columns,
    /// The check sum does not fit.
    Damaged,
    /// A ring that the reader does not serve, or no inputs or outputs.
    Unsupported,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATask => f.write_str("not a task file; make one with `sharelet task`"),
            Self::Version { found } => {
                write!(
                    f,
                    "a task file of version {found}, this program reads version {VERSION}; make \
                     it again with `sharelet task`"
                )
            }
            Self::Columns => f.write_str(
                "each input of the model has a scale of its own, and there is no room for them \
                 here; import the model with `--input-scale one`",
            ),
            Self::Damaged => f.write_str(
                "the check sum does not match: the task file is damaged; write it again",
            ),
            Self::Unsupported => f.write_str(
                "the task is for a ring that is not served here, or has no inputs or outputs; \
                 make it again",
            ),
        }
    }
}

impl core::error::Error for TaskError {}

impl Task {
    /// The name of the task in a query.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.model.first_chunk().copied().unwrap_or_default()
    }

    /// The largest magnitude of an input in units of the last place, in either ring.
    #[must_use]
    pub fn input_units(&self) -> u64 {
        let shift = if self.ring_bits == 64 { self.input_frac_bits } else { 0 };
        let one = 1_u64.checked_shl(shift.into()).unwrap_or(u64::MAX);
        u64::from(self.input_limit).saturating_mul(one)
    }

    /// The first part in which another task differs.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Field> {
        let fields = [
            (self.ring_bits != other.ring_bits, Field::Ring),
            (self.inputs != other.inputs, Field::Inputs),
            (self.outputs != other.outputs, Field::Outputs),
            (self.input_frac_bits != other.input_frac_bits, Field::InputScale),
            (self.output_frac_bits != other.output_frac_bits, Field::OutputScale),
            (self.input_limit != other.input_limit, Field::InputLimit),
            (self.model != other.model, Field::Model),
        ];
        fields.into_iter().find_map(|(differs, field)| differs.then_some(field))
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TASK_BYTES] {
        self.of_version(VERSION)
    }

    /// The bytes of the file, behind which the exponents of its inputs are to follow.
    #[must_use]
    pub fn to_bytes_before_exponents(&self) -> [u8; TASK_BYTES] {
        self.of_version(VERSION_OF_COLUMNS)
    }

    fn of_version(&self, version: u8) -> [u8; TASK_BYTES] {
        let mut bytes = [0; TASK_BYTES];
        let scales = [version, self.ring_bits, self.input_frac_bits, self.output_frac_bits];
        let (inputs, outputs) = (self.inputs.to_le_bytes(), self.outputs.to_le_bytes());
        let (magic, limit) = (MAGIC.as_slice(), self.input_limit.to_le_bytes());
        let fields = [magic, &scales, &inputs, &outputs, &limit, &self.model];
        let (checked, sum) = bytes.split_at_mut(CHECKED_BYTES);
        checked.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        sum.iter_mut().zip(crc32(checked).to_le_bytes()).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the bytes of a file for a data party in the ring of 32 bits; what lies behind them, as
    /// in a flash page, does not matter.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TaskError> {
        Self::checked(bytes, VERSION, |task| task.ring_bits == 32 && task.is_consistent(32))
    }

    /// Reads the bytes of a file for a data party in either ring, of 32 or 64 bits.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn of_either_ring(bytes: &[u8]) -> Result<Self, TaskError> {
        Self::checked(bytes, VERSION, |task| {
            matches!(task.ring_bits, 32 | 64) && task.is_consistent(task.ring_bits)
        })
    }

    /// Reads the bytes of a file behind which exponents of inputs follow, in the ring of 32 bits.
    ///
    /// # Errors
    /// [`TaskError`]; [`TaskError::Version`] where none follow.
    pub fn before_exponents(bytes: &[u8]) -> Result<Self, TaskError> {
        let of_model = |task: &Self| task.ring_bits == 32 && task.is_consistent(32);
        Self::checked(bytes, VERSION_OF_COLUMNS, of_model)
    }

    fn checked(
        bytes: &[u8],
        due: u8,
        is_supported: impl FnOnce(&Self) -> bool,
    ) -> Result<Self, TaskError> {
        let (checked, rest) =
            bytes.split_first_chunk::<CHECKED_BYTES>().ok_or(TaskError::NotATask)?;
        let [
            m0,
            m1,
            m2,
            m3,
            version,
            ring_bits,
            input_frac_bits,
            output_frac_bits,
            i0,
            i1,
            o0,
            o1,
            l0,
            l1,
            l2,
            l3,
            model @ ..,
        ] = *checked;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(TaskError::NotATask);
        }
        if version != due {
            return Err(match version {
                VERSION_OF_COLUMNS => TaskError::Columns,
                found => TaskError::Version { found },
            });
        }
        if rest.first_chunk() != Some(&crc32(checked).to_le_bytes()) {
            return Err(TaskError::Damaged);
        }
        let (inputs, outputs) = (u16::from_le_bytes([i0, i1]), u16::from_le_bytes([o0, o1]));
        let input_limit = u32::from_le_bytes([l0, l1, l2, l3]);
        let task = Self {
            ring_bits,
            input_frac_bits,
            output_frac_bits,
            inputs,
            outputs,
            input_limit,
            model,
        };
        if is_supported(&task) { Ok(task) } else { Err(TaskError::Unsupported) }
    }

    /// Whether there is something to ask, with fractions that fit the ring.
    fn is_consistent(&self, ring_bits: u8) -> bool {
        self.inputs > 0
            && self.outputs > 0
            && self.input_frac_bits < ring_bits
            && self.output_frac_bits < ring_bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Task = Task {
        ring_bits: 32,
        input_frac_bits: 8,
        output_frac_bits: 18,
        inputs: 300,
        outputs: 4,
        input_limit: 1 << 12,
        model: [7; 16],
    };

    #[test]
    fn a_task_survives_its_file_and_nothing_else_does() {
        let bytes = TASK.to_bytes();
        assert_eq!(Task::from_bytes(&bytes), Ok(TASK));
        for bit in 0..TASK_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Task::from_bytes(&damaged).is_err(), "bit {bit}");
        }
        for cut in 0..TASK_BYTES {
            assert!(Task::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let wide = Task { ring_bits: 64, output_frac_bits: 40, ..TASK };
        assert_eq!(Task::from_bytes(&wide.to_bytes()), Err(TaskError::Unsupported));
        assert_eq!(Task::of_either_ring(&wide.to_bytes()), Ok(wide));
        assert_eq!(Task::of_either_ring(&bytes), Ok(TASK));
        for unsupported in [
            Task { ring_bits: 16, ..TASK },
            Task { output_frac_bits: 40, ..TASK },
            Task { output_frac_bits: 64, ..wide },
            Task { inputs: 0, ..wide },
        ] {
            assert_eq!(Task::of_either_ring(&unsupported.to_bytes()), Err(TaskError::Unsupported));
        }
    }

    #[test]
    fn who_has_no_room_for_exponents_takes_no_task_that_has_them() {
        let bytes = TASK.to_bytes_before_exponents();
        assert_eq!(Task::before_exponents(&bytes), Ok(TASK));
        for refused in [Task::from_bytes(&bytes), Task::of_either_ring(&bytes)] {
            assert_eq!(refused, Err(TaskError::Columns));
        }
        let plain = Task::before_exponents(&TASK.to_bytes());
        assert_eq!(plain, Err(TaskError::Version { found: 1 }));
    }

    #[test]
    fn limits_are_in_units_or_ones() {
        assert_eq!(TASK.input_units(), 1 << 12);
        let wide = Task { ring_bits: 64, input_frac_bits: 20, ..TASK };
        assert_eq!(wide.input_units(), 1 << 32);
        assert_eq!(Task { input_frac_bits: 63, ..wide }.input_units(), u64::MAX);
        assert_eq!(Task { input_frac_bits: 255, ..wide }.input_units(), u64::MAX);
    }

    #[test]
    fn a_difference_has_its_name() {
        assert_eq!(TASK.difference(&TASK), None);
        for (other, field) in [
            (Task { ring_bits: 64, ..TASK }, Field::Ring),
            (Task { input_frac_bits: 9, ..TASK }, Field::InputScale),
            (Task { output_frac_bits: 9, ..TASK }, Field::OutputScale),
            (Task { inputs: 9, ..TASK }, Field::Inputs),
            (Task { outputs: 9, ..TASK }, Field::Outputs),
            (Task { input_limit: 9, ..TASK }, Field::InputLimit),
            (Task { model: [8; 16], ..TASK }, Field::Model),
        ] {
            assert_eq!(TASK.difference(&other), Some(field));
        }
    }
}
