//! Makes the files of `demo/` again: `cargo run --release -p sharelet-demo-model [-- FOLDER]`.

use std::path::PathBuf;

use sharelet_demo_model::make;
use sharelet_demo_model::simulate::State;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let outcome = make(&folder)?;
    println!("\nheld-out windows (synthetic): {}", outcome.windows);
    println!("recognised by the float network: {}", outcome.float_correct);
    println!("recognised by the model file, in fixed point: {}", outcome.fixed_correct);
    println!("rows are what was simulated, columns what was recognised:");
    for (state, [a, b, c, d]) in State::ALL.iter().zip(outcome.confusion) {
        println!("{:>14} {a:>5} {b:>5} {c:>5} {d:>5}", state.name());
    }
    Ok(())
}
