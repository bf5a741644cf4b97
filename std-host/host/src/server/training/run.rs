//! A server's part of a training run: it agrees with the other, trains, writes checkpoints, and
//! keeps its share of the model.

use std::sync::Arc;
use std::time::Instant;

use sharelet_core::keystream::Keystream;
use sharelet_core::session::SessionCounter as _;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::share::Party;

pub use super::error::RunError;
pub use super::meeting::Meeting;
use super::meeting::Met;
use super::resume::{self, DataHashes};
use super::supply::{Source, Supply};
use super::together::OfRun;
use super::wire::{self, Begin, Hello, Prepares, Start, Verdict};
use crate::dealer::client::{Client, ClientError, Sessions};
use crate::dealer::wire::{Description as _, Ordered, Refusal, Train};
use crate::store::counter::FileCounter;
use crate::store::datasets::Dataset;
use crate::store::key::DeviceKey;
use crate::store::training::{Checkpoints, Header, Share, number};
use sharelet_link::exchange::{Exchange, Sent};
use sharelet_link::{Reader, Writer};
use sharelet_model::readings::columns::{self, Columns};
use sharelet_train::config::{Config, Open};
use sharelet_train::course::{Course, CourseError, Session, Sizes};
use sharelet_train::curve::Opened;
use sharelet_train::curve::{Curve, Epoch, means};
use sharelet_train::plans::Plans;
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::state::{Data, Seen, State};

/// Where a server's correlations come from.
#[derive(Debug)]
pub enum Correlations {
    /// Server 0's key and counter.
    Key(DeviceKey, Box<FileCounter>),
    /// Server 1's dealer.
    Dealer(Client),
    /// The other server alone: both make them, session by session. Which server this is.
    Alone(Party),
}

impl Correlations {
    /// Which server has such.
    #[must_use]
    pub const fn party(&self) -> Party {
        match self {
            Self::Key(..) => Party::P0,
            Self::Dealer(_) => Party::P1,
            Self::Alone(party) => *party,
        }
    }

    const fn prepares(&self) -> Prepares {
        match self {
            Self::Key(..) | Self::Dealer(_) => Prepares::Dealer,
            Self::Alone(_) => Prepares::Alone,
        }
    }
}

/// What a server trains with.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The rows to train on.
    pub train: Dataset,
    /// The rows to test on.
    pub test: Option<Dataset>,
    /// Where the state goes.
    pub checkpoints: Checkpoints,
    /// Whether to go on.
    pub resume: bool,
}

/// What is told while training.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many steps of so many were made.
    Step {
        /// Made.
        step: usize,
        /// In all.
        steps: usize,
    },
    /// An epoch is over.
    Epoch(Epoch),
    /// A checkpoint was written.
    Checkpoint {
        /// Steps that were made.
        step: usize,
    },
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Report {
    /// What may be seen of it.
    pub curve: Curve,
    /// What this server sent.
    pub sent: Sent,
    /// Time in sessions, that of the messages included.
    pub online: core::time::Duration,
    /// Time in which correlations were waited for, or made with the other server.
    pub preparing: core::time::Duration,
    /// Steps that were made by this run.
    pub steps: usize,
    /// Whether there was nothing left to do: both servers had their share of the model.
    pub finished_before: bool,
}

/// Trains, from the first message to the last checkpoint.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    setup: Setup,
    correlations: Correlations,
    meeting: impl Into<Meeting>,
    progress: &mut dyn FnMut(Progress),
    stop: &tokio_util::sync::CancellationToken,
) -> Result<Report, RunError> {
    let Setup { config, train, mut test, checkpoints, resume } = setup;
    let party = correlations.party();
    let bits = |which: usize| {
        let both = [Some(&train), test.as_ref()].into_iter().flatten();
        both.filter_map(|data| data.descriptor().magnitude_bits.get(which)).max().copied()
    };
    let [feature_bits, target_bits] = [0, 1].map(|which| bits(which).unwrap_or(0).into());
    let sizes = Sizes {
        rows: train.rows,
        features: train.columns,
        targets: train.targets_per_row,
        test_rows: test.as_ref().map_or(0, |test| test.rows),
        standardised: train.scaling.len(),
        mixed: train.is_mixed(),
        feature_bits,
        target_bits,
    };
    let course = Arc::new(Course::new(config, sizes)?);
    check_data(&course, &train, test.as_mut())?;
    check_openings(&course.config().open, &train, test.as_ref())?;
    let data = DataHashes {
        train: train.descriptor().hash(),
        test: test.as_ref().map(|test| test.descriptor().hash()),
    };
    let plans = Arc::new(Plans::new(&course)?);
    let who = (party, correlations.prepares());
    let greeting = greeting(&course, who, (&train, test.as_ref(), data), (resume, &checkpoints))?;
    let held = greeting.checkpoints.as_ref();
    let finished = resume.then(|| resume::finished(&checkpoints, &course, data, held)).flatten();
    let greeting = Hello { finished: finished.as_ref().map(|(_, run)| *run), ..greeting };
    let agreed = async {
        let mut met = meeting.into().meet(greeting.clone(), course.clone(), stop).await?;
        if greeting.finished.is_some() && greeting.finished == met.theirs.finished {
            return Ok(None);
        }
        let step = begin_at(&greeting, &met.theirs)?;
        let (run, source) = agree(&mut met, correlations, (&course, step, &greeting)).await?;
        Ok::<_, RunError>(Some((met, step, run, source)))
    };
    let agreed = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(RunError::Stopped { step: 0 }),
        agreed = agreed => agreed?,
    };
    let Some((met, step, run, source)) = agreed else {
        // Both have their share of the model: only the word of it was lost.
        checkpoints.drop_after(None)?;
        let curve = finished.and_then(|(share, _)| postcard::from_bytes(&share.header.curve).ok());
        let (curve, sent) = (curve.unwrap_or_default(), Sent::default());
        let online = core::time::Duration::ZERO;
        let preparing = online;
        return Ok(Report { curve, sent, online, preparing, steps: 0, finished_before: true });
    };
    let (scaling, columns) = (train.scaling.clone(), train.descriptor().columns());
    let [train, test] = [Some(train), test].map(data_of);
    let mut state = State::new(course.clone(), train, test).map_err(CourseError::from)?;
    let mut curve = Curve::default();
    state.begin(party == Party::P1).map_err(CourseError::from)?;
    if let Some(step) = step {
        curve = resume::restore(&mut state, &checkpoints.load(step)?, &checkpoints.path(step))?;
    }
    checkpoints.drop_after(step)?;
    let steps = usize::try_from(step.unwrap_or(0)).unwrap_or(usize::MAX);
    let supply = match source {
        Some((first, source)) => {
            Next::Ahead(Supply::begin(course.clone(), plans, steps, first, source))
        }
        None => Next::Together(OfRun::new(party, course.clone())),
    };
    let running = Running {
        course,
        state,
        curve,
        checkpoints,
        party,
        run,
        data,
        scaling,
        columns,
        good: step.unwrap_or(0),
    };
    let Met { reader, writer, others: _others, .. } = met;
    running.train(supply, (reader, writer), steps, progress, stop).await
}

fn data_of(dataset: Option<Dataset>) -> Data {
    dataset.map_or_else(Data::default, |Dataset { features, targets, scaling, .. }| Data {
        inputs: features,
        targets,
        scaling,
    })
}

fn check_data(
    course: &Course,
    train: &Dataset,
    test: Option<&mut Dataset>,
) -> Result<(), RunError> {
    let fits = |dataset: &Dataset| u32::from(dataset.frac_bits) == course.frac_bits();
    for dataset in [Some(train), test.as_deref()].into_iter().flatten() {
        let name = || dataset.descriptor().dataset.to_string();
        course.check_labels(&name(), dataset.labels)?;
        if !fits(dataset) {
            let reason = format!(
                "it was shared with {} fraction bits, and `arithmetic.frac_bits` is {}; share it \
                 with --frac-bits {1}",
                dataset.frac_bits,
                course.frac_bits()
            );
            return Err(CourseError::Data { dataset: name(), reason }.into());
        }
        let reason = if dataset.labels != train.labels {
            "it has other labels than the data to train on; share it with the same options"
        } else if dataset.scaling.is_empty() != train.scaling.is_empty() {
            "of it and the data to train on, one is to be standardised and the other is not; \
             share both with --standardise, or both with --no-standardise"
        } else {
            continue;
        };
        return Err(CourseError::Data { dataset: name(), reason: reason.to_owned() }.into());
    }
    let Some(test) = test else { return Ok(()) };
    let [wanted, found] = [train, &*test].map(|dataset| &dataset.descriptor().label_columns);
    if !columns::same_labels(wanted, found) {
        let dataset = test.descriptor().dataset.to_string();
        let reason = format!(
            "its labels are from {}, and those of `{}` from {}; share it with the same --label, \
             or rename the column",
            columns::list(found),
            train.descriptor().dataset,
            columns::list(wanted)
        );
        return Err(CourseError::Data { dataset, reason }.into());
    }
    let columns = &train.descriptor().columns;
    test.reorder(columns).map_err(|other| {
        let dataset = test.descriptor().dataset.to_string();
        let reason =
            format!("{other}; share it with the columns of `{}`", train.descriptor().dataset);
        CourseError::Data { dataset, reason }.into()
    })
}

/// Each server looks for itself: what both of them do not open stays closed.
fn check_openings(open: &Open, train: &Dataset, test: Option<&Dataset>) -> Result<(), RunError> {
    // No row of the test set is in the model.
    let of_test = Open { model: None, ..open.clone() };
    for (dataset, open) in [(Some(train), open), (test, &of_test)] {
        let Some(descriptor) = dataset.map(Dataset::descriptor) else { continue };
        for part in &descriptor.uploads {
            if let Some(opened) = part.openings.exceeded_by(open) {
                return Err(RunError::NotAllowed {
                    dataset: descriptor.dataset.clone(),
                    owner: part.owner.clone(),
                    allowed: part.openings.clone(),
                    opened,
                });
            }
        }
    }
    Ok(())
}

fn greeting(
    course: &Course,
    (party, prepares): (Party, Prepares),
    (train, test, data): (&Dataset, Option<&Dataset>, DataHashes),
    (resume, checkpoints): (bool, &Checkpoints),
) -> Result<Hello, RunError> {
    let (magic, version) = Hello::magic();
    if !resume {
        checkpoints.expect_none()?;
    }
    let held = if resume { resume::held(checkpoints, course, data)? } else { None };
    Ok(Hello {
        magic,
        version,
        party: number(party),
        prepares,
        config: course.config().fields().map_err(CourseError::from)?,
        train: train.descriptor().clone(),
        test: test.map(|test| test.descriptor().clone()),
        resume,
        checkpoints: held,
        finished: None,
    })
}

/// The step to go on from; `None` to begin.
fn begin_at(ours: &Hello, theirs: &Hello) -> Result<Option<u64>, RunError> {
    if !ours.resume {
        return Ok(None);
    }
    let common = resume::common(ours.checkpoints.as_ref(), theirs.checkpoints.as_ref());
    common.map(Some).ok_or(RunError::NothingInCommon)
}

/// Server 0 says where to begin, and orders the sessions; server 1 asks the dealer for them. The
/// run; and of a dealt one the first session, and where sessions come from.
async fn agree(
    met: &mut Met,
    correlations: Correlations,
    (course, steps, hello): (&Course, Option<u64>, &Hello),
) -> Result<([u8; 16], Option<(u64, Source)>), RunError> {
    let Met { reader, writer, name, .. } = met;
    let chosen = || match (&hello.checkpoints, steps) {
        (Some((run, _)), Some(_)) => Ok(*run),
        _ => random_run(),
    };
    match correlations {
        Correlations::Alone(Party::P0) => {
            let begin = Begin { run: chosen()?, step: steps.unwrap_or(0) };
            wire::send(writer, &begin).await?;
            wire::receive_verdict(reader).await?;
            Ok((begin.run, None))
        }
        Correlations::Alone(Party::P1) => {
            let begin: Begin = wire::receive(reader).await?;
            let differ = differ(begin.step, steps.unwrap_or(0));
            let verdict =
                differ.as_ref().map_or(Verdict::Go, |error| Verdict::Stop(error.to_string()));
            wire::send(writer, &verdict).await?;
            differ.map_or(Ok((begin.run, None)), Err)
        }
        Correlations::Key(key, mut counter) => {
            let run = chosen()?;
            let first = counter.next().await.map_err(|_| RunError::Counter)?;
            let description = describe(course, key.device, first, steps.unwrap_or(0))?;
            // All numbers of the run are recorded as used before the first is: after a crash they
            // are skipped.
            counter
                .consume(first.saturating_add(description.count.max(1).into()) - 1)
                .await
                .map_err(|_| RunError::Counter)?;
            let binding = description.bind(&Keystream::new(&key.key)).map_err(ClientError::from)?;
            let start = Start {
                run,
                step: description.steps,
                first,
                device: key.device,
                key: key.key_id(),
                order: description.order(&binding, *name),
            };
            wire::send(writer, &start).await?;
            wire::receive_verdict(reader).await?;
            Ok((run, Some((first, Source::Key(Arc::new(binding))))))
        }
        Correlations::Dealer(client) => {
            let start: Start = wire::receive(reader).await?;
            let asked = ask(&client, course, start, steps.unwrap_or(0)).await;
            let verdict = asked
                .as_ref()
                .map_or_else(|error| Verdict::Stop(error.to_string()), |_| Verdict::Go);
            wire::send(writer, &verdict).await?;
            Ok((start.run, Some((start.first, Source::Dealer(Box::new(asked?))))))
        }
    }
}

/// An error where the servers would begin at different steps.
fn differ(theirs: u64, ours: u64) -> Option<RunError> {
    let say = || format!("step: {ours} here and {theirs} at the other server");
    (theirs != ours).then(|| RunError::Differ(say()))
}

async fn ask(
    client: &Client,
    course: &Course,
    start: Start,
    steps: u64,
) -> Result<Sessions, RunError> {
    let Start { step, first, device, key, order, .. } = start;
    if let Some(differ) = differ(step, steps) {
        return Err(differ);
    }
    let description = describe(course, device, first, steps)?;
    let asked = client.sessions(&Ordered { key, order, description }).await;
    asked.map_err(|error| match error.refusal() {
        Some(Refusal::SessionUsed { next }) => RunError::CounterIsOld { next },
        _ => error.into(),
    })
}

/// What is dealt for a run that begins or goes on after `steps` steps.
fn describe(course: &Course, device: DeviceId, first: u64, steps: u64) -> Result<Train, RunError> {
    let config = course.config().text().map_err(CourseError::from)?;
    let sessions = course.sessions(usize::try_from(steps).unwrap_or(usize::MAX)).count();
    let count = u32::try_from(sessions).map_err(|_| RunError::TooLong { sessions })?;
    Ok(Train { device, first, count, steps, sizes: course.sizes(), config })
}

fn random_run() -> Result<[u8; 16], RunError> {
    let mut run = [0; 16];
    getrandom::fill(&mut run).map_err(RunError::Randomness)?;
    Ok(run)
}

/// Where the next session's correlations come from.
enum Next {
    /// They are prepared ahead.
    Ahead(Supply),
    /// Both servers make them, before each session.
    Together(OfRun),
}

/// A run in the middle.
struct Running {
    course: Arc<Course>,
    state: State,
    curve: Curve,
    checkpoints: Checkpoints,
    party: Party,
    run: [u8; 16],
    data: DataHashes,
    scaling: Vec<[u64; COLUMN_WORDS]>,
    columns: Columns,
    good: u64,
}

impl Running {
    async fn train(
        mut self,
        mut supply: Next,
        (reader, writer): (Reader, Writer),
        begun: usize,
        progress: &mut dyn FnMut(Progress),
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<Report, RunError> {
        let course = self.course.clone();
        let (mut link, mut step, steps) =
            (Exchange::new(reader, writer), begun, course.plan().steps());
        let [mut online, mut preparing] = [core::time::Duration::ZERO; 2];
        let mut sessions = course.sessions(begun).peekable();
        while let Some(session) = sessions.next() {
            let start = Instant::now();
            let prepare = async {
                match &mut supply {
                    Next::Ahead(supply) => Ok(supply.next().await?),
                    Next::Together(together) => {
                        let prepared = together.next(&self.state, session, &mut link).await;
                        prepared.map_err(|reason| RunError::Prepare { step, reason })
                    }
                }
            };
            let prepared = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RunError::Stopped { step }),
                prepared = prepare => prepared?,
            };
            preparing += start.elapsed();
            let start = Instant::now();
            let mut turn = self.state.turn(session);
            let ran = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RunError::Stopped { step }),
                ran = prepared.run(&mut turn, link) => ran,
            };
            let (seen, back) = ran.map_err(|reason| RunError::Gone { step, reason })?;
            (link, online) = (back, online + start.elapsed());
            if let Session::Step(made) = session {
                step = made + 1;
                progress(Progress::Step { step, steps });
            }
            match (session, seen) {
                (Session::Report(number), Seen::Epoch { train, test }) => {
                    let epoch = self.epoch(number, train, test);
                    self.curve.0.push(epoch);
                    progress(Progress::Epoch(epoch));
                }
                (_, Seen::Beyond(true)) => return Err(RunError::Beyond),
                (_, Seen::TooLarge(true)) => {
                    let what = course.limits();
                    return Err(RunError::Diverged { what, step, good: self.good });
                }
                _ => {}
            }
            // What belongs to a step comes before its checkpoint.
            let done = sessions.peek().is_none_or(|next| matches!(next, Session::Step(_)));
            if done && step > begun && course.checkpoints(step) {
                self.checkpoint(step)?;
                progress(Progress::Checkpoint { step });
            }
        }
        self.share(steps).save(&self.checkpoints.model())?;
        // Checkpoints stay until both have their share of the model.
        let (reader, writer) = link.halves();
        let both = async {
            wire::send(writer, &Verdict::Go).await?;
            wire::receive_verdict(reader).await
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RunError::Stopped { step }),
            both = both => both.map_err(RunError::Unconfirmed)?,
        }
        self.checkpoints.drop_after(None)?;
        let (curve, sent, steps) = (self.curve, link.take(), steps - begun);
        Ok(Report { curve, sent, online, preparing, steps, finished_before: false })
    }

    fn epoch(&self, number: usize, train: Opened, test: Opened) -> Epoch {
        let course = &self.course;
        let train = means(train, course.plan().rows(), course.frac_bits());
        course.epoch(number, train, means(test, course.test_rows().len(), course.frac_bits()))
    }

    fn share(&self, step: usize) -> Share {
        let header = Header {
            party: number(self.party),
            run: self.run,
            step: step as u64,
            sizes: self.course.sizes(),
            columns: self.columns.clone(),
            train: self.data.train,
            test: self.data.test,
            config: self.course.config().text().unwrap_or_default(),
            curve: postcard::to_allocvec(&self.curve).unwrap_or_default(),
        };
        let sums = [self.state.sums.loss, self.state.sums.correct];
        let scaling = self.scaling.iter().flatten();
        Share {
            header,
            words: self.state.model.words().chain(&sums).chain(scaling).copied().collect(),
        }
    }

    fn checkpoint(&mut self, step: usize) -> Result<(), RunError> {
        self.checkpoints.save(&self.share(step))?;
        self.good = step as u64;
        Ok(())
    }
}
