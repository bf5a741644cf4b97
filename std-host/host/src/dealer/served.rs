//! Dealing the sessions of a shared model that is served: one that opens it, then inferences.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sharelet_core::binding::Binding;

use super::course::send_next;
use super::held::MAX_WORDS;
use super::wire::{Kind, MAX_SERVED, MAX_SESSION_BYTES, Ordered, Refusal, Serve};
use super::{Dealer, DealerError, orders, state};
use sharelet_link::service::Visit;
use sharelet_link::{Party, Reader, Writer, frame};
use sharelet_train::network::{Network, Shape};
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::serving::Serving;
use sharelet_train::tensor::Program;
use sharelet_train::tensor::offline::{Dealt, Plan, deal};

/// Checks a request, before memory is taken for it.
fn check(request: &Serve) -> Result<Arc<Serving>, Refusal> {
    if !(2..=MAX_SERVED).contains(&request.count) {
        return Err(Refusal::Count { limit: MAX_SERVED });
    }
    if words(&request.network).ok_or(Refusal::BadRun)? > MAX_WORDS {
        return Err(Refusal::TooLarge);
    }
    let serving = Serving::new(request.network.clone(), request.arithmetic, request.standardised)
        .map_err(|_| Refusal::BadRun)?;
    if [serving.opening(), serving.evaluation()]
        .iter()
        .any(|plan| plan.dealt_bytes() > MAX_SESSION_BYTES as u64)
    {
        return Err(Refusal::TooLarge);
    }
    Ok(Arc::new(serving))
}

/// Words of a model and of what lies between its layers.
fn words(network: &Network) -> Option<u64> {
    let between =
        network.shapes().ok()?.iter().map(|shape: &Shape| shape.elems() as u64).sum::<u64>();
    let parameters = network.parameters().ok()?;
    Some(between + parameters.iter().map(|counts| counts.words() as u64).sum::<u64>())
}

fn deal_one<P: Program>(
    serving: &Serving,
    plan: &Plan,
    binding: &Binding,
    number: u64,
    program: &mut P,
) -> Result<(Dealt, P::Output), Refusal> {
    let seed = crate::store::key::random_key().map_err(|error| state(&error))?;
    let mut rng = ChaCha20Rng::from_seed(*seed.expose());
    deal(plan, program, serving.truncation(), binding, number, &mut rng)
        .map_err(|_| Refusal::BadRun)
}

impl Dealer {
    /// Deals the sessions of a shared model; one is sent when the server asks for the next.
    pub(super) async fn deal_served(
        self: &Arc<Self>,
        peer: Option<Party>,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
        request: Ordered<Serve>,
    ) -> Result<(), DealerError> {
        let Serve { device, first, count, .. } = request.description;
        let prepare = move |dealer: &Self| {
            // First of all, so that what nobody has ordered costs nothing.
            let key = dealer.key(device)?;
            let (key, binding) = orders::program(&key, peer, &request)?;
            let serving = check(&request.description)?;
            let words = words(&request.description.network).ok_or(Refusal::BadRun)?;
            let held = dealer.held.hold(peer, words)?;
            dealer.record(device, key, (first, count))?;
            Ok((serving, Arc::new(binding), held))
        };
        let (serving, binding, _held) = self.blocking(prepare).await?;
        frame::send_bytes(writer, Kind::Agreed, &[]).await?;
        tracing::info!(%device, "deals {count} sessions of a shared model, from {first} on");
        // Masks of the model are made first: all others need them.
        let open = {
            let (serving, binding) = (serving.clone(), binding.clone());
            move |_: &Self| {
                let zeros = serving.zeros();
                let scaling = vec![[0; COLUMN_WORDS]; serving.standardised()];
                let mut open = serving.open(&zeros, &scaling);
                deal_one(&serving, serving.opening(), &binding, first, &mut open)
            }
        };
        let (dealt, masks) = self.blocking(open).await?;
        // Queries come when they come.
        let wait = visit.limits().idle;
        send_next(reader, writer, visit, wait, (first, &dealt)).await?;
        let deal = move |number, ()| {
            let inputs = vec![0; serving.inputs()];
            let mut evaluate = serving.evaluate(&masks, inputs).map_err(|_| Refusal::BadRun)?;
            Ok(deal_one(&serving, serving.evaluation(), &binding, number, &mut evaluate)?.0)
        };
        let sessions = (first + 1..first + u64::from(count)).map(|number| (number, ()));
        self.deal_all((reader, writer, visit), wait, sessions, deal).await?;
        tracing::info!(%device, "dealt the sessions of a shared model");
        Ok(())
    }
}
