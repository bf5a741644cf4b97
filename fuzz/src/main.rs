//! The target that `FUZZ_TARGET` names, under libFuzzer: `cargo xtask bench fuzz`. Its seeds go to
//! the folder `FUZZ_SEEDS` first. With `FUZZ_NAMES` it says which targets there are.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sharelet_fuzz::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name:?} is no target"))
});

fn write_seeds() {
    if std::env::var_os("FUZZ_NAMES").is_some() {
        sharelet_fuzz::TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else { return };
    for (number, seed) in (TARGET.seeds)().into_iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fuzz_target!(
    init: write_seeds(),
    |bytes: &[u8]| (TARGET.run)(bytes)
);
