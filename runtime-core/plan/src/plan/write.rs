//! A plan as JSON text, always the same bytes for the same plan.

use super::{Buffer, ClassPlan, Instead, Part, Placement, Plan, PlanId, ProviderUse, Transfer};
use crate::hash::Hash;
use crate::ids::{NodeId, ProviderId, TensorId};
use crate::json::Json;
use crate::notice::Notice;
use crate::reason::Reason;

/// The version of the text, raised when a reader of the old one would misread the new one.
pub(crate) const VERSION: u32 = 2;

macro_rules! from_ids {
    ($($id:ty),*) => {
        $(impl From<$id> for Json {
            fn from(id: $id) -> Self {
                id.0.into()
            }
        })*
    };
}
from_ids!(NodeId, TensorId, ProviderId);

impl Plan {
    /// The plan as JSON text; [`Plan::from_json`] reads it back.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Json::Object(mut entries) = self.body() else { return String::new() };
        entries.insert(0, ("id".to_owned(), Json::text(self.id.to_string())));
        let mut out = String::new();
        Json::Object(entries).write(&mut out);
        out.push('\n');
        out
    }

    /// What [`Plan::id`] has to be.
    #[must_use]
    pub fn content_id(&self) -> PlanId {
        let mut out = String::new();
        self.body().write(&mut out);
        PlanId(Hash::new().bytes(out.as_bytes()).finish())
    }

    fn body(&self) -> Json {
        Json::object([
            ("version", VERSION.into()),
            ("problem", Json::text(self.problem.to_string())),
            ("policy", Json::text(self.policy.as_str())),
            ("origin", Json::text(self.origin.as_str())),
            ("cost_ns", self.cost_ns.into()),
            ("providers", Json::list(self.providers.iter().map(provider))),
            ("classes", Json::list(self.classes.iter().map(class))),
            ("instead", Json::list(self.instead.iter().map(instead))),
            ("notices", Json::list(self.notices.iter().map(notice))),
            ("nodes", Json::list(self.nodes.iter().map(Json::text))),
            ("tensors", Json::list(self.tensors.iter().map(Json::text))),
        ])
    }
}

fn provider(provider: &ProviderUse) -> Json {
    Json::object([
        ("name", Json::text(&provider.name)),
        ("budget_bytes", provider.budget_bytes.into()),
        ("weights_bytes", provider.weights_bytes.into()),
        ("workspace_bytes", provider.workspace_bytes.into()),
        ("arena_bytes", provider.arena_bytes.into()),
    ])
}

fn instead(instead: &Instead) -> Json {
    Json::object([
        ("rule", Json::text(instead.rule.as_str())),
        ("cost_ns", instead.cost_ns.into()),
        ("parts", instead.parts.into()),
    ])
}

fn class(class: &ClassPlan) -> Json {
    Json::object([
        ("name", Json::text(&class.name)),
        ("runs", class.runs.into()),
        ("compute_ns", class.cost.compute_ns.into()),
        ("transfer_ns", class.cost.transfer_ns.into()),
        ("launch_ns", class.cost.launch_ns.into()),
        ("parts", Json::list(class.parts.iter().map(part))),
        ("transfers", Json::list(class.transfers.iter().map(transfer))),
        ("buffers", Json::list(class.buffers.iter().map(buffer))),
        ("placements", Json::list(class.placements.iter().map(placement))),
    ])
}

fn part(part: &Part) -> Json {
    Json::object([
        ("provider", part.provider.into()),
        ("wave", part.wave.into()),
        ("nodes", Json::list(part.nodes.iter().copied())),
        ("repeats", Json::list(part.repeats.iter().copied())),
        ("inputs", Json::list(part.inputs.iter().copied())),
        ("outputs", Json::list(part.outputs.iter().copied())),
        ("compute_ns", part.compute_ns.into()),
        ("launch_ns", part.launch_ns.into()),
        ("source", Json::text(part.source.as_str())),
    ])
}

fn transfer(transfer: &Transfer) -> Json {
    Json::object([
        ("tensor", transfer.tensor.into()),
        ("from", transfer.from.into()),
        ("to", transfer.to.into()),
        ("bytes", transfer.bytes.into()),
        ("cost_ns", transfer.cost_ns.into()),
        ("source", Json::text(transfer.source.as_str())),
        ("issue", transfer.issue.into()),
        ("needed", transfer.needed.into()),
    ])
}

fn buffer(buffer: &Buffer) -> Json {
    Json::object([
        ("tensor", buffer.tensor.into()),
        ("provider", buffer.provider.into()),
        ("offset", buffer.offset.into()),
        ("bytes", buffer.bytes.into()),
        ("first", buffer.first.into()),
        ("last", buffer.last.into()),
    ])
}

fn placement(placement: &Placement) -> Json {
    Json::object([
        ("provider", placement.provider.into()),
        ("part", placement.part.into()),
        ("cost_ns", placement.cost_ns.into()),
        ("source", Json::text(placement.source.as_str())),
        ("reasons", Json::List(placement.reasons.iter().map(reason).collect())),
    ])
}

fn reason(reason: &Reason) -> Json {
    let delta = reason.delta.map(|delta| {
        Json::list([Json::from(delta.compute_ns), delta.transfer_ns.into(), delta.launch_ns.into()])
    });
    Json::object([
        ("provider", reason.provider.into()),
        ("code", Json::text(reason.code.as_str())),
        ("there_ns", reason.there_ns.into()),
        ("delta_ns", delta.unwrap_or(Json::Null)),
        ("text", Json::text(&reason.text)),
    ])
}

fn notice(notice: &Notice) -> Json {
    Json::object([
        ("provider", notice.provider.into()),
        ("doubt", Json::text(notice.doubt.as_str())),
        ("count", notice.count.into()),
        ("first", Json::text(&notice.first)),
    ])
}
