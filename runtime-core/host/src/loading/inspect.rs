//! What the file of a library says, read without running any of it.
//!
//! Only the pieces that are asked for are read, so that a library of gigabytes costs no more than a
//! small one. Everything is read with bounds: a file that contradicts itself is told as damaged.

use std::fs::File;
use std::path::Path;

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader32, FileHeader64};
use object::read::elf::{ElfFile, FileHeader};
use object::read::{Object, ObjectSection, ReadCache, ReadRef};
use object::{Architecture, BinaryFormat, Endianness, ObjectKind};
use remuda_abi as abi;

/// What was read of a file.
#[derive(Debug)]
pub(super) struct Inspection {
    /// The processor and system that it is for, as far as the file says.
    pub(super) target: String,
    /// Whether this process could load it.
    pub(super) is_for_this_machine: bool,
    /// The bytes of the manifest, if it has one; its size, if it is too large.
    pub(super) manifest: Option<Result<Vec<u8>, u64>>,
    /// Whether it exports the entry symbol.
    pub(super) has_entry: bool,
    /// What its loader will look for.
    pub(super) links: Links,
}

/// What a library wants loaded with it, and where that is searched.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) needed: Vec<String>,
    pub(super) rpath: Vec<String>,
    pub(super) runpath: Vec<String>,
}

/// Reads a provider's file; the error is why it is no library.
pub(super) fn inspect(path: &Path) -> Result<Inspection, String> {
    let cache = ReadCache::new(File::open(path).map_err(|error| error.to_string())?);
    let file = object::File::parse(&cache).map_err(damage)?;
    if !matches!(file.kind(), ObjectKind::Dynamic | ObjectKind::Executable) {
        return Err("it is an object file, not linked yet".to_owned());
    }
    let manifest = manifest(&file).map_err(damage)?;
    let entry = abi::ENTRY_SYMBOL.to_bytes();
    let has_entry = if manifest.is_some() { exports(&file, entry).map_err(damage)? } else { false };
    Ok(Inspection {
        target: format!("{}-{}", architecture(&file), system(&file)),
        is_for_this_machine: is_for_this_machine(&file),
        manifest,
        has_entry,
        links: links_of(&file).map_err(damage)?,
    })
}

/// Reads only what a library wants loaded with it.
pub(super) fn links(path: &Path) -> Option<Links> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let file = object::File::parse(&cache).ok()?;
    if !is_for_this_machine(&file) {
        return None;
    }
    links_of(&file).ok()
}

fn damage(error: object::Error) -> String {
    format!("it is damaged or of an unknown kind ({error})")
}

fn manifest<'data, R: ReadRef<'data>>(
    file: &object::File<'data, R>,
) -> object::Result<Option<Result<Vec<u8>, u64>>> {
    for section in file.sections() {
        let name = section.name().unwrap_or("");
        if name != abi::MANIFEST_SECTION && name != abi::MANIFEST_SECTION_SHORT {
            continue;
        }
        if section.size() > abi::MAX_MANIFEST_BYTES as u64 {
            return Ok(Some(Err(section.size())));
        }
        return Ok(Some(Ok(section.data()?.to_vec())));
    }
    Ok(None)
}

fn exports<'data, R: ReadRef<'data>>(
    file: &object::File<'data, R>,
    wanted: &[u8],
) -> object::Result<bool> {
    for export in file.exports()? {
        if export?.name() == object::NameOrOrdinal::Name(wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn architecture<'data, R: ReadRef<'data>>(file: &object::File<'data, R>) -> &'static str {
    match file.architecture() {
        Architecture::X86_64 => "x86_64",
        Architecture::Aarch64 => "aarch64",
        Architecture::I386 => "x86",
        Architecture::Arm => "arm",
        Architecture::Riscv64 => "riscv64",
        _ => "another processor",
    }
}

fn system<'data, R: ReadRef<'data>>(file: &object::File<'data, R>) -> &'static str {
    match file.format() {
        BinaryFormat::Elf => "linux",
        BinaryFormat::MachO => "macos",
        BinaryFormat::Coff | BinaryFormat::Pe => "windows",
        _ => "another system",
    }
}

fn is_for_this_machine<'data, R: ReadRef<'data>>(file: &object::File<'data, R>) -> bool {
    let is_android = abi::TARGET_OS == "android" && system(file) == "linux";
    architecture(file) == abi::TARGET_ARCH
        && (system(file) == abi::TARGET_OS || is_android)
        && file.is_little_endian() == cfg!(target_endian = "little")
        && file.is_64() == cfg!(target_pointer_width = "64")
}

fn links_of<'data, R: ReadRef<'data>>(file: &object::File<'data, R>) -> object::Result<Links> {
    match file {
        object::File::Elf64(elf) => elf_links::<FileHeader64<Endianness>, R>(elf),
        object::File::Elf32(elf) => elf_links::<FileHeader32<Endianness>, R>(elf),
        _ => Ok(Links::default()),
    }
}

fn elf_links<'data, Elf: FileHeader, R: ReadRef<'data>>(
    elf: &ElfFile<'data, Elf, R>,
) -> object::Result<Links> {
    let mut links = Links::default();
    let table = elf.elf_dynamic_table()?;
    for entry in &table {
        let list = match entry.tag {
            DT_NEEDED => &mut links.needed,
            DT_RPATH => &mut links.rpath,
            DT_RUNPATH => &mut links.runpath,
            _ => continue,
        };
        let text = String::from_utf8_lossy(table.string(entry)?).into_owned();
        if entry.tag == DT_NEEDED {
            list.push(text);
        } else {
            list.extend(text.split(':').map(str::to_owned));
        }
    }
    Ok(links)
}
