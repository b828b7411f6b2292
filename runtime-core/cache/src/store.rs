//! The folder.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use remuda_base::knobs::{self, KnobError};
use sha2::{Digest, Sha256};

use crate::Key;

/// What every entry begins with; then the hash of its content, then the content.
const MAGIC: &[u8; 16] = b"remuda cache 1\r\n";
const HEAD: usize = MAGIC.len() + 32;
/// Bytes of all entries, unless something else is said.
const DEFAULT_LIMIT: u64 = 8 << 30;

/// Nobody writes an entry for so long.
const DRAFT_LIFE: Duration = Duration::from_secs(3600);

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A placement plan.
    Plan,
    /// What providers refused after seeing a part, or failed to compile.
    Refusals,
    /// What plans took in real runs, and which was kept.
    Trials,
    /// How fast a device is.
    Speeds,
    /// A provider's compiled form of a region.
    Engine,
    /// Weights in a form that kernels read fastest.
    Packed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Plan, Self::Refusals, Self::Trials, Self::Speeds, Self::Engine, Self::Packed];

    /// The stable spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Refusals => "refusals",
            Self::Trials => "trials",
            Self::Speeds => "speeds",
            Self::Engine => "engine",
            Self::Packed => "packed",
        }
    }
}

/// An entry, as `remuda cache list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// What it depends on.
    pub key: Key,
    /// Its size on disk.
    pub bytes: u64,
    /// When it was last read or written.
    pub used: SystemTime,
}

/// What was thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Entries.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system says no.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may write to it.
    #[error("the cache folder `{}` is not used: others may write to it", .0.display())]
    Untrusted(PathBuf),
    /// An entry that alone is larger than all may be.
    #[error("an entry of {bytes} bytes does not fit into a cache of {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
}

fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> CacheError + 'p {
    move |source| CacheError::File { action, path: path.to_owned(), source }
}

/// A folder of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
}

impl Cache {
    /// A cache in a folder, which need not be there yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, limit: u64) -> Self {
        Self { folder: folder.into(), limit }
    }

    /// The cache where the environment says, else in the user's cache folder; none if it says `off` or
    /// there is no such folder.
    ///
    /// # Errors
    /// When the limit is no number.
    pub fn standard() -> Result<Option<Self>, KnobError> {
        let limit = knobs::CACHE_LIMIT.count()?.map_or(DEFAULT_LIMIT, |limit| limit as u64);
        let folder = match knobs::CACHE.text() {
            Some(off) if off == "off" => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None => {
                let own = knobs::CACHE_HOME.text().map(PathBuf::from);
                let home = || Some(PathBuf::from(knobs::HOME.text()?).join(".cache"));
                own.or_else(home).map(|folder| folder.join("remuda"))
            }
        };
        Ok(folder.map(|folder| Self::new(folder, limit)))
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The most bytes that all entries take.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn path(&self, kind: Kind, key: &Key) -> PathBuf {
        self.folder.join(kind.as_str()).join(key.to_string())
    }

    /// The content of an entry, if it is there and whole.
    #[must_use]
    pub fn get(&self, kind: Kind, key: &Key) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(kind, key)?.read_to_end(&mut bytes).ok()?;
        let content = content(&bytes).map(<[u8]>::to_vec);
        if content.is_none() {
            // Damaged: it would be read again and again.
            self.remove(kind, key);
        }
        content
    }

    /// The file of an entry, if it is there and no larger than all may be.
    pub(crate) fn open(&self, kind: Kind, key: &Key) -> Option<File> {
        self.check_trust().ok()?;
        let file = File::options().read(true).write(true).open(self.path(kind, key)).ok()?;
        // Reading does not update the time on most systems.
        let _ = file.set_modified(SystemTime::now());
        (file.metadata().ok()?.len() <= self.limit.saturating_add(HEAD as u64)).then_some(file)
    }

    /// Removes an entry, if that is possible.
    pub(crate) fn remove(&self, kind: Kind, key: &Key) {
        let _ = fs::remove_file(self.path(kind, key));
    }

    /// Writes an entry, and makes room for it.
    ///
    /// # Errors
    /// When it is too large, or the folder cannot be written to.
    pub fn put(&self, kind: Kind, key: &Key, content: &[u8]) -> Result<(), CacheError> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&Sha256::digest(content));
        self.write(kind, key, &head, content)
    }

    /// Writes a head and a content, and makes room for them.
    pub(crate) fn write(
        &self,
        kind: Kind,
        key: &Key,
        head: &[u8],
        content: &[u8],
    ) -> Result<(), CacheError> {
        let bytes = (head.len() + content.len()) as u64;
        if bytes > self.limit {
            return Err(CacheError::TooLarge { bytes, limit: self.limit });
        }
        let path = self.path(kind, key);
        let folder = self.folder.join(kind.as_str());
        create_private(&folder).map_err(failed("make", &folder))?;
        self.check_trust()?;
        self.make_room(self.limit - bytes);
        // Written beside it and moved, so that nobody sees half of it.
        let draft = folder.join(draft_name(key));
        let written = File::create(&draft)
            .and_then(|mut file| file.write_all(head).and_then(|()| file.write_all(content)));
        let moved = written.and_then(|()| fs::rename(&draft, &path));
        moved.map_err(|source| {
            let _ = fs::remove_file(&draft);
            failed("write", &path)(source)
        })
    }

    /// Every entry, the one used last first.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let entries = self.files().filter_map(|(kind, file)| {
            let key = Key::parse(file.file_name().to_str()?)?;
            let about = file.metadata().ok()?;
            Some(Entry { kind, key, bytes: about.len(), used: about.modified().ok()? })
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.used), entry.kind, entry.key));
        entries
    }

    fn files(&self) -> impl Iterator<Item = (Kind, DirEntry)> {
        Kind::ALL.into_iter().flat_map(|kind| {
            let files = fs::read_dir(self.folder.join(kind.as_str())).into_iter().flatten();
            files.flatten().map(move |file| (kind, file))
        })
    }

    /// Removes what processes that ended too early left of entries.
    fn remove_old_drafts(&self) {
        let is_old = |file: &DirEntry| {
            let used = file.metadata().ok().and_then(|about| about.modified().ok());
            used.and_then(|used| used.elapsed().ok()).is_some_and(|age| age > DRAFT_LIFE)
        };
        for (_, file) in self.files() {
            if file.file_name().to_str().is_some_and(|name| Key::parse(name).is_none())
                && is_old(&file)
            {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Throws every entry away, or those of one kind.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn clear(&self, only: Option<Kind>) -> Result<Cleared, CacheError> {
        let mut cleared = Cleared::default();
        for entry in self.list() {
            if only.is_none_or(|kind| kind == entry.kind) {
                let path = self.path(entry.kind, &entry.key);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                cleared.entries += 1;
                cleared.bytes += entry.bytes;
            }
        }
        Ok(cleared)
    }

    /// Removes what was used longest ago, until all entries take no more than this.
    fn make_room(&self, most: u64) {
        self.remove_old_drafts();
        let entries = self.list();
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries.iter().rev() {
            if total <= most {
                return;
            }
            // Somebody else may have removed it already.
            let _ = fs::remove_file(self.path(entry.kind, &entry.key));
            total -= entry.bytes;
        }
    }

    #[cfg(unix)]
    fn check_trust(&self) -> Result<(), CacheError> {
        use std::os::unix::fs::PermissionsExt;
        let about = fs::metadata(&self.folder).map_err(failed("look at", &self.folder))?;
        if about.permissions().mode() & 0o022 != 0 {
            return Err(CacheError::Untrusted(self.folder.clone()));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Unix")]
    fn check_trust(&self) -> Result<(), CacheError> {
        Ok(())
    }
}

/// A name that no other draft has, in this process or another.
fn draft_name(key: &Key) -> String {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    format!("{key}.{}.{number}", std::process::id())
}

/// The content of a file, if it is whole.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (hash, content) = rest.split_at_checked(HEAD - MAGIC.len())?;
    (magic == MAGIC && hash == &Sha256::digest(content)[..]).then_some(content)
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}
