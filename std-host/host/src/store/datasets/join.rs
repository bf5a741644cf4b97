//! Uploads of several owners as one dataset.
//!
//! Without keys owners give rows: columns and labels must agree, and the rows follow one another.
//! With keys owners give columns of the same rows: hashed keys must agree row by row, column names
//! must differ, and one owner gives the labels.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sharelet_core::share::Party;

use super::error::{DatasetError, Disagreement};
use super::file::{self, Share, Upload};
use crate::data::description::{Description, UploadId};
use crate::data::name::Name;
use crate::data::openings::Openings;
use crate::data::shares;
use sharelet_model::readings::columns::{self, Columns, OtherColumns};
use sharelet_train::labels::Labels;
use sharelet_train::scaling::COLUMN_WORDS;

/// Whether two uploads fit each other, as far as their descriptions say.
pub(super) fn agree(first: &Description, other: &Description) -> Result<(), DatasetError> {
    let disagree = |what| DatasetError::Disagree {
        owner: other.owner.clone(),
        other: first.owner.clone(),
        what,
    };
    if first.frac_bits != other.frac_bits {
        return Err(disagree(Disagreement::FracBits {
            expected: first.frac_bits,
            found: other.frac_bits,
        }));
    }
    if first.standardised != other.standardised {
        return Err(disagree(Disagreement::Standardised));
    }
    let what = match (first.keyed, other.keyed) {
        (false, false) => same_columns(first, other),
        (true, true) => other_columns(first, other),
        _ => Some(Disagreement::Keys),
    };
    what.map_or(Ok(()), |what| Err(disagree(what)))
}

fn same_columns(first: &Description, other: &Description) -> Option<Disagreement> {
    let differ = first.columns.iter().zip(&other.columns).zip(1..).find(|((a, b), _)| a != b);
    if let Some(((expected, found), position)) = differ {
        return Some(Disagreement::Column {
            position,
            expected: expected.clone(),
            found: found.clone(),
        });
    }
    let count =
        |description: &Description| u32::try_from(description.columns.len()).unwrap_or(u32::MAX);
    let (expected, found) = (count(first), count(other));
    if expected != found {
        return Some(Disagreement::ColumnCount { expected, found });
    }
    let (expected, found) = (first.labels, other.labels);
    if expected != found {
        return Some(Disagreement::Labels { expected, found });
    }
    let (expected, found) = (&first.label_columns, &other.label_columns);
    let differ = expected.iter().zip(found).find(|(expected, found)| expected != found);
    differ.filter(|_| !columns::same_labels(expected, found)).map(|(expected, found)| {
        Disagreement::LabelColumn { expected: expected.clone(), found: found.clone() }
    })
}

fn other_columns(first: &Description, other: &Description) -> Option<Disagreement> {
    let names: std::collections::HashSet<&String> = first.columns.iter().collect();
    if let Some(name) = other.columns.iter().find(|name| names.contains(name)) {
        return Some(Disagreement::ColumnTwice { name: name.clone() });
    }
    if first.labels != Labels::None && other.labels != Labels::None {
        return Some(Disagreement::LabelsTwice);
    }
    let (expected, found) = (first.rows, other.rows);
    (expected != found).then_some(Disagreement::Rows { expected, found })
}

/// Refuses two owners' keys if there is a row, from 1, in which they differ.
pub(super) fn same_keys(
    first: &Description,
    other: &Description,
    different: Option<u64>,
) -> Result<(), DatasetError> {
    let disagree = |row| DatasetError::Disagree {
        owner: other.owner.clone(),
        other: first.owner.clone(),
        what: Disagreement::Key { row },
    };
    different.map_or(Ok(()), |row| Err(disagree(row)))
}

/// A party's shares of a dataset.
pub struct Dataset {
    /// Whose shares these are.
    pub party: Party,
    /// Shares of the features, `rows x columns`, row-major.
    pub features: Vec<u64>,
    /// Shares of the labels, `rows x targets_per_row`, row-major.
    pub targets: Vec<u64>,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Words of labels per row.
    pub targets_per_row: usize,
    /// Fraction bits of features and labels.
    pub frac_bits: u8,
    /// What the labels are.
    pub labels: Labels,
    /// Shares of what standardises features, and labels that are numbers, column by column; empty
    /// if nothing is. Where several owners give rows it is that of the one who gives most.
    pub scaling: Vec<[u64; COLUMN_WORDS]>,
    descriptor: Descriptor,
}

impl core::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Dataset({:?}, {:?}, <redacted>)", self.party, self.descriptor)
    }
}

impl Dataset {
    /// What both servers know of the dataset, and must agree on before they use it.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Puts columns of features into this order; the descriptor stays what the owners gave.
    ///
    /// # Errors
    /// [`OtherColumns`] if they have other names.
    pub fn reorder(&mut self, wanted: &[String]) -> Result<(), OtherColumns> {
        if let Some(order) = columns::order(wanted, &self.descriptor.columns)? {
            tracing::info!(
                "dataset {}: columns are put in the order of those to train on",
                self.descriptor.dataset
            );
            self.features = columns::reorder(&self.features, &order);
        }
        Ok(())
    }

    /// Whether there are rows of others than those whose scaling it is.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.descriptor.keys.is_none() && self.descriptor.uploads.len() > 1
    }
}

/// An upload in a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The upload.
    pub id: UploadId,
    /// Who gave it.
    pub owner: Name,
    /// Rows.
    pub rows: u64,
    /// What may be opened of what is computed on it.
    pub openings: Openings,
}

/// What both servers know of a dataset: the same at both, or they do not hold shares of the same
/// thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// The dataset's name.
    pub dataset: Name,
    /// Rows.
    pub rows: u64,
    /// Names of the columns of features.
    pub columns: Vec<String>,
    /// What the labels are.
    pub labels: Labels,
    /// Names of the columns that labels come from.
    pub label_columns: Vec<String>,
    /// Fraction bits of features and labels.
    pub frac_bits: u8,
    /// Whether features, and labels that are numbers, are standardised.
    pub standardised: bool,
    /// Bits of the largest magnitude of a feature, and of a label.
    pub magnitude_bits: [u8; 2],
    /// The uploads that it is made of, in the order in which they are joined.
    pub uploads: Vec<Part>,
    /// SHA-256 of the hashed keys, if owners give columns.
    pub keys: Option<[u8; 32]>,
}

impl Descriptor {
    /// Names of all columns.
    #[must_use]
    pub fn columns(&self) -> Columns {
        Columns { features: self.columns.clone(), labels: self.label_columns.clone() }
    }

    /// SHA-256 of the whole: what two servers compare.
    pub fn hash(&self) -> [u8; 32] {
        // A descriptor is plain data, which `postcard` always writes to a growing buffer.
        let bytes = postcard::to_allocvec(self).unwrap_or_default();
        Sha256::new().chain_update(b"sharelet dataset 3\0").chain_update(bytes).finalize().into()
    }

    /// The first field in which another descriptor differs.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let fields = [
            (self.dataset == other.dataset, "dataset"),
            (self.frac_bits == other.frac_bits, "fraction bits"),
            (self.labels == other.labels, "labels"),
            (self.label_columns == other.label_columns, "names of label columns"),
            (self.columns == other.columns, "columns"),
            (self.uploads == other.uploads, "uploads"),
            (self.rows == other.rows, "rows"),
            (self.standardised == other.standardised, "whether it is standardised"),
            (self.magnitude_bits == other.magnitude_bits, "the bits of values"),
            (self.keys == other.keys, "keys"),
        ];
        fields.into_iter().find(|(same, _)| !same).map(|(_, field)| field)
    }
}

/// Room for so many words; `None` if there is none. A share that is a seed says nothing of how many
/// there are: what an owner states may be more than any machine has.
fn zeros(elems: usize) -> Option<Vec<u64>> {
    let mut words = Vec::new();
    words.try_reserve_exact(elems).ok()?;
    words.resize(elems, 0);
    Some(words)
}

/// Joins registered uploads, of which there is at least one.
pub(super) fn join(
    party: Party,
    name: &Name,
    registered: &[(Description, PathBuf)],
) -> Result<Dataset, DatasetError> {
    let too_large = || DatasetError::TooLarge { dataset: name.clone() };
    let unknown = || DatasetError::Unknown { dataset: name.clone(), existing: "none".to_owned() };
    for (index, (first, _)) in registered.iter().enumerate() {
        registered.iter().skip(index + 1).try_for_each(|(other, _)| agree(first, other))?;
    }
    let (first, first_path) = registered.first().ok_or_else(unknown)?;
    let keyed = first.keyed;
    let owners = registered.iter().map(|(description, _)| description);
    // Of owners of columns, one gives labels; of owners of rows, the first speaks for all.
    let labelled = owners.clone().find(|owner| owner.labels != Labels::None).unwrap_or(first);
    let (labels, label_columns) = (labelled.labels, labelled.label_columns.clone());
    let (columns, rows) = if keyed {
        let columns = owners.clone().flat_map(|owner| owner.columns.iter().cloned()).collect();
        (columns, first.rows)
    } else {
        let rows = owners
            .clone()
            .try_fold(0_u64, |rows, owner| rows.checked_add(owner.rows))
            .ok_or_else(too_large)?;
        (first.columns.clone(), rows)
    };
    let count = usize::try_from(rows).map_err(|_| too_large())?;
    let (width, targets_per_row) = (columns.len(), labels.per_row());
    let room = |width: usize| count.checked_mul(width).and_then(zeros).ok_or_else(too_large);
    let (mut features, mut targets) = (room(width)?, room(targets_per_row)?);
    // Where the next upload's words go: the column in a row, or the first word.
    let (mut column, mut feature, mut target) = (0, 0, 0);
    let mut first_keys = None;
    let (mut scaling, mut target_scaling) = (Vec::new(), Vec::new());
    let most_rows = owners.clone().map(|owner| owner.rows).max();
    for (_, path) in registered {
        let upload = file::read(path, party)?;
        let Upload { description, keys, share } = upload;
        let words = words(&description, share).ok_or_else(too_large)?;
        let (own_features, behind) = words.split_at(feature_elems(&description));
        let targets_end = behind.len() - description.standardised_columns() * COLUMN_WORDS;
        let (own_targets, own_scaling) = behind.split_at(targets_end);
        let (own_scaling, _) = own_scaling.as_chunks();
        let (of_features, of_targets) =
            own_scaling.split_at(own_scaling.len().min(description.columns.len()));
        // Rows of several owners have one scaling: that of the first who gives most of them.
        if keyed || (scaling.is_empty() && Some(description.rows) == most_rows) {
            scaling.extend_from_slice(of_features);
            target_scaling.extend_from_slice(of_targets);
        }
        if keyed {
            let own = description.columns.len();
            for (row, own) in features.chunks_exact_mut(width).zip(own_features.chunks_exact(own)) {
                copy(row, column, own);
            }
            column += own;
            match &first_keys {
                None => first_keys = Some(keys),
                Some(first_keys) if *first_keys == keys => {}
                Some(_) => same_keys(first, &description, file::different_key(first_path, path)?)?,
            }
        } else {
            copy(&mut features, feature, own_features);
            feature += own_features.len();
        }
        copy(&mut targets, target, own_targets);
        target += own_targets.len();
    }
    tracing::debug!(%name, "read {count} rows of {width} from {}", first_path.display());
    let part = |owner: &Description| Part {
        id: owner.id,
        owner: owner.owner.clone(),
        rows: owner.rows,
        openings: owner.openings.clone(),
    };
    let most = |bits: fn(&Description) -> u8| owners.clone().map(bits).max().unwrap_or(0);
    let magnitude_bits = [most(|owner| owner.feature_bits), most(|owner| owner.target_bits)];
    let uploads = owners.map(part).collect();
    let (frac_bits, standardised) = (first.frac_bits, first.standardised);
    scaling.extend(target_scaling);
    let descriptor = Descriptor {
        dataset: name.clone(),
        rows,
        columns,
        labels,
        label_columns,
        frac_bits,
        standardised,
        magnitude_bits,
        uploads,
        keys: first_keys,
    };
    Ok(Dataset {
        party,
        features,
        targets,
        rows: count,
        columns: width,
        targets_per_row,
        frac_bits,
        labels,
        scaling,
        descriptor,
    })
}

fn feature_elems(description: &Description) -> usize {
    usize::try_from(description.rows)
        .unwrap_or(usize::MAX)
        .saturating_mul(description.columns.len())
}

/// A party's words of an upload: server 0 expands its seed.
fn words(description: &Description, share: Share) -> Option<Vec<u64>> {
    match share {
        Share::Words(words) => Some(words),
        Share::Seed(seed) => {
            let mut words = zeros(usize::try_from(description.elems()?).ok()?)?;
            shares::expand(&seed, &mut words);
            Some(words)
        }
    }
}

fn copy(to: &mut [u64], at: usize, from: &[u64]) {
    to.iter_mut().skip(at).zip(from).for_each(|(to, from)| *to = *from);
}
