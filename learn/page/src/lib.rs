//! What the page "one gate, two views" computes with: the core, asked one question at a time.
//!
//! The page sends a question, a line, and shows the answer, which is JSON. Everything that it shows
//! as a number comes from here, and everything here comes from calls into the core. Randomness
//! comes in with the question, as a seed of 32 bytes: the same question has the same answer, in a
//! browser and on a PC, which is what the tests hold.
//!
//! | module | chapter |
//! |---|---|
//! | [`gate`] | one ReLU, step by step |
//! | [`worlds`] | what `P1` knows; a mask that is used twice, or left out |
//! | [`layer`] | a matrix under a mask |
//! | [`network`] | the built-in network, with bytes and rounds |
//! | [`train`] | a line through the points of two owners |
//! | [`bits`] | the comparison without tables |
//! | [`transfer`] | oblivious transfer in miniature |
//! | [`trace`] | a session that `sharelet explain` has recorded |

pub mod bits;
mod export;
mod fields;
pub mod gate;
mod json;
pub mod layer;
mod line;
mod model;
pub mod network;
mod question;
mod refusal;
mod seed;
pub mod trace;
pub mod train;
pub mod transfer;
mod word;
pub mod worlds;

pub use export::ROOM_BYTES;
pub use question::answer;
