//! Pieces in a row: which values pass between them, and when each is needed for the last time.

use std::ops::Range;
use std::sync::Arc;

use remuda_base::Map;
use remuda_ir::{Def, Graph, Val, ValueId};
use remuda_tensor::Tensor;

use super::pieces::Piece;
use crate::program::{Flow, Part, Step};

/// In which part each value is made, and in which parts it is used.
pub(super) struct Homes {
    made: Map<ValueId, usize>,
    used: Map<ValueId, Vec<usize>>,
    outputs: Vec<ValueId>,
}

pub(super) fn homes(graph: &Graph, pieces: &[Piece]) -> Homes {
    let mut homes = Homes { made: Map::new(), used: Map::new(), outputs: graph.outputs.clone() };
    for (at, piece) in pieces.iter().enumerate() {
        for node in piece.nodes.iter().filter_map(|&id| graph.node(id)) {
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
    pub(super) fn leaves(&self, id: ValueId, at: usize) -> bool {
        self.outputs.contains(&id)
            || self.used.get(&id).is_some_and(|parts| parts.iter().any(|&part| part != at))
    }
}

/// Gives values slots, and finds the last use of each.
pub(super) struct FlowMaker {
    slots: Map<ValueId, usize>,
    steps: Vec<Step>,
}

impl FlowMaker {
    pub(super) fn new(graph: &Graph) -> Self {
        Self { slots: graph.inputs.iter().copied().zip(0..).collect(), steps: Vec::new() }
    }

    fn slot(&mut self, id: ValueId) -> usize {
        let next = self.slots.len();
        *self.slots.entry(id).or_insert(next)
    }

    pub(super) fn push(
        &mut self,
        part: Arc<Part>,
        piece: &Piece,
        inputs: &[ValueId],
        outputs: &[ValueId],
        states: Vec<usize>,
    ) {
        let inputs = inputs.iter().map(|&id| self.slot(id)).collect();
        let outputs = outputs.iter().map(|&id| self.slot(id)).collect();
        let (of, predicted_ns) = (piece.part, piece.predicted_ns);
        let frees = Vec::new();
        self.steps.push(Step { part, of, predicted_ns, inputs, outputs, states, frees });
    }

    /// `known` are values that no step makes.
    pub(super) fn finish(mut self, graph: &Graph, known: Map<ValueId, Tensor>) -> Flow {
        let known = known.into_iter().map(|(id, tensor)| (self.slot(id), Val::from(tensor)));
        let mut constants: Vec<(usize, Val)> = known.collect();
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
        let turns = turns(&self.steps);
        let ahead = ahead(&self.steps, &turns);
        Flow { steps: self.steps, turns, ahead, slots: self.slots.len(), constants, outputs }
    }
}

/// Parts that should end sooner are not worth a thread of their own, be it for them or beside them.
const WORTH_A_THREAD_NS: u64 = 50_000;

fn is_long(step: &Step) -> bool {
    step.predicted_ns >= WORTH_A_THREAD_NS
}

/// Which steps, in a row, run at the same time: those that lie on different targets and do not need
/// each other. States are on the target of the steps that use them, so none is shared.
fn turns(steps: &[Step]) -> Vec<Range<usize>> {
    let mut turns: Vec<Range<usize>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let apart = |other: &Step| {
            let needed = step.inputs.iter().any(|slot| other.outputs.contains(slot));
            is_long(other) && other.part.target != step.part.target && !needed
        };
        match turns.last_mut() {
            Some(turn) if is_long(step) && steps[turn.clone()].iter().all(apart) => {
                turn.end = at + 1;
            }
            _ => turns.push(at..at + 1),
        }
    }
    turns
}

/// What can be copied beside each turn, because the next one needs it and this one does not make it.
fn ahead(steps: &[Step], turns: &[Range<usize>]) -> Vec<Vec<(usize, usize)>> {
    let beside = |(at, turn): (usize, &Range<usize>)| {
        let (now, next) = (&steps[turn.clone()], turns.get(at + 1));
        let Some(next) = next.filter(|_| now.iter().any(is_long)) else { return Vec::new() };
        let is_made = |slot: &usize| now.iter().any(|step| step.outputs.contains(slot));
        let needs = steps[next.clone()].iter().flat_map(|step| {
            let slots = step.inputs.iter().filter(|slot| !is_made(slot));
            slots.map(|&slot| (slot, step.part.target))
        });
        needs.collect()
    };
    turns.iter().enumerate().map(beside).collect()
}
