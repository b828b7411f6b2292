//! Which shared libraries are missing, searched as the system's loader will search.
//!
//! A loader names one missing library, in its own words, after it has begun to run code. Here every
//! needed library, and what those need in turn, is looked for beforehand. Where the loader's own table
//! cannot be read, nothing is claimed to be missing.

mod cache;

use std::path::{Path, PathBuf};

use remuda_base::{Map, Set, knobs};

use super::inspect::{Links, links};
use cache::Cache;

/// A library that is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) library: String,
    /// The library that needs it, if it is not the first one.
    pub(super) by: Option<String>,
    /// Other versions of it that are there.
    pub(super) near: Vec<String>,
}

/// More libraries than any provider needs: what lies beyond is left to the loader.
const MAX_LIBRARIES: usize = 512;

/// Where libraries are searched.
pub(super) struct Search {
    first: Vec<PathBuf>,
    cache: Option<Cache>,
    last: Vec<PathBuf>,
    /// The libraries of this process, by name.
    loaded: Map<String, PathBuf>,
}

impl Search {
    /// As this process's loader searches now.
    pub(super) fn new() -> Self {
        let list = knobs::LOADER_PATH.text().unwrap_or_default();
        let folders = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"];
        Self {
            first: std::env::split_paths(&list).collect(),
            cache: Cache::read(Path::new("/etc/ld.so.cache")),
            last: folders.map(PathBuf::from).to_vec(),
            loaded: loaded(),
        }
    }

    /// Whether a library of this name is in this process already.
    pub(super) fn is_loaded(&self, library: &str) -> bool {
        self.loaded.contains_key(library)
    }

    /// Looks for every library that a file needs: those that its links name, that the links of those
    /// name, and that `extra` names. Gives those that only this process has, which another process must
    /// load first; or the first that is missing.
    pub(super) fn resolve(
        &self,
        file: &Path,
        own: &Links,
        extra: &[&str],
    ) -> Result<Vec<PathBuf>, Missing> {
        let mut held = Vec::new();
        let Some(known) = self.cache.as_ref() else { return Ok(held) };
        let mut seen: Set<String> = Set::new();
        let mut queue = vec![(file.to_owned(), own.clone(), None)];
        let mut extra = extra;
        while let Some((file, links, by)) = queue.pop() {
            let names = links.needed.iter().map(String::as_str).chain(extra.iter().copied());
            for library in names {
                if seen.len() > MAX_LIBRARIES || !seen.insert(library.to_owned()) {
                    continue;
                }
                match self.find(library, &file, &links) {
                    Place::Loaded(path) => held.push(path),
                    Place::At(path) => {
                        let inner = super::inspect::links(&path).unwrap_or_default();
                        queue.push((path, inner, Some(library.to_owned())));
                    }
                    Place::Nowhere => {
                        let near = known.near(library);
                        return Err(Missing { library: library.to_owned(), by, near });
                    }
                }
            }
            extra = &[];
        }
        // What was found last is needed by what was found before it.
        held.reverse();
        Ok(held)
    }

    fn find(&self, library: &str, by: &Path, links: &Links) -> Place {
        let path = Path::new(library);
        if library.contains('/') {
            return if path.exists() { Place::At(path.to_owned()) } else { Place::Nowhere };
        }
        let origin = by.parent().unwrap_or(Path::new("/"));
        let own = |list: &[String]| -> Vec<PathBuf> {
            list.iter().map(|folder| expand(folder, origin)).collect()
        };
        let rpath = if links.runpath.is_empty() { own(&links.rpath) } else { Vec::new() };
        let early = rpath.iter().chain(&self.first).cloned().chain(own(&links.runpath));
        if let Some(found) = in_folders(early, library) {
            return Place::At(found);
        }
        let cached = self.cache.as_ref().and_then(|cache| cache.find(library));
        let found = cached.or_else(|| in_folders(self.last.iter().cloned(), library));
        match (found, self.loaded.get(library)) {
            (Some(path), _) => Place::At(path),
            (None, Some(path)) => Place::Loaded(path.clone()),
            (None, None) => Place::Nowhere,
        }
    }
}

enum Place {
    /// Only this process has it.
    Loaded(PathBuf),
    At(PathBuf),
    Nowhere,
}

/// The first file of this name that this process could load: loaders skip those for other machines.
fn in_folders(folders: impl Iterator<Item = PathBuf>, library: &str) -> Option<PathBuf> {
    let mut files = folders.map(|folder| folder.join(library));
    files.find(|file| file.is_file() && links(file).is_some())
}

fn expand(folder: &str, origin: &Path) -> PathBuf {
    let origin = origin.to_string_lossy();
    PathBuf::from(folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
}

/// The libraries of this process by name.
fn loaded() -> Map<String, PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    let named = paths.filter_map(|path| Some((path.rsplit('/').next()?.to_owned(), path.into())));
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Links, Search, expand};

    #[test]
    fn the_search_knows_what_every_process_has_and_what_none_has() {
        let search = Search::new();
        let own = |names: &[&str]| Links {
            needed: names.iter().map(|&name| name.to_owned()).collect(),
            ..Links::default()
        };
        let file = Path::new("/tmp/x.so");
        let found = search.resolve(file, &own(&["libc.so.6", "libpthread.so.0"]), &[]);
        assert_eq!(found, Ok(Vec::new()));
        let wanted = own(&["libc.so.6", "libno-such.so.3"]);
        let missing = search.resolve(file, &wanted, &[]).unwrap_err();
        assert_eq!((missing.library.as_str(), missing.by), ("libno-such.so.3", None));
        let missing = search.resolve(file, &own(&[]), &["libc.so.99"]).unwrap_err();
        assert_eq!(missing.near, ["libc.so.6"]);
    }

    #[test]
    fn what_only_this_process_has_is_told() {
        let mut search = Search::new();
        let place = Path::new("/opt/private/libof-this-process.so.1");
        search.loaded.insert("libof-this-process.so.1".to_owned(), place.to_owned());
        let wanted = ["libof-this-process.so.1", "libc.so.6"];
        let found = search.resolve(Path::new("/tmp/x.so"), &Links::default(), &wanted);
        assert_eq!(found, Ok(vec![place.to_owned()]));
    }

    #[test]
    fn origin_is_the_folder_of_the_file() {
        let origin = Path::new("/opt/x");
        assert_eq!(expand("$ORIGIN/../lib", origin), Path::new("/opt/x/../lib"));
        assert_eq!(expand("${ORIGIN}", origin), Path::new("/opt/x"));
    }
}
