//! Large entries: mapped where they are used, not read.
//!
//! To read all of such an entry would take as long as making it again. It is checked by its length and by a few
//! bytes of every page: that finds files that were cut off and pages that never reached the disk.

use remuda_mapped::MappedFile;
use remuda_tensor::Memory;
use sha2::{Digest, Sha256};

use crate::{Cache, CacheError, Key, Kind};

/// What a large entry begins with; then the hash of its samples. Its content starts at a cache line.
const MAGIC: &[u8; 16] = b"remuda mapped 1\n";
const HEAD: usize = 64;
/// From one sample to the next: a page of the smallest size.
const STEP: usize = 4096;
/// Bytes of a sample.
const SAMPLE: usize = 16;

/// The content of a large entry, in memory that the system may take back and read again.
#[derive(Debug)]
pub struct Mapped(MappedFile);

impl Mapped {
    /// The content, from an address that is a multiple of 64.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes().get(HEAD..).unwrap_or_default()
    }
}

impl Cache {
    /// Writes a large entry, and makes room for it.
    ///
    /// # Errors
    /// When it is too large, or the folder cannot be written to.
    pub fn put_large(&self, kind: Kind, key: &Key, content: &[u8]) -> Result<(), CacheError> {
        self.write(kind, key, &head(content), content)
    }

    /// Maps a large entry, if it is there and looks whole.
    #[must_use]
    pub fn map(&self, kind: Kind, key: &Key) -> Option<Mapped> {
        let file = self.open(kind, key)?;
        let entry = Mapped(MappedFile::of(&file).ok()?);
        if entry.0.bytes().get(..HEAD) == Some(&head(entry.bytes())[..]) {
            return Some(entry);
        }
        // Damaged: it would be mapped again and again.
        self.remove(kind, key);
        None
    }

    /// Whether as much can be kept without most of everything else being thrown away.
    #[must_use]
    pub fn has_room_for(&self, bytes: u64) -> bool {
        bytes <= self.limit() / 4 * 3
    }
}

fn head(content: &[u8]) -> [u8; HEAD] {
    let mut hash = Sha256::new();
    hash.update((content.len() as u64).to_le_bytes());
    for page in content.chunks(STEP) {
        hash.update(&page[..page.len().min(SAMPLE)]);
    }
    let mut head = [0; HEAD];
    head[..MAGIC.len()].copy_from_slice(MAGIC);
    head[MAGIC.len()..MAGIC.len() + 32].copy_from_slice(&hash.finalize());
    head
}
