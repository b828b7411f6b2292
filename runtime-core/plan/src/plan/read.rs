//! Reads a plan back from its text.
//!
//! A plan file is foreign input: every field, name and index is checked, and the content must match
//! the id, so that an edited or damaged file is refused instead of being run. Entries must come in the
//! order in which they are written.

use super::write::VERSION;
use super::{
    Breakdown, Buffer, ClassPlan, Instead, Origin, Part, Placement, Plan, PlanId, ProviderUse,
    Transfer,
};
use crate::ids::{NodeId, ProviderId, TensorId};
use crate::json::{JsonError, Reader};
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
    /// invalid: a field is absent, or holds what cannot be.
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
        let mut json = Reader::new(text);
        let plan = json.object(plan)?;
        json.end()?;
        let (stated, actual) = (plan.id, plan.content_id());
        if actual == stated { Ok(plan) } else { Err(ReadError::Changed { stated, actual }) }
    }
}

fn plan(json: &mut Reader<'_>) -> Read<Plan> {
    let id = json.id("id")?;
    let got: u32 = json.whole("version")?;
    if got != VERSION {
        return Err(ReadError::Version { got });
    }
    let problem = json.id("problem")?;
    let policy = json.word("policy", Policy::parse)?;
    let origin = json.word("origin", Origin::parse)?;
    let cost_ns = json.whole("cost_ns")?;
    let providers = json.entries("providers", provider)?;
    let nodes = json.entries("nodes", |json| Ok(json.text()?.into_owned()))?;
    let tensors = json.entries("tensors", |json| Ok(json.text()?.into_owned()))?;
    let limits = Limits { providers: providers.len(), nodes: nodes.len(), tensors: tensors.len() };
    Ok(Plan {
        id,
        problem,
        policy,
        origin,
        cost_ns,
        providers,
        nodes,
        tensors,
        classes: json.entries("classes", |json| class(json, &limits))?,
        instead: json.entries("instead", instead)?,
        notices: json.entries("notices", |json| notice(json, &limits))?,
    })
}

/// How many of each thing the plan names.
struct Limits {
    providers: usize,
    nodes: usize,
    tensors: usize,
}

/// The entries of the object that is being read.
impl Reader<'_> {
    fn field(&mut self, field: &'static str, expected: &'static str) -> Read<()> {
        if self.key(field)? { Ok(()) } else { Err(ReadError::Field { field, expected }) }
    }

    fn whole<T: TryFrom<i128>>(&mut self, field: &'static str) -> Read<T> {
        self.field(field, "the next number")?;
        in_range(self.number()?, field)
    }

    fn maybe<T: TryFrom<i128>>(&mut self, field: &'static str) -> Read<Option<T>> {
        self.field(field, "the next number, or `null`")?;
        if self.null() { Ok(None) } else { in_range(self.number()?, field).map(Some) }
    }

    fn string(&mut self, field: &'static str) -> Read<String> {
        self.field(field, "the next text")?;
        Ok(self.text()?.into_owned())
    }

    fn word<T>(&mut self, field: &'static str, parse: fn(&str) -> Option<T>) -> Read<T> {
        self.field(field, "the next word")?;
        parse(&self.text()?).ok_or(ReadError::Field { field, expected: "a known word" })
    }

    fn id(&mut self, field: &'static str) -> Read<PlanId> {
        self.word(field, |text| {
            let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            u128::from_str_radix(text, 16).ok().filter(|_| plain).map(PlanId)
        })
    }

    /// An index below `limit`.
    fn index(&mut self, field: &'static str, limit: usize) -> Read<u32> {
        below(self.whole(field)?, field, limit)
    }

    fn maybe_index(&mut self, field: &'static str, limit: usize) -> Read<Option<u32>> {
        self.maybe(field)?.map(|index| below(index, field, limit)).transpose()
    }

    fn entries<T>(
        &mut self,
        field: &'static str,
        read: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        self.field(field, "the next list")?;
        self.list(read)
    }

    fn indices<T: From<usize>>(&mut self, field: &'static str, limit: usize) -> Read<Vec<T>> {
        self.entries(field, |json| {
            let index = below(in_range(json.number()?, field)?, field, limit)?;
            Ok(T::from(index as usize))
        })
    }
}

fn in_range<T: TryFrom<i128>>(value: i128, field: &'static str) -> Read<T> {
    T::try_from(value).map_err(|_| ReadError::Field { field, expected: "a whole number in range" })
}

fn below(index: u32, field: &'static str, limit: usize) -> Read<u32> {
    let known = (index as usize) < limit;
    if known { Ok(index) } else { Err(ReadError::Field { field, expected: "an index in range" }) }
}

fn provider(json: &mut Reader<'_>) -> Read<ProviderUse> {
    json.object(|json| {
        Ok(ProviderUse {
            name: json.string("name")?,
            budget_bytes: json.maybe("budget_bytes")?,
            weights_bytes: json.whole("weights_bytes")?,
            workspace_bytes: json.whole("workspace_bytes")?,
            arena_bytes: json.whole("arena_bytes")?,
        })
    })
}

fn instead(json: &mut Reader<'_>) -> Read<Instead> {
    json.object(|json| {
        Ok(Instead {
            rule: json.word("rule", Origin::parse)?,
            cost_ns: json.whole("cost_ns")?,
            parts: json.whole("parts")?,
        })
    })
}

fn class(json: &mut Reader<'_>, limits: &Limits) -> Read<ClassPlan> {
    json.object(|json| {
        let (name, runs) = (json.string("name")?, json.whole("runs")?);
        let cost = Breakdown {
            compute_ns: json.whole("compute_ns")?,
            transfer_ns: json.whole("transfer_ns")?,
            launch_ns: json.whole("launch_ns")?,
        };
        let parts = json.entries("parts", |json| part(json, limits))?;
        let transfers = json.entries("transfers", |json| transfer(json, limits, parts.len()))?;
        let buffers = json.entries("buffers", |json| buffer(json, limits))?;
        let placements = json.entries("placements", |json| placement(json, limits, parts.len()))?;
        if placements.len() != limits.nodes {
            return Err(ReadError::Field { field: "placements", expected: "one entry per node" });
        }
        Ok(ClassPlan { name, runs, parts, placements, transfers, buffers, cost })
    })
}

fn part(json: &mut Reader<'_>, limits: &Limits) -> Read<Part> {
    json.object(|json| {
        Ok(Part {
            provider: ProviderId(json.index("provider", limits.providers)?),
            wave: json.whole("wave")?,
            nodes: json.indices::<NodeId>("nodes", limits.nodes)?,
            repeats: json.indices::<NodeId>("repeats", limits.nodes)?,
            inputs: json.indices::<TensorId>("inputs", limits.tensors)?,
            outputs: json.indices::<TensorId>("outputs", limits.tensors)?,
            compute_ns: json.whole("compute_ns")?,
            launch_ns: json.whole("launch_ns")?,
            source: json.word("source", Source::parse)?,
        })
    })
}

fn transfer(json: &mut Reader<'_>, limits: &Limits, parts: usize) -> Read<Transfer> {
    json.object(|json| {
        Ok(Transfer {
            tensor: TensorId(json.index("tensor", limits.tensors)?),
            from: ProviderId(json.index("from", limits.providers)?),
            to: ProviderId(json.index("to", limits.providers)?),
            bytes: json.whole("bytes")?,
            cost_ns: json.whole("cost_ns")?,
            source: json.word("source", Source::parse)?,
            issue: json.maybe_index("issue", parts)?,
            needed: json.maybe_index("needed", parts)?,
        })
    })
}

fn buffer(json: &mut Reader<'_>, limits: &Limits) -> Read<Buffer> {
    json.object(|json| {
        Ok(Buffer {
            tensor: TensorId(json.index("tensor", limits.tensors)?),
            provider: ProviderId(json.index("provider", limits.providers)?),
            offset: json.whole("offset")?,
            bytes: json.whole("bytes")?,
            first: json.whole("first")?,
            last: json.whole("last")?,
        })
    })
}

fn placement(json: &mut Reader<'_>, limits: &Limits, parts: usize) -> Read<Placement> {
    json.object(|json| {
        Ok(Placement {
            provider: ProviderId(json.index("provider", limits.providers)?),
            part: json.index("part", parts)?,
            cost_ns: json.whole("cost_ns")?,
            source: json.word("source", Source::parse)?,
            reasons: json.entries("reasons", |json| reason(json, limits))?,
        })
    })
}

fn reason(json: &mut Reader<'_>, limits: &Limits) -> Read<Reason> {
    json.object(|json| {
        Ok(Reason {
            provider: ProviderId(json.index("provider", limits.providers)?),
            code: json.word("code", Code::parse)?,
            there_ns: json.maybe("there_ns")?,
            delta: delta(json)?,
            text: json.string("text")?,
        })
    })
}

fn delta(json: &mut Reader<'_>) -> Read<Option<Delta>> {
    const FIELD: &str = "delta_ns";
    json.field(FIELD, "the next list, or `null`")?;
    if json.null() {
        return Ok(None);
    }
    let sums =
        json.list(
            |json| {
                if json.null() { Ok(None) } else { in_range(json.number()?, FIELD).map(Some) }
            },
        )?;
    match sums[..] {
        [Some(compute_ns), Some(transfer_ns), launch_ns] => {
            Ok(Some(Delta { compute_ns, transfer_ns, launch_ns }))
        }
        _ => Err(ReadError::Field { field: FIELD, expected: "three numbers" }),
    }
}

fn notice(json: &mut Reader<'_>, limits: &Limits) -> Read<Notice> {
    json.object(|json| {
        Ok(Notice {
            provider: json.maybe_index("provider", limits.providers)?.map(ProviderId),
            doubt: json.word("doubt", Doubt::parse)?,
            count: json.whole("count")?,
            first: json.string("first")?,
        })
    })
}
