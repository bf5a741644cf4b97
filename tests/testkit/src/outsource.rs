//! Two servers in memory that evaluate an input which they hold shares of.

use embassy_futures::join::join;
use sharelet_core::keystream::Rounds;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0;
use sharelet_core::session::servers;
use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::query::{QueryId, Recipient};
use sharelet_core::session::wire::servers::{Evaluate, ServerHello};
use sharelet_core::session::wire::task::Task;

use crate::model::{LAYERS, Model};
use crate::party::{Buffers, Counter, MAX_OUTPUTS, Setup, policy};
use crate::pipe::{Pipe, run};

/// The task of a model here.
pub fn task(model: &Model) -> Task {
    let elems = |count: usize| u16::try_from(count).expect("fits");
    let network = &model.network;
    Task {
        ring_bits: 32,
        input_frac_bits: network.input_frac_bits(),
        output_frac_bits: network.output_frac_bits(),
        inputs: elems(network.inputs()),
        outputs: elems(network.outputs()),
        input_limit: network.input_limit(),
        model: core::array::from_fn(|i| 0x30 + u8::try_from(i).expect("small")),
    }
}

/// What a session between two servers came to.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Server 0's share of the answer.
    pub share_0: Vec<u32>,
    /// Server 1's.
    pub share_1: Vec<u32>,
    /// One-way delays from the input to both shares.
    pub delays: u32,
}

/// One session of `setup` on an input shared as `h_0` and `h_1`.
pub fn shared<C: Rounds>(setup: &Setup, h_0: &[u32], h_1: &[u32]) -> Shared {
    let (mut end_0, mut end_1) = Pipe::pair(usize::MAX);
    let (mut reader_1, corrections) = (end_1.clone(), setup.corrections::<C>());
    let task = task(&setup.model);
    let query = Evaluate { id: QueryId([7; 8]), recipient: Recipient::DataParty };
    let hello = |party| ServerHello { party, instance: 1, task };
    let identity = setup.identity::<C>();
    let mut counter = Counter { next: setup.next, ..Counter::default() };
    let mut described = Network::<LAYERS>::default();
    let mut answer = [0; MAX_OUTPUTS];
    let mut buffers = Buffers::new(&setup.model.network);

    let clock_0 = end_0.clone();
    let server_0 = async {
        servers::connect(&mut end_0, &hello(0)).await.expect("server 0");
        let policy = policy(Answer::Device);
        let connected =
            p0::connect(end_0, &identity, policy, &mut described).await.expect("server 0");
        connected.prepare(&mut counter, &mut answer).await.expect("server 0")
    };
    let server_1 = async {
        let theirs = servers::receive_server_hello(&mut reader_1).await.expect("server 1");
        assert_eq!(servers::objection(&hello(1), &theirs), None);
        servers::greet(&mut end_1, &hello(1)).await.expect("server 1");
        let prepared = setup.prepare(&mut reader_1, &mut end_1, buffers.scratch()).await;
        prepared.expect("server 1").expect("server 0 asks")
    };
    let (mut prepared_0, prepared_1) = run(join(server_0, server_1));
    clock_0.reset();
    end_1.reset();

    let server_0 = async {
        servers::evaluate(prepared_0.io_mut(), &query).await.expect("server 0");
        let (_, share) = prepared_0.infer_shared(h_0).await.expect("server 0");
        share.to_vec()
    };
    let server_1 = async {
        assert_eq!(servers::receive_evaluate(&mut reader_1).await, Ok(Some(query)));
        let ready = prepared_1.input(&mut reader_1).await.expect("server 1");
        let share = ready.infer_shared(&mut reader_1, &mut end_1, &corrections, h_1).await;
        share.expect("server 1").to_vec()
    };
    let (share_0, share_1) = run(join(server_0, server_1));
    Shared { share_0, share_1, delays: clock_0.delays().max(end_1.delays()) }
}
