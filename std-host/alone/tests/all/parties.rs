//! Two parties on a wire in memory.

use core::cell::RefCell;
use std::rc::Rc;

use embassy_futures::join::join;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng as _;
use sharelet_alone::{AloneError, FillingP0, FillingP1, Half, P0, P1, Task, online};
use sharelet_core::session::network::Network;
use sharelet_model::Model;
use sharelet_prepare::{FieldBits, Kept};
use sharelet_testkit::model::Model as Plain;
use sharelet_testkit::pipe::run;
use sharelet_testkit::programs::link::{End, Stopped, Wire};
use sharelet_testkit::rng;

pub type Failed = AloneError<Stopped>;

/// Both ends of a wire.
pub fn wire() -> (Rc<RefCell<Wire>>, [End; 2]) {
    let wire = Rc::new(RefCell::new(Wire::default()));
    let ends = [0, 1].map(|side| End::Party(side, wire.clone()));
    (wire, ends)
}

/// A model with weights of 16 bits, as encryption takes them.
pub fn model(plain: &Plain) -> Model {
    let network =
        Network::new(plain.network.input_frac_bits(), 1 << 20, plain.network.layers()).unwrap();
    let mut weights = plain.weights.clone();
    for weight in weights.iter_mut().flatten() {
        *weight = (weight.cast_signed() >> 16).cast_unsigned();
    }
    let biases = plain.biases.clone();
    Model {
        network,
        weights,
        biases,
        labels: Vec::new(),
        scores: None,
        name: "of a test".to_owned(),
    }
}

/// What both keep of each other.
pub fn meet(seed: u64) -> [Kept; 2] {
    let (message_0, beginning_0) = Kept::begin(&mut rng(seed));
    let (message_1, beginning_1) = Kept::begin(&mut rng(!seed));
    [beginning_0.finish(&message_1).unwrap(), beginning_1.finish(&message_0).unwrap()]
}

/// Two parties in a session, and their wire.
pub struct Parties {
    pub task: Task,
    pub model: Model,
    pub wire: Rc<RefCell<Wire>>,
    pub ends: [End; 2],
    pub p0: P0,
    pub p1: P1,
    pub rngs: [ChaCha12Rng; 2],
}

impl Parties {
    pub fn new(model: Model, seed: u64) -> Self {
        let task = Task::new(model.network.clone()).unwrap();
        let (wire, mut ends) = wire();
        let kept = meet(seed);
        let mut rngs = [rng(seed ^ 0xa), rng(seed ^ 0xb)];
        let field = FieldBits::Two;
        let [end_0, end_1] = &mut ends;
        let [rng_0, rng_1] = &mut rngs;
        let (p0, p1) = run(join(
            P0::begin(&task, (&kept[0], field), rng_0, end_0),
            P1::begin(&task, (&kept[1], field), rng_1, end_1),
        ));
        Self { task, model, wire, ends, p0: p0.unwrap(), p1: p1.unwrap(), rngs }
    }

    /// The same with silent transfers for batches.
    pub fn silently(self) -> Self {
        Self { p0: self.p0.silently(), p1: self.p1.silently(), ..self }
    }

    /// Both parties' halves of some sessions.
    pub fn try_prepare(&mut self, sessions: usize) -> [Result<Vec<Half>, Failed>; 2] {
        let Self { task, model, wire, ends: [end_0, end_1], p0, p1, rngs: [rng_0, rng_1] } = self;
        let (made_0, made_1) = run(join(
            async {
                let made = p0.prepare(task, sessions, rng_0, end_0).await;
                if made.is_err() {
                    wire.borrow_mut().stop(0);
                }
                made
            },
            async {
                let made = p1.prepare(task, model, sessions, rng_1, end_1).await;
                if made.is_err() {
                    wire.borrow_mut().stop(1);
                }
                made
            },
        ));
        [made_0, made_1]
    }

    /// Both parties' halves of a batch.
    pub fn prepare_batch(&mut self) -> [Vec<Half>; 2] {
        let Self { task, model, ends: [end_0, end_1], p0, p1, rngs: [rng_0, rng_1], .. } = self;
        let (mut batch_0, mut batch_1) = (FillingP0::new(), FillingP1::new());
        while !batch_0.is_complete() {
            let (done_0, done_1) = run(join(
                batch_0.step(p0, task, rng_0, end_0),
                batch_1.step(p1, (task, model), rng_1, end_1),
            ));
            done_0.and(done_1).unwrap();
            assert_eq!(batch_0.made(), batch_1.made());
        }
        assert!(batch_1.is_complete());
        [batch_0.into_halves(), batch_1.into_halves()]
    }

    pub fn prepare(&mut self, sessions: usize) -> [Vec<Half>; 2] {
        self.try_prepare(sessions).map(Result::unwrap)
    }

    /// The answer to an input of which `P1` has a share.
    pub fn infer(&mut self, halves: [Half; 2], input: &[u32], share: &[u32]) -> Vec<u32> {
        let own: Vec<u32> = input.iter().zip(share).map(|(x, s)| x.wrapping_sub(*s)).collect();
        let Self { task, model, ends: [end_0, end_1], .. } = self;
        let [half_0, half_1] = halves;
        let (out_0, out_1) = run(join(
            online::infer_p0(task, half_0, &own, end_0),
            online::infer_p1(task, half_1, model, Some(share), end_1),
        ));
        let (out_0, out_1) = (out_0.unwrap(), out_1.unwrap());
        out_0.iter().zip(out_1.iter()).map(|(a, b)| a.wrapping_add(*b)).collect()
    }

    pub fn words(&mut self, elems: usize) -> Vec<u32> {
        (0..elems).map(|_| self.rngs[0].next_u32()).collect()
    }
}
