//! Tests across crates, as one program; `tests/README.md` says which module shows what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::std_instead_of_core)]

mod hostile {
    mod errors;
    mod fuzz;
    mod noise;
    mod peers;
}
mod house {
    mod architecture;
    mod lines;
    mod messages;
    mod must_not_compile;
    mod promises;
    mod rooms;
    mod secrets;
    mod source;
    mod walks;
}
mod privacy {
    mod programs;
    mod shares_of_data;
    mod training_uniformity;
    mod uniformity;
}
mod programs {
    mod cost;
    mod exact;
    mod refused;
    mod rounded;
    mod rows;
    mod sizes;
    mod truncation;
}
mod protocols {
    mod constructors;
    mod cost;
    mod outsource;
    mod properties;
}
mod vectors {
    mod links;
    mod servers;
    mod sessions;
}
