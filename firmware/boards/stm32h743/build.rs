//! Puts the memory map where the linker looks for it, and turns the built-in model's normalisation
//! into a table.

use std::{env, fs, path::PathBuf};

const NORMALISATION: &str = "../../../demo/features.csv";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::copy("memory.x", out.join("memory.x")) {
        println!("cargo:error=memory.x cannot be copied to {}: {error}", out.display());
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory.x");
    for argument in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }

    println!("cargo:rerun-if-changed={NORMALISATION}");
    match fs::read_to_string(NORMALISATION)
        .map_err(|error| error.to_string())
        .and_then(|csv| table(&csv))
    {
        Ok(table) => {
            if let Err(error) = fs::write(out.join("normalisation.rs"), table) {
                println!("cargo:error=normalisation.rs cannot be written: {error}");
            }
        }
        Err(error) => println!("cargo:error={NORMALISATION}: {error}"),
    }
}

/// Mean and deviation per line, after the line with the names of the columns.
fn table(csv: &str) -> Result<String, String> {
    let mut rows = String::new();
    for line in csv.lines().skip(1) {
        let mut columns = line.rsplit(',').map(str::parse::<f32>);
        let (Some(Ok(deviation)), Some(Ok(mean))) = (columns.next(), columns.next()) else {
            return Err(format!("`{line}` does not end in two numbers"));
        };
        rows.push_str(&format!("    ({mean:?}, {deviation:?}),\n"));
    }
    Ok(format!(
        "/// Mean and deviation of every feature.\nconst NORMALISATION: [(f32, f32); COUNT] = \
         [\n{rows}];\n"
    ))
}
