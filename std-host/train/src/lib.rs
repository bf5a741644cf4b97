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
//!
//! ```
//! use sharelet_train::kernel::{Bilinear, Form, Product};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! // [1 2] [5 6] + 10 in each place, modulo 2^64.
//! // [3 4] [7 8]
//! let map = Bilinear::Product(Product { form: Form::Plain, rows: 2, inner: 2, columns: 2 });
//! let mut sum = [10_u64; 4];
//! map.add(&[1, 2, 3, 4], &[5, 6, 7, 8], &mut sum)?;
//! assert_eq!(sum, [29, 32, 53, 60]);
//! # Ok(())
//! # }
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
pub mod maps;
pub mod model;
pub mod network;
pub mod normalise;
pub mod parameters;
pub mod plain;
pub mod plans;
pub mod range;
pub mod room;
pub mod scale;
pub mod scaling;
pub mod schedule;
pub mod serving;
pub mod sizes;
pub mod state;
pub mod step;
pub mod tensor;
pub mod update;
pub mod value;
