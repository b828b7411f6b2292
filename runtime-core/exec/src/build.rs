//! From a plan to programs: every part is proposed to its target and compiled there; what a target
//! refuses is taken from it, with its reason, and planned again.

mod flow;
mod idle;
mod pieces;

use std::sync::{Arc, Weak};

use remuda_base::Map;
use remuda_host::{Failure, GraphExport, Program, Proposal};
use remuda_ir::{Graph, NodeId, ValueId};
use remuda_plan::{Code, Contract, Plan, PlanId, Planner, ProviderId, ProviderUse};
use remuda_tensor::Tensor;

use crate::ask::Condition;
use crate::bounds::Bound;
use crate::engines;
use crate::error::ExecError;
use crate::options::Options;
use crate::program::{Built, BuiltClass, Part, Steps};
use crate::region::{Region, extract};
use crate::remembered::{Refused, Remembered};
use crate::replan::Times;
use crate::states::states_of;
use crate::target::{Place, Target};
use crate::trial::Tried;
use flow::{FlowMaker, homes};
use pieces::{Piece, pieces};

/// Makes plans runnable. Keeps programs, so that what a new plan leaves as it was is not compiled
/// again.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    pub(crate) targets: Arc<[Target]>,
    pub(crate) opset: u32,
    /// The dimension that is zero in all runs of each class, if there is one.
    absent: Vec<Option<String>>,
    pub(crate) planner: Planner,
    /// What answers depend on.
    conditions: Vec<Condition>,
    /// The graph's states, in their order.
    states: Vec<ValueId>,
    /// The failed targets and what they said.
    pub(crate) lost: Map<usize, String>,
    /// The targets to which a comparison of real runs has confined plans.
    pub(crate) among: Option<Vec<usize>>,
    /// What targets refused in this session and in earlier ones.
    refusals: Vec<Refused>,
    /// The first question of this session, and what earlier ones found out about it.
    remembered: Option<(PlanId, Remembered)>,
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
        options: &Options,
        planner: Planner,
        conditions: Vec<Condition>,
    ) -> Self {
        let states = states_of(&graph).map(|(id, _)| id).collect();
        let (lost, ran_out, programs) = (Map::new(), Map::new(), Map::new());
        Self {
            graph,
            targets,
            opset: options.opset,
            absent: idle::absent(&options.classes),
            planner,
            conditions,
            states,
            lost,
            among: None,
            refusals: Vec::new(),
            remembered: None,
            ran_out,
            programs,
        }
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

    /// The bounds that the plan of a class relies on.
    fn bounds_of(&self, plan: &Plan, class: usize) -> Vec<Bound> {
        let mut bounds: Vec<Bound> = Vec::new();
        for condition in self.conditions.iter().filter(|condition| condition.class == class) {
            let placed = plan.classes[class].placements.get(condition.node.index());
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
        self.build_from(None)
    }

    /// Starts from what earlier sessions found out about the same question.
    pub(crate) fn remember(&mut self, remembered: Option<Remembered>) {
        let Some(remembered) = remembered else { return };
        let asked = self.planner.question();
        for refused in remembered.refusals(asked) {
            let Refused { target, nodes, code, text } = &refused;
            // What makes no sense (any more) is asked again.
            if self.planner.refuse(nodes, *target, *code, text).is_ok() {
                self.refusals.push(refused);
            }
        }
        self.remembered = Some((asked, remembered));
    }

    /// Keeps a plan that all its targets accept, and what was refused before.
    fn keep(&self, plan: &Plan) {
        let Some((asked, remembered)) = &self.remembered else { return };
        if self.lost.is_empty() && self.among.is_none() {
            remembered.keep_plan(plan);
            if !self.refusals.is_empty() {
                remembered.keep_refusals(*asked, &self.refusals);
            }
        }
    }

    /// What earlier sessions found out by trying plans for the question of now.
    pub(crate) fn tried(&self, contract: &Contract) -> Option<Vec<Tried>> {
        let (_, remembered) = self.remembered.as_ref()?;
        let sizes = (self.targets.len(), self.planner.problem().classes.len().max(1));
        remembered.tried(self.planner.question(), contract, sizes)
    }

    /// Keeps what came of trying plans for a question, if all targets still work.
    pub(crate) fn keep_tried(&self, question: PlanId, contract: &Contract, tried: &[Tried]) {
        if let (Some((_, remembered)), true) = (&self.remembered, self.lost.is_empty()) {
            remembered.keep_tried(question, contract, tried);
        }
    }

    /// A plan over some of the targets, to be tried beside the one in use, which keeps its memory: that
    /// there is none for both says nothing of the budgets.
    pub(crate) fn build_rival(&mut self, among: &[usize]) -> Option<Built> {
        let before = self.among.replace(among.to_vec());
        let built = loop {
            let Ok(plan) = self.plan(None) else { break None };
            match self.compile(&plan) {
                Ok(classes) => break Some(self.built(plan, classes)),
                Err(Stop::Full(..) | Stop::Failed(_)) => break None,
                Err(Stop::Refused(refusal)) if self.take_away(&refusal).is_ok() => {}
                Err(Stop::Refused(_)) => break None,
            }
        };
        self.among = before;
        built
    }

    fn built(&self, plan: Plan, classes: Vec<BuiltClass>) -> Built {
        let homes = self.homes_of_states(&plan);
        Built { plan, classes, homes, warnings: Arc::new([]) }
    }

    /// The best plan, which is `previous` unless another is clearly better.
    pub(crate) fn build_from(&mut self, previous: Option<&Plan>) -> Result<Built, ExecError> {
        loop {
            let plan = self.plan(previous)?;
            match self.compile(&plan) {
                Ok(classes) => {
                    self.keep(&plan);
                    return Ok(self.built(plan, classes));
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

    fn plan(&self, previous: Option<&Plan>) -> Result<Plan, ExecError> {
        match &self.among {
            None if self.lost.is_empty() => {
                let known = self.remembered.as_ref().filter(|_| previous.is_none());
                let known = known.and_then(|(_, known)| known.plan(self.planner.question()));
                Ok(self.planner.plan(previous.or(known.as_ref()))?)
            }
            None => self.plan_among(&(0..self.targets.len()).collect::<Vec<_>>()),
            Some(among) => self.plan_among(among),
        }
    }

    /// A plan over those of some targets that are not lost.
    pub(crate) fn plan_among(&self, among: &[usize]) -> Result<Plan, ExecError> {
        let left = among.iter().copied().filter(|target| !self.lost.contains_key(target));
        let left: Vec<ProviderId> = left.map(ProviderId::from).collect();
        let name = |target: usize| &self.targets[target].name;
        let mut why: Vec<String> = self
            .lost
            .iter()
            .map(|(&target, why)| format!("`{}` failed: {why}", name(target)))
            .collect();
        if why.is_empty() {
            why.push("without it runs were faster".to_owned());
        }
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
        let (target, code) = (ProviderId::from(refusal.target), refusal.code);
        self.planner.refuse(&nodes, target, code, &refusal.text)?;
        self.refusals.push(Refused { target, nodes, code, text: refusal.text.clone() });
        Ok(())
    }

    fn compile(&mut self, plan: &Plan) -> Result<Vec<BuiltClass>, Stop> {
        let mut classes = Vec::with_capacity(plan.classes.len());
        let (mut pieces, last) = (pieces(&self.graph, plan), self.targets.len() - 1);
        let empty = idle::take_out(&self.graph, &mut pieces, &self.absent, last);
        for (class, (pieces, empty)) in pieces.into_iter().zip(empty).enumerate() {
            let (bounds, times) = (self.bounds_of(plan, class), Times::default());
            classes.push(BuiltClass { steps: self.steps(&pieces, empty)?, bounds, times });
        }
        Ok(classes)
    }

    /// The steps of a class, without what it makes nothing of: `empty` are the results.
    fn steps(&mut self, pieces: &[Piece], empty: Map<ValueId, Tensor>) -> Result<Steps, Stop> {
        let whole = match pieces {
            [] => Some(self.targets.len() - 1),
            [piece] => Some(piece.target),
            _ => None,
        };
        if let Some(target) = whole.filter(|_| empty.is_empty())
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
        let homes = homes(&self.graph, pieces);
        for (at, piece) in pieces.iter().enumerate() {
            let wanted = |id: ValueId| homes.leaves(id, at);
            let region = extract(&self.graph, &piece.nodes, wanted);
            let (inputs, outputs) = (region.inputs.clone(), region.outputs.clone());
            let states = region.states.iter().filter_map(|id| self.state_index(*id)).collect();
            let part = self.part(piece.target, &piece.nodes, region)?;
            flow.push(part, piece, &inputs, &outputs, states);
        }
        Ok(Steps::Parts(flow.finish(&self.graph, empty)))
    }

    fn state_index(&self, id: ValueId) -> Option<usize> {
        self.states.iter().position(|&state| state == id)
    }

    /// The target of each state: that of the nodes that use it, which is the same in all classes.
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
        // The CPU gives no engines.
        let cache = self.remembered.as_ref().filter(|_| !last).map(|(_, known)| known.cache());
        let compiled = engines::compile(cache, owner, region, self.opset);
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
