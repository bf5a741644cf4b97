//! Training on shared data.
//!
//! ```text
//! network (shapes)  ->  model (shares of weights)
//!                          |
//! step:  forward -> loss -> backward -> update           one program for servers, dealer and twin
//! ```

pub mod backward;
pub mod config;
mod draw;
pub mod float;
pub mod forward;
pub mod initial;
pub mod loss;
pub mod model;
pub mod network;
pub mod parameters;
pub mod scale;
pub mod schedule;
pub mod step;
pub mod update;
