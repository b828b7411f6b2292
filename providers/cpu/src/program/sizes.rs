//! Values that follow from the sizes of a run's inputs alone, such as the computed shape of a `Reshape`:
//! remembered for the sizes of the last few runs, whose steps then need not run again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use remuda_ir::{Graph, Node, Val};
use remuda_tensor::Dim;

/// How many different sizes are remembered.
const MAX_SIZES: usize = 8;

/// Results larger than this, together, are computed again in every run.
const MAX_BYTES: usize = 1 << 20;

/// For each value of a graph whether it follows from the sizes of its inputs, and is not known before.
pub(super) fn values_of_sizes(graph: &Graph, fixed: &[bool]) -> Vec<bool> {
    let symbols = symbols_of_inputs(graph);
    let mut of_sizes = vec![false; graph.value_count()];
    for (_, node) in graph.nodes() {
        let known = |used: remuda_ir::ValueId| fixed[used.index()] || of_sizes[used.index()];
        if !is_pure(node) || !(node.uses().all(known) || is_shape(graph, node, &symbols)) {
            continue;
        }
        for output in node.outputs.iter().flatten() {
            of_sizes[output.index()] = !fixed[output.index()];
        }
    }
    of_sizes
}

/// The symbols that stand alone for a size of an input. One that is only part of a sum could change
/// while the sum does not.
fn symbols_of_inputs(graph: &Graph) -> BTreeSet<Arc<str>> {
    let mut symbols = BTreeSet::new();
    for dim in graph.inputs.iter().filter_map(|&input| dims(graph, input)).flatten() {
        let mut named = BTreeSet::new();
        dim.symbols(&mut named);
        symbols.extend(named.into_iter().filter(|name| dim.same(&Dim::symbol(name))));
    }
    symbols
}

fn dims(graph: &Graph, value: remuda_ir::ValueId) -> Option<&[Dim]> {
    graph.value(value).ty.as_ref()?.as_tensor()?.dims.as_deref()
}

fn is_pure(node: &Node) -> bool {
    let def = remuda_ops::find(&node.op.domain, &node.op.name);
    def.is_some_and(|def| def.traits.pure) && node.attrs.bodies().next().is_none()
}

/// Whether a node gives dimensions that these symbols make.
fn is_shape(graph: &Graph, node: &Node, symbols: &BTreeSet<Arc<str>>) -> bool {
    let asks = node.op.is_onnx("Shape") || node.op.is_onnx("Size");
    let Some(dims) = node.input(0).filter(|_| asks).and_then(|input| dims(graph, input)) else {
        return false;
    };
    let mut used = BTreeSet::new();
    dims.iter().for_each(|dim| dim.symbols(&mut used));
    used.is_subset(symbols) && !dims.contains(&Dim::Unknown)
}

/// Values by their place among those of the graph.
type Values = Arc<[(usize, Val)]>;

/// What is remembered of earlier runs.
#[derive(Default)]
pub(super) struct Sizes {
    /// The values that other steps use.
    kept: Vec<usize>,
    /// The sizes of all inputs with the values, the latest first.
    known: Mutex<Vec<(Vec<Vec<usize>>, Values)>>,
}

impl Sizes {
    pub(super) fn new(graph: &Graph, of_sizes: &[bool]) -> Self {
        let makes = |node: &Node| node.outputs.iter().flatten().any(|at| of_sizes[at.index()]);
        let mut kept: BTreeSet<usize> = graph.outputs.iter().map(|id| id.index()).collect();
        for (_, node) in graph.nodes().filter(|(_, node)| !makes(node)) {
            kept.extend(node.uses().map(remuda_ir::ValueId::index));
        }
        let kept = kept.into_iter().filter(|&at| of_sizes[at]).collect();
        Self { kept, known: Mutex::default() }
    }

    /// The sizes by which a run with these inputs is remembered, if that is of use.
    pub(super) fn of(&self, inputs: &[Val]) -> Option<Vec<Vec<usize>>> {
        if self.kept.is_empty() {
            return None;
        }
        inputs.iter().map(|input| Some(input.tensor().ok()?.dims().to_vec())).collect()
    }

    /// What is remembered of a run with inputs of these sizes.
    pub(super) fn recall(&self, sizes: &[Vec<usize>]) -> Option<Values> {
        let mut known = self.lock();
        let at = known.iter().position(|(of, _)| of == sizes)?;
        let found = known.remove(at);
        let values = Arc::clone(&found.1);
        known.insert(0, found);
        Some(values)
    }

    /// Takes from the values of a run what a step has made and others will use.
    pub(super) fn note(
        &self,
        made: &[Option<usize>],
        values: &[Option<Val>],
        notes: &mut Vec<(usize, Val)>,
    ) {
        let kept = made.iter().flatten().filter(|at| self.kept.binary_search(at).is_ok());
        notes.extend(kept.filter_map(|&at| Some((at, values[at].clone()?))));
    }

    pub(super) fn remember(&self, sizes: Vec<Vec<usize>>, notes: Vec<(usize, Val)>) {
        let bytes = |(_, val): &(usize, Val)| val.tensor().map_or(0, |tensor| tensor.byte_len());
        if notes.iter().map(bytes).sum::<usize>() > MAX_BYTES {
            return;
        }
        let mut known = self.lock();
        known.retain(|(of, _)| *of != sizes);
        known.insert(0, (sizes, notes.into()));
        known.truncate(MAX_SIZES);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Vec<Vec<usize>>, Values)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
