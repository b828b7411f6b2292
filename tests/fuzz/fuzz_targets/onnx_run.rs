//! A model that imports is run on the reference kernels, if all of its values are known to be small:
//! results or a typed error, and what was inferred is true of the results.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use remuda_ir::{Attr, Graph, OpError, Val, ValueType, infer_graph};
use remuda_onnx::{ImportOptions, import};
use remuda_ops::{Ops, Random, cases::fits, interpret, random_tensor};
use remuda_tensor::{Dim, TensorType};

mod input;

/// Elements of one value, and dimensions of one input.
const MAX_ELEMENTS: usize = 4096;
const MAX_DIM: usize = 16;
/// Nodes, the ones of bodies included.
const MAX_NODES: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let options = ImportOptions {
        max_fields: 1 << 16,
        max_structure_bytes: 1 << 21,
        max_copied_bytes: 1 << 18,
        ..ImportOptions::default()
    };
    let Ok(model) = import(Arc::new(input::Bytes(bytes.to_vec())), &options) else { return };
    let mut graph = model.graph;
    let Some(inputs) = small_inputs(&mut graph) else { return };
    if infer_graph(&mut graph, &Ops).is_err() || !is_small(&graph, &mut MAX_NODES.clone()) {
        return;
    }
    match interpret(&graph, &inputs) {
        Ok(outputs) => {
            for (&id, val) in graph.outputs.iter().zip(&outputs) {
                let ty = graph.value(id).ty.as_ref().unwrap();
                assert!(fits(ty, val), "inferred `{ty}`, the run gives {val:?}");
            }
        }
        Err(OpError::Bug(text)) => panic!("{text}"),
        Err(_) => {}
    }
});

/// Gives every input small dimensions, and random elements.
fn small_inputs(graph: &mut Graph) -> Option<Vec<Val>> {
    let mut random = Random::new(1);
    let mut inputs = Vec::new();
    for id in graph.inputs.clone() {
        let Some(ValueType::Tensor(ty)) = graph.value(id).ty.clone() else { return None };
        let dims = ty.dims?.iter().map(|dim| dim.as_usize().unwrap_or(2)).collect::<Vec<_>>();
        let small = dims.len() <= 5 && dims.iter().all(|&dim| dim <= MAX_DIM);
        if !small || dims.iter().product::<usize>() > MAX_ELEMENTS {
            return None;
        }
        inputs.push(random_tensor(&mut random, ty.dtype, &dims).ok()?.into());
        let known = dims.into_iter().map(Dim::from);
        graph.set_type(id, TensorType::new(ty.dtype, known).into());
    }
    Some(inputs)
}

/// Whether every value is a tensor of few elements, and nothing repeats without bound.
fn is_small(graph: &Graph, nodes_left: &mut usize) -> bool {
    let values = graph.values().all(|(_, value)| match &value.ty {
        Some(ValueType::Tensor(ty)) => ty.fixed_dims().is_some_and(|dims| {
            let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
            count.is_some_and(|count| count <= MAX_ELEMENTS)
        }),
        _ => false,
    });
    values
        && graph.nodes().all(|(_, node)| {
            let Some(left) = nodes_left.checked_sub(1) else { return false };
            *nodes_left = left;
            !matches!(&*node.op.name, "Loop" | "SequenceMap")
                && node.attrs.0.values().all(|attr| match attr {
                    Attr::Graph(body) => is_small(&body.graph, nodes_left),
                    _ => true,
                })
        })
}
