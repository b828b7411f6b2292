//! Which providers a node may have, and for the others the reason.
//!
//! Four voices can take a provider away from a node: the user's forbids and pins, the provider's
//! own answer, and refusals that came after a plan was tried. This is the one place that asks them.

use remuda_base::Map;

use crate::error::PlanError;
use crate::ids::{NodeId, ProviderId};
use crate::options::Options;
use crate::problem::{Answer, Problem};
use crate::reason::Code;

/// A code with words.
pub(crate) type Refusal = (Code, String);

/// The voices other than the providers' answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Permits {
    pins: Map<NodeId, ProviderId>,
    forbidden: Map<(NodeId, ProviderId), ()>,
    forbidden_everywhere: Map<ProviderId, ()>,
    /// What providers took back after a plan.
    pub(crate) refused: Map<(NodeId, ProviderId), Refusal>,
}

impl Permits {
    /// The user's wishes; indices are checked.
    pub(crate) fn new(problem: &Problem, options: &Options) -> Result<Self, PlanError> {
        let mut permits = Self::default();
        for &(node, provider) in &options.pins {
            check(problem, Some(node), provider, "pins")?;
            if let Some(other) = permits.pins.insert(node, provider)
                && other != provider
            {
                let name = |id: ProviderId| problem.providers[id.index()].name.clone();
                return Err(PlanError::PinRefused {
                    node: problem.nodes[node.index()].name.clone(),
                    provider: name(provider),
                    code: Code::Pinned,
                    text: format!("it is pinned to `{}` as well", name(other)),
                });
            }
        }
        for &(node, provider) in &options.forbids {
            check(problem, node, provider, "forbids")?;
            match node {
                Some(node) => drop(permits.forbidden.insert((node, provider), ())),
                None => drop(permits.forbidden_everywhere.insert(provider, ())),
            }
        }
        Ok(permits)
    }

    /// Why `provider` may not have `node` in `class`, pins aside; none if it may.
    pub(crate) fn refusal(
        &self,
        problem: &Problem,
        class: usize,
        node: NodeId,
        provider: ProviderId,
    ) -> Option<Refusal> {
        if self.forbidden.contains_key(&(node, provider))
            || self.forbidden_everywhere.contains_key(&provider)
        {
            return Some((Code::Forbidden, String::new()));
        }
        let answers = &problem.nodes[node.index()].answers;
        if let Answer::No { code, text } = &answers[class.min(answers.len() - 1)][provider.index()]
        {
            return Some((*code, text.clone()));
        }
        self.refused.get(&(node, provider)).cloned()
    }

    /// Where the user wants `node`.
    pub(crate) fn pin(&self, node: NodeId) -> Option<ProviderId> {
        self.pins.get(&node).copied()
    }

    /// Lets nodes go that were pinned to a provider which is not there any more.
    pub(crate) fn release(&mut self, provider: ProviderId) {
        self.pins.retain(|_, pinned| *pinned != provider);
    }

    /// One bit per provider that may have all `members` (class and node).
    pub(crate) fn allowed(
        &self,
        problem: &Problem,
        members: &[(usize, NodeId)],
    ) -> Result<u64, PlanError> {
        let mut allowed = 0;
        for provider in (0..problem.providers.len()).map(ProviderId::from) {
            let refusal = members
                .iter()
                .find_map(|&(class, node)| self.refusal(problem, class, node, provider));
            allowed |= u64::from(refusal.is_none()) << provider.index();
        }
        for &(_, node) in members {
            let Some(pin) = self.pin(node) else { continue };
            if allowed >> pin.index() & 1 == 0 {
                return Err(self.pin_refused(problem, members, node, pin));
            }
            allowed &= 1 << pin.index();
        }
        if allowed == 0 { Err(self.nobody(problem, members)) } else { Ok(allowed) }
    }

    fn pin_refused(
        &self,
        problem: &Problem,
        members: &[(usize, NodeId)],
        node: NodeId,
        pin: ProviderId,
    ) -> PlanError {
        let refusal = members.iter().find_map(|&(class, member)| {
            let (code, text) = self.refusal(problem, class, member, pin)?;
            Some((code, format!("node `{}`: {text}", problem.nodes[member.index()].name)))
        });
        let other = (Code::Pinned, "a node that must stay with it is pinned elsewhere".into());
        let (code, text) = refusal.unwrap_or(other);
        PlanError::PinRefused {
            node: problem.nodes[node.index()].name.clone(),
            provider: problem.providers[pin.index()].name.clone(),
            code,
            text,
        }
    }

    /// Why no provider at all can have `members`.
    fn nobody(&self, problem: &Problem, members: &[(usize, NodeId)]) -> PlanError {
        let mut clauses = Vec::new();
        let mut place = members.first().map_or(NodeId(0), |&(_, node)| node);
        for (at, provider) in problem.providers.iter().enumerate() {
            let found = members.iter().find_map(|&(class, node)| {
                Some((node, self.refusal(problem, class, node, at.into())?))
            });
            if let Some((node, (code, text))) = found {
                place = if problem.fallback == Some(at.into()) { node } else { place };
                clauses.push(clause(&provider.name, code, &text));
            }
        }
        let node = &problem.nodes[place.index()];
        PlanError::NoProvider {
            node: node.name.clone(),
            op: node.op.clone(),
            why: clauses.join("; "),
        }
    }
}

/// Why a provider does not take a node.
fn clause(provider: &str, code: Code, text: &str) -> String {
    format!("`{provider}`: {} {text}", code.as_str())
}

/// Checks that every node is taken by somebody.
pub(crate) fn check_supported(problem: &Problem) -> Result<(), PlanError> {
    for node in &problem.nodes {
        for row in &node.answers {
            let refusals = row.iter().zip(&problem.providers).map(|(answer, provider)| {
                let Answer::No { code, text } = answer else { return None };
                Some(clause(&provider.name, *code, text))
            });
            if let Some(refusals) = refusals.collect::<Option<Vec<_>>>() {
                return Err(PlanError::Unsupported {
                    node: node.name.clone(),
                    op: node.op.clone(),
                    why: refusals.join("; "),
                });
            }
        }
    }
    Ok(())
}

fn check(
    problem: &Problem,
    node: Option<NodeId>,
    provider: ProviderId,
    list: &str,
) -> Result<(), PlanError> {
    let known = node.is_none_or(|node| node.index() < problem.nodes.len());
    if known && provider.index() < problem.providers.len() {
        return Ok(());
    }
    let got = node
        .map_or(format!("provider {provider}"), |node| format!("node {node}, provider {provider}"));
    Err(PlanError::Malformed {
        place: list.to_owned(),
        expected: "a node and a provider of the problem".into(),
        got,
    })
}
