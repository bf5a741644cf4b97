//! SoftSpokenOT: random OTs from kept base OTs.
//!
//! L. Roy, "SoftSpokenOT: Quieter OT extension from small-field silent VOLE in the Minicrypt
//! model", CRYPTO 2022 (eprint 2022/192): VOLE over a small field (section 3.1, figure 7), of which
//! `128 / k` make a VOLE for the repetition code (section 3.2, figure 8), and the check of a
//! malicious receiver by a universal hash (section 4). `k` is [`FieldBits`]; for `k = 1` it is the
//! extension of Y. Ishai, J. Kilian, K. Nissim, E. Petrank (CRYPTO 2003) with that check.
//!
//! With `P_x` the stream of leaf `x` of tree `j`, and the sender's secret `D`, whose `k` bits for
//! this tree are the leaf `d` that it misses:
//!
//! ```text
//! receiver:  u_j = sum of all P_x            v_{j,i} = sum of P_x where bit i of x is set
//!            choices u = u_0                 c_j = u_j ^ u                              -> c
//! sender:    q_{j,i} = sum of P_x where bit i of x ^ d is set, ^ c_j where bit i of d is set
//! both:      now q_{j,i} = v_{j,i} ^ (u where bit i of d is set): row r of q is row r of v ^ u_r D
//! sender:                                                                    random key  -> h
//! receiver:  sums of u and of each column of v under h                                  -> U, V
//! sender:    sum of each column of q = V ^ (U where D's bit is set), or the receiver cheated
//! both:      OT r: pair [hash(q_r), hash(q_r ^ D)], choice u_r, block hash(v_r)
//! ```
//!
//! The sums run over all blocks of 128 OTs but one, which is made for that alone and hides what the
//! sums would show. Seeds of the trees, and all keys, are hashes of the session's name and what is
//! kept; the streams run on from call to call.
//!
//! Costs of a call of `n` OTs: messages of [`message_bytes`], [`CHALLENGE_BYTES`] and
//! [`PROOF_BYTES`]; `16 / k` bytes for each OT, less one part in `128 / k`.

mod columns;
mod fold;
mod receiver;
mod sender;
mod session;
mod shape;

pub use receiver::{PendingReceived, Receiver};
pub use sender::{PendingSent, Sender};
pub use shape::{CHALLENGE_BYTES, FieldBits, MOST_OTS, PROOF_BYTES, message_bytes};
