//! What earlier sessions found out about the same question: the plan, what targets refused, and which plan was
//! the fastest in real runs.
//!
//! Keys hold the graph, the question (answers, costs, budgets, wishes), and for every target the build of
//! its provider and the options that it was opened with, the device and its driver: when one of them changes, nothing is remembered.

use remuda_cache::{Cache, Key, KeyMaker, Kind};
use remuda_host::Provider;
use remuda_ir::Graph;
use remuda_plan::{Code, Contract, NodeId, Plan, PlanId, ProviderId};

use crate::target::Target;
use crate::trial::{self, Tried};

/// A cache, and what all keys of a session have in common.
#[derive(Debug)]
pub(crate) struct Remembered {
    cache: Cache,
    common: KeyMaker,
}

/// What a target did not take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) target: ProviderId,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) code: Code,
    pub(crate) text: String,
}

impl Remembered {
    pub(crate) fn new(cache: Cache, graph: &Graph, targets: &[Target], opset: u32) -> Self {
        let common = KeyMaker::new("placement")
            .text("remuda", env!("CARGO_PKG_VERSION"))
            .number("opset", u64::from(opset))
            .text("graph", &remuda_ir::text::print_outline(graph));
        let common = targets.iter().fold(common, identify);
        Self { cache, common }
    }

    fn key(&self, question: PlanId) -> Key {
        self.common.clone().text("question", &question.to_string()).finish()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The plan that answered a question.
    pub(crate) fn plan(&self, question: PlanId) -> Option<Plan> {
        let text = self.cache.get(Kind::Plan, &self.key(question))?;
        Plan::from_json(std::str::from_utf8(&text).ok()?).ok()
    }

    /// What was refused to plans for a question.
    pub(crate) fn refusals(&self, question: PlanId) -> Vec<Refused> {
        let text = self.cache.get(Kind::Refusals, &self.key(question)).unwrap_or_default();
        let text = String::from_utf8(text).unwrap_or_default();
        text.lines().map(parse).collect::<Option<_>>().unwrap_or_default()
    }

    /// What came of trying plans for a question under a contract, which rules some out.
    pub(crate) fn tried(
        &self,
        question: PlanId,
        contract: &Contract,
        (targets, classes): (usize, usize),
    ) -> Option<Vec<Tried>> {
        let text = self.cache.get(Kind::Trials, &self.key_of_trials(question, contract))?;
        trial::parse(std::str::from_utf8(&text).ok()?, targets, classes)
    }

    /// Keeps what came of trying plans for a question.
    pub(crate) fn keep_tried(&self, question: PlanId, contract: &Contract, tried: &[Tried]) {
        let key = self.key_of_trials(question, contract);
        let _ = self.cache.put(Kind::Trials, &key, trial::print(tried).as_bytes());
    }

    fn key_of_trials(&self, question: PlanId, contract: &Contract) -> Key {
        let key = self.common.clone().text("question", &question.to_string());
        key.text("contract", &format!("{contract:?}")).finish()
    }

    /// Keeps a plan. A cache that cannot be written to costs time, nothing else.
    pub(crate) fn keep_plan(&self, plan: &Plan) {
        let _ = self.cache.put(Kind::Plan, &self.key(plan.problem), plan.to_json().as_bytes());
    }

    /// Keeps what was refused to plans for a question.
    pub(crate) fn keep_refusals(&self, question: PlanId, refusals: &[Refused]) {
        let lines: String = refusals.iter().map(line).collect();
        let _ = self.cache.put(Kind::Refusals, &self.key(question), lines.as_bytes());
    }
}

/// Everything that tells one device and what drives it from another.
#[must_use]
pub fn identify(key: KeyMaker, target: &Target) -> KeyMaker {
    let (provider, device): (&Provider, _) = (&target.provider, &target.device);
    let options = provider.options().iter();
    let key = options.fold(key, |key, (name, value)| key.text("option", name).text("is", value));
    key.text("target", &target.name)
        .text("provider", &provider.name())
        .text("version", &provider.version())
        .text("build", provider.build())
        .number("contract", remuda_host::LAYOUT_HASH)
        .text("device", &device.unique_id)
        .text("device name", &device.name)
        .text("driver", &device.driver)
}

fn line(refused: &Refused) -> String {
    let nodes: Vec<String> = refused.nodes.iter().map(|node| node.0.to_string()).collect();
    let text = refused.text.replace(['\n', '\r', '\t'], " ");
    format!("{}\t{}\t{}\t{text}\n", refused.target.0, refused.code.as_str(), nodes.join(","))
}

fn parse(line: &str) -> Option<Refused> {
    let mut fields = line.splitn(4, '\t');
    let target = ProviderId(fields.next()?.parse().ok()?);
    let code = Code::parse(fields.next()?)?;
    let nodes = fields.next()?.split(',').map(|node| Some(NodeId(node.parse().ok()?)));
    let nodes = nodes.collect::<Option<_>>()?;
    Some(Refused { target, nodes, code, text: fields.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{Refused, line, parse};
    use remuda_plan::{Code, NodeId, ProviderId};

    #[test]
    fn refusals_are_read_as_they_were_written() {
        let refused = Refused {
            target: ProviderId(1),
            nodes: vec![NodeId(3), NodeId(7)],
            code: Code::CompileFailed,
            text: "no\tkernel\nat all".to_owned(),
        };
        let text = line(&refused);
        let read = parse(text.trim_end_matches('\n'));
        assert_eq!(read, Some(Refused { text: "no kernel at all".to_owned(), ..refused }));
        assert_eq!(parse("1\tno-code\t2\tx"), None);
    }
}
