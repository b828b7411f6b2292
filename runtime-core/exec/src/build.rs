//! From a plan to programs: every part is proposed to its target and compiled there; what a target
//! refuses is taken from it, with its reason, and planned again.

use std::sync::{Arc, Weak};

use remuda_base::Map;
use remuda_host::{Failure, GraphExport, Program, Proposal};
use remuda_ir::{Def, Graph, NodeId, Val, ValueId};
use remuda_plan::{Code, Plan, Planner, ProviderId, ProviderUse};

use crate::ask::Condition;
use crate::bounds::Bound;
use crate::error::ExecError;
use crate::program::{Built, Flow, Part, Step, Steps};
use crate::region::{Region, extract};
use crate::states::states_of;
use crate::target::{Place, Target};

/// Makes plans runnable. Keeps programs, so that what a new plan leaves as it was is not compiled
/// again.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    pub(crate) targets: Arc<[Target]>,
    pub(crate) opset: u32,
    pub(crate) planner: Planner,
    /// What answers depend on.
    conditions: Vec<Condition>,
    /// The graph's states, in their order.
    states: Vec<ValueId>,
    /// The failed targets and what they said.
    pub(crate) lost: Map<usize, String>,
    /// How often targets ran out of memory.
    ran_out: Map<usize, u32>,
    programs: Map<Key, Weak<Part>>,
}

/// A target that runs out of memory more often than this is set aside.
const MOST_TIMES_OUT_OF_MEMORY: u32 = 4;

/// What a program is of: target, nodes, outputs.
type Key = (usize, Vec<NodeId>, Vec<ValueId>);

/// What a target does not take.
struct Refusal {
    target: usize,
    nodes: Vec<NodeId>,
    code: Code,
    text: String,
}

enum Stop {
    Refused(Refusal),
    /// A target ran out of memory with these nodes.
    Full(Refusal, Failure),
    Failed(ExecError),
}

impl Builder {
    pub(crate) fn new(
        graph: Graph,
        targets: Arc<[Target]>,
        opset: u32,
        planner: Planner,
        conditions: Vec<Condition>,
    ) -> Self {
        let states = states_of(&graph).map(|(id, _)| id).collect();
        let (lost, ran_out, programs) = (Map::new(), Map::new(), Map::new());
        Self { graph, targets, opset, planner, conditions, states, lost, ran_out, programs }
    }

    /// The plan for runs that leave the bounds of the answers, compiled.
    pub(crate) fn build_unbounded(&mut self) -> Result<Built, ExecError> {
        let mut planner = self.planner.clone();
        for target in (0..self.targets.len()).map(ProviderId::from) {
            let theirs = self.conditions.iter().filter(|condition| condition.target == target);
            let nodes: Vec<remuda_plan::NodeId> =
                theirs.clone().map(|condition| condition.node).collect();
            if let Some(first) = theirs.clone().next() {
                let bounds: Vec<String> = first.bounds.iter().map(ToString::to_string).collect();
                let text = format!("only while {}", bounds.join(", "));
                planner.refuse(&nodes, target, Code::ShapeDynamic, &text)?;
            }
        }
        let bounded = std::mem::replace(&mut self.planner, planner);
        let built = self.build();
        self.planner = bounded;
        built
    }

    /// The bounds that a plan relies on.
    fn bounds_of(&self, plan: &Plan) -> Vec<Bound> {
        let Some(class) = plan.classes.first() else { return Vec::new() };
        let mut bounds: Vec<Bound> = Vec::new();
        for condition in &self.conditions {
            let placed = class.placements.get(condition.node.index());
            let relies = placed.is_some_and(|placed| placed.provider == condition.target);
            for bound in condition.bounds.iter().filter(|_| relies) {
                if !bounds.contains(bound) {
                    bounds.push(bound.clone());
                }
            }
        }
        bounds
    }

    /// The best plan that all its targets accept, compiled.
    pub(crate) fn build(&mut self) -> Result<Built, ExecError> {
        loop {
            let plan = self.plan()?;
            match self.compile(&plan) {
                Ok(steps) => {
                    let homes = self.homes_of_states(&plan);
                    let bounds = self.bounds_of(&plan);
                    return Ok(Built { plan, steps, homes, bounds, warnings: Arc::new([]) });
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Refused(refusal)) => self.take_away(&refusal)?,
                Err(Stop::Full(refusal, failure)) => {
                    if !self.give_less(refusal.target, &plan, &failure)? {
                        self.take_away(&refusal)?;
                    }
                }
            }
        }
    }

    fn plan(&self) -> Result<Plan, ExecError> {
        if self.lost.is_empty() {
            return Ok(self.planner.plan(None)?);
        }
        let left: Vec<ProviderId> = (0..self.targets.len())
            .filter(|target| !self.lost.contains_key(target))
            .map(ProviderId::from)
            .collect();
        let why: Vec<String> = self
            .lost
            .iter()
            .map(|(&target, why)| format!("`{}` failed: {why}", self.targets[target].name))
            .collect();
        Ok(self.planner.plan_among(&left, &why.join("; "))?)
    }

    /// After a target ran out of memory under a plan: lowers its budget, if there is still something
    /// to lower. Gives false if the target has to be set aside.
    pub(crate) fn give_less(
        &mut self,
        target: usize,
        plan: &Plan,
        failure: &Failure,
    ) -> Result<bool, ExecError> {
        let Failure::OutOfMemory { needed, free, .. } = failure else { return Ok(false) };
        let peak = plan.providers.get(target).map_or(0, ProviderUse::peak_bytes);
        let times = self.ran_out.entry(target).or_insert(0);
        *times += 1;
        if peak == 0 || *times > MOST_TIMES_OUT_OF_MEMORY {
            return Ok(false);
        }
        let missing = needed.saturating_sub(*free).max(peak.div_ceil(4));
        let budget = peak.saturating_sub(missing);
        self.planner.lower_budget(ProviderId::from(target), budget)?;
        Ok(true)
    }

    fn take_away(&mut self, refusal: &Refusal) -> Result<(), ExecError> {
        let order = self.graph.order();
        let nodes: Vec<remuda_plan::NodeId> = (0..order.len())
            .filter(|&at| refusal.nodes.contains(&order[at]))
            .map(remuda_plan::NodeId::from)
            .collect();
        let provider = ProviderId::from(refusal.target);
        Ok(self.planner.refuse(&nodes, provider, refusal.code, &refusal.text)?)
    }

    fn compile(&mut self, plan: &Plan) -> Result<Steps, Stop> {
        let no_parts = Vec::new();
        let parts = plan.classes.first().map_or(&no_parts, |class| &class.parts);
        let whole = match &parts[..] {
            [] => Some(self.targets.len() - 1),
            [part] => Some(part.provider.index()),
            _ => None,
        };
        if let Some(target) = whole
            && self.targets[target].place() == Place::Host
        {
            let nodes = self.graph.order().to_vec();
            let region = Region {
                inputs: self.graph.inputs.clone(),
                outputs: self.graph.outputs.clone(),
                states: self.states.clone(),
                graph: self.graph.clone(),
            };
            return Ok(Steps::Whole(self.part(target, &nodes, region)?));
        }
        let mut flow = FlowMaker::new(&self.graph);
        let of_part: Vec<Vec<NodeId>> =
            parts.iter().map(|part| self.nodes_of(&part.nodes)).collect();
        let homes = homes(&self.graph, &of_part);
        for (at, (part, nodes)) in parts.iter().zip(&of_part).enumerate() {
            let wanted = |id: ValueId| homes.leaves(id, at);
            let region = extract(&self.graph, nodes, wanted);
            let (inputs, outputs) = (region.inputs.clone(), region.outputs.clone());
            let states = region.states.iter().filter_map(|id| self.state_index(*id)).collect();
            let part = self.part(part.provider.index(), nodes, region)?;
            flow.push(part, &inputs, &outputs, states);
        }
        Ok(Steps::Parts(flow.finish(&self.graph)))
    }

    fn state_index(&self, id: ValueId) -> Option<usize> {
        self.states.iter().position(|&state| state == id)
    }

    /// The target of each state: that of the nodes that use it.
    fn homes_of_states(&self, plan: &Plan) -> Vec<usize> {
        let mut homes = vec![self.targets.len() - 1; self.states.len()];
        let placements = plan.classes.first().into_iter().flat_map(|class| &class.placements);
        for ((_, node), placement) in self.graph.nodes().zip(placements) {
            for state in node.uses().filter_map(|id| self.state_index(id)) {
                homes[state] = placement.provider.index();
            }
        }
        homes
    }

    fn nodes_of(&self, nodes: &[remuda_plan::NodeId]) -> Vec<NodeId> {
        nodes.iter().map(|node| self.graph.order()[node.index()]).collect()
    }

    /// The program of a region on a target, made now or known from before.
    fn part(&mut self, target: usize, nodes: &[NodeId], region: Region) -> Result<Arc<Part>, Stop> {
        let key = (target, nodes.to_vec(), region.outputs.clone());
        if let Some(part) = self.programs.get(&key).and_then(Weak::upgrade) {
            return Ok(part);
        }
        let types = region.outputs.iter().map(|&id| self.graph.value(id).ty.clone()).collect();
        let program = self.program(target, nodes, region.graph)?;
        let name = Arc::clone(&self.targets[target].name);
        let part = Arc::new(Part { target, name, program, nodes: nodes.len(), types });
        self.programs.insert(key, Arc::downgrade(&part));
        Ok(part)
    }

    fn program(&self, target: usize, nodes: &[NodeId], region: Graph) -> Result<Program, Stop> {
        let (owner, last) = (&self.targets[target], target + 1 == self.targets.len());
        let refusal = |node: Option<u32>, code, text| {
            let named = node.and_then(|node| nodes.get(node as usize).copied());
            let nodes = named.map_or_else(|| nodes.to_vec(), |node| vec![node]);
            Refusal { target, nodes, code, text }
        };
        let refused = |node, code, text| Stop::Refused(refusal(node, code, text));
        if !last {
            let export = GraphExport::new(region.clone(), self.opset);
            match owner.provider.propose(owner.device.index, &export) {
                Ok(Proposal::Accepted { .. }) => {}
                Ok(Proposal::Refused { node, code, text }) => {
                    let text = if code.is_empty() { text } else { format!("{code}: {text}") };
                    return Err(refused(node, Code::RegionRefused, text));
                }
                Err(failure) => {
                    return Err(refused(None, Code::RegionRefused, failure.to_string()));
                }
            }
        }
        let compiled = owner.provider.compile(owner.device.index, region, self.opset);
        compiled.map_err(|failure| match failure {
            failure if last => Stop::Failed(ExecError::Failed { target: String::new(), failure }),
            Failure::Unsupported { node, text } => refused(node, Code::CompileFailed, text),
            full @ Failure::OutOfMemory { .. } => {
                Stop::Full(refusal(None, Code::Memory, full.to_string()), full)
            }
            failure => refused(None, Code::CompileFailed, failure.to_string()),
        })
    }
}

/// In which part each value is made, and in which parts it is used.
struct Homes {
    made: Map<ValueId, usize>,
    used: Map<ValueId, Vec<usize>>,
    outputs: Vec<ValueId>,
}

fn homes(graph: &Graph, parts: &[Vec<NodeId>]) -> Homes {
    let mut homes = Homes { made: Map::new(), used: Map::new(), outputs: graph.outputs.clone() };
    for (at, nodes) in parts.iter().enumerate() {
        for node in nodes.iter().filter_map(|&id| graph.node(id)) {
            homes.made.extend(node.outputs.iter().flatten().map(|&output| (output, at)));
            for used in node.uses() {
                homes.used.entry(used).or_default().push(at);
            }
        }
    }
    homes
}

impl Homes {
    /// Whether a value that part `at` makes is needed outside of it.
    fn leaves(&self, id: ValueId, at: usize) -> bool {
        self.outputs.contains(&id)
            || self.used.get(&id).is_some_and(|parts| parts.iter().any(|&part| part != at))
    }
}

/// Gives values slots, and finds the last use of each.
struct FlowMaker {
    slots: Map<ValueId, usize>,
    steps: Vec<Step>,
}

impl FlowMaker {
    fn new(graph: &Graph) -> Self {
        Self { slots: graph.inputs.iter().copied().zip(0..).collect(), steps: Vec::new() }
    }

    fn slot(&mut self, id: ValueId) -> usize {
        let next = self.slots.len();
        *self.slots.entry(id).or_insert(next)
    }

    fn push(
        &mut self,
        part: Arc<Part>,
        inputs: &[ValueId],
        outputs: &[ValueId],
        states: Vec<usize>,
    ) {
        let inputs = inputs.iter().map(|&id| self.slot(id)).collect();
        let outputs = outputs.iter().map(|&id| self.slot(id)).collect();
        self.steps.push(Step { part, inputs, outputs, states, frees: Vec::new() });
    }

    fn finish(mut self, graph: &Graph) -> Flow {
        let mut constants = Vec::new();
        for &output in &graph.outputs {
            if let Def::Const(tensor) = &graph.value(output).def {
                constants.push((self.slot(output), Val::from(tensor.clone())));
            }
        }
        let outputs: Vec<usize> = graph.outputs.iter().map(|&id| self.slot(id)).collect();
        let mut last = vec![None; self.slots.len()];
        for (at, step) in self.steps.iter().enumerate() {
            step.inputs.iter().chain(&step.outputs).for_each(|&slot| last[slot] = Some(at));
        }
        outputs.iter().for_each(|&slot| last[slot] = None);
        for (slot, step) in last.into_iter().enumerate() {
            if let Some(step) = step {
                self.steps[step].frees.push(slot);
            }
        }
        Flow { steps: self.steps, slots: self.slots.len(), constants, outputs }
    }
}
