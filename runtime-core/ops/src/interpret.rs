//! Runs nodes and graphs on the reference kernels.

use remuda_ir::{
    BodyRunner, Def, Graph, KernelCtx, NoBodies, Node, OpError, StateRef, Val, ValueId, ValueType,
};

use crate::{Ops, PlainState, find};

/// Runs one node without bodies on its reference kernel.
///
/// # Errors
/// When no definition is known, or the kernel refuses its inputs.
pub fn evaluate(node: &Node, inputs: &[Option<Val>]) -> Result<Vec<Val>, OpError> {
    run_node(node, inputs, &NoBodies)
}

fn run_node(
    node: &Node,
    inputs: &[Option<Val>],
    bodies: &dyn BodyRunner,
) -> Result<Vec<Val>, OpError> {
    let def = find(&node.op.domain, &node.op.name)
        .ok_or_else(|| OpError::Unsupported(format!("operator `{}` is not known", node.op)))?;
    (def.reference)(&KernelCtx { node, inputs, bodies })
}

/// Runs a graph on the reference kernels. `inputs` are in the order of the graph's inputs.
///
/// # Errors
/// When an input is missing or a node fails; the message names the node.
pub fn interpret(graph: &Graph, inputs: &[Val]) -> Result<Vec<Val>, OpError> {
    run_graph(graph, inputs.to_vec(), Vec::new(), &[])
}

/// As [`interpret`], with the graph's states, in the order of its values. Those that are not given
/// start empty and end with the run.
///
/// # Errors
/// As for [`interpret`]; the states then hold some of the run's positions.
pub fn interpret_with(
    graph: &Graph,
    inputs: &[Val],
    states: &[StateRef],
) -> Result<Vec<Val>, OpError> {
    run_graph(graph, inputs.to_vec(), Vec::new(), states)
}

struct Bodies<'a> {
    node: &'a Node,
    values: &'a [Option<Val>],
}

impl BodyRunner for Bodies<'_> {
    fn run_body(&self, attr: &str, inputs: Vec<Val>) -> Result<Vec<Val>, OpError> {
        let body = self.node.attrs.body(attr)?;
        let body = body.ok_or_else(|| OpError::Invalid(format!("there is no body `{attr}`")))?;
        let captured =
            body.captures.iter().map(|&id| take(self.values, id)).collect::<Result<_, _>>()?;
        run_graph(&body.graph, inputs, captured, &[])
    }
}

fn take(values: &[Option<Val>], id: ValueId) -> Result<Val, OpError> {
    values[id.index()]
        .clone()
        .ok_or_else(|| OpError::Bug(format!("value {} is not there", id.index())))
}

fn run_graph(
    graph: &Graph,
    inputs: Vec<Val>,
    captured: Vec<Val>,
    states: &[StateRef],
) -> Result<Vec<Val>, OpError> {
    let mut values: Vec<Option<Val>> = vec![None; graph.value_count()];
    let mut states = states.iter();
    for (id, value) in graph.values() {
        values[id.index()] = match (&value.def, &value.ty) {
            (Def::Const(tensor), _) => Some(tensor.contiguous().into()),
            (Def::State, Some(ValueType::State(ty))) => Some(Val::State(match states.next() {
                Some(state) => state.clone(),
                None => PlainState::shared(ty)?,
            })),
            _ => None,
        };
    }
    if inputs.len() != graph.inputs.len() {
        let text = format!("expected {} inputs, got {}", graph.inputs.len(), inputs.len());
        return Err(OpError::Invalid(text));
    }
    for (&id, val) in graph.inputs.iter().zip(inputs).chain(graph.captures.iter().zip(captured)) {
        values[id.index()] = Some(val);
    }
    let last_use = last_uses(graph);
    for (place, (_, node)) in graph.nodes().enumerate() {
        let inputs = node.inputs.iter().map(|id| id.map(|id| take(&values, id)).transpose());
        let inputs: Vec<Option<Val>> = inputs.collect::<Result<_, _>>()?;
        let made = run_node(node, &inputs, &Bodies { node, values: &values })
            .map_err(|error| error.at(&format!("node {}", node.label())))?;
        for (output, val) in node.outputs.iter().zip(made) {
            if let Some(id) = output {
                values[id.index()] = Some(val);
            }
        }
        for used in node.uses().filter(|used| last_use[used.index()] == Some(place)) {
            values[used.index()] = None;
        }
    }
    graph.outputs.iter().map(|&id| take(&values, id)).collect()
}

/// For each value the place of the node that uses it last; `None` if the graph gives it out.
fn last_uses(graph: &Graph) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.value_count()];
    for (place, (_, node)) in graph.nodes().enumerate() {
        node.uses().for_each(|used| last[used.index()] = Some(place));
    }
    graph.outputs.iter().for_each(|output| last[output.index()] = None);
    last
}

/// Infers the output types of a one-node graph; what `infer` cases check.
pub(crate) fn infer_outputs(graph: &Graph) -> Result<Vec<Option<ValueType>>, OpError> {
    let mut graph = graph.clone();
    remuda_ir::infer_graph(&mut graph, &Ops)?;
    Ok(graph.outputs.iter().map(|&id| graph.value(id).ty.clone()).collect())
}
