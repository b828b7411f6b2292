//! Opening beneath a folder with the kernel's help.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::{Opened, Refusal};

/// Never waits for a pipe, never hands the file on to a child.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW);
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

pub(super) fn open_beneath(folder: &Path, parts: &[&str]) -> Opened {
    let folder = File::open(folder)?;
    match open_resolved(&folder, parts) {
        // Kernels before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => open_stepwise(&folder, parts),
        result => result,
    }
    .map_err(|errno| match errno {
        Errno::LOOP => Refusal::Link,
        other => Refusal::Io(other.into()),
    })
}

#[cfg(target_os = "linux")]
fn open_resolved(folder: &File, parts: &[&str]) -> Result<File, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(folder, parts.join("/"), FILE, Mode::empty(), resolve).map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn open_resolved(_folder: &File, _parts: &[&str]) -> Result<File, Errno> {
    Err(Errno::NOSYS)
}

/// Name by name, following no link.
pub(super) fn open_stepwise(folder: &File, parts: &[&str]) -> Result<File, Errno> {
    let Some((file, folders)) = parts.split_last() else { return Err(Errno::INVAL) };
    let mut at = folder.try_clone().map_err(|_| Errno::BADF)?;
    for part in folders {
        at = step(&at, part, FOLDER)?;
    }
    step(&at, file, FILE)
}

fn step(folder: &File, name: &str, flags: OFlags) -> Result<File, Errno> {
    match openat(folder, name, flags, Mode::empty()) {
        // What a link gives where a folder is expected, and what the BSDs give for any link.
        Err(Errno::NOTDIR | Errno::MLINK) if is_link(folder, name) => Err(Errno::LOOP),
        result => result.map(File::from),
    }
}

fn is_link(folder: &File, name: &str) -> bool {
    use rustix::fs::{AtFlags, FileType, statat};
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

pub(super) fn link_count(metadata: &Metadata) -> u64 {
    metadata.nlink()
}

#[cfg(test)]
pub(super) fn stepwise(folder: &Path, parts: &[&str]) -> std::io::Result<File> {
    Ok(open_stepwise(&File::open(folder)?, parts)?)
}
