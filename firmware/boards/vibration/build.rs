//! Turns the built-in model's normalisation into a table.

use std::{env, fs, path::PathBuf};

const NORMALISATION: &str = "../../../demo/features.csv";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
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
