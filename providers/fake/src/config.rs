//! The options of the fake provider.
//!
//! An option speaks of every device, or, with a device kind in front (`npu.memory`), of those of one
//! kind. [`OPTIONS`] lists them.

use std::time::Duration;

use remuda_base::{Map, Set, nearest};
use remuda_sdk::tensor::DType;

/// Every option with what it means.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "bounds",
        "takes nodes only while named dimensions are at most so large, `tokens<=8,batch<=2`",
    ),
    ("claims", "`honest`, or `all` to say yes to everything and refuse it when it is compiled"),
    ("cost", "nanoseconds per node, `MatMul=2000,*=500`; unknown where nothing is said"),
    ("cuts", "a seed: takes about half of the nodes, chosen by a hash of their names"),
    ("devices", "the kinds of the devices there are, `gpu,npu`"),
    ("dtypes", "the element types it takes, `f32,i64`; all by default"),
    ("engines", "`off`, or `on` to give engines, from which compiling counts as no compilation"),
    (
        "fail",
        "what breaks and when: `oom@3,lost@2,cache@9,refuse@1,hang@1,count@1,type@1,panic@1,error@1`",
    ),
    ("gbps", "how fast copies are, in GB per second; at once by default"),
    ("latency_us", "how long a copy takes at least"),
    ("launch_us", "how long a run takes beside its nodes"),
    (
        "meet",
        "each run waits until so many runs are under way at once, on all devices that wait; 1 by default",
    ),
    ("copies_meet", "uploads of at least so many bytes wait, too, as a run does with `meet = 2`"),
    ("memory", "bytes of memory of each device"),
    ("memory_kind", "`own`, or `host` to work in host memory"),
    ("ops", "the operators it takes, `MatMul,Add`, or `all,-Softmax`"),
    ("pace", "how many times as long as the CPU's kernels its runs take, `4`; 1 by default"),
];

/// Bytes of a device's memory, unless an option says otherwise.
const DEFAULT_MEMORY: u64 = 8 << 30;

/// What the devices are like.
#[derive(Clone, Debug, PartialEq)]
pub struct Config(pub Vec<DeviceConfig>);

/// What one device is like.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceConfig {
    /// Its kind.
    pub kind: String,
    /// How large named dimensions may be.
    pub bounds: Vec<(String, usize)>,
    /// Whether it says yes to what it does not take.
    pub lies: bool,
    /// Nanoseconds per operator; `*` is every other one.
    pub costs: Map<String, f64>,
    /// The seed of a random choice of nodes.
    pub cuts: Option<u64>,
    /// The element types that it takes; none is all.
    pub dtypes: Option<Set<&'static str>>,
    /// Whether it gives engines.
    pub engines: bool,
    /// What breaks.
    pub faults: Vec<Fault>,
    /// Bytes per second of copies.
    pub bytes_per_second: Option<f64>,
    /// The least time of a copy.
    pub latency: Duration,
    /// The time of a run beside its nodes.
    pub launch: Duration,
    /// How many runs must be under way at once.
    pub meet: usize,
    /// The smallest upload that waits for a run.
    pub copies_meet: Option<u64>,
    /// Bytes of memory.
    pub memory: u64,
    /// Whether its memory is its own.
    pub own_memory: bool,
    /// The operators it takes: `None` for all.
    pub ops: Option<Set<String>>,
    /// Operators that it does not take although `ops` says so.
    pub except: Set<String>,
    /// How many times as long as the CPU's kernels runs take.
    pub pace: f64,
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self {
            kind: "gpu".to_owned(),
            bounds: Vec::new(),
            lies: false,
            costs: Map::new(),
            cuts: None,
            dtypes: None,
            engines: false,
            faults: Vec::new(),
            bytes_per_second: None,
            latency: Duration::ZERO,
            launch: Duration::ZERO,
            meet: 1,
            copies_meet: None,
            memory: DEFAULT_MEMORY,
            own_memory: true,
            ops: None,
            except: Set::new(),
            pace: 1.0,
        }
    }
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An allocation finds no memory.
    OutOfMemory,
    /// A run finds the device gone; it stays gone.
    Lost,
    /// A use of a cache (a length, a cut, a copy) finds the device gone; it stays gone.
    CacheLost,
    /// A region is refused when it is compiled.
    Refuse,
    /// A run never ends, unless it is cancelled.
    Hang,
    /// A run gives too few outputs.
    Count,
    /// A run gives outputs of another type than was said.
    Type,
    /// A run panics.
    Panic,
    /// A run ends with an error of the provider.
    Error,
}

impl FaultKind {
    const ALL: [(&'static str, Self); 9] = [
        ("oom", Self::OutOfMemory),
        ("lost", Self::Lost),
        ("cache", Self::CacheLost),
        ("refuse", Self::Refuse),
        ("hang", Self::Hang),
        ("count", Self::Count),
        ("type", Self::Type),
        ("panic", Self::Panic),
        ("error", Self::Error),
    ];
}

/// Something that breaks the n-th time, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Which allocation, run or compilation.
    pub at: u64,
}

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such option.
    #[error("unknown option `{name}`{hint}")]
    Unknown {
        /// What was given.
        name: String,
        /// The nearest name, in words.
        hint: String,
    },
    /// There is no device of this kind.
    #[error("option `{name}` speaks of a device that `devices` does not list")]
    NoDevice {
        /// The option.
        name: String,
    },
    /// A value that means nothing.
    #[error("option `{name}` is `{value}`, expected {expected}")]
    Value {
        /// The option.
        name: String,
        /// What was given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

impl Config {
    /// What these options say.
    ///
    /// # Errors
    /// The first option that is not known or whose value means nothing.
    pub fn parse(options: &[(String, String)]) -> Result<Self, ConfigError> {
        let kinds = options.iter().rev().find(|(name, _)| name == "devices");
        let kinds = kinds.map_or("gpu", |(_, value)| value);
        let mut devices: Vec<DeviceConfig> = words(kinds)
            .map(|kind| DeviceConfig { kind: kind.to_owned(), ..DeviceConfig::default() })
            .collect();
        for (name, value) in options.iter().filter(|(name, _)| name != "devices") {
            let (kind, option) = name
                .split_once('.')
                .map_or((None, name.as_str()), |(kind, option)| (Some(kind), option));
            let mut spoken_of = 0;
            for device in devices.iter_mut().filter(|d| kind.is_none_or(|kind| d.kind == kind)) {
                device.set(name, option, value)?;
                spoken_of += 1;
            }
            if spoken_of == 0 {
                return Err(ConfigError::NoDevice { name: name.clone() });
            }
        }
        Ok(Self(devices))
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

impl DeviceConfig {
    fn set(&mut self, name: &str, option: &str, value: &str) -> Result<(), ConfigError> {
        let wrong = |expected| ConfigError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            expected,
        };
        match option {
            "bounds" => self.bounds = bounds(value).map_err(wrong)?,
            "claims" => self.lies = choice(value, "honest", "all").map_err(wrong)?,
            "copies_meet" => {
                self.copies_meet = Some(value.parse().map_err(|_| wrong("a number of bytes"))?);
            }
            "cost" => self.costs = costs(value).map_err(wrong)?,
            "cuts" => self.cuts = Some(value.parse().map_err(|_| wrong("a whole number"))?),
            "dtypes" => self.dtypes = Some(dtypes(value).map_err(wrong)?),
            "engines" => self.engines = choice(value, "off", "on").map_err(wrong)?,
            "fail" => self.faults = faults(value).map_err(wrong)?,
            "gbps" => self.bytes_per_second = Some(positive(value).map_err(wrong)? * 1e9),
            "latency_us" => self.latency = microseconds(value).map_err(wrong)?,
            "launch_us" => self.launch = microseconds(value).map_err(wrong)?,
            "meet" => self.meet = value.parse().map_err(|_| wrong("a whole number"))?,
            "memory" => self.memory = value.parse().map_err(|_| wrong("a number of bytes"))?,
            "memory_kind" => self.own_memory = !choice(value, "own", "host").map_err(wrong)?,
            "ops" => self.set_ops(value),
            "pace" => self.pace = pace(value).map_err(wrong)?,
            _ => {
                let near = nearest(option, OPTIONS.iter().map(|(name, _)| *name));
                let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
                return Err(ConfigError::Unknown { name: name.to_owned(), hint });
            }
        }
        Ok(())
    }

    fn set_ops(&mut self, value: &str) {
        let mut only = Set::new();
        let mut all = false;
        for word in words(value) {
            match word.strip_prefix('-') {
                Some(word) => drop(self.except.insert(word.to_owned())),
                None if word == "all" => all = true,
                None => drop(only.insert(word.to_owned())),
            }
        }
        self.ops = (!all).then_some(only);
    }

    /// What a node of this operator costs, if something was said.
    #[must_use]
    pub fn cost(&self, op: &str) -> Option<f64> {
        self.costs.get(op).or_else(|| self.costs.get("*")).copied()
    }

    /// Whether it takes this operator.
    #[must_use]
    pub fn takes(&self, op: &str) -> bool {
        !self.except.contains(op) && self.ops.as_ref().is_none_or(|ops| ops.contains(op))
    }
}

/// Whether the second of two words was chosen.
fn choice(value: &str, no: &'static str, yes: &'static str) -> Result<bool, &'static str> {
    match value {
        _ if value == no => Ok(false),
        _ if value == yes => Ok(true),
        _ if no == "own" => Err("`own` or `host`"),
        _ if no == "off" => Err("`off` or `on`"),
        _ => Err("`honest` or `all`"),
    }
}

fn positive(value: &str) -> Result<f64, &'static str> {
    value
        .parse()
        .ok()
        .filter(|number: &f64| *number > 0.0 && number.is_finite())
        .ok_or("a positive number")
}

fn pace(value: &str) -> Result<f64, &'static str> {
    let expected = "a number from 1 to 1000";
    positive(value).ok().filter(|pace| (1.0..=1000.0).contains(pace)).ok_or(expected)
}

fn microseconds(value: &str) -> Result<Duration, &'static str> {
    value.parse().map(Duration::from_micros).map_err(|_| "whole microseconds")
}

fn costs(value: &str) -> Result<Map<String, f64>, &'static str> {
    let entry = |word: &str| {
        let (op, ns) = word.split_once('=')?;
        Some((op.to_owned(), ns.parse().ok()?))
    };
    words(value).map(entry).collect::<Option<_>>().ok_or("`OPERATOR=NANOSECONDS,…`")
}

fn bounds(value: &str) -> Result<Vec<(String, usize)>, &'static str> {
    let bound = |word: &str| {
        let (name, most) = word.split_once("<=")?;
        Some((name.trim().to_owned(), most.trim().parse().ok()?))
    };
    words(value).map(bound).collect::<Option<_>>().ok_or("`DIMENSION<=NUMBER,…`")
}

fn dtypes(value: &str) -> Result<Set<&'static str>, &'static str> {
    let known = |word: &str| DType::from_name(word).map(DType::name);
    words(value).map(known).collect::<Option<_>>().ok_or("names of element types, `f32,i64`")
}

fn faults(value: &str) -> Result<Vec<Fault>, &'static str> {
    let fault = |word: &str| {
        let (name, at) = word.split_once('@')?;
        let (_, kind) = FaultKind::ALL.into_iter().find(|(known, _)| *known == name)?;
        Some(Fault { kind, at: at.parse().ok().filter(|at| *at > 0)? })
    };
    let expected =
        "`FAULT@N,…`, faults being oom, lost, cache, refuse, hang, count, type, panic, error";
    words(value).map(fault).collect::<Option<_>>().ok_or(expected)
}

#[cfg(test)]
mod tests {
    use super::{Config, Fault, FaultKind};

    fn parse(options: &[(&str, &str)]) -> Result<Config, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Config::parse(&options.iter().map(owned).collect::<Vec<_>>()).map_err(|e| e.to_string())
    }

    #[test]
    fn options_speak_of_all_devices_or_of_one_kind() {
        let config = parse(&[
            ("devices", "gpu,npu"),
            ("ops", "all,-Softmax"),
            ("npu.ops", "MatMul"),
            ("npu.fail", "lost@2, oom@1"),
            ("gpu.cost", "MatMul=20,*=5"),
        ])
        .unwrap();
        let [gpu, npu] = &config.0[..] else { panic!("two devices") };
        assert!(
            gpu.takes("Add") && !gpu.takes("Softmax") && npu.takes("MatMul") && !npu.takes("Add")
        );
        assert_eq!(
            (gpu.cost("MatMul"), gpu.cost("Add"), npu.cost("Add")),
            (Some(20.0), Some(5.0), None)
        );
        let lost = Fault { kind: FaultKind::Lost, at: 2 };
        assert_eq!(npu.faults, [lost, Fault { kind: FaultKind::OutOfMemory, at: 1 }]);
    }

    #[test]
    fn what_means_nothing_is_refused_in_words() {
        let cases = [
            (("memroy", "1"), "unknown option `memroy`, did you mean `memory`?"),
            (
                ("npu.ops", "all"),
                "option `npu.ops` speaks of a device that `devices` does not list",
            ),
            (("memory", "lots"), "option `memory` is `lots`, expected a number of bytes"),
            (
                ("memory_kind", "shared"),
                "option `memory_kind` is `shared`, expected `own` or `host`",
            ),
            (
                ("dtypes", "f33"),
                "option `dtypes` is `f33`, expected names of element types, `f32,i64`",
            ),
        ];
        for (option, want) in cases {
            assert_eq!(parse(&[option]).unwrap_err(), want);
        }
    }
}
