//! Task files: what a data party and server 0 know of a model.
//!
//! Behind the task of a model that two servers share are the names of the columns that it was
//! trained on:
//!
//! ```text
//! task, 36 bytes | length of the names, u32 | names, postcard | CRC-32 (IEEE) of the
//! first 32 bytes of the task, length and names
//! ```
//!
//! Behind the task of a model whose inputs have a scale each are their exponents:
//!
//! ```text
//! task, 36 bytes, of version 2 | exponents, one i8 for each input | CRC-32 (IEEE) of the first 32
//! bytes of the task and the exponents
//! ```

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sharelet_core::session::network::{MAX_COLUMNS, MAX_EXPONENT};
use sharelet_core::session::wire::task::{TASK_BYTES, Task, TaskError};
use sharelet_model::readings::columns::Columns;

use super::error::StoreError;
use crate::data::description::{MAX_NAME_BYTES, MAX_NAMES_BYTES};
use sharelet_link::files::{FileError, write_file};

/// Most bytes of a file: more are not read.
const MAX_BYTES: u64 = 1024 + MAX_NAMES_BYTES as u64;

/// What a task file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFile {
    /// The task.
    pub task: Task,
    /// The columns that a shared model was trained on.
    pub columns: Option<Columns>,
    /// What each input has in fraction bits beyond the task's; nothing where all have these.
    pub exponents: Vec<i8>,
}

/// Reads a task file.
///
/// # Errors
/// [`StoreError::File`] and [`StoreError::Task`].
pub fn load(path: &Path) -> Result<TaskFile, StoreError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(FileError::at(path))?;
    let refused = |source| StoreError::Task { path: path.to_owned(), source };
    let task = match Task::of_either_ring(&bytes) {
        Err(TaskError::Columns) => {
            let task = Task::before_exponents(&bytes).map_err(refused)?;
            let behind = bytes.get(TASK_BYTES..).unwrap_or_default();
            let exponents = exponents(behind, task).ok_or_else(|| refused(TaskError::Damaged))?;
            return Ok(TaskFile { task, columns: None, exponents });
        }
        task => task.map_err(refused)?,
    };
    let columns = if task.ring_bits == 64 {
        let behind = bytes.get(TASK_BYTES..).unwrap_or_default();
        Some(columns(behind, task).ok_or_else(|| refused(TaskError::Damaged))?)
    } else {
        None
    };
    Ok(TaskFile { task, columns, exponents: Vec::new() })
}

/// Exponents that are whole, as many as the task has inputs.
fn exponents(bytes: &[u8], task: Task) -> Option<Vec<i8>> {
    let (exponents, sum) = bytes.split_at_checked(task.inputs.into())?;
    if sum != checksum(&task.to_bytes_before_exponents(), &[], exponents) {
        return None;
    }
    let exponents: Vec<i8> = exponents.iter().map(|exponent| exponent.cast_signed()).collect();
    let fits = |exponent: &i8| (-MAX_EXPONENT..=MAX_EXPONENT).contains(exponent);
    (exponents.len() <= MAX_COLUMNS && exponents.iter().all(fits)).then_some(exponents)
}

/// Names of columns that are whole, and as many as the task has inputs.
fn columns(bytes: &[u8], task: Task) -> Option<Columns> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (names, sum) = rest.split_at_checked(u32::from_le_bytes(*length).try_into().ok()?)?;
    if sum != checksum(&task.to_bytes(), length, names) {
        return None;
    }
    let Ok((columns, [])) = postcard::take_from_bytes::<Columns>(names) else { return None };
    let named = |name: &String| {
        (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
    };
    let distinct: HashSet<&String> = columns.features.iter().collect();
    let fits = columns.features.len() == usize::from(task.inputs)
        && distinct.len() == columns.features.len()
        && columns.features.iter().chain(&columns.labels).all(named);
    fits.then_some(columns)
}

/// Of the task, too, so that names of another one do not fit; without its own checksum, behind
/// which all tasks would have the same.
fn checksum(task: &[u8], length: &[u8], names: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(task.get(..TASK_BYTES - 4).unwrap_or_default());
    sum.update(length);
    sum.update(names);
    sum.finalize().to_le_bytes()
}

/// Writes a task file.
///
/// # Errors
/// [`StoreError::File`]; [`StoreError::Task`] for exponents that are not as many as inputs, or with
/// names of columns beside them.
pub fn save(
    TaskFile { task, columns, exponents }: &TaskFile,
    path: &Path,
) -> Result<(), StoreError> {
    if !exponents.is_empty() {
        if columns.is_some() || exponents.len() != usize::from(task.inputs) {
            let source = TaskError::Unsupported;
            return Err(StoreError::Task { path: path.to_owned(), source });
        }
        let task = task.to_bytes_before_exponents();
        let exponents: Vec<u8> =
            exponents.iter().map(|exponent| exponent.cast_unsigned()).collect();
        let sum = checksum(&task, &[], &exponents);
        return Ok(write_file(path, &[&task, &exponents, &sum])?);
    }
    let task = task.to_bytes();
    let Some(columns) = columns else { return Ok(write_file(path, &[&task])?) };
    let names = postcard::to_allocvec(columns)
        .map_err(|error| FileError::at(path)(std::io::Error::other(error)))?;
    let length = u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes();
    Ok(write_file(path, &[&task, &length, &names, &checksum(&task, &length, &names)])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Task = Task {
        ring_bits: 64,
        input_frac_bits: 20,
        output_frac_bits: 40,
        inputs: 2,
        outputs: 1,
        input_limit: 1 << 23,
        model: [7; 16],
    };

    fn file(features: &[&str]) -> TaskFile {
        let features = features.iter().map(|&name| name.to_owned()).collect();
        let columns = Some(Columns { features, labels: vec!["price".to_owned()] });
        TaskFile { task: TASK, columns, exponents: Vec::new() }
    }

    #[test]
    fn names_survive_their_file_and_nothing_else_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.task");
        let whole = file(&["area", "rooms"]);
        save(&whole, &path).expect("saves");
        assert_eq!(load(&path).expect("loads"), whole);
        let bytes = std::fs::read(&path).expect("reads");
        let damaged = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("writes");
            load(&path).is_err()
        };
        for at in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[at] ^= 1;
            assert!(damaged(&bytes[..at]) && damaged(&turned), "at {at}");
        }
        assert!(damaged(&[&bytes[..], &[0]].concat()));
        let long = "n".repeat(MAX_NAME_BYTES + 1);
        for features in
            [&["area"][..], &["area", ""], &["area", "a\nb"], &["area", &long], &["a", "a"]]
        {
            save(&file(features), &path).expect("saves");
            assert!(load(&path).is_err(), "{features:?}");
        }
        // Names of another task.
        save(&whole, &path).expect("saves");
        let mut other = Task { input_limit: 5, ..TASK }.to_bytes().to_vec();
        other.extend(&bytes[TASK_BYTES..]);
        assert!(damaged(&other));
        // A model that server 1 owns has no names, and a page of flash no end.
        let task = Task { ring_bits: 32, output_frac_bits: 20, ..TASK };
        let own = TaskFile { task, columns: None, exponents: Vec::new() };
        save(&own, &path).expect("saves");
        assert_eq!(load(&path).expect("loads"), own);
        assert!(!damaged(&[&own.task.to_bytes()[..], &[255; 220]].concat()));
        // Exponents of its inputs are all there, and of this task.
        let scaled = TaskFile { exponents: vec![-3, 60], ..own };
        save(&scaled, &path).expect("saves");
        assert_eq!(load(&path).expect("loads"), scaled);
        let bytes = std::fs::read(&path).expect("reads");
        for at in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[at] ^= 1;
            assert!(damaged(&bytes[..at]) && damaged(&turned), "at {at}");
        }
        assert!(damaged(&[&bytes[..], &[0]].concat()));
        save(&TaskFile { exponents: vec![61, 0], ..scaled }, &path).expect("saves");
        assert!(load(&path).is_err());
    }
}
