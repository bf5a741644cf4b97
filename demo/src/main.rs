//! Makes the files of `demo/` again: `cargo run --release -p sharelet-demo-model [-- FOLDER]`.

use std::path::PathBuf;
use std::process::ExitCode;

use sharelet_demo_model::make;
use sharelet_demo_model::simulate::State;

fn main() -> ExitCode {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    match make(&folder) {
        Ok(outcome) => {
            println!("\nheld-out windows (synthetic): {}", outcome.windows);
            println!("recognised by the float network: {}", outcome.float_correct);
            println!("recognised by the model file, in fixed point: {}", outcome.fixed_correct);
            println!("rows are what was simulated, columns what was recognised:");
            for (state, row) in State::ALL.iter().zip(outcome.confusion) {
                println!(
                    "{:>14} {:>5} {:>5} {:>5} {:>5}",
                    state.name(),
                    row[0],
                    row[1],
                    row[2],
                    row[3]
                );
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
