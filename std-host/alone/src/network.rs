//! The gates of a network, and what a session of it spends on them.

use sha2::{Digest as _, Sha256};
use sharelet_core::session::network::{self, Layer};
use sharelet_model::MAX_LAYERS;
use sharelet_prepare::{Plan, Strings};

use crate::gate::Gate;

/// A network of a model.
pub type Network = network::Network<MAX_LAYERS>;

/// What follows each layer of a network.
#[derive(Clone, Debug)]
pub struct Gates {
    gates: Vec<Option<Gate>>,
    /// Digest of the network's description.
    pub digest: [u8; 32],
}

impl Gates {
    /// Of a network.
    pub fn of(network: &Network) -> Self {
        let after = |(layer, of): (usize, &Layer)| {
            let elems = of.outputs().into();
            network.gate(layer).map(|digits| Gate::new(digits.kind(), digits.bits(), elems))
        };
        let gates = network.layers().iter().enumerate().map(after).collect();
        let mut hash = Sha256::new().chain_update("sharelet alone network 3");
        hash.update(format!("{network:?}"));
        Self { gates, digest: hash.finalize().into() }
    }

    /// The gate after a layer, if there is one.
    pub fn after(&self, layer: usize) -> Option<Gate> {
        self.gates.get(layer).copied().flatten()
    }

    /// Gates, in order.
    pub fn iter(&self) -> impl Iterator<Item = Gate> {
        self.gates.iter().copied().flatten()
    }

    /// Whether the answer comes out of a gate: `P0` chooses its share of it.
    pub fn answers(&self) -> bool {
        self.gates.last().is_some_and(Option::is_some)
    }

    /// Bytes of either party's records of one session.
    pub fn record_bytes(&self) -> usize {
        self.iter().map(|gate| gate.record_bytes()).sum()
    }

    /// Strings of one session.
    pub fn strings(&self) -> Strings {
        self.iter().map(|gate| gate.strings()).fold(Strings::default(), |sum, of| Strings {
            words: sum.words + of.words,
            labels: sum.labels + of.labels,
        })
    }

    /// The transfers of so many sessions.
    pub fn plan(&self, sessions: usize) -> Plan {
        let mut plan = Plan::default();
        for _ in 0..sessions {
            self.iter().for_each(|gate| gate.plan(&mut plan));
        }
        plan.bind(&self.digest);
        plan
    }
}
