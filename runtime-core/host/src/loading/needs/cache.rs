//! The loader's own table of libraries, `/etc/ld.so.cache`.
//!
//! The table has a head, entries of 24 bytes and texts; offsets of texts count from the head. An older
//! table may stand before the newer one. A table that is not as expected is no table.

use std::path::{Path, PathBuf};

use remuda_base::{Map, Set};

/// Libraries by name, each with the first place that is for this machine.
#[derive(Debug)]
pub(super) struct Cache(Map<String, PathBuf>);

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEAD_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;
/// What kind of library an entry is: the low byte says ELF, the next one the machine.
const IS_ELF: u32 = 1;
const MAX_BYTES: u64 = 64 << 20;

impl Cache {
    pub(super) fn read(file: &Path) -> Option<Self> {
        if std::fs::metadata(file).ok()?.len() > MAX_BYTES {
            return None;
        }
        Self::parse(&std::fs::read(file).ok()?)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        let table = &bytes[start..];
        let count = usize::try_from(number(table, MAGIC.len())?).ok()?;
        let mut places: Map<String, PathBuf> = Map::new();
        for at in 0..count {
            let entry = at.checked_mul(ENTRY_BYTES)?.checked_add(HEAD_BYTES)?;
            let flags = number(table, entry)?;
            if flags & 0xff & IS_ELF == 0 || Some(flags >> 8 & 0xff) != machine() {
                continue;
            }
            let name = text(table, number(table, entry + 4)?)?;
            let path = text(table, number(table, entry + 8)?)?;
            places.entry(name).or_insert_with(|| path.into());
        }
        Some(Self(places))
    }

    pub(super) fn find(&self, library: &str) -> Option<PathBuf> {
        self.0.get(library).filter(|path| path.exists()).cloned()
    }

    /// Other versions of a library: `libcudnn.so.8` for `libcudnn.so.9`.
    pub(super) fn near(&self, library: &str) -> Vec<String> {
        let Some(stem) = library.split(".so").next().filter(|stem| !stem.is_empty()) else {
            return Vec::new();
        };
        let stem = format!("{stem}.so");
        let names: Set<&String> =
            self.0.keys().filter(|name| name.starts_with(&stem)).take(4).collect();
        names.into_iter().cloned().collect()
    }
}

/// The loader's number for this machine's kind of library.
fn machine() -> Option<u32> {
    match std::env::consts::ARCH {
        "x86_64" => Some(3),
        "aarch64" => Some(10),
        "riscv64" => Some(16),
        _ => None,
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

fn text(bytes: &[u8], at: u32) -> Option<String> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().take(4096).position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Cache, MAGIC};

    #[test]
    fn a_table_that_is_cut_or_lies_is_no_table() {
        let mut table = MAGIC.to_vec();
        table.extend(7u32.to_ne_bytes());
        table.extend([0; 60]);
        for end in 0..table.len() {
            let _ = Cache::parse(&table[..end]);
        }
        assert!(Cache::parse(b"something else").is_none());
        let mut lies = MAGIC.to_vec();
        lies.extend(u32::MAX.to_ne_bytes());
        lies.extend([0xff; 600]);
        assert!(Cache::parse(&lies).is_none_or(|cache| cache.0.is_empty()));
    }
}
