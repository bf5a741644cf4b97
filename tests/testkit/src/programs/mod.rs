//! Runs programs over engines: counted, dealt, by two parties over a link in memory, and as twin.
//!
//! Programs are generic over their engine, which closures cannot be: a [`Program`] is a type.
//! [`function::Function`] is all of the core's; [`data::Data`] is what they work on.

pub mod any;
pub mod data;
pub mod exact;
pub mod function;
pub mod link;
pub mod refused;
pub mod run;

use sharelet_core::functions::engine::{Engine, Settings};

use data::{Data, Word};

/// Tests by name, each of which calls a function of a ring for words of 32 bits and of 64.
#[macro_export]
macro_rules! in_either_ring {
    ($($(#[$about:meta])* $name:ident: $check:ident,)*) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            $check::<u32>();
            $check::<u64>();
        }
    )*};
}

/// A program on data of the ring `R`.
pub trait Program<R: Word> {
    /// Runs it; its results are in `data.out` and `data.other`.
    ///
    /// # Errors
    /// The engine's.
    fn run<E: Engine>(
        &self,
        engine: &mut E,
        data: &mut Data<R>,
    ) -> impl Future<Output = Result<(), E::Error>>;

    /// How all engines run it.
    fn settings(&self) -> Settings {
        Settings::default()
    }

    /// What the dealer knows of the data: lengths.
    fn dealer(&self, data: &Data<R>) -> Data<R> {
        data.blank()
    }
}
