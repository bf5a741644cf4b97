//! A session of which every byte is known, played to the device's side on a small core.
//!
//! The host's bytes are those of `tests/vectors`; what the device sends must be those of there,
//! too, and so must the answer. Instructions are counted under QEMU's `-icount`.
#![no_std]
#![no_main]
// What `riscv_rt::entry` makes has no documentation.
#![allow(missing_docs)]

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod meter;
mod script;

use embassy_futures::block_on;
use semihosting::{eprintln, println, process};
use sharelet_core::keystream::{ChaCha12, Key};
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{Identity, Policy, connect};
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::session::{CounterError, SessionCounter, SessionError};

use crate::meter::Meter;
use crate::script::Script;

static DEVICE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/session_device.bin"));
static HOST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/session_host.bin"));

/// As at the head of `session_device.hex`.
const INPUT: [i32; 3] = [256, -777, 1_000_000];
const ANSWER: [i32; 3] = [3_281_920, 17_409, -3_281_905];
const NEXT: u64 = 0x0102_0304_0506;
const SESSION: u64 = 0x0102_0304_0507;
/// Layers that there is room for: the fewest that there may be.
const LAYERS: usize = 5;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    let mut meter = Meter::start();
    let (mut prepared, mut inferred) = (0, 0);
    match block_on(session(&mut meter, &mut prepared, &mut inferred)) {
        Ok(true) => {
            println!("vectors prepare_instructions={prepared} online_instructions={inferred}");
            process::exit(0)
        }
        Ok(false) => eprintln!("error Answer: another answer than the vectors'"),
        Err(error) => eprintln!("error {}: {error}", error.name()),
    }
    process::exit(1)
}

/// Plays the session; whether the answer is right and all bytes were sent.
async fn session(
    meter: &mut Meter,
    prepared: &mut u32,
    inferred: &mut u32,
) -> Result<bool, SessionError> {
    let Some(name) = DeviceId::new("pump-07") else { return Ok(false) };
    let key = Key::from_bytes(core::array::from_fn(|index| index as u8));
    let identity = Identity::<ChaCha12>::new(name, &key);
    let policy = Policy {
        host: None,
        answer: Answer::Both,
        inputs: Some(INPUT.len()),
        max_outputs: ANSWER.len(),
        max_blocks: 1 << 18,
    };
    let mut network = Network::<LAYERS>::default();
    let mut script = Script::new(HOST, DEVICE);
    let mut output = [0; ANSWER.len()];
    let connected = connect(&mut script, &identity, policy, &mut network).await?;
    meter.restart();
    let ready = connected.prepare(&mut Fixed, &mut output).await?;
    *prepared = meter.restart();
    let (_, answer) = ready.infer(&INPUT.map(i32::cast_unsigned)).await?;
    *inferred = meter.restart();
    let right = *answer == ANSWER.map(i32::cast_unsigned);
    Ok(right && script.is_complete())
}

/// The numbers of the vectors.
struct Fixed;

impl SessionCounter for Fixed {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(NEXT)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        if session == SESSION { Ok(()) } else { Err(CounterError) }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    process::exit(1)
}
