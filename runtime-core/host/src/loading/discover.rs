//! Which files are looked at: those that the configuration lists, those in provider folders, those of
//! installed packages, those that the environment names, in this order.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Config, Package, Verdict};

/// Why a file is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `plugins.toml` or the caller lists it.
    Listed,
    /// It lies in a provider folder.
    Folder,
    /// It lies in an installed package.
    Package,
    /// `REMUDA_PROVIDERS` names it, or its folder.
    Environment,
}

/// A file to be looked at, or a folder that cannot be.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) origin: Origin,
    /// What was wrong with a place before any file of it was looked at.
    pub(super) fault: Option<Verdict>,
}

/// A folder with more libraries than this is not a provider folder.
const MAX_FILES: usize = 1000;

/// Every file to be looked at.
pub(super) fn candidates(config: &Config) -> Vec<Candidate> {
    let mut found = Vec::new();
    for library in config.providers.iter().filter_map(|entry| entry.library.as_ref()) {
        found.push(Candidate { path: library.clone(), origin: Origin::Listed, fault: None });
    }
    for (folder, must_exist) in &config.folders {
        if *must_exist || folder.exists() {
            files_of(folder, &Origin::Folder, &mut found);
        }
    }
    for package in &config.packages {
        files_of_package(package, &mut found);
    }
    for place in &config.environment {
        if place.is_dir() {
            files_of(place, &Origin::Environment, &mut found);
        } else {
            let path = place.clone();
            found.push(Candidate { path, origin: Origin::Environment, fault: None });
        }
    }
    found
}

/// The libraries of a package; one without any says that it has some, and is broken.
fn files_of_package(package: &Package, found: &mut Vec<Candidate>) {
    let before = found.len();
    let (path, reason) = match &package.folder {
        Ok(folder) => {
            files_of(folder, &Origin::Package, found);
            (folder.clone(), "it holds no library".to_owned())
        }
        Err(reason) => (PathBuf::from(&package.name), reason.clone()),
    };
    if found.len() == before {
        let fault = Verdict::BrokenPackage { package: package.name.clone(), reason };
        found.push(Candidate { path, origin: Origin::Package, fault: Some(fault) });
    }
}

/// The libraries of a folder, in the order of their names.
fn files_of(folder: &Path, origin: &Origin, found: &mut Vec<Candidate>) {
    let fault =
        |fault| Candidate { path: folder.to_owned(), origin: origin.clone(), fault: Some(fault) };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return found.push(fault(Verdict::Unreadable { reason: error.to_string() })),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut libraries: Vec<PathBuf> =
        paths.filter(|path| is_library(path)).take(MAX_FILES + 1).collect();
    if libraries.len() > MAX_FILES {
        let reason =
            format!("it holds more than {MAX_FILES} libraries: it is no folder of providers");
        return found.push(fault(Verdict::Unreadable { reason }));
    }
    libraries.sort();
    let candidate = |path| Candidate { path, origin: origin.clone(), fault: None };
    found.extend(libraries.into_iter().map(candidate));
}

/// Whether the name is one of a shared library: `libx.so`, `libx.so.1`, `x.dll`, `libx.dylib`.
fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with(".so")
        || name.contains(".so.")
        || name.ends_with(".dylib")
        || name.ends_with(".dll")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_at(packages: Vec<Package>) -> Vec<(PathBuf, Option<String>)> {
        let config = Config { packages, ..Config::default() };
        let said = |fault: Verdict| format!("{fault}; {}", fault.cure().unwrap_or_default());
        candidates(&config).into_iter().map(|one| (one.path, one.fault.map(said))).collect()
    }

    #[test]
    fn a_package_gives_its_libraries_or_says_that_it_is_broken() {
        let folder = std::env::temp_dir().join(format!("remuda-packages-{}", std::process::id()));
        let of = |name: &str, folder: Result<PathBuf, &str>| Package {
            name: format!("remuda-{name}"),
            folder: folder.map_err(str::to_owned),
        };
        let (whole, empty, gone) =
            (folder.join("whole"), folder.join("empty"), folder.join("gone"));
        for made in [&whole, &empty] {
            std::fs::create_dir_all(made).unwrap();
        }
        for file in ["libremuda_npu.so", "__init__.py"] {
            std::fs::write(whole.join(file), "").unwrap();
        }
        let found = looked_at(vec![
            of("npu", Ok(whole.clone())),
            of("none", Ok(empty.clone())),
            of("gone", Ok(gone.clone())),
            of("lost", Err("there is no package `remuda_lost`")),
        ]);
        std::fs::remove_dir_all(&folder).unwrap();
        let said: Vec<&str> =
            found.iter().map(|(_, fault)| fault.as_deref().unwrap_or("looked at")).collect();
        let paths: Vec<&Path> = found.iter().map(|(path, _)| &**path).collect();
        assert_eq!(
            paths,
            [&*whole.join("libremuda_npu.so"), &*empty, &*gone, Path::new("remuda-lost")]
        );
        assert_eq!(
            [said[0], said[1], said[3]],
            [
                "looked at",
                "its package is broken: it holds no library; \
                 install `remuda-none` again, or remove it",
                "its package is broken: there is no package `remuda_lost`; \
                 install `remuda-lost` again, or remove it",
            ]
        );
        assert!(said[2].starts_with("it cannot be read: "), "{}", said[2]);
    }
}
