//! The parties of sharelet on a PC: dealer, host, device, console, owner of data, and two servers.
//!
//! | room | what is in it |
//! |---|---|
//! | [`data`] | tables of owners, and their shares |
//! | [`store`] | keys, counters, corrections and shares of data on disk |
//! | [`dealer`] | deals correlations; its clients |
//! | [`device`] | a device, or a data party, as a program |
//! | [`console`] | asks two servers for answers |
//! | [`host`] | owns a model, and serves devices |
//! | [`upload`] | data of owners for two servers |
//! | [`server`] | one of two servers: queries, shared models, training |

pub mod console;
pub mod data;
pub mod dealer;
pub mod device;
pub mod host;
pub mod server;
pub mod store;
pub mod upload;
