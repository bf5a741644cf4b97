//! Training on shared data.
//!
//! ```text
//! network (shapes)  ->  model (shares of weights)
//!                          |
//! step:  forward -> loss -> backward -> update           one program for servers, dealer and twin
//! ```

pub mod backward;
pub mod forward;
pub mod loss;
pub mod model;
pub mod network;
pub mod step;
pub mod update;
