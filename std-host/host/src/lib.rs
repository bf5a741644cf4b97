//! The parties of sharelet on a PC: dealer, host, device, console, owner of data, and two servers.
//!
//! | room | what is in it |
//! |---|---|
//! | [`data`] | tables of owners, and their shares |
//! | [`store`] | keys, counters, corrections and shares of data on disk |
//! | [`dealer`] | deals correlations; its clients |
//! | [`alone`] | a device and a host without a dealer |
//! | [`device`] | a device, or a data party, as a program |
//! | [`console`] | asks two servers for answers |
//! | [`host`] | owns a model, and serves devices |
//! | [`meter`] | what a service counts |
//! | [`trace`] | a session in one process, with every message |
//! | [`upload`] | data of owners for two servers |
//! | [`server`] | one of two servers: queries, shared models, training |
//!
//! ```no_run
//! use std::path::Path;
//!
//! use sharelet_host::dealer::{Dealer, MODELS};
//! use sharelet_host::store::dealer::DealerStore;
//! use sharelet_link::Route;
//! use sharelet_link::service::{self, Limits};
//! use sharelet_link::tcp::Listener;
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let dealer = Dealer::new(DealerStore::open(Path::new("state"))?, MODELS);
//! let listener = Listener::bind("127.0.0.1:7100", Route::insecure_plaintext(None)).await?;
//! service::serve(dealer, listener, Limits::default(), CancellationToken::new()).await;
//! # Ok(())
//! # }
//! ```

pub mod alone;
pub mod console;
pub mod data;
pub mod dealer;
pub mod device;
pub mod host;
pub mod meter;
pub mod server;
pub mod store;
pub mod trace;
pub mod upload;
