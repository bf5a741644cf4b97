//! A server's share of a trained model, as it is served.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::session::wire::task::Task;

use super::wire::Greeting;
use crate::dealer::wire::Serve;
use crate::server::training::wire;
use crate::store::training::{Share, TrainingError};
use sharelet_model::readings::columns::Columns;
use sharelet_train::config::{Config, ConfigError};
use sharelet_train::course::{Course, CourseError};
use sharelet_train::model::Model;
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::serving::{Serving, ServingError};

/// Why a share of a model cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file.
    #[error(transparent)]
    Share(#[from] TrainingError),
    /// The configuration in it.
    #[error(transparent)]
    Course(#[from] CourseError),
    /// The sizes.
    #[error(transparent)]
    Serving(#[from] ServingError),
    /// More inputs or outputs than a task can have.
    #[error(
        "the model has {inputs} inputs and {outputs} outputs; data parties can ask for up to {} \
         of either",
        u16::MAX
    )]
    TooWide {
        /// Its inputs.
        inputs: usize,
        /// Its outputs.
        outputs: usize,
    },
}

/// A share of a model with everything public about it.
pub struct SharedModel {
    /// 0 or 1.
    pub party: u8,
    /// Sizes and plans.
    pub serving: Arc<Serving>,
    /// The share.
    pub model: Model,
    /// The share of what standardises the columns.
    pub scaling: Vec<[u64; COLUMN_WORDS]>,
    /// What data parties know.
    pub task: Task,
    /// Names of the columns that it was trained on, which data parties know, too.
    pub columns: Columns,
    run: [u8; 16],
    step: u64,
    config: Vec<(String, String)>,
    checked: Config,
}

impl core::fmt::Debug for SharedModel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SharedModel")
            .field("party", &self.party)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

impl SharedModel {
    /// Reads what training left: `model.share`, or a checkpoint.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::new(&Share::load(path)?, path)
    }

    /// As [`SharedModel::load`], of a given party.
    ///
    /// # Errors
    /// [`TrainingError::OtherParty`] among others.
    pub fn load_of(path: &Path, party: u8) -> Result<Self, ModelError> {
        let model = Self::load(path)?;
        if model.party != party {
            return Err(TrainingError::OtherParty {
                path: path.to_owned(),
                found: model.party,
                expected: party,
            }
            .into());
        }
        Ok(model)
    }

    /// What is dealt for `count` sessions from `first` on, under server 0's key of the name
    /// `device`.
    #[must_use]
    pub fn describe(&self, device: DeviceId, (first, count): (u64, u32)) -> Serve {
        let (network, arithmetic) = (self.serving.network().clone(), self.serving.arithmetic());
        let standardised = self.serving.standardised();
        Serve { device, first, count, network, arithmetic, standardised }
    }

    /// A share in memory; `path` names it in errors.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn new(share: &Share, path: &Path) -> Result<Self, ModelError> {
        let header = &share.header;
        let config = Config::parse(&header.config, path).map_err(CourseError::from)?;
        let course = Course::new(config, header.sizes)?;
        let standardised = header.sizes.standardised;
        let arithmetic = course.config().arithmetic;
        let serving = Serving::new(course.network().clone(), arithmetic, standardised)?;
        let serving = Arc::new(serving);
        let whole =
            Model::zeros(course.network(), course.has_momentum()).map_err(CourseError::from)?;
        // Behind the model's words are the sums of the epoch and the scaling.
        let behind = whole.words().count() + 2;
        let scaling = share.words.get(behind..).unwrap_or_default();
        if scaling.len() != standardised * COLUMN_WORDS
            || share.words.len() < behind
            || header.columns.features.len() != header.sizes.features
            || header.party > 1
        {
            return Err(TrainingError::Damaged { path: path.to_owned() }.into());
        }
        let scaling = scaling.as_chunks().0.to_vec();
        let mut model = serving.zeros();
        model.words_mut().zip(&share.words).for_each(|(word, share)| *word = *share);
        let checked = course.config().clone();
        let task = task(&serving, share, &checked)?;
        let fields = checked.fields().map_err(CourseError::from)?;
        let (run, step) = (header.run, header.step);
        let (party, columns) = (header.party, header.columns.clone());
        let config = fields;
        Ok(Self { party, serving, model, scaling, task, columns, run, step, config, checked })
    }

    /// What is told to the other server before anything is opened.
    #[must_use]
    pub fn greeting(&self) -> Greeting {
        Greeting {
            version: super::wire::VERSION,
            run: self.run,
            step: self.step,
            config: self.config.clone(),
            columns: self.columns.clone(),
            lane: None,
        }
    }

    /// The first field in which the other server's share is of another model.
    #[must_use]
    pub fn difference(&self, theirs: &Greeting) -> Option<String> {
        let same = "give both servers their shares of one run";
        if theirs.version != super::wire::VERSION {
            let (ours, theirs) = (super::wire::VERSION, theirs.version);
            return Some(format!(
                "version: {ours} here and {theirs} at the other server; install matching versions"
            ));
        }
        match self.checked.difference(&theirs.config) {
            Ok(None) => {}
            Ok(Some(difference)) => return Some(difference.to_string()),
            Err(error) => return Some(error.to_string()),
        }
        if self.run != theirs.run {
            return Some(format!(
                "run: the servers hold shares of models of different training runs; {same}"
            ));
        }
        if self.step != theirs.step {
            let (ours, theirs) = (self.step, theirs.step);
            return Some(format!(
                "step: {ours} here and {theirs} at the other server; {same}, after the same step"
            ));
        }
        let differs = self.columns.difference(&theirs.columns)?;
        Some(format!("{}; {same}", wire::printable(&differs)))
    }
}

fn task(serving: &Serving, share: &Share, config: &Config) -> Result<Task, ModelError> {
    let (inputs, outputs) = (serving.inputs(), serving.outputs());
    let too_wide = || ModelError::TooWide { inputs, outputs };
    let elems = |count: usize| u16::try_from(count).map_err(|_| too_wide());
    let bits = |bits: u32| u8::try_from(bits).map_err(|_| too_wide());
    let fingerprint: Result<[u8; 32], ConfigError> = config.fingerprint();
    // Names are plain data, which `postcard` always writes to a growing buffer.
    let columns = postcard::to_allocvec(&share.header.columns).unwrap_or_default();
    let sizes = [share.header.sizes.features as u64, share.header.sizes.targets as u64]
        .map(u64::to_le_bytes);
    let digest = Sha256::new()
        .chain_update(b"sharelet shared task 2\0")
        .chain_update(share.header.run)
        .chain_update(share.header.step.to_le_bytes())
        .chain_update(sizes.as_flattened())
        .chain_update(fingerprint.map_err(CourseError::from)?)
        .chain_update(columns)
        .finalize();
    Ok(Task {
        ring_bits: 64,
        input_frac_bits: bits(serving.arithmetic().frac_bits)?,
        output_frac_bits: bits(serving.output_frac_bits())?,
        inputs: elems(inputs)?,
        outputs: elems(outputs)?,
        input_limit: serving.input_limit(),
        model: digest.first_chunk().copied().unwrap_or_default(),
    })
}
