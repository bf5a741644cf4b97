//! Training on shared data.
//!
//! ```text
//! network (shapes)  ->  model (shares of weights)
//!                          |
//! step:  forward -> loss -> backward -> update           one program for servers, dealer and twin
//!                          |
//! config, schedule -> course (a list of sessions)
//!                          |
//!                     state (what a participant holds; the program of each session)
//! ```

/// `Debug` of what holds shares: the name, and nothing else.
macro_rules! redacted {
    ($($name:ident $(<$life:lifetime>)?),*) => {$(
        impl core::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}

pub mod backward;
pub mod config;
pub mod course;
pub mod curve;
mod draw;
pub mod float;
pub mod forward;
pub mod initial;
pub mod kernel;
pub mod labels;
pub mod loss;
pub mod model;
pub mod network;
pub mod parameters;
pub mod plain;
pub mod plans;
pub mod scale;
pub mod schedule;
pub mod serving;
pub mod state;
pub mod step;
pub mod tensor;
pub mod update;
