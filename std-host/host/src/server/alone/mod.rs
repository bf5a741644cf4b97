//! Two servers of whom server 1 owns the model, without a dealer.
//!
//! As with one, server 0 keeps lanes to server 1, and on each an inference is prepared before a
//! query is there. The two make it themselves (`sharelet_alone`), anew on every lane.
//!
//! ```text
//! both:      the frame of any two servers
//! server 1:  Welcome    the network
//! both:      base transfers, server 0's key, random bytes
//! then for every query:
//!   both:      what prepares an inference
//!   server 0:  Evaluate   the query
//!   server 1:  Go         its half is there; or Refuse, and the lane ends
//!   both:      the inference; the answer's shares stay
//! ```

pub mod party0;
pub mod party1;
