//! Two servers of whom server 1 owns the model, without a dealer.
//!
//! As with one, server 0 keeps lanes to server 1, and on each an inference is prepared before a
//! query is there. The two make it themselves (`sharelet_alone`), anew on every lane, or take it
//! out of the [stores](reserve) that both keep, which one more connection fills meanwhile.
//!
//! ```text
//! both:      the frame of any two servers
//! server 0:  Hello      whether it fills stores
//! the connection that does goes on as a device's and a host's (`crate::alone`); on a lane:
//! server 1:  Welcome    the network
//! then for every query:
//!   server 0:  Want       to prepare an inference, or one that was taken out of the stores
//!   server 1:  Go         or Refuse, and the lane ends
//!   both:      base transfers and keys before the first that is prepared; what prepares it
//!   server 0:  Evaluate   the query
//!   server 1:  Go         its half is there; or Refuse, and the lane ends
//!   both:      the inference; the answer's shares stay
//! ```

pub mod party0;
pub mod party1;
pub mod reserve;
