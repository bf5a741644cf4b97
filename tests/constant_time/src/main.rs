//! Runs everything that handles secrets, with all secrets marked as undefined: valgrind then
//! reports each branch and each address that depends on one.
//!
//! `cargo xtask test` builds it with `--cfg watch_secrets`, and runs `constant-time leaks`, which
//! must be reported, before it believes `constant-time`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up ends the check"
)]

mod alone;
mod channels;
mod encrypted;
mod functions;
mod inputs;
mod line;
mod private;
mod secret;
mod sessions;
mod training;
mod transfers;

use std::process::ExitCode;

/// What is run: a name, and the work.
type Case = (&'static str, fn());

const CASES: [Case; 22] = [
    ("keystream and binding", sessions::binding),
    ("a session, answered to the device", sessions::to_device),
    ("a session, answered to the host", sessions::to_host),
    ("a layer's products under a secret model", sessions::products),
    ("dealing", sessions::dealing),
    ("dealing of functions", functions::dealing),
    ("dealing of training runs", training::runs),
    ("dealing of a shared model", training::shared_models),
    ("readings as words", inputs::readings),
    ("a query's shares", inputs::query),
    ("products under encryption", encrypted::products),
    ("layers under encryption", encrypted::layers),
    ("base transfers", transfers::base_transfers),
    ("transfers of an extension", transfers::extension),
    ("preparing without a dealer", alone::preparing),
    ("programs by transfers, on shares", alone::programs),
    ("gates of a private model without a dealer", private::gates),
    ("pairing", channels::pairing),
    ("channel: KKpsk0", channels::kk_psk0),
    ("channel: NNpsk0", channels::nn_psk0),
    ("channel: Psk", channels::psk),
    ("channel: records that were changed", channels::changed),
];

/// A branch and an address that depend on a secret: both must be reported.
const LEAKS: [Case; 2] =
    [("a secret branch", inputs::secret_branch), ("a secret index", inputs::secret_index)];

fn main() -> ExitCode {
    let cases = match std::env::args().nth(1).as_deref() {
        None => CASES.as_slice(),
        Some("leaks") => LEAKS.as_slice(),
        Some(other) => {
            eprintln!("{other}: the only argument is `leaks`");
            return ExitCode::from(2);
        }
    };
    if !secret::watched() {
        println!("nobody watches; `cargo xtask test` runs this under valgrind");
        return ExitCode::SUCCESS;
    }
    for (name, run) in cases {
        let before = secret::reports();
        run();
        println!("{name}: {} reports", secret::reports() - before);
    }
    ExitCode::SUCCESS
}
