//! Why a dataset cannot be read, or an upload taken.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sharelet_link::files::FileError;
use sharelet_train::labels::Labels;

use crate::data::description::UploadId;
use crate::data::name::Name;
use crate::store::error::StoreError;

/// Why a dataset cannot be read, or an upload taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No such dataset.
    #[error(
        "no dataset `{dataset}`; there are: {existing}. `sharelet share --dataset {dataset}` \
         makes it"
    )]
    Unknown {
        /// The name.
        dataset: Name,
        /// Those that exist.
        existing: String,
    },
    /// A file is damaged.
    #[error(
        "{path}: the file is cut or damaged; delete it at both servers and let its owner share \
        again",
        path = path.display(),
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file of another version.
    #[error(
        "{path}: a file of version {found}, this program reads version {expected}; let its owner \
        share again",
        path = path.display(),
    )]
    FileVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u16,
        /// The version that is read.
        expected: u16,
    },
    /// The state belongs to the other party.
    #[error(
        "{path}: a share of party {found}, and this server is party {expected}; give each party a \
        state directory of its own",
        path = path.display(),
    )]
    OtherParty {
        /// The file.
        path: PathBuf,
        /// Its party.
        found: u8,
        /// The server's party.
        expected: u8,
    },
    /// The owner has given an upload already.
    #[error(
        "{owner} has given upload {upload} to dataset {dataset} already; if `sharelet share` was \
         interrupted then, end it with --upload-id {upload}"
    )]
    Registered {
        /// The owner.
        owner: Name,
        /// The dataset.
        dataset: Name,
        /// The upload.
        upload: UploadId,
    },
    /// An upload of this id was announced as something else.
    #[error(
        "upload {upload} was of another table or with other options; repeat it with the same file \
         and options"
    )]
    OtherUpload {
        /// The upload.
        upload: UploadId,
    },
    /// The upload is not stored.
    #[error("upload {upload} is not stored here; share again")]
    NotStored {
        /// The upload.
        upload: UploadId,
    },
    /// More or fewer bytes than announced.
    #[error("upload {upload} has more or fewer bytes than announced; share again")]
    Impossible {
        /// The upload.
        upload: UploadId,
    },
    /// The digest does not match.
    #[error("upload {upload} was damaged on the way; share again")]
    Digest {
        /// The upload.
        upload: UploadId,
    },
    /// An upload does not fit those of other owners.
    #[error("the data of {owner} does not fit that of {other}: {what}")]
    Disagree {
        /// Whose upload does not fit.
        owner: Name,
        /// Whose upload was there before.
        other: Name,
        /// In what.
        what: Disagreement,
    },
    /// The dataset does not fit into memory.
    #[error("dataset {dataset} is larger than this machine can address; use a smaller one")]
    TooLarge {
        /// The dataset.
        dataset: Name,
    },
}

/// In what uploads of two owners do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Disagreement {
    /// The fraction bits.
    #[error("{found} fraction bits where {expected} are due; share with --frac-bits {expected}")]
    FracBits {
        /// Those of the first owner.
        expected: u8,
        /// Those of the other.
        found: u8,
    },
    /// One is standardised, the other is not.
    #[error(
        "one is to be standardised, the other is not; give --standardise at all owners, or \
         --no-standardise"
    )]
    Standardised,
    /// One has keys, the other has not.
    #[error(
        "one is to be joined by keys (columns of the same rows), the other is not (more rows); \
         give --key at all owners or at none"
    )]
    Keys,
    /// The number of columns.
    #[error("{found} columns where {expected} are due; choose the same ones with --columns")]
    ColumnCount {
        /// Those of the first owner.
        expected: u32,
        /// Those of the other.
        found: u32,
    },
    /// A column's name.
    #[error(
        "column {position} is `{found}` where `{expected}` is due; choose the same ones in the \
         same order with --columns"
    )]
    Column {
        /// Position, from 1.
        position: u32,
        /// Name at the first owner.
        expected: String,
        /// Name at the other.
        found: String,
    },
    /// Two owners give a column.
    #[error(
        "both have a column `{name}`; leave it out at one of them with --columns, or rename it"
    )]
    ColumnTwice {
        /// The name.
        name: String,
    },
    /// What the labels are.
    #[error("{found} where {expected} are due; give the same kind of labels")]
    Labels {
        /// Those of the first owner.
        expected: Labels,
        /// Those of the other.
        found: Labels,
    },
    /// A column that labels come from.
    #[error(
        "labels are from column `{found}` where `{expected}` is due; give the same one with \
         --label, or rename it"
    )]
    LabelColumn {
        /// Name at the first owner.
        expected: String,
        /// Name at the other.
        found: String,
    },
    /// Two owners give labels.
    #[error("both give labels; only one owner of columns does")]
    LabelsTwice,
    /// The number of rows.
    #[error(
        "{found} rows where {expected} are due; owners of columns give the same rows in the same \
         order"
    )]
    Rows {
        /// Those of the first owner.
        expected: u64,
        /// Those of the other.
        found: u64,
    },
    /// A key.
    #[error(
        "row {row} has another key, and it is the first that has; owners of columns give the same \
         rows in the same order, under the same --key-secret"
    )]
    Key {
        /// Row, from 1.
        row: u64,
    },
}
