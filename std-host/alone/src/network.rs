//! The gates of a network, as a program of the core.

use core::convert::Infallible;

use sha2::{Digest as _, Sha256};
use sharelet_core::functions::engine::offline::{Count, Offline, Usage};
use sharelet_core::functions::engine::{Comparison, Engine, EngineError};
use sharelet_core::functions::protocol::millionaire::Millionaire;
use sharelet_core::gate::{GateBits, GateKind};
use sharelet_core::session::network;
use sharelet_model::MAX_LAYERS;
use sharelet_prepare::Plan;

/// A network of a model.
pub type Network = network::Network<MAX_LAYERS>;

/// Compares on shares: what follows the accumulators of layer `layer`, in place, if a gate does.
///
/// # Errors
/// The engine's.
pub async fn gate<E: Engine>(
    engine: &mut E,
    network: &Network,
    layer: usize,
    y: &mut [u32],
) -> Result<(), E::Error> {
    let Some(digits) = network.gate(layer) else { return Ok(()) };
    let bits: GateBits = digits.bits();
    match digits.kind() {
        GateKind::Relu => engine.run(&Millionaire::relu(bits)?, y).await,
        GateKind::Truncate => engine.run(&Millionaire::truncate(bits)?, y).await,
    }
}

/// All gates of a session, on nothing.
async fn gates<E: Engine>(engine: &mut E, network: &Network) -> Result<(), E::Error> {
    for (index, layer) in network.layers().iter().enumerate() {
        let mut y = vec![0; layer.outputs().into()];
        gate(engine, network, index, &mut y).await?;
    }
    Ok(())
}

/// What the gates of a session cost, and what sessions are made of.
#[derive(Clone, Debug)]
pub struct Gates {
    /// Of one session.
    pub usage: Usage,
    /// Digest of the network's description.
    pub digest: [u8; 32],
}

/// An offline run never waits.
fn finished<T>(run: impl Future<Output = T>) -> T {
    let mut run = core::pin::pin!(run);
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    loop {
        if let core::task::Poll::Ready(value) = run.as_mut().poll(&mut context) {
            return value;
        }
    }
}

impl Gates {
    /// Bytes of either party's records of one session.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        usize::try_from(self.usage.dealt_bytes).unwrap_or(usize::MAX)
    }

    /// Of a network.
    ///
    /// # Errors
    /// A network that is larger than an engine takes.
    pub fn of(network: &Network) -> Result<Self, EngineError<Infallible>> {
        let mut engine = Offline::new(Count::default(), Comparison::Ot);
        finished(gates(&mut engine, network))?;
        let mut hash = Sha256::new().chain_update("sharelet alone network 1");
        hash.update(format!("{network:?}"));
        Ok(Self { usage: engine.into_task().0, digest: hash.finalize().into() })
    }

    /// The transfers of so many sessions.
    ///
    /// # Errors
    /// As [`Gates::of`].
    pub fn plan(
        &self,
        network: &Network,
        sessions: usize,
    ) -> Result<Plan, EngineError<Infallible>> {
        let mut engine = Offline::new(Plan::default(), Comparison::Ot);
        for _ in 0..sessions {
            finished(gates(&mut engine, network))?;
        }
        let mut plan = engine.into_task();
        plan.bind(&self.digest);
        Ok(plan)
    }
}
