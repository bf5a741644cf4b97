//! The door between the page and this crate: a buffer in memory, and three functions with fixed
//! names.
//!
//! `unsafe` stands here for `no_mangle` alone, which promises that no other symbol has the name.
//! The buffer is made of atomic bytes, so that it is read and written without `unsafe`.
#![allow(unsafe_code, reason = "names that the page calls must not be changed by the compiler")]

use core::sync::atomic::{AtomicU8, Ordering};

use crate::question::answer;

/// Bytes of the buffer: the longest question, and the longest answer.
pub const ROOM_BYTES: usize = 1 << 22;

static ROOM: [AtomicU8; ROOM_BYTES] = [const { AtomicU8::new(0) }; ROOM_BYTES];

/// Where the buffer begins.
#[unsafe(no_mangle)]
pub extern "C" fn room() -> usize {
    ROOM.as_ptr().addr()
}

/// How long it is.
#[unsafe(no_mangle)]
pub extern "C" fn room_bytes() -> usize {
    ROOM_BYTES
}

/// Answers the question in the first `bytes` bytes of the buffer; the answer takes its place. Gives
/// the answer's length.
#[unsafe(no_mangle)]
pub extern "C" fn ask(bytes: usize) -> usize {
    let question: Vec<u8> =
        ROOM.iter().take(bytes).map(|byte| byte.load(Ordering::Relaxed)).collect();
    let mut answer = answer(&String::from_utf8_lossy(&question));
    if answer.len() > ROOM_BYTES {
        answer = crate::question::too_long();
    }
    for (room, byte) in ROOM.iter().zip(answer.bytes()) {
        room.store(byte, Ordering::Relaxed);
    }
    answer.len()
}
