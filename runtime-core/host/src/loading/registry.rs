//! Every file looked at, and the providers that may be called.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::check::{self, Checked};
use super::discover::{Candidate, Origin, candidates};
use super::library::{Library, LoadError};
use super::manifest::Manifest;
use super::needs::Search;
use super::probe::{self, Probed, Report};
use super::{Config, Isolation, Verdict};
use crate::{Failure, Provider, Table};

/// Every file looked at, and the providers that may be called.
#[derive(Debug, Default)]
pub struct Registry {
    /// Providers that may be called, in the order in which they were found.
    pub providers: Vec<Found>,
    /// Every file that was looked at, with what came of it.
    pub looked: Vec<Looked>,
}

/// A provider that may be called.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its table, which opens like that of a linked provider.
    pub table: Table,
    /// Its file.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What `plugins.toml` opens it with.
    pub options: Vec<(String, String)>,
    /// What the trial process found; absent where there was none.
    pub report: Option<Report>,
    /// How well this build fits this machine.
    score: u32,
}

/// A file that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Looked {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Why it was looked at.
    pub origin: Origin,
    /// What it says of itself, as far as that could be read.
    pub manifest: Option<Manifest>,
    /// Its SHA-256, where somebody wanted to know it.
    pub sha256: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// What the trial process found.
    pub report: Option<Report>,
}

/// A library that may be loaded.
struct Tried {
    real: PathBuf,
    manifest: Manifest,
    options: Vec<(String, String)>,
    isolated: bool,
}

impl Looked {
    fn new(path: PathBuf, origin: Origin) -> Self {
        let (verdict, notes) = (Verdict::Ready, Vec::new());
        Self { path, origin, manifest: None, sha256: None, verdict, notes, report: None }
    }

    /// Whether the user should do something: a file that is not used and was meant to be.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match (&self.verdict, &self.origin) {
            (Verdict::NotAProvider, Origin::Listed) => true,
            (Verdict::NoDevice { .. }, Origin::Listed | Origin::Environment) => true,
            (verdict, _) => !verdict.is_harmless(),
        }
    }
}

/// What came of it, what else is worth knowing, what to do: one line each.
impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.verdict)?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  note: {note}"))?;
        match self.verdict.cure().filter(|_| self.is_problem()) {
            Some(cure) => write!(f, "\n  hint: {cure}"),
            None => Ok(()),
        }
    }
}

impl Found {
    /// Opens it with what `plugins.toml` says.
    ///
    /// # Errors
    /// What the provider says.
    pub fn open(&self, threads: usize) -> Result<Provider, Failure> {
        let options: Vec<(&str, &str)> =
            self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Ok(Provider::open(self.table, threads, &options)?.of_build(self.build()))
    }

    /// What tells its file from that of another build of the same version.
    #[must_use]
    pub fn build(&self) -> String {
        let Ok(file) = std::fs::metadata(&self.path) else { return String::new() };
        let written = file.modified().ok();
        let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        format!("{} bytes of {}", file.len(), written.map_or(0, |time| time.as_nanos()))
    }
}

impl Registry {
    /// Looks at every file that the configuration leads to and loads the providers that may be called.
    /// It cannot fail: what is wrong with a file is its verdict.
    #[must_use]
    pub fn discover(config: &Config) -> Self {
        let search = Search::new();
        let mut registry = Self::default();
        let mut seen: Vec<PathBuf> = Vec::new();
        for candidate in candidates(config) {
            registry.look(candidate, config, &search, &mut seen);
        }
        registry
    }

    /// What would come of one library, without loading it into this process.
    #[must_use]
    pub fn examine(library: &Path, config: &Config) -> Looked {
        let mut looked = Looked::new(library.to_owned(), Origin::Listed);
        let tried = Self::default().try_file(&mut looked, config, &Search::new(), &mut Vec::new());
        looked.verdict = tried.err().unwrap_or(Verdict::Ready);
        looked
    }

    /// What came of a file.
    #[must_use]
    pub fn verdict(&self, path: &Path) -> Option<&Verdict> {
        self.looked.iter().find(|looked| looked.path == path).map(|looked| &looked.verdict)
    }

    fn look(
        &mut self,
        candidate: Candidate,
        config: &Config,
        search: &Search,
        seen: &mut Vec<PathBuf>,
    ) {
        let mut looked = Looked::new(candidate.path, candidate.origin);
        let result = match candidate.fault {
            Some(fault) => Err(fault),
            None => self
                .try_file(&mut looked, config, search, seen)
                .and_then(|tried| self.admit(tried, &looked, config)),
        };
        match result {
            Ok(found) => self.take(found),
            Err(verdict) => looked.verdict = verdict,
        }
        self.looked.push(looked);
    }

    fn try_file(
        &self,
        looked: &mut Looked,
        config: &Config,
        search: &Search,
        seen: &mut Vec<PathBuf>,
    ) -> Result<Tried, Verdict> {
        let listed = looked.path.clone();
        if config.entry(&listed, "").is_some_and(|entry| entry.disabled) {
            return Err(Verdict::Disabled);
        }
        let unreadable = |error: std::io::Error| Verdict::Unreadable { reason: error.to_string() };
        let real = listed.canonicalize().map_err(unreadable)?;
        if seen.contains(&real) {
            return Err(Verdict::Twin { of: real });
        }
        seen.push(real.clone());
        let Checked { manifest, sha256, held } =
            check::check(&real, &listed, config, search, &mut |manifest| {
                looked.manifest = Some(manifest.clone());
            })?;
        looked.sha256 = sha256;
        let entry = config.entry(&listed, &manifest.name);
        if entry.is_some_and(|entry| entry.disabled) {
            return Err(Verdict::Disabled);
        }
        if let Some(expected) = entry.and_then(|entry| entry.name.clone())
            && expected != manifest.name
        {
            return Err(Verdict::WrongName { got: manifest.name, expected });
        }
        self.check_others(&manifest, search, &mut looked.notes)?;
        let options = entry.map_or_else(Vec::new, |entry| entry.options.clone());
        let isolation = entry.and_then(|entry| entry.isolation).unwrap_or(config.isolation);
        if isolation != Isolation::None {
            looked.report = try_in_child(&real, &options, held, config, &mut looked.notes)?;
        }
        if let Some(report) = &looked.report {
            check_names(&manifest, &report.name, &report.version)?;
        }
        Ok(Tried { real, manifest, options, isolated: isolation == Isolation::Process })
    }

    /// Loads what may be loaded, into this process or into one of its own.
    fn admit(&self, tried: Tried, looked: &Looked, config: &Config) -> Result<Found, Verdict> {
        let Tried { real, manifest, mut options, isolated } = tried;
        let (path, report) = (looked.path.clone(), looked.report.clone());
        let (table, score) = if isolated {
            let (table, option) = isolate(&real, &manifest, config)?;
            options.push(option);
            (table.in_worker(), report.as_ref().map_or(1, |report| report.score))
        } else {
            let table = load(&real, &manifest)?;
            (table, table.score())
        };
        self.check_score(&manifest.name, score)?;
        Ok(Found { table, path, manifest, options, report, score })
    }

    fn check_others(
        &self,
        manifest: &Manifest,
        search: &Search,
        notes: &mut Vec<String>,
    ) -> Result<(), Verdict> {
        let taken: Vec<&Manifest> = self.providers.iter().map(|found| &found.manifest).collect();
        if let Some(conflict) = check::conflict(manifest, &taken, search) {
            return Err(conflict);
        }
        for other in taken.iter().filter(|other| other.name != manifest.name) {
            let shared = &other.process_wide_state;
            for state in manifest.process_wide_state.iter().filter(|state| shared.contains(state)) {
                notes.push(format!(
                    "it changes `{state}` for the whole process, as provider `{}` does",
                    other.name
                ));
            }
        }
        Ok(())
    }

    /// Among builds of one provider the highest score wins; the earlier one of equals.
    fn check_score(&self, name: &str, score: u32) -> Result<(), Verdict> {
        if score == 0 {
            return Err(Verdict::Unfit);
        }
        let twin = self.providers.iter().find(|found| found.manifest.name == name);
        match twin.filter(|twin| twin.score >= score) {
            Some(twin) => Err(Verdict::Outscored { by: twin.path.clone() }),
            None => Ok(()),
        }
    }

    /// Takes a provider, in the place of a worse build of the same one.
    fn take(&mut self, found: Found) {
        let same = |other: &Found| other.manifest.name == found.manifest.name;
        let Some(place) = self.providers.iter().position(same) else {
            return self.providers.push(found);
        };
        let worse = &self.providers[place];
        for looked in self.looked.iter_mut().filter(|looked| looked.path == worse.path) {
            looked.verdict = Verdict::Outscored { by: found.path.clone() };
        }
        self.providers[place] = found;
    }
}

/// Lets a child process try it first.
fn try_in_child(
    real: &Path,
    options: &[(String, String)],
    held: Vec<PathBuf>,
    config: &Config,
    notes: &mut Vec<String>,
) -> Result<Option<Report>, Verdict> {
    let Some(prober) = &config.prober else {
        notes.push(
            "it was not tried in a process of its own: this program cannot start one".to_owned(),
        );
        return Ok(None);
    };
    notes.extend(held.iter().map(|library| {
        format!("it finds `{}` only because this program has loaded it", library.display())
    }));
    match probe::run(prober, real, options, held, config.probe_deadline) {
        Probed::Passed { report, note } => {
            notes.extend(note);
            if report.score == 0 {
                return Err(Verdict::Unfit);
            }
            let reasons = report.unusable();
            if report.devices.len() == reasons.len() {
                return Err(Verdict::NoDevice { reasons });
            }
            Ok(Some(report))
        }
        Probed::Failed(verdict) => Err(verdict),
        Probed::Impossible(reason) => {
            notes.push(format!("it was not tried in a process of its own: {reason}"));
            Ok(None)
        }
    }
}

/// A table for a provider that runs in a process of its own.
fn isolate(
    real: &Path,
    manifest: &Manifest,
    config: &Config,
) -> Result<(Table, (String, String)), Verdict> {
    let refused =
        |reason: String| Verdict::Refused { stage: "starting its process".into(), reason };
    let (Some(prober), Some(isolate)) = (&config.prober, config.isolate) else {
        return Err(refused("this program cannot run providers in processes of their own".into()));
    };
    let (table, option) = isolate.0(prober, real, manifest);
    let table = Table::linked(table).map_err(|error| refused(error.to_string()))?;
    Ok((table, option))
}

/// Loads it; what it then says of itself must be what its manifest says.
fn load(real: &Path, manifest: &Manifest) -> Result<Table, Verdict> {
    let library = Library::open(real);
    let table = library.and_then(|library| library.table()).map_err(|error| match error {
        LoadError::Loader(reason) => Verdict::NotLoaded { reason },
        other => {
            Verdict::Refused { stage: "asking for its table".to_owned(), reason: other.to_string() }
        }
    })?;
    check_names(manifest, &table.name(), &table.version())?;
    Ok(table)
}

fn check_names(manifest: &Manifest, name: &str, version: &str) -> Result<(), Verdict> {
    for (what, told, is) in
        [("name", &manifest.name, name), ("version", &manifest.version, version)]
    {
        if told != is {
            let is = is.escape_debug();
            let what = format!("its manifest says {what} `{told}`, its table `{is}`");
            return Err(Verdict::Lies { what });
        }
    }
    Ok(())
}
