//! A device, a host and a dealer in one process: `cargo run -p sharelet-core --example session`.
//!
//! The device has a reading, the host a model. The device learns the model's answer, and neither
//! anything else.

mod room;

use core::error::Error;

use embassy_futures::block_on;
use embassy_futures::join::join;
use embedded_io_async::{Read, Write};
use room::{Counter, DEVICE_KEY, FRAC_BITS, Line, MASKED_ID, MODEL_SEED, Memory, Model, SESSION};
use sharelet_core::session::network::PlainModel;
use sharelet_core::session::p1::{self, P1};
use sharelet_core::session::wire::control::max_welcome_bytes;
use sharelet_core::{
    Answer, DeviceId, Identity, Key, Network, Policy, SessionCounter, SessionError, connect,
    decode, encode_or_zero,
};

const READING: [f32; 3] = [0.5, -1.25, 3.0];

/// The device: on a microcontroller it looks the same.
async fn device(
    io: impl Read + Write,
    identity: &Identity,
    counter: &mut impl SessionCounter,
    reading: &[f32; 3],
) -> Result<Vec<f32>, SessionError> {
    let policy = Policy {
        // The name that the host has proved on its channel; here is none.
        host: None,
        answer: Answer::Device,
        inputs: Some(reading.len()),
        max_outputs: 2,
        max_blocks: 1 << 18,
    };
    let mut network = Network::<8>::default();
    let connected = connect(io, identity, policy, &mut network).await?;
    let network = connected.network();

    // Before there is a reading.
    let mut answer = [0; 2];
    let prepared = connected.prepare(counter, &mut answer).await?;

    // A reading that the model is not made for takes part as zeros; its answer is none.
    let mut input = [0; 3];
    let (scale, limit) = (network.input_scale(), network.input_limit());
    let fits = encode_or_zero(reading, scale, limit, &mut input).is_ok();
    let (_connected, answer) = prepared.infer(&input).await?;
    let answer = answer.iter().map(|&word| decode(word, network.output_frac_bits()));
    Ok(if fits { answer.collect() } else { Vec::new() })
}

/// The host, with what the dealer sent it for this session.
async fn host(
    mut reader: impl Read,
    mut writer: impl Write,
    network: &Network<8>,
    model: &Model,
    corrections: &[u8],
) -> Result<(), SessionError> {
    p1::receive_hello(&mut reader).await?;
    let buffer = &mut [0; max_welcome_bytes(8)];
    p1::welcome(&mut writer, network, &MODEL_SEED, &MASKED_ID, buffer).await?;
    if p1::receive_request(&mut reader).await?.is_none() {
        return Ok(());
    }
    p1::grant(&mut writer, SESSION).await?;
    let mut memory = Memory::new(network);
    let [weights, biases] = model.rows();
    let model = PlainModel { weights: &weights, biases: &biases };
    let host = P1::new(network, &model, Answer::Device);
    let prepared = host.prepare(&mut reader, memory.scratch()).await?;
    let ready = prepared.input(&mut reader).await?;
    ready.infer(&mut reader, &mut writer, corrections).await?;
    Ok(())
}

/// The device's answer, and the same in the clear.
fn run(reading: &[f32; 3]) -> Result<(Vec<f32>, Vec<f32>), Box<dyn Error>> {
    let (network, model) = (room::network()?, Model::new());
    let corrections = model.corrections(&network)?;
    let id = DeviceId::new("pump-07").ok_or("a name of up to 32 letters")?;
    let identity = Identity::new(id, &Key::from_bytes(DEVICE_KEY));
    let mut counter = Counter(SESSION);

    let (device_end, host_end) = Line::pair();
    let (answer, hosted) = block_on(join(
        device(device_end, &identity, &mut counter, reading),
        host(host_end.clone(), host_end, &network, &model, &corrections),
    ));
    hosted?;

    let mut input = [0; 3];
    encode_or_zero(reading, FRAC_BITS, network.input_limit(), &mut input)?;
    let twin = model.twin(&network, &input).ok_or("too little memory")?;
    let twin = twin.iter().map(|&word| decode(word, network.output_frac_bits()));
    Ok((answer?, twin.collect()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (answer, twin) = run(&READING)?;
    println!("the device's answer: {answer:?}; in the clear: {twin:?}");
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
