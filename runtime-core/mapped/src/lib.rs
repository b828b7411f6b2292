//! Files as memory: weights are mapped, not read.
//!
//! The importers forbid unsafe code; the one unsafe call of mapping a file is here. What cannot be
//! promised: a file that somebody else shortens while it is mapped ends the process at the next
//! access, as with every program that maps files.
#![expect(unsafe_code, reason = "mapping a file; the block says why it is sound")]

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use remuda_tensor::Memory;

/// A file, mapped read-only. Pages are read when they are touched.
#[derive(Debug)]
pub struct MappedFile {
    /// `None` for an empty file, which cannot be mapped.
    map: Option<Mmap>,
    /// Which file it is, in which state; empty where the system does not say.
    state: String,
}

/// What the system says of a file that changes whenever its content does: who it is, how long it is, when
/// it was written and when anything about it was changed, which nobody can set.
#[cfg(unix)]
fn state(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;

    format!(
        "file {}:{} of {} bytes, written {}.{:09}, changed {}.{:09}",
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    )
}

#[cfg(not(unix))]
fn state(_: &Metadata) -> String {
    String::new()
}

impl MappedFile {
    /// Maps the file at this path.
    ///
    /// # Errors
    /// When it cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(&File::open(path)?)
    }

    /// Maps an open file.
    ///
    /// # Errors
    /// When it is no regular file or cannot be mapped.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        if metadata.len() == 0 {
            return Ok(Self { map: None, state: String::new() });
        }
        let state = state(&metadata);
        // SAFETY: the mapping is private to this value and never written through. The bytes can
        // change under us only if another process writes to the file meanwhile; elements are plain
        // numbers, and every reader checks what it derives from them.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self { map: Some(map), state })
    }
}

impl Memory for MappedFile {
    fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    fn origin(&self, range: Range<usize>) -> Option<String> {
        (!self.state.is_empty()).then(|| format!("{}, {}..{}", self.state, range.start, range.end))
    }

    #[cfg(unix)]
    fn discard(&self, range: Range<usize>) {
        let Some(map) = &self.map else { return };
        let end = range.end.min(map.len());
        if range.start >= end {
            return;
        }
        // SAFETY: pages of a shared read-only mapping hold what the file holds: the next access reads
        // the same bytes again. That the advice may fail costs memory only.
        let _ = unsafe {
            map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                range.start,
                end - range.start,
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::MappedFile;
    use remuda_tensor::Memory;

    #[test]
    fn a_mapped_file_has_the_bytes_of_the_file() {
        let path = std::env::temp_dir().join(format!("remuda-mapped-{}", std::process::id()));
        std::fs::write(&path, b"remuda").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().bytes(), b"remuda");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().bytes(), b"");
        std::fs::remove_file(&path).unwrap();
        assert!(MappedFile::open(&path).is_err());
    }

    #[test]
    fn discarded_bytes_are_read_again() {
        let path = std::env::temp_dir().join(format!("remuda-discarded-{}", std::process::id()));
        let written: Vec<u8> = (0..=250).cycle().take(100_000).collect();
        std::fs::write(&path, &written).unwrap();
        let file = MappedFile::open(&path).unwrap();
        for range in [0..100_000, 5000..70_001, 99_999..usize::MAX, 100_000..200_000] {
            assert_eq!(file.bytes(), written);
            file.discard(range);
        }
        assert_eq!(file.bytes(), written);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn the_origin_tells_files_their_states_and_places_apart() {
        let path = std::env::temp_dir().join(format!("remuda-origin-{}", std::process::id()));
        let origin = |range| MappedFile::open(&path).unwrap().origin(range);
        std::fs::write(&path, b"remuda").unwrap();
        let first = origin(1..4);
        assert!(first.is_some());
        assert_eq!(origin(1..4), first);
        assert_ne!(origin(1..5), first);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"another").unwrap();
        assert_ne!(origin(1..4), first);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_folder_is_refused() {
        let error = MappedFile::open(&std::env::temp_dir()).unwrap_err();
        assert_eq!(error.to_string(), "it is no regular file");
    }
}
