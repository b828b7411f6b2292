//! What targets say of the graph's states: a state is as large as the largest of their answers, and who
//! cannot keep it runs no node that uses it.

use remuda_ir::{Graph, Node, ValueId};
use remuda_plan::{Answer, Code, Problem, WeightId};

use crate::error::ExecError;
use crate::states::{StateShapes, states_of};
use crate::target::Target;

/// What targets say of the graph's states.
pub(super) struct StateAnswers(Vec<StateAnswer>);

struct StateAnswer {
    id: ValueId,
    /// The same number for states that must lie together.
    group: u32,
    weight: WeightId,
    /// Per target why it cannot keep the state.
    refusals: Vec<Option<String>>,
}

impl StateAnswers {
    /// Asks everybody about every state, and adds them to the problem as resident bytes.
    pub(super) fn new(
        graph: &Graph,
        shapes: &StateShapes,
        targets: &[Target],
        problem: &mut Problem,
    ) -> Result<Self, ExecError> {
        let last = targets.len() - 1;
        let mut answers = Vec::with_capacity(shapes.types.len());
        let groups = groups(graph);
        for (at, (id, _)) in states_of(graph).enumerate() {
            let (mut bytes, mut refusals) = (0, Vec::with_capacity(targets.len()));
            for (target, owner) in targets.iter().enumerate() {
                match shapes.bytes(at, owner) {
                    Ok(own) => {
                        bytes = bytes.max(own);
                        refusals.push(None);
                    }
                    Err(failure) if target == last => {
                        return Err(ExecError::Failed { target: String::new(), failure });
                    }
                    Err(failure) => refusals.push(Some(failure.to_string())),
                }
            }
            let weight = problem.add_weight(graph.value(id).name.clone(), bytes);
            answers.push(StateAnswer { id, group: groups[at], weight, refusals });
        }
        Ok(Self(answers))
    }

    fn used<'s>(&'s self, node: &'s Node) -> impl Iterator<Item = &'s StateAnswer> {
        self.0.iter().filter(|state| node.uses().any(|id| id == state.id))
    }

    /// Why a target cannot keep a state that a node uses.
    pub(super) fn refusal(&self, node: &Node, target: usize) -> Option<Answer> {
        let text = self.used(node).find_map(|state| state.refusals[target].as_ref())?;
        Some(Answer::no(Code::Other, format!("it cannot keep the cache: {text}")))
    }

    pub(super) fn weights(&self, node: &Node) -> Vec<WeightId> {
        self.used(node).map(|state| state.weight).collect()
    }

    /// Nodes that share a state stay together.
    pub(super) fn group(&self, node: &Node) -> Option<u32> {
        self.used(node).next().map(|state| state.group)
    }
}

/// For each state a number; the same for states that one node uses together.
fn groups(graph: &Graph) -> Vec<u32> {
    let ids: Vec<ValueId> = states_of(graph).map(|(id, _)| id).collect();
    let mut groups: Vec<u32> = (0..).take(ids.len()).collect();
    for (_, node) in graph.nodes() {
        let mut used =
            (0..ids.len()).filter(|&at| node.uses().any(|id| id == ids[at])).map(|at| groups[at]);
        let Some(first) = used.next() else { continue };
        let others: Vec<u32> = used.collect();
        groups.iter_mut().filter(|group| others.contains(group)).for_each(|group| *group = first);
    }
    groups
}
