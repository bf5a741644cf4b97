//! Draws the figures of the book anew: `cargo run -p sharelet-book --bin figures`.

use std::fs;
use std::path::Path;

use sharelet_book::figures;
use sharelet_book::pair::Failed;

fn main() -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("figures");
    fs::create_dir_all(&folder)?;
    for (name, svg) in figures::all()? {
        fs::write(folder.join(name), svg)?;
        println!("{name}");
    }
    Ok(())
}
