//! Reads a plan back from its text.
//!
//! A plan file is foreign input: every field, name and index is checked, and the content must match
//! the id, so that an edited or damaged file is refused instead of being run.

use super::write::VERSION;
use super::{
    Breakdown, Buffer, ClassPlan, Instead, Origin, Part, Placement, Plan, PlanId, ProviderUse,
    Transfer,
};
use crate::ids::{NodeId, ProviderId, TensorId};
use crate::json::{Json, JsonError, parse};
use crate::notice::{Doubt, Notice};
use crate::options::Policy;
use crate::problem::Source;
use crate::reason::{Code, Delta, Reason};

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// invalid: it is not JSON.
    #[error("not a plan: byte {at}: expected {expected}")]
    Syntax {
        /// Where.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// invalid: a field is absent or of the wrong kind.
    #[error("not a plan: expected `{field}` as {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// unsupported: it was written in another version of the format.
    #[error("the plan has format version {got}, expected {VERSION}")]
    Version {
        /// The version of the text.
        got: u32,
    },
    /// invalid: the content does not belong to the id.
    #[error("the plan was changed: its id is `{stated}`, its content has `{actual}`")]
    Changed {
        /// The id in the text.
        stated: PlanId,
        /// The id of the content.
        actual: PlanId,
    },
}

impl From<JsonError> for ReadError {
    fn from(error: JsonError) -> Self {
        Self::Syntax { at: error.at, expected: error.expected }
    }
}

type Read<T> = Result<T, ReadError>;

impl Plan {
    /// The plan that [`Plan::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is no plan, of another version, or was changed.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        let json = parse(text)?;
        let root = Fields::new(&json, "plan")?;
        let got: u32 = root.number("version")?;
        if got != VERSION {
            return Err(ReadError::Version { got });
        }
        let stated = root.id("id")?;
        let providers = root.list("providers", provider)?;
        let nodes = root.list("nodes", |json| text_of(json, "nodes"))?;
        let tensors = root.list("tensors", |json| text_of(json, "tensors"))?;
        let limits =
            Limits { providers: providers.len(), nodes: nodes.len(), tensors: tensors.len() };
        let plan = Self {
            id: stated,
            problem: root.id("problem")?,
            policy: root.word("policy", Policy::parse)?,
            origin: root.word("origin", Origin::parse)?,
            cost_ns: root.number("cost_ns")?,
            classes: root.list("classes", |json| class(json, &limits))?,
            instead: root.list("instead", instead)?,
            notices: root.list("notices", |json| notice(json, &limits))?,
            providers,
            nodes,
            tensors,
        };
        let actual = plan.content_id();
        if actual == stated { Ok(plan) } else { Err(ReadError::Changed { stated, actual }) }
    }
}

/// How many of each thing the plan names.
struct Limits {
    providers: usize,
    nodes: usize,
    tensors: usize,
}

/// The entries of one object.
struct Fields<'j>(&'j [(String, Json)]);

impl<'j> Fields<'j> {
    fn new(json: &'j Json, field: &'static str) -> Read<Self> {
        match json {
            Json::Object(entries) => Ok(Self(entries)),
            _ => Err(ReadError::Field { field, expected: "an object" }),
        }
    }

    fn get(&self, field: &'static str) -> Read<&'j Json> {
        let found = self.0.iter().find(|(key, _)| key == field);
        found.map(|(_, value)| value).ok_or(ReadError::Field { field, expected: "a value" })
    }

    fn number<T: TryFrom<i128>>(&self, field: &'static str) -> Read<T> {
        number(self.get(field)?, field)
    }

    fn maybe<T: TryFrom<i128>>(&self, field: &'static str) -> Read<Option<T>> {
        match self.get(field)? {
            Json::Null => Ok(None),
            value => number(value, field).map(Some),
        }
    }

    fn text(&self, field: &'static str) -> Read<String> {
        text_of(self.get(field)?, field)
    }

    fn word<T>(&self, field: &'static str, parse: fn(&str) -> Option<T>) -> Read<T> {
        let known = parse(&self.text(field)?);
        known.ok_or(ReadError::Field { field, expected: "a known word" })
    }

    fn id(&self, field: &'static str) -> Read<PlanId> {
        let text = self.text(field)?;
        let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u128::from_str_radix(&text, 16).ok().filter(|_| plain);
        value.map(PlanId).ok_or(ReadError::Field { field, expected: "32 hexadecimal digits" })
    }

    /// An index below `limit`.
    fn index(&self, field: &'static str, limit: usize) -> Read<u32> {
        below(self.get(field)?, field, limit)
    }

    fn maybe_index(&self, field: &'static str, limit: usize) -> Read<Option<u32>> {
        match self.get(field)? {
            Json::Null => Ok(None),
            value => below(value, field, limit).map(Some),
        }
    }

    fn list<T>(&self, field: &'static str, read: impl Fn(&Json) -> Read<T>) -> Read<Vec<T>> {
        match self.get(field)? {
            Json::List(items) => items.iter().map(read).collect(),
            _ => Err(ReadError::Field { field, expected: "a list" }),
        }
    }

    fn indices<T: From<usize>>(&self, field: &'static str, limit: usize) -> Read<Vec<T>> {
        self.list(field, |json| below(json, field, limit).map(|index| T::from(index as usize)))
    }
}

fn number<T: TryFrom<i128>>(json: &Json, field: &'static str) -> Read<T> {
    let value = match json {
        Json::Int(value) => T::try_from(*value).ok(),
        _ => None,
    };
    value.ok_or(ReadError::Field { field, expected: "a whole number in range" })
}

fn below(json: &Json, field: &'static str, limit: usize) -> Read<u32> {
    let index: u32 = number(json, field)?;
    let known = (index as usize) < limit;
    if known { Ok(index) } else { Err(ReadError::Field { field, expected: "an index in range" }) }
}

fn text_of(json: &Json, field: &'static str) -> Read<String> {
    match json {
        Json::Text(text) => Ok(text.clone()),
        _ => Err(ReadError::Field { field, expected: "a text" }),
    }
}

fn provider(json: &Json) -> Read<ProviderUse> {
    let fields = Fields::new(json, "providers")?;
    Ok(ProviderUse {
        name: fields.text("name")?,
        budget_bytes: fields.maybe("budget_bytes")?,
        weights_bytes: fields.number("weights_bytes")?,
        workspace_bytes: fields.number("workspace_bytes")?,
        arena_bytes: fields.number("arena_bytes")?,
    })
}

fn instead(json: &Json) -> Read<Instead> {
    let fields = Fields::new(json, "instead")?;
    Ok(Instead {
        rule: fields.word("rule", Origin::parse)?,
        cost_ns: fields.number("cost_ns")?,
        parts: fields.number("parts")?,
    })
}

fn class(json: &Json, limits: &Limits) -> Read<ClassPlan> {
    let fields = Fields::new(json, "classes")?;
    let parts = fields.list("parts", |json| part(json, limits))?;
    let placements = fields.list("placements", |json| placement(json, limits, parts.len()))?;
    if placements.len() != limits.nodes {
        return Err(ReadError::Field { field: "placements", expected: "one entry per node" });
    }
    Ok(ClassPlan {
        name: fields.text("name")?,
        runs: fields.number("runs")?,
        transfers: fields.list("transfers", |json| transfer(json, limits, parts.len()))?,
        buffers: fields.list("buffers", |json| buffer(json, limits))?,
        cost: Breakdown {
            compute_ns: fields.number("compute_ns")?,
            transfer_ns: fields.number("transfer_ns")?,
            launch_ns: fields.number("launch_ns")?,
        },
        placements,
        parts,
    })
}

fn part(json: &Json, limits: &Limits) -> Read<Part> {
    let fields = Fields::new(json, "parts")?;
    Ok(Part {
        provider: ProviderId(fields.index("provider", limits.providers)?),
        wave: fields.number("wave")?,
        nodes: fields.indices::<NodeId>("nodes", limits.nodes)?,
        repeats: fields.indices::<NodeId>("repeats", limits.nodes)?,
        inputs: fields.indices::<TensorId>("inputs", limits.tensors)?,
        outputs: fields.indices::<TensorId>("outputs", limits.tensors)?,
        compute_ns: fields.number("compute_ns")?,
        launch_ns: fields.number("launch_ns")?,
        source: fields.word("source", Source::parse)?,
    })
}

fn transfer(json: &Json, limits: &Limits, parts: usize) -> Read<Transfer> {
    let fields = Fields::new(json, "transfers")?;
    Ok(Transfer {
        tensor: TensorId(fields.index("tensor", limits.tensors)?),
        from: ProviderId(fields.index("from", limits.providers)?),
        to: ProviderId(fields.index("to", limits.providers)?),
        bytes: fields.number("bytes")?,
        cost_ns: fields.number("cost_ns")?,
        source: fields.word("source", Source::parse)?,
        issue: fields.maybe_index("issue", parts)?,
        needed: fields.maybe_index("needed", parts)?,
    })
}

fn buffer(json: &Json, limits: &Limits) -> Read<Buffer> {
    let fields = Fields::new(json, "buffers")?;
    Ok(Buffer {
        tensor: TensorId(fields.index("tensor", limits.tensors)?),
        provider: ProviderId(fields.index("provider", limits.providers)?),
        offset: fields.number("offset")?,
        bytes: fields.number("bytes")?,
        first: fields.number("first")?,
        last: fields.number("last")?,
    })
}

fn placement(json: &Json, limits: &Limits, parts: usize) -> Read<Placement> {
    let fields = Fields::new(json, "placements")?;
    Ok(Placement {
        provider: ProviderId(fields.index("provider", limits.providers)?),
        part: fields.index("part", parts)?,
        cost_ns: fields.number("cost_ns")?,
        source: fields.word("source", Source::parse)?,
        reasons: fields.list("reasons", |json| reason(json, limits))?,
    })
}

fn reason(json: &Json, limits: &Limits) -> Read<Reason> {
    let fields = Fields::new(json, "reasons")?;
    Ok(Reason {
        provider: ProviderId(fields.index("provider", limits.providers)?),
        code: fields.word("code", Code::parse)?,
        there_ns: fields.maybe("there_ns")?,
        delta: delta(fields.get("delta_ns")?)?,
        text: fields.text("text")?,
    })
}

fn delta(json: &Json) -> Read<Option<Delta>> {
    let Json::List(items) = json else { return Ok(None) };
    let [compute, transfer, launch] = items.as_slice() else {
        return Err(ReadError::Field { field: "delta_ns", expected: "three numbers" });
    };
    let launch_ns = match launch {
        Json::Null => None,
        known => Some(number(known, "delta_ns")?),
    };
    let (compute_ns, transfer_ns) = (number(compute, "delta_ns")?, number(transfer, "delta_ns")?);
    Ok(Some(Delta { compute_ns, transfer_ns, launch_ns }))
}

fn notice(json: &Json, limits: &Limits) -> Read<Notice> {
    let fields = Fields::new(json, "notices")?;
    Ok(Notice {
        provider: fields.maybe_index("provider", limits.providers)?.map(ProviderId),
        doubt: fields.word("doubt", Doubt::parse)?,
        count: fields.number("count")?,
        first: fields.text("first")?,
    })
}
