//! What an image takes of a board's flash and RAM.

use std::path::Path;

use anyhow::{Context as _, Result};
use elf::ElfBytes;
use elf::abi::{PT_LOAD, SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use elf::endian::AnyEndian;

use crate::files;

/// Bytes in flash and bytes of static RAM of an image, from its sections and segments.
pub fn memory(image: &Path) -> Result<(u64, u64)> {
    let bytes = files::read(image)?;
    let file =
        ElfBytes::<AnyEndian>::minimal_parse(&bytes).context("the image is not an ELF file")?;
    let segments = file.segments().context("the image has no segments")?;
    // What is written to flash: code, constants, and the initial values of variables. An ESP32
    // maps its flash to two places, so what lies between is none of it.
    let stored = segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    let flash = stored.map(|segment| segment.p_filesz).sum();
    let (sections, names) =
        file.section_headers_with_strtab().context("the image has no sections")?;
    let (sections, names) = sections.zip(names).context("the image has no sections")?;
    let in_ram = |section: &elf::section::SectionHeader| {
        let writable = u64::from(SHF_ALLOC | SHF_WRITE);
        // The log's format strings are told apart by name: they are never loaded. Nor is what an
        // ESP32 leaves free where code is mapped, or what is left of its RAM, which it calls stack.
        let name = names.get(section.sh_name as usize).unwrap_or_default();
        (section.sh_flags & writable == writable || section.sh_type == SHT_NOBITS)
            && !name.starts_with(".defmt")
            && ![".rotext_dummy", ".stack"].contains(&name)
    };
    let ram = sections.iter().filter(in_ram).map(|section| section.sh_size).sum();
    Ok((flash, ram))
}
