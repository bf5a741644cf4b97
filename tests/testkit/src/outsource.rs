//! Two servers in memory that evaluate an input which they hold shares of.

use embassy_futures::join::join;
use embedded_io_async::{Read, Write};
use sharelet_core::keystream::Rounds;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Policy};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::servers;
use sharelet_core::session::wire::control::{Answer, max_welcome_bytes};
use sharelet_core::session::wire::query::{QueryId, Recipient};
use sharelet_core::session::wire::servers::{Evaluate, ServerHello};
use sharelet_core::session::wire::task::Task;

use crate::delay::Delayed;
use crate::model::Model;
use crate::party::{Counter, MAX_OUTPUTS, Setup};
use crate::pipe::run;

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
    let (end_0, end_1) = Delayed::pair();
    let corrections = setup.corrections::<C>();
    let task = task(&setup.model);
    let query = Evaluate { id: QueryId([7; 8]), recipient: Recipient::DataParty };
    let hello = |party| ServerHello { party, instance: 1, task };
    let network = &setup.model.network;
    let identity = setup.identity::<C>();
    let mut counter = Counter { next: setup.next, ..Counter::default() };
    let mut described = Network::<8>::default();
    let mut answer = [0; MAX_OUTPUTS];

    let mut io_0 = end_0.clone();
    let server_0 = async {
        servers::connect(&mut io_0, &hello(0)).await.expect("server 0");
        let policy = Policy {
            answer: Answer::Device,
            inputs: None,
            max_outputs: MAX_OUTPUTS,
            max_blocks: u64::MAX,
        };
        let connected =
            p0::connect(io_0, &identity, policy, &mut described).await.expect("server 0");
        connected.prepare(&mut counter, &mut answer).await.expect("server 0")
    };
    let (mut reader, mut writer) = (end_1.clone(), end_1.clone());
    let sizes = ScratchSizes::of(network);
    let (mut masked, mut x, mut y) =
        (vec![0; sizes.masked_elems], vec![0; sizes.vectors_elems], vec![0; sizes.width_elems]);
    let (mut own, mut peer) = (vec![0; sizes.bits_bytes], vec![0; sizes.bits_bytes]);
    let scratch = Scratch {
        masked: &mut masked,
        vectors: &mut x,
        output: &mut y,
        own_bits: &mut own,
        peer_bits: &mut peer,
    };
    let server_1 = async {
        let theirs = servers::receive_server_hello(&mut reader).await.expect("server 1");
        assert_eq!(servers::objection(&hello(1), &theirs), None);
        servers::greet(&mut writer, &hello(1)).await.expect("server 1");
        p1::receive_hello(&mut reader).await.expect("server 1");
        p1::welcome(&mut writer, network, &setup.model_seed, &mut [0; max_welcome_bytes(8)])
            .await
            .expect("server 1");
        p1::receive_request(&mut reader).await.expect("server 1");
        p1::grant(&mut writer, setup.session).await.expect("server 1");
        P1::new(network, &setup.model, Answer::Device)
            .prepare(&mut reader, scratch)
            .await
            .expect("server 1")
    };
    let (mut prepared_0, prepared_1) = run(join(server_0, server_1));
    end_0.reset();
    end_1.reset();

    let server_0 = async {
        servers::evaluate(prepared_0.io_mut(), &query).await.expect("server 0");
        let (_, share) = prepared_0.infer_shared(h_0).await.expect("server 0");
        share.to_vec()
    };
    let (mut reader, mut writer) = (end_1.clone(), end_1.clone());
    let server_1 =
        async { finish(&mut reader, &mut writer, query, prepared_1, &corrections, h_1).await };
    let (share_0, share_1) = run(join(server_0, server_1));
    Shared { share_0, share_1, delays: end_0.delays().max(end_1.delays()) }
}

async fn finish(
    reader: &mut impl Read,
    writer: &mut impl Write,
    query: Evaluate,
    prepared: p1::Prepared<'_, '_, Model, 8>,
    corrections: &[u8],
    h_1: &[u32],
) -> Vec<u32> {
    assert_eq!(servers::receive_evaluate(reader).await, Ok(Some(query)));
    let ready = prepared.input(reader).await.expect("server 1");
    ready.infer_shared(reader, writer, corrections, h_1).await.expect("server 1").to_vec()
}
