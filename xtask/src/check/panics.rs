//! Whether there is code in an optimised image that panics.
//!
//! The image is `tests/no_panic`: everything in the core that a device and its host run. It is
//! linked with its relocations, which tell what each function refers to.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use elf::ElfBytes;
use elf::abi::{SHT_REL, SHT_RELA, STT_FUNC};
use elf::endian::AnyEndian;

use super::results::{Checks, LIMIT};
use crate::setup::Toolchain;
use crate::{files, process};

/// Targets whose images are looked at.
const TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "thumbv7m-none-eabi"];
/// What cargo is to build; the target comes after it, then [`LINK`].
const BUILD: [&str; 5] = ["--release", "--package", "sharelet-no-panic", "--bin", "no-panic"];
/// For the linker: keep the relocations.
const LINK: [&str; 3] = ["--", "-C", "link-arg=--emit-relocs"];

/// A guard that the compiler puts into every `async` function: against a caller that polls it after
/// its end. No executor does, and no compiler leaves it out.
const POLLED_AFTER_ITS_END: &str = "panic_const_async_fn_resumed";

/// Looks into the images, and into one that does panic: that must be seen.
pub fn run(checks: &Checks<'_>, toolchain: Toolchain) {
    for target in TARGETS {
        checks.check(&format!("no panic in the core for {target}"), || {
            let found = callers(&image(checks, toolchain, target, &[])?)?;
            if !found.is_empty() {
                let found: Vec<String> = found.into_iter().collect();
                bail!("there is code that panics:\n  {}", found.join("\n  "));
            }
            Ok(())
        });
    }
    let [target, ..] = TARGETS;
    checks.check("a panic in the core would be seen", || {
        if callers(&image(checks, toolchain, target, &["--features", "panics"])?)?.is_empty() {
            bail!("an image that indexes out of range seems to have no code that panics");
        }
        Ok(())
    });
}

/// Builds the image and reads it.
fn image(
    checks: &Checks<'_>,
    toolchain: Toolchain,
    target: &str,
    features: &[&str],
) -> Result<Vec<u8>> {
    let setup = &checks.setup;
    let mut cargo = setup.target_cargo(toolchain, setup.workspace.root(), "rustc");
    cargo.args(BUILD).args(["--target", target]).args(features).args(LINK);
    process::run("cargo rustc", &mut cargo, &setup.logs.join("no-panic.log"), LIMIT)?;
    let path = setup.firmware_target(toolchain).join(target).join("release").join("no-panic");
    files::read(&path)
}

/// The functions that refer to one that panics, each with that one.
fn callers(image: &[u8]) -> Result<BTreeSet<String>> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(image)?;
    let (symbols, names) = file.symbol_table()?.context("the image has no symbols")?;
    let mut functions = Vec::new();
    for symbol in symbols.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC) {
        // The lowest bit says that the code is Thumb's.
        let start = symbol.st_value & !1;
        functions.push((start..start + symbol.st_size, names.get(symbol.st_name as usize)?));
    }
    let mut references = Vec::new();
    for section in file.section_headers().context("the image has no sections")? {
        match section.sh_type {
            SHT_REL => references
                .extend(file.section_data_as_rels(&section)?.map(|rel| (rel.r_offset, rel.r_sym))),
            SHT_RELA => references.extend(
                file.section_data_as_relas(&section)?.map(|rela| (rela.r_offset, rela.r_sym)),
            ),
            _ => {}
        }
    }
    if references.is_empty() {
        bail!("the image was linked without its relocations");
    }
    let mut callers = BTreeSet::new();
    for (place, symbol) in references {
        let name = names.get(symbols.get(symbol as usize)?.st_name as usize)?;
        if !panics(name) || name.contains(POLLED_AFTER_ITS_END) {
            continue;
        }
        let caller = functions.iter().find(|(range, _)| range.contains(&place));
        let caller = caller.map_or("(no function)", |(_, name)| name);
        if !panics(caller) {
            callers.insert(format!("{caller} refers to {name}"));
        }
    }
    Ok(callers)
}

/// Whether a function of the core library panics, by its mangled name.
fn panics(name: &str) -> bool {
    ["4core9panicking", "unwrap_failed", "expect_failed", "index_fail", "mismatch_fail"]
        .iter()
        .any(|part| name.contains(part))
}
