//! Writes the tables: `cargo xtask fit`. With `--widths`, only lists what pieces of half and of
//! twice the width would give.

use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use sharelet_fit::{plan, sources, table};

fn main() -> Result<()> {
    let begin = Instant::now();
    match env::args().nth(1).as_deref() {
        None => write()?,
        Some("--widths") => list(),
        Some(other) => {
            bail!("{other}: unknown; --widths lists other widths, no argument writes the tables")
        }
    }
    println!("{:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

fn write() -> Result<()> {
    for source in sources()? {
        let path = source.path();
        fs::write(&path, &source.text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        println!("{}: {} bytes", source.name, source.text.len());
    }
    Ok(())
}

fn list() {
    println!(
        "{:12} {:10} {:>5} {:>5} {:>4} {:>9} {:>9} {:>9}",
        "function", "table", "piece", "rows", "F", "bound", "relative", "step"
    );
    for finer in [-1, 0, 1] {
        for file in plan::files(finer) {
            for (item, plan) in &file.plans {
                match table::fit(plan) {
                    Ok(fitted) => println!(
                        "{:12} {item:10} {:5} {:5} {:4} {:9.3e} {:9.3e} {:9.3e}",
                        file.name,
                        fitted.piece_bits,
                        fitted.rows.len(),
                        fitted.value_frac_bits,
                        fitted.bound,
                        fitted.relative_bound,
                        fitted.coordinate_bound
                    ),
                    Err(error) => println!("{:12} {item:10} {error:#}", file.name),
                }
            }
        }
    }
}
