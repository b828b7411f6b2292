//! Scan of opset 8, which worked on batches: a scan over the batch whose body scans one sequence.

use remuda_ir::{Attr, Attrs, Body, Draft, Graph, Node, OpError, OpName, ValueId};

/// Wraps the node into a scan over axis 0 of all its inputs.
pub(super) fn unbatch(draft: &mut Draft<'_>) -> Result<(), OpError> {
    if draft.node.input(0).is_some() {
        return Err(OpError::unsupported("input `sequence_lens` of Scan below opset 9"));
    }
    let inputs: Vec<ValueId> = draft.node.inputs.iter().skip(1).flatten().copied().collect();
    let attrs = std::mem::take(&mut draft.node.attrs);
    let body = one_sequence(attrs, inputs.len(), draft.node.outputs.len())?;
    let outer = &mut draft.node.attrs;
    outer.set("num_scan_inputs", Attr::Int(inputs.len() as i64));
    outer.set("body", Attr::Graph(Box::new(body)));
    draft.node.inputs = inputs.into_iter().map(Some).collect();
    Ok(())
}

/// The body that scans one sequence of the batch with the attributes of the old node.
fn one_sequence(mut attrs: Attrs, inputs: usize, outputs: usize) -> Result<Body, OpError> {
    if let Some(directions) = attrs.take("directions") {
        attrs.set("scan_input_directions", directions);
    }
    let Some(Attr::Graph(mut inner)) = attrs.take("body") else {
        return Err(OpError::invalid("attribute `body` is missing"));
    };
    let mut graph = Graph::new("one_sequence");
    let given = (0..inputs).map(|_| Some(graph.add_input("in", None))).collect();
    let captures = std::mem::take(&mut inner.captures);
    inner.captures = captures.iter().map(|_| graph.add_capture("captured", None)).collect();
    attrs.set("body", Attr::Graph(inner));
    let made: Vec<ValueId> = (0..outputs).map(|_| graph.add_pending("out")).collect();
    graph.outputs.clone_from(&made);
    let mut node = Node::new(OpName::onnx("Scan"), given, made.into_iter().map(Some).collect());
    node.attrs = attrs;
    graph.push(node);
    Ok(Body { graph, captures })
}
