//! A plan as JSON text, always the same bytes for the same plan.
//!
//! Names come first and every list is told before what refers to it, so that a reader can check each
//! index as it comes.

use super::{Buffer, ClassPlan, Instead, Part, Placement, Plan, PlanId, ProviderUse, Transfer};
use crate::hash::Hash;
use crate::ids::{NodeId, ProviderId, TensorId};
use crate::json::{Sink, Tell, Text};
use crate::notice::Notice;
use crate::reason::Reason;

/// The version of the text, raised when a reader of the old one would misread the new one.
pub(crate) const VERSION: u32 = 3;

macro_rules! tell_ids {
    ($($id:ty),*) => {
        $(impl Tell for $id {
            fn tell(&self, to: &mut impl Sink) {
                self.0.tell(to);
            }
        })*
    };
}
tell_ids!(NodeId, TensorId, ProviderId);

impl Plan {
    /// The plan as JSON text; [`Plan::from_json`] reads it back.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Text::default();
        out.object(|to| {
            to.entry("id", &*self.id.to_string());
            self.tell_content(to);
        });
        out.0.push('\n');
        out.0
    }

    /// What [`Plan::id`] has to be.
    #[must_use]
    pub fn content_id(&self) -> PlanId {
        let mut hash = Hash::new();
        self.tell_content(&mut hash);
        PlanId(hash.finish())
    }

    fn tell_content(&self, to: &mut impl Sink) {
        to.entry("version", VERSION);
        to.entry("problem", &*self.problem.to_string());
        to.entry("policy", self.policy.as_str());
        to.entry("origin", self.origin.as_str());
        to.entry("cost_ns", self.cost_ns);
        to.entries("providers", &self.providers, provider);
        to.entries("nodes", &self.nodes, |name, to| to.text(name));
        to.entries("tensors", &self.tensors, |name, to| to.text(name));
        to.entries("classes", &self.classes, class);
        to.entries("instead", &self.instead, instead);
        to.entries("notices", &self.notices, notice);
    }
}

fn provider<S: Sink>(provider: &ProviderUse, to: &mut S) {
    to.object(|to| {
        to.entry("name", &*provider.name);
        to.entry("budget_bytes", provider.budget_bytes);
        to.entry("weights_bytes", provider.weights_bytes);
        to.entry("workspace_bytes", provider.workspace_bytes);
        to.entry("arena_bytes", provider.arena_bytes);
    });
}

fn instead<S: Sink>(instead: &Instead, to: &mut S) {
    to.object(|to| {
        to.entry("rule", instead.rule.as_str());
        to.entry("cost_ns", instead.cost_ns);
        to.entry("parts", instead.parts);
    });
}

fn class<S: Sink>(class: &ClassPlan, to: &mut S) {
    to.object(|to| {
        to.entry("name", &*class.name);
        to.entry("runs", class.runs);
        to.entry("compute_ns", class.cost.compute_ns);
        to.entry("transfer_ns", class.cost.transfer_ns);
        to.entry("launch_ns", class.cost.launch_ns);
        to.entries("parts", &class.parts, part);
        to.entries("transfers", &class.transfers, transfer);
        to.entries("buffers", &class.buffers, buffer);
        to.entries("placements", &class.placements, placement);
    });
}

fn ids<S: Sink, T: Tell>(key: &str, ids: &[T], to: &mut S) {
    to.entries(key, ids, |id, to| id.tell(to));
}

fn part<S: Sink>(part: &Part, to: &mut S) {
    to.object(|to| {
        to.entry("provider", part.provider);
        to.entry("wave", part.wave);
        ids("nodes", &part.nodes, to);
        ids("repeats", &part.repeats, to);
        ids("inputs", &part.inputs, to);
        ids("outputs", &part.outputs, to);
        to.entry("compute_ns", part.compute_ns);
        to.entry("launch_ns", part.launch_ns);
        to.entry("source", part.source.as_str());
    });
}

fn transfer<S: Sink>(transfer: &Transfer, to: &mut S) {
    to.object(|to| {
        to.entry("tensor", transfer.tensor);
        to.entry("from", transfer.from);
        to.entry("to", transfer.to);
        to.entry("bytes", transfer.bytes);
        to.entry("cost_ns", transfer.cost_ns);
        to.entry("source", transfer.source.as_str());
        to.entry("issue", transfer.issue);
        to.entry("needed", transfer.needed);
    });
}

fn buffer<S: Sink>(buffer: &Buffer, to: &mut S) {
    to.object(|to| {
        to.entry("tensor", buffer.tensor);
        to.entry("provider", buffer.provider);
        to.entry("offset", buffer.offset);
        to.entry("bytes", buffer.bytes);
        to.entry("first", buffer.first);
        to.entry("last", buffer.last);
    });
}

fn placement<S: Sink>(placement: &Placement, to: &mut S) {
    to.object(|to| {
        to.entry("provider", placement.provider);
        to.entry("part", placement.part);
        to.entry("cost_ns", placement.cost_ns);
        to.entry("source", placement.source.as_str());
        to.entries("reasons", &placement.reasons, reason);
    });
}

fn reason<S: Sink>(reason: &Reason, to: &mut S) {
    to.object(|to| {
        to.entry("provider", reason.provider);
        to.entry("code", reason.code.as_str());
        to.entry("there_ns", reason.there_ns);
        to.key("delta_ns");
        match &reason.delta {
            None => to.null(),
            Some(delta) => {
                let sums = [Some(delta.compute_ns), Some(delta.transfer_ns), delta.launch_ns];
                to.list(&sums, |sum, to| sum.tell(to));
            }
        }
        to.entry("text", &*reason.text);
    });
}

fn notice<S: Sink>(notice: &Notice, to: &mut S) {
    to.object(|to| {
        to.entry("provider", notice.provider);
        to.entry("doubt", notice.doubt.as_str());
        to.entry("count", notice.count);
        to.entry("first", &*notice.first);
    });
}
