//! Whether the sizes of a model's inputs tell how long a run takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use remuda_ir::{Graph, ValueId, ValueType};
use remuda_tensor::Dim;

/// Whether the sizes of inputs tell those of all values, and nothing is repeated or left out by what values say.
pub(super) fn is_predictable(graph: &Graph) -> bool {
    let mut told = BTreeSet::new();
    for dim in graph.inputs.iter().filter_map(|&id| dims(graph, id)).flatten() {
        dim.symbols(&mut told);
    }
    let known = |dim: &Dim| {
        let mut needed: BTreeSet<Arc<str>> = BTreeSet::new();
        dim.symbols(&mut needed);
        !matches!(dim, Dim::Unknown) && needed.is_subset(&told)
    };
    let straight = graph.nodes().all(|(_, node)| node.attrs.bodies().next().is_none());
    let mut values = graph
        .nodes()
        .flat_map(|(_, node)| node.outputs.iter().flatten().copied())
        .chain(graph.inputs.iter().copied());
    straight && values.all(|id| dims(graph, id).is_some_and(|dims| dims.iter().all(known)))
}

fn dims(graph: &Graph, id: ValueId) -> Option<&[Dim]> {
    graph.value(id).ty.as_ref().and_then(ValueType::as_tensor)?.dims.as_deref()
}

#[cfg(test)]
mod tests {
    use super::is_predictable;
    use remuda_ir::{infer_graph, text, verify};

    fn predictable(nodes: &str) -> bool {
        let source = format!(
            "graph \"g\" {{\n  input %x: f32[n]\n  input %c: bool[]\n{nodes}\n  output %y\n}}"
        );
        let mut graph = text::parse(&source).unwrap();
        verify(&graph, &remuda_ops::Ops).unwrap();
        infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
        is_predictable(&graph)
    }

    #[test]
    fn sizes_tell_unless_values_do() {
        assert!(predictable("  %s = Shape(%x)\n  %z = ConstantOfShape(%s)\n  %y = Add(%x, %z)"));
        assert!(!predictable("  %y = NonZero(%x)"));
        let branch = |name: &str| {
            format!(
                "graph \"{name}\" {{\n    capture %i: f32[n]\n    %o = Neg(%i)\n    output %o\n  }} (%x)"
            )
        };
        let (one, other) = (branch("e"), branch("t"));
        let node = format!("  %y = If(%c) {{else_branch = {one}, then_branch = {other}}}");
        assert!(!predictable(&node));
    }
}
