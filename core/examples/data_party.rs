//! A data party and two servers in one process:
//! `cargo run -p sharelet-core --example data_party`.
//!
//! The data party shares its reading between two servers, and adds up two answers. Between the
//! servers runs the same session as between a device and a host, on an input that both have shares
//! of: server 0 as `P0`, server 1, which has the model, as `P1`.

mod room;

use core::error::Error;

use embassy_futures::block_on;
use embassy_futures::join::join3;
use embedded_io_async::{Read, Write};
use room::{Counter, DEVICE_KEY, FRAC_BITS, Line, MASKED_ID, MODEL_SEED, Memory, Model, SESSION};
use sharelet_core::keystream::ChaCha12;
use sharelet_core::ring::read_le_slice;
use sharelet_core::session::data_party::expand_seed;
use sharelet_core::session::network::PlainModel;
use sharelet_core::session::p1::{self, P1};
use sharelet_core::session::servers;
use sharelet_core::session::wire::control::max_welcome_bytes;
use sharelet_core::session::wire::query::QUERY_HEADER_BYTES;
use sharelet_core::{
    Answer, DeviceId, Identity, Key, Network, Policy, Query, Recipient, SessionError, Task,
    connect, decode, encode_or_zero,
};

const READING: [f32; 3] = [0.5, -1.25, 3.0];

/// The data party: its key is its own, and its counter says which part of its keystream is used.
async fn data_party(
    mut server_0: impl Read + Write,
    mut server_1: impl Read + Write,
    task: Task,
    reading: &[f32; 3],
) -> Result<Vec<f32>, Box<dyn Error>> {
    let id = DeviceId::new("meter-3").ok_or("a name of up to 32 letters")?;
    let identity = Identity::<ChaCha12>::new(id, &Key::from_bytes([9; 32]));
    let query = Query::begin(&identity, &mut Counter(0), task, Recipient::DataParty).await?;

    let (mut input, mut answer) = ([0_u32; 3], [0_u32; 2]);
    let fits = encode_or_zero(reading, task.input_frac_bits, task.input_limit, &mut input).is_ok();
    query.send_seed(&mut server_0).await?;
    query.send_masked(&mut server_1, &mut input).await?;
    let answers = query.receive_both(&mut server_0, &mut server_1, &mut answer).await;
    answers.map_err(|(server, error)| format!("server {server}: {error}"))?;
    let answer = answer.iter().map(|&word| decode(word, task.output_frac_bits));
    Ok(if fits { answer.collect() } else { Vec::new() })
}

/// Server 0: gets a seed, and takes the place of a device.
async fn server_0(mut asker: Line, peer: Line, id: DeviceId) -> Result<(), SessionError> {
    let identity = Identity::<ChaCha12>::new(id, &Key::from_bytes(DEVICE_KEY));
    let policy = Policy {
        host: None,
        answer: Answer::Device,
        inputs: None,
        max_outputs: 2,
        max_blocks: 1 << 18,
    };
    let mut network = Network::<8>::default();
    let connected = connect(peer, &identity, policy, &mut network).await?;
    let mut answer = [0; 2];
    let prepared = connected.prepare(&mut Counter(SESSION), &mut answer).await?;

    let (mut header, mut seed, mut share) = ([0; QUERY_HEADER_BYTES], [0; 32], [0; 3]);
    fill(&mut asker, &mut header).await?;
    fill(&mut asker, &mut seed).await?;
    expand_seed::<ChaCha12, u32>(&Key::from_bytes(seed), &mut share);
    let (_connected, share) = prepared.infer_shared(&share).await?;
    servers::answer(&mut asker, share).await
}

/// Server 1: has the model, and gets the input under a mask.
async fn server_1(
    mut asker: Line,
    mut peer: Line,
    network: &Network<8>,
    model: &Model,
    corrections: &[u8],
) -> Result<(), SessionError> {
    p1::receive_hello(&mut peer).await?;
    let buffer = &mut [0; max_welcome_bytes(8)];
    p1::welcome(&mut peer, network, &MODEL_SEED, &MASKED_ID, buffer).await?;
    if p1::receive_request(&mut peer).await?.is_none() {
        return Ok(());
    }
    p1::grant(&mut peer, SESSION).await?;

    let (mut header, mut bytes, mut share) = ([0; QUERY_HEADER_BYTES], [0; 12], [0_u32; 3]);
    fill(&mut asker, &mut header).await?;
    fill(&mut asker, &mut bytes).await?;
    read_le_slice(&bytes, &mut share);

    let mut memory = Memory::new(network);
    let mut writer = peer.clone();
    let [weights, biases] = model.rows();
    let model = PlainModel { weights: &weights, biases: &biases };
    let server = P1::new(network, &model, Answer::Device);
    let prepared = server.prepare(&mut peer, memory.scratch()).await?;
    let ready = prepared.input(&mut peer).await?;
    let share = ready.infer_shared(&mut peer, &mut writer, corrections, &share).await?;
    servers::answer(&mut asker, share).await
}

/// All of `bytes`.
async fn fill(line: &mut Line, bytes: &mut [u8]) -> Result<(), SessionError> {
    line.read_exact(bytes).await.map_err(|_| SessionError::Closed)
}

/// The data party's answer, and the same in the clear.
fn run(reading: &[f32; 3]) -> Result<(Vec<f32>, Vec<f32>), Box<dyn Error>> {
    let (network, model) = (room::network()?, Model::new());
    let corrections = model.corrections(&network)?;
    let task = Task {
        ring_bits: 32,
        input_frac_bits: FRAC_BITS,
        output_frac_bits: network.output_frac_bits(),
        inputs: 3,
        outputs: 2,
        input_limit: network.input_limit(),
        model: [0x30; 16],
    };
    let id = DeviceId::new("server-0").ok_or("a name of up to 32 letters")?;
    let ((to_0, from_0), (to_1, from_1), (link_0, link_1)) =
        (Line::pair(), Line::pair(), Line::pair());
    let (answer, first, second) = block_on(join3(
        data_party(to_0, to_1, task, reading),
        server_0(from_0, link_0, id),
        server_1(from_1, link_1, &network, &model, &corrections),
    ));
    first?;
    second?;

    let mut input = [0; 3];
    encode_or_zero(reading, FRAC_BITS, network.input_limit(), &mut input)?;
    let twin = model.twin(&network, &input).ok_or("too little memory")?;
    let twin = twin.iter().map(|&word| decode(word, network.output_frac_bits()));
    Ok((answer?, twin.collect()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (answer, twin) = run(&READING)?;
    println!("the data party's answer: {answer:?}; in the clear: {twin:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_models() {
        for reading in [READING, [-3.0, 0.0, 1.0], [15.5, -15.5, 7.25]] {
            let (answer, twin) = run(&reading).expect("the example runs");
            assert_eq!(answer, twin, "{reading:?}");
            assert!(answer.iter().any(|&value| value != 0.0), "{reading:?} has an answer");
        }
    }
}
