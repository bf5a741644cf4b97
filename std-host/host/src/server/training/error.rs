//! Why a run ends early, for whoever has to do something about it.

use sharelet_core::functions::engine::EngineError;

use super::supply::SupplyError;
use super::wire::PeerError;
use crate::data::name::Name;
use crate::data::openings::Openings;
use crate::dealer::client::ClientError;
use crate::store::StoreError;
use crate::store::training::TrainingError;
use sharelet_train::course::CourseError;
use sharelet_train::plans::PlanError;
use sharelet_train::scaling::REACH;

/// Why a run ended early, or did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The other server.
    #[error("the other server: {0}")]
    Peer(#[from] PeerError),
    /// The other server has not come.
    #[error(
        "the other server has not connected within {} s; start it with the same configuration and \
         --peer, or wait longer with --wait",
        wait.as_secs()
    )]
    Alone {
        /// How long it was waited for.
        wait: core::time::Duration,
    },
    /// Both servers differ.
    #[error("{0}")]
    Differ(String),
    /// The course.
    #[error(transparent)]
    Course(#[from] CourseError),
    /// Its sessions.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The state.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The correlations.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// The dealer.
    #[error(transparent)]
    Dealer(#[from] ClientError),
    /// An owner has not allowed what the configuration opens.
    #[error(
        "{owner} allows to be opened, of what is computed on its data in `{dataset}`: {allowed}; \
         the configuration says {opened}. Take that out, or let {owner} share the data as another \
         data set, with --allow"
    )]
    NotAllowed {
        /// The dataset.
        dataset: Name,
        /// The owner.
        owner: Name,
        /// What it allows.
        allowed: Openings,
        /// What the configuration opens.
        opened: String,
    },
    /// The two servers could not prepare.
    #[error(
        "step {step}: preparing with the other server: {reason}; start both again with --resume"
    )]
    Prepare {
        /// Steps that were made.
        step: usize,
        /// What went wrong.
        reason: crate::server::together::TogetherError,
    },
    /// The counter.
    #[error("the counter of sessions cannot be written; see the log above")]
    Counter,
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The dealer has dealt the numbers of the run's sessions before.
    #[error(
        "the dealer has dealt sessions with numbers below {next} for server 0 already: its \
         counter is a new file or an old copy; nothing was sent; provision server 0 anew"
    )]
    CounterIsOld {
        /// The lowest number that was not dealt.
        next: u64,
    },
    /// More sessions than a dealer deals for one run.
    #[error(
        "the run has {sessions} sessions, more than {}; train in several runs, or in larger \
         batches",
        u32::MAX
    )]
    TooLong {
        /// How many.
        sessions: usize,
    },
    /// The end of the run was not confirmed.
    #[error(
        "this server has its share of the model, and the other did not say whether it has, too \
         ({0}); if it has none, start both again with --resume"
    )]
    Unconfirmed(PeerError),
    /// The other server is gone.
    #[error(
        "step {step}: the other server is gone ({reason}); start both again with --resume, they \
         go on from the last checkpoint that both hold"
    )]
    Gone {
        /// Steps that were made.
        step: usize,
        /// What the link says.
        reason: EngineError<std::io::Error>,
    },
    /// A value is too far from what its column's scaling was computed from.
    #[error(
        "a value is {REACH} or more (of more than 65,536 rows, their root or more) \
         standard deviations away from the mean of its column, as the owner of most \
         rows computed both: units or columns differ between the owners, or between the data to \
         train on and to test on; convert them and share again; nothing was trained"
    )]
    Beyond,
    /// The run diverges.
    #[error(
        "training diverges: {what}, by step {step}; {}; take a smaller `training.learning_rate`, \
         and standardised data",
        last_good(*good)
    )]
    Diverged {
        /// What has grown.
        what: String,
        /// Steps that were made.
        step: usize,
        /// Of the last checkpoint.
        good: u64,
    },
    /// There is nothing to go on from.
    #[error(
        "--resume: there is no step of one run that both servers have a checkpoint of (a run that \
         was finished has none); start without --resume, and with --fresh where there are \
         checkpoints"
    )]
    NothingInCommon,
    /// It was told to stop.
    #[error("stopped {}", when(*step))]
    Stopped {
        /// Steps that were made.
        step: usize,
    },
}

fn when(step: usize) -> String {
    match step {
        0 => "before the first step; start both servers again".to_owned(),
        step => {
            format!("after step {step}; go on from the last checkpoint, both servers with --resume")
        }
    }
}

fn last_good(step: u64) -> String {
    match step {
        0 => "there is no checkpoint before it, start again with --fresh".to_owned(),
        step => {
            format!("the last good checkpoint is that of step {step}, from which --resume goes on")
        }
    }
}
