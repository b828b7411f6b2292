//! What can be known of a file before any of its code runs.

use std::io::Read;
use std::path::{Path, PathBuf};

use remuda_abi as abi;
use sha2::{Digest, Sha256};

use super::inspect::{self, Inspection};
use super::manifest::{Driver, Manifest};
use super::needs::Search;
use super::{Config, Verdict, trust};

/// A library that may be tried.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) manifest: Manifest,
    pub(super) sha256: Option<String>,
    /// Libraries that it needs and that only this process has.
    pub(super) held: Vec<PathBuf>,
}

/// Looks at a file. `tell` hears the manifest as soon as it is read, also of a file that is refused
/// afterwards.
pub(super) fn check(
    real: &Path,
    listed: &Path,
    config: &Config,
    search: &Search,
    tell: &mut dyn FnMut(&Manifest),
) -> Result<Checked, Verdict> {
    if !real.is_file() {
        return Err(Verdict::NotALibrary { reason: "it is not a file".to_owned() });
    }
    trust::check(real).map_err(|reason| Verdict::Untrusted { reason })?;
    let sha256 = check_hash(real, listed, config)?;
    let inspection = inspect::inspect(real).map_err(|reason| Verdict::NotALibrary { reason })?;
    if !inspection.is_for_this_machine {
        return Err(wrong_target(&inspection.target));
    }
    let manifest = read_manifest(&inspection)?;
    tell(&manifest);
    check_contract(&manifest)?;
    if !inspection.has_entry {
        let symbol = abi::ENTRY_SYMBOL.to_string_lossy().into_owned();
        return Err(Verdict::NoEntry { symbol });
    }
    check_machine(&manifest)?;
    let held = check_needs(real, &inspection, &manifest, search)?;
    manifest.drivers.iter().try_for_each(check_driver)?;
    Ok(Checked { manifest, sha256, held })
}

/// The hash is only computed where somebody wants to know it: libraries can be large.
fn check_hash(real: &Path, listed: &Path, config: &Config) -> Result<Option<String>, Verdict> {
    let by_file = config.providers.iter().find(|entry| entry.library.as_deref() == Some(listed));
    let expected = by_file.and_then(|entry| entry.sha256.as_deref());
    if expected.is_none() && config.allow.is_none() {
        return Ok(None);
    }
    let unreadable = |error: std::io::Error| Verdict::Unreadable { reason: error.to_string() };
    let sha256 = hash(real).map_err(unreadable)?;
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        return Err(Verdict::WrongHash { sha256, expected: expected.to_owned() });
    }
    if expected.is_none() && config.allow.as_ref().is_some_and(|list| !list.contains(&sha256)) {
        return Err(Verdict::NotAllowed { sha256 });
    }
    Ok(Some(sha256))
}

fn hash(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read_manifest(inspection: &Inspection) -> Result<Manifest, Verdict> {
    match &inspection.manifest {
        None => Err(Verdict::NotAProvider),
        Some(Err(bytes)) => Err(Verdict::BadManifest {
            reason: format!("it has {bytes} bytes, at most {}", abi::MAX_MANIFEST_BYTES),
        }),
        Some(Ok(bytes)) => Manifest::parse(bytes).map_err(|reason| Verdict::BadManifest { reason }),
    }
}

fn check_contract(manifest: &Manifest) -> Result<(), Verdict> {
    let (got, expected) = (manifest.abi_version().map_or(0, |(major, _)| major), abi::ABI_MAJOR);
    if got != expected {
        return Err(Verdict::WrongMajor { got, expected });
    }
    let expected = format!("{:016x}", abi::LAYOUT_HASH);
    if !manifest.layout.eq_ignore_ascii_case(&expected) {
        let (major, got) = (abi::ABI_MAJOR, manifest.layout.clone());
        return Err(Verdict::WrongLayout { major, got, expected });
    }
    if manifest.requires.is_empty() {
        return Ok(());
    }
    Err(Verdict::Requires { features: manifest.requires.clone() })
}

fn check_machine(manifest: &Manifest) -> Result<(), Verdict> {
    if manifest.target != own_target() {
        return Err(wrong_target(&manifest.target));
    }
    let features: Vec<String> =
        manifest.cpu.iter().filter(|name| cpu_has(name) == Some(false)).cloned().collect();
    if features.is_empty() { Ok(()) } else { Err(Verdict::WrongCpu { features }) }
}

fn own_target() -> String {
    let parts = [abi::TARGET_ARCH, abi::TARGET_OS, abi::TARGET_ENV];
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("-")
}

fn wrong_target(got: &str) -> Verdict {
    Verdict::WrongTarget { got: got.to_owned(), expected: own_target() }
}

macro_rules! detect {
    ($detect:ident, $wanted:ident, $($name:tt)*) => {
        match $wanted {
            $($name => Some(std::arch::$detect!($name)),)*
            _ => None,
        }
    };
}

/// Whether the CPU has an instruction set; nothing for one that this host cannot ask about.
#[cfg(target_arch = "x86_64")]
fn cpu_has(wanted: &str) -> Option<bool> {
    detect!(is_x86_feature_detected, wanted,
        "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "movbe"
        "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512vnni"
    )
}

/// Whether the CPU has an instruction set; nothing for one that this host cannot ask about.
#[cfg(target_arch = "aarch64")]
fn cpu_has(wanted: &str) -> Option<bool> {
    detect!(is_aarch64_feature_detected, wanted, "neon" "dotprod" "fp16" "i8mm" "sve")
}

/// Whether the CPU has an instruction set; nothing for one that this host cannot ask about.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_has(_: &str) -> Option<bool> {
    None
}

fn check_needs(
    real: &Path,
    inspection: &Inspection,
    manifest: &Manifest,
    search: &Search,
) -> Result<Vec<PathBuf>, Verdict> {
    let extra: Vec<&str> = manifest.needs.iter().map(|need| need.library.as_str()).collect();
    search.resolve(real, &inspection.links, &extra).map_err(|missing| {
        let need = manifest.needs.iter().find(|need| need.library == missing.library);
        let cure = need.and_then(|need| need.cure.clone());
        let (library, by, near) = (missing.library, missing.by, missing.near);
        Verdict::MissingLibrary { library, by, near, cure }
    })
}

/// A driver is there when its kernel module is.
fn check_driver(driver: &Driver) -> Result<(), Verdict> {
    let name = driver.name.replace(['/', '.'], "");
    let module = PathBuf::from("/sys/module").join(&name);
    let missing = |found: Option<String>| Verdict::MissingDriver {
        driver: name.clone(),
        wanted: driver.at_least.clone(),
        found,
        cure: driver.cure.clone(),
    };
    if !module.exists() {
        return Err(missing(None));
    }
    let version = std::fs::read_to_string(module.join("version"));
    let (Some(wanted), Ok(found)) = (&driver.at_least, version) else { return Ok(()) };
    let found = found.trim();
    if version_of(found) < version_of(wanted) {
        Err(missing(Some(found.to_owned())))
    } else {
        Ok(())
    }
}

/// The numbers of a version, for comparison.
fn version_of(text: &str) -> Vec<u64> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// What a provider cannot live with, of the providers that are taken and the libraries that are loaded.
pub(super) fn conflict(
    manifest: &Manifest,
    taken: &[&Manifest],
    search: &Search,
) -> Option<Verdict> {
    let found = |with: String, reason: &Option<String>| {
        Some(Verdict::Conflict { with, reason: reason.clone() })
    };
    for conflict in &manifest.conflicts {
        if let Some(library) = conflict.library.as_ref().filter(|name| search.is_loaded(name)) {
            return found(format!("the library `{library}`, which is loaded"), &conflict.reason);
        }
        let name = conflict.provider.as_deref();
        if taken.iter().any(|other| Some(other.name.as_str()) == name) {
            return found(format!("provider `{}`", name.unwrap_or("")), &conflict.reason);
        }
    }
    for other in taken {
        let mut theirs = other.conflicts.iter();
        if let Some(conflict) =
            theirs.find(|conflict| conflict.provider.as_deref() == Some(manifest.name.as_str()))
        {
            return found(format!("provider `{}`", other.name), &conflict.reason);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{own_target, version_of};

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(version_of("535.104") < version_of("550.54.15"));
        assert!(version_of("9") < version_of("10"));
        assert!(own_target().starts_with(std::env::consts::ARCH));
    }
}
