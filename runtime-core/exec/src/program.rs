//! A plan made runnable: one compiled program per part, and where its values go.

use std::ops::Range;
use std::sync::Arc;

use remuda_host::Program;
use remuda_ir::{Val, ValueType};
use remuda_plan::Plan;

use crate::bounds::Bound;
use crate::replan::Times;
use crate::target::Target;

/// A plan made runnable.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) plan: Plan,
    /// In the order of the plan's.
    pub(crate) classes: Vec<BuiltClass>,
    /// The target of each state of the graph.
    pub(crate) homes: Vec<usize>,
    /// What the contract wants the user to know.
    pub(crate) warnings: Arc<[String]>,
}

/// The plan of one shape class made runnable.
#[derive(Debug)]
pub(crate) struct BuiltClass {
    pub(crate) steps: Steps,
    /// What inputs must keep to.
    pub(crate) bounds: Vec<Bound>,
    /// How long its parts took so far.
    pub(crate) times: Times,
}

#[derive(Debug)]
pub(crate) enum Steps {
    /// One target in host memory takes the whole graph.
    Whole(Arc<Part>),
    /// Parts in order.
    Parts(Flow),
}

impl Steps {
    /// Every program, with who runs it.
    pub(crate) fn parts(&self) -> Vec<&Arc<Part>> {
        match self {
            Self::Whole(part) => vec![part],
            Self::Parts(flow) => flow.steps.iter().map(|step| &step.part).collect(),
        }
    }
}

/// Parts and the slots between them.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) steps: Vec<Step>,
    /// Which steps, in a row, run at the same time; all of them in order.
    pub(crate) turns: Vec<Range<usize>>,
    /// For every turn, what the next one needs and is there before: slots, and the targets that need them.
    pub(crate) ahead: Vec<Vec<(usize, usize)>>,
    /// How many slots there are. The first are the graph's inputs.
    pub(crate) slots: usize,
    /// Slots that hold a constant from the start: what no step makes.
    pub(crate) constants: Vec<(usize, Val)>,
    pub(crate) outputs: Vec<usize>,
}

/// A part and where its values go.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) part: Arc<Part>,
    /// The part of the plan that it is, or is a piece of.
    pub(crate) of: usize,
    /// What that part should take.
    pub(crate) predicted_ns: u64,
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<usize>,
    /// The graph's states that it uses, in the order of the region's.
    pub(crate) states: Vec<usize>,
    /// Slots that nobody needs any more once the part has run.
    pub(crate) frees: Vec<usize>,
}

/// A compiled region and who runs it.
#[derive(Debug)]
pub(crate) struct Part {
    /// The place of the target among all of the session.
    pub(crate) target: usize,
    pub(crate) name: Arc<str>,
    pub(crate) program: Program,
    pub(crate) nodes: usize,
    /// What the graph says of its outputs.
    pub(crate) types: Vec<Option<ValueType>>,
}

impl Part {
    pub(crate) fn owner<'t>(&self, targets: &'t [Target]) -> &'t Target {
        &targets[self.target]
    }
}
