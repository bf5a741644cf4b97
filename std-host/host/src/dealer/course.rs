//! Dealing the sessions of a training run, one after the other, on all cores.

use core::time::Duration;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sharelet_core::binding::Binding;
use tokio::sync::oneshot;

use super::held::MAX_WORDS;
use super::wire::{self, Kind, MAX_SESSION_BYTES, Ordered, Refusal, Train, WireError};
use super::{Dealer, DealerError, orders, state};
use sharelet_link::service::{Leave, Visit};
use sharelet_link::{Party, Reader, Writer, frame};
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Session};
use sharelet_train::plans::Plans;
use sharelet_train::state::State;
use sharelet_train::tensor::offline::{Dealt, deal};

/// A server that trains asks for the next session within this time: it waits as long for the dealer
/// to deal one. Whoever asks for none does not keep a place and what was dealt for longer.
const STEP: Duration = Duration::from_secs(600);

/// Deals one session, for whatever state its masks are in.
fn deal_session(
    (course, plans): (&Course, &Plans),
    binding: &Binding,
    (number, session): (u64, Session),
    participant: &mut State,
) -> Result<Dealt, Refusal> {
    let seed = crate::store::key::random_key().map_err(|error| state(&error))?;
    let mut rng = ChaCha20Rng::from_seed(*seed.expose());
    let plan = plans.of(course.kind(session));
    let dealt =
        deal(&plan, &mut participant.turn(session), course.truncation(), binding, number, &mut rng);
    Ok(dealt.map_err(|_| Refusal::BadRun)?.0)
}

/// Checks a request, before memory is taken for it; also the words of data and model.
fn check(request: &Train) -> Result<(Arc<Course>, Plans, u64), Refusal> {
    let config = Config::parse(&request.config, Path::new("the run's configuration"))
        .map_err(|_| Refusal::BadRun)?;
    let sizes = request.sizes;
    let columns = (sizes.features as u64).checked_add(sizes.targets as u64);
    let words = |rows: usize| (rows as u64).checked_mul(columns?);
    let fits = words(sizes.rows)
        .zip(words(sizes.test_rows))
        .and_then(|(train, test)| train.checked_add(test));
    let data = fits.filter(|words| *words <= MAX_WORDS).ok_or(Refusal::TooLarge)?;
    let course = Arc::new(Course::new(config, sizes).map_err(|_| Refusal::BadRun)?);
    let parameters = course.network().parameters().map_err(|_| Refusal::BadRun)?;
    let model: u64 = parameters.iter().map(|counts| counts.words() as u64).sum();
    let words = data.saturating_add(model);
    if words > MAX_WORDS {
        return Err(Refusal::TooLarge);
    }
    let plans = Plans::new(&course).map_err(|_| Refusal::BadRun)?;
    if plans.iter().any(|(_, plan)| plan.dealt_bytes() > MAX_SESSION_BYTES as u64) {
        return Err(Refusal::TooLarge);
    }
    Ok((course, plans, words))
}

impl Dealer {
    /// Deals a training run; a session is sent when the server asks for the next.
    pub(super) async fn deal_course(
        self: &Arc<Self>,
        peer: Option<Party>,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
        request: Ordered<Train>,
    ) -> Result<(), DealerError> {
        let Train { device, first, count, steps, .. } = request.description;
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let prepare = move |dealer: &Self| {
            // First of all, so that what nobody has ordered costs nothing.
            let key = dealer.key(device)?;
            let (key, binding) = orders::program(&key, peer, &request)?;
            let (course, plans, words) = check(&request.description)?;
            let held = dealer.held.hold(peer, words)?;
            if u32::try_from(course.sessions(steps).count()) != Ok(count) {
                return Err(Refusal::BadRun);
            }
            // The last number that there is stays free: counting goes one further than is dealt.
            if first.checked_add(u64::from(count)) == Some(u64::MAX) {
                return Err(Refusal::BadRun);
            }
            dealer.record(device, key, (first, count))?;
            let participant = State::empty(course.clone()).map_err(|_| Refusal::BadRun)?;
            Ok((course, plans, binding, participant, held))
        };
        let (course, plans, binding, mut participant, _held) = self.blocking(prepare).await?;
        frame::send_bytes(writer, Kind::Agreed, &[]).await?;
        tracing::info!(%device, "deals {count} sessions of a training run, from {first} on");
        let (plans, binding) = (Arc::new(plans), Arc::new(binding));
        let listed = course.clone();
        let mut sessions = (first..).zip(listed.sessions(steps)).peekable();
        // Masks of the data are made first: all steps need them.
        while let Some(opening) =
            sessions.next_if(|(_, session)| !matches!(session, Session::Step(_)))
        {
            let (course, plans, binding) = (course.clone(), plans.clone(), binding.clone());
            let (dealt, state) = self
                .blocking(move |_| {
                    let dealt =
                        deal_session((&course, &plans), &binding, opening, &mut participant)?;
                    Ok((dealt, participant))
                })
                .await?;
            participant = state;
            send_next(reader, writer, visit, STEP, (opening.0, &dealt)).await?;
        }
        let deal = move |number, session| {
            let mut state = participant.beside().map_err(|_| Refusal::BadRun)?;
            deal_session((&course, &plans), &binding, (number, session), &mut state)
        };
        self.deal_all((reader, writer, visit), STEP, sessions, deal).await?;
        tracing::info!(%device, "dealt the training run");
        Ok(())
    }

    /// Deals sessions that do not need each other on all cores, and sends them in order as they are
    /// asked for; what is dealt waits in memory for at most one session per core.
    pub(super) async fn deal_all<S: Send + 'static>(
        &self,
        (reader, writer, visit): (&mut Reader, &mut Writer, &mut Visit),
        wait: Duration,
        mut sessions: impl Iterator<Item = (u64, S)> + Send,
        deal: impl Fn(u64, S) -> Result<Dealt, Refusal> + Send + Sync + 'static,
    ) -> Result<(), DealerError> {
        let (deal, window) = (Arc::new(deal), rayon::current_num_threads());
        let mut in_flight = VecDeque::with_capacity(window);
        loop {
            for (number, session) in sessions.by_ref().take(window - in_flight.len()) {
                let (done, dealt) = oneshot::channel();
                let deal = deal.clone();
                // The receiver is gone if the server is: then nobody misses the result.
                rayon::spawn(move || drop(done.send(deal(number, session))));
                in_flight.push_back((number, dealt));
            }
            let Some((number, dealt)) = in_flight.pop_front() else { return Ok(()) };
            let dealt = dealt.await.unwrap_or(Err(Refusal::State)).map_err(DealerError::Refused)?;
            send_next(reader, writer, visit, wait, (number, &dealt)).await?;
        }
    }
}

/// Sends a session when it is asked for, which may take as long as `wait`.
pub(super) async fn send_next(
    reader: &mut Reader,
    writer: &mut Writer,
    visit: &mut Visit,
    wait: Duration,
    (session, dealt): (u64, &Dealt),
) -> Result<(), DealerError> {
    let begun = tokio::time::timeout(wait, visit.next_of_work(reader)).await;
    if !begun.unwrap_or(Err(Leave::TooSlow))? {
        return Err(WireError::Closed.into());
    }
    frame::receive_bytes(reader, Kind::Next, 0).await?;
    Ok(wire::send_session(writer, session, dealt).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_link::Connection;
    use sharelet_link::service::Limits;
    use sharelet_train::tensor::offline::Plan;
    use tokio_util::sync::CancellationToken;

    #[tokio::test(start_paused = true)]
    async fn a_run_that_asks_for_nothing_is_given_up_after_a_step() {
        let (near, _far) = tokio::io::duplex(1 << 10);
        let Connection { mut reader, mut writer, .. } =
            Connection::over(near, Duration::from_secs(20));
        let mut visit = Visit::alone(Limits::default(), CancellationToken::new());
        let dealt = Dealt::parse(&Plan::default(), vec![0; 32]).expect("a seed alone");
        let start = tokio::time::Instant::now();
        for _ in 0..2 {
            let (reader, writer) = (&mut reader, &mut writer);
            let sent = send_next(reader, writer, &mut visit, STEP, (1, &dealt)).await;
            assert!(matches!(sent, Err(DealerError::Refused(Refusal::TooSlow))), "{sent:?}");
        }
        assert!(start.elapsed() < 2 * STEP + Duration::from_secs(1));
    }
}
