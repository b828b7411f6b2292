//! The shape of `plugins.toml`, and how it becomes a [`Config`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda_base::Map;
use remuda_plan::{Demands, Policy, Strictness};
use serde::Deserialize;
use toml::Value;

use super::keys::{self, Fields};
use super::{Config, ConfigError, Entry, Isolation, home, standard_folders};

/// The one version of the file's format.
const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(default)]
struct File {
    version: u32,
    order: Vec<String>,
    folders: Option<Vec<String>>,
    allow: Option<Vec<String>>,
    isolation: Isolation,
    probe_seconds: Option<f64>,
    provider: Vec<FileEntry>,
    budget: Map<String, Value>,
    contract: FileContract,
}

impl Default for File {
    fn default() -> Self {
        Self {
            version: VERSION,
            order: Vec::new(),
            folders: None,
            allow: None,
            isolation: Isolation::default(),
            probe_seconds: None,
            provider: Vec::new(),
            budget: Map::new(),
            contract: FileContract::default(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileEntry {
    library: Option<String>,
    name: Option<String>,
    enabled: Option<bool>,
    sha256: Option<String>,
    isolation: Option<Isolation>,
    options: toml::Table,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileContract {
    fallback: Option<String>,
    policy: Option<String>,
    require: Option<Vec<String>>,
    max_cpu_share: Option<f64>,
    max_parts: Option<usize>,
}

impl FileContract {
    fn policy(&self) -> Result<Option<Policy>, String> {
        let known = |text: &String| {
            let wrong = || format!("`contract.policy` is `{text}`, expected `cost` or `priority`");
            Policy::parse(text).ok_or_else(wrong)
        };
        self.policy.as_ref().map(known).transpose()
    }

    fn demands(self) -> Result<Demands, String> {
        let share = self.max_cpu_share;
        if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(format!("`contract.max_cpu_share` is {share}, expected 0 to 1"));
        }
        let fallback = self.fallback.map(|text| {
            Strictness::parse(&text).ok_or_else(|| {
                format!("`contract.fallback` is `{text}`, expected `allow`, `warn` or `error`")
            })
        });
        Ok(Demands {
            fallback: fallback.transpose()?,
            require: self.require,
            max_cpu_share: share,
            max_parts: self.max_parts,
        })
    }
}

/// Reads the text of a file.
pub(super) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let line = |span: Option<std::ops::Range<usize>>, message: String| {
        let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        ConfigError::Line { path: path.to_owned(), line, message }
    };
    let fields = Fields {
        top: keys::fields_of::<File>(),
        tables: &[
            ("provider", keys::fields_of::<FileEntry>()),
            ("contract", keys::fields_of::<FileContract>()),
        ],
    };
    keys::check(text, &fields).map_err(|(span, message)| line(span, message))?;
    let file: File =
        toml::from_str(text).map_err(|error| line(error.span(), error.message().to_owned()))?;
    let value = |message: String| ConfigError::Value { path: path.to_owned(), message };
    build(file, path).map_err(value)
}

fn build(file: File, path: &Path) -> Result<Config, String> {
    if file.version != VERSION {
        return Err(format!("`version` is {}, expected {VERSION}", file.version));
    }
    let base = path.parent().unwrap_or(Path::new(""));
    let folders = match file.folders {
        None => standard_folders(),
        Some(names) => names.iter().map(|name| (place(base, name), true)).collect(),
    };
    let deadline = match file.probe_seconds {
        None => super::PROBE_DEADLINE,
        Some(seconds) if (0.1..=3600.0).contains(&seconds) => Duration::from_secs_f64(seconds),
        Some(seconds) => {
            return Err(format!("`probe_seconds` is {seconds}, expected 0.1 to 3600"));
        }
    };
    let budgets = file.budget.iter().map(|(device, size)| {
        let bytes = bytes(size).map_err(|got| {
            format!("`budget.{device}` is {got}, expected bytes or a text like `6 GiB`")
        })?;
        Ok((device.clone(), bytes))
    });
    let allow = file.allow.map(|list| list.iter().map(|hash| sha256("allow", hash)).collect());
    Ok(Config {
        file: Some(path.to_owned()),
        providers: file
            .provider
            .into_iter()
            .map(|own| entry(own, base))
            .collect::<Result<_, _>>()?,
        folders,
        packages: Vec::new(),
        environment: Vec::new(),
        order: file.order,
        allow: allow.transpose()?,
        isolation: file.isolation,
        probe_deadline: deadline,
        prober: None,
        isolate: None,
        budgets: budgets.collect::<Result<_, String>>()?,
        policy: file.contract.policy()?,
        contract: file.contract.demands()?,
    })
}

fn entry(entry: FileEntry, base: &Path) -> Result<Entry, String> {
    if entry.library.is_none() && entry.name.is_none() {
        return Err("a `[[provider]]` has neither `library` nor `name`".to_owned());
    }
    let mut options = Vec::new();
    flatten("", &entry.options, &mut options);
    Ok(Entry {
        library: entry.library.map(|name| place(base, &name)),
        name: entry.name,
        disabled: entry.enabled == Some(false),
        sha256: entry.sha256.map(|hash| sha256("sha256", &hash)).transpose()?,
        isolation: entry.isolation,
        options,
    })
}

/// A path of the file: relative ones start where the file lies, `~/` at home.
fn place(base: &Path, name: &str) -> PathBuf {
    match (name.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => base.join(name),
    }
}

fn sha256(key: &str, hash: &str) -> Result<String, String> {
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hash.to_ascii_lowercase());
    }
    Err(format!("`{key}` holds `{hash}`, expected the 64 hexadecimal digits of a SHA-256"))
}

/// Options are texts on the way to a provider: tables become dotted names, lists are joined by commas.
fn flatten(prefix: &str, table: &toml::Table, options: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(&format!("{name}."), inner, options),
            other => options.push((name, option_text(other))),
        }
    }
}

fn option_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(answer) => answer.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(items) => items.iter().map(option_text).collect::<Vec<_>>().join(","),
        Value::Table(table) => {
            let mut inner = Vec::new();
            flatten("", table, &mut inner);
            let pairs = inner.iter().map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        }
    }
}

/// A size: a number of bytes, or a text with a unit. The error is what was found.
fn bytes(size: &Value) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    match size {
        Value::Integer(number) => u64::try_from(*number).map_err(|_| number.to_string()),
        Value::String(text) => {
            let got = || format!("`{text}`");
            let (number, unit) = UNITS
                .iter()
                .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim(), unit)))
                .ok_or_else(got)?;
            let whole: u64 = number.parse().map_err(|_| got())?;
            whole.checked_mul(*unit).ok_or_else(got)
        }
        other => Err(format!("a {}", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::parse;
    use remuda_plan::{Policy, Strictness};

    use crate::loading::{Config, Isolation};

    fn read(text: &str) -> Config {
        parse(text, Path::new("/etc/remuda/plugins.toml")).unwrap()
    }

    fn refused(text: &str) -> String {
        parse(text, Path::new("plugins.toml")).unwrap_err().to_string()
    }

    #[test]
    fn everything_that_a_file_may_say_is_read() {
        let config = read(
            r#"
            version = 1
            order = ["ggml:cuda", "cpu"]
            folders = ["providers", "/opt/providers"]
            isolation = "none"
            probe_seconds = 2.5

            [[provider]]
            library = "../libfake.so"
            isolation = "probe"
            options = { ops = ["Add", "Mul"], speed = 1.5, cost = { MatMul = 3, on = true } }

            [[provider]]
            name = "ggml"
            enabled = false

            [budget]
            "cpu" = "2 GiB"
            "ggml:cuda:0" = 1000

            [contract]
            fallback = "error"
            policy = "priority"
            max_cpu_share = 0.25
            "#,
        );
        assert_eq!(config.order, ["ggml:cuda", "cpu"]);
        let places: Vec<_> = config.folders.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(
            places,
            [PathBuf::from("/etc/remuda/providers"), PathBuf::from("/opt/providers")]
        );
        assert_eq!(
            (config.isolation, config.probe_deadline),
            (Isolation::None, Duration::from_millis(2500))
        );
        let library = Path::new("/etc/remuda/../libfake.so");
        let fake = config.entry(library, "whatever").unwrap();
        assert_eq!(fake.isolation, Some(Isolation::Probe));
        let options: Vec<_> = fake.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(options, ["cost.MatMul=3", "cost.on=true", "ops=Add,Mul", "speed=1.5"]);
        assert!(config.entry(Path::new("/x.so"), "ggml").unwrap().disabled);
        assert_eq!(config.entry(Path::new("/x.so"), "other"), None);
        assert_eq!(config.budgets.get("cpu"), Some(&(2 << 30)));
        assert_eq!(config.budgets.get("ggml:cuda:0"), Some(&1000));
        assert_eq!(
            (config.contract.fallback, config.policy),
            (Some(Strictness::Error), Some(Policy::Priority))
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_the_nearest_key() {
        let cases = [
            ("ordr = []", "`plugins.toml`, line 1: unknown key `ordr`, did you mean `order`?"),
            (
                "\n[[provider]]\nlibrery = \"x\"",
                "`plugins.toml`, line 3: unknown key `librery` in `provider`, did you mean `library`?",
            ),
            (
                "[contract]\nzzzzzz = 1",
                "`plugins.toml`, line 2: unknown key `zzzzzz` in `contract`, expected one of: `fallback`, `policy`, `require`, `max_cpu_share`, `max_parts`",
            ),
            ("version = 2", "`plugins.toml`: `version` is 2, expected 1"),
            (
                "isolation = \"thread\"",
                "`plugins.toml`, line 1: unknown variant `thread`, expected one of `probe`, `process`, `none`",
            ),
            ("[[provider]]", "`plugins.toml`: a `[[provider]]` has neither `library` nor `name`"),
            (
                "allow = [\"12\"]",
                "`plugins.toml`: `allow` holds `12`, expected the 64 hexadecimal digits of a SHA-256",
            ),
            (
                "[budget]\ncpu = \"lots\"",
                "`plugins.toml`: `budget.cpu` is `lots`, expected bytes or a text like `6 GiB`",
            ),
            (
                "[budget]\ncpu = \"20000000 TiB\"",
                "`plugins.toml`: `budget.cpu` is `20000000 TiB`, expected bytes or a text like `6 GiB`",
            ),
            ("probe_seconds = -1", "`plugins.toml`: `probe_seconds` is -1, expected 0.1 to 3600"),
            (
                "contract = { fallback = \"perhaps\" }",
                "`plugins.toml`: `contract.fallback` is `perhaps`, expected `allow`, `warn` or `error`",
            ),
            (
                "contract = { max_cpu_share = 7.0 }",
                "`plugins.toml`: `contract.max_cpu_share` is 7, expected 0 to 1",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(refused(text), message, "{text}");
        }
        assert!(
            refused("order = 3").starts_with("`plugins.toml`, line 1: invalid type: integer `3`")
        );
        assert!(refused("\n\nx y").starts_with("`plugins.toml`, line 3: "));
    }

    #[test]
    fn the_example_at_the_root_says_what_holds_by_default() {
        let example = include_str!("../../../../../plugins.toml");
        let mut config = read(example);
        config.file = None;
        let standard = Config { folders: super::standard_folders(), ..Config::default() };
        assert_eq!(config, standard);
    }
}
