//! A graph of ggml for inputs of certain sizes.

use std::sync::{Arc, Weak};

use remuda_ops::Ops;
use remuda_sdk::ir::{Def, ValueId, infer_graph};
use remuda_sdk::tensor::Tensor;
use remuda_sdk::{Failure, with_sizes};

use super::weights::Run;
use super::{GgmlProgram, failure};
use crate::api::{Plan, T};
use crate::cache::{CellCache, Step, Tables};
use crate::lower::{Lowering, Sources, Upload, capacity};

/// What a graph is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) dims: Vec<Vec<usize>>,
    /// What inputs hold that decide sizes.
    pub(super) content: Vec<Vec<i64>>,
    /// The caches, and how many of their cells are looked at.
    pub(super) cells: Vec<(u64, usize)>,
}

/// Where an output comes from.
pub(super) enum Output {
    /// It is an input or a constant.
    Given(ValueId),
    Made(T, Vec<usize>),
}

/// After so many nodes a value is computed for its own sake: ggml goes back from what is computed by
/// recursion, whose depth is bounded so.
const DEEPEST: usize = 1024;

/// A graph with its memory.
pub(super) struct Instance {
    pub(super) key: Key,
    pub(super) plan: Plan,
    pub(super) uploads: Vec<(T, Upload)>,
    pub(super) outputs: Vec<Output>,
    caches: Vec<Weak<Tables>>,
}

// Its tensors are the plan's, the program's weights or tables that `is_alive` asks for.

impl Instance {
    /// Whether the caches that it was made for are still there.
    pub(super) fn is_alive(&self) -> bool {
        self.caches.iter().all(|tables| tables.strong_count() > 0)
    }

    pub(super) fn new(
        program: &GgmlProgram,
        key: Key,
        tensors: &[Tensor],
        steps: &[(&CellCache, Step<'_>)],
    ) -> Result<Self, Failure> {
        let mut graph = with_sizes(&program.region, &program.shaping, tensors);
        infer_graph(&mut graph, &Ops)?;
        let run = Run { program: &program.weights, caches: caches_of(program, &key, steps) };
        let tensors = capacity(&graph);
        let lowering = Lowering::new(program.library, &graph, tensors, Sources::Program(&run));
        let mut lowering = lowering.map_err(|why| failure(None, why))?;
        for (at, (_, node)) in graph.nodes().enumerate() {
            let lowered = lowering.node(node).and_then(|()| {
                if at % DEEPEST == DEEPEST - 1 { lowering.compute(node) } else { Ok(()) }
            });
            lowered.map_err(|why| failure(Some(at), why))?;
        }
        let mut outputs = Vec::new();
        let mut ends = std::mem::take(&mut lowering.effects);
        for &id in &graph.outputs {
            if !matches!(graph.value(id).def, Def::Node(..)) {
                outputs.push(Output::Given(id));
                continue;
            }
            let made = lowering.value(id).and_then(|t| lowering.context.output(t));
            let t = made.map_err(|why| failure(None, why))?;
            let dims = lowering.dims(id).map_err(|why| failure(None, why))?;
            ends.push(t);
            outputs.push(Output::Made(t, dims));
        }
        let uploads = std::mem::take(&mut lowering.uploads);
        let mut plan = Plan::new(lowering.context, tensors, &ends);
        if plan.unsupported(program.device.raw).is_some() {
            let text =
                format!("the {} device does not take it in these sizes", program.device.kind);
            return Err(Failure::Unsupported { node: None, text });
        }
        let memory = program.device.raw.memory_kind();
        let memory = memory.ok_or_else(|| Failure::Internal("the device has no memory".into()))?;
        plan.allocate(memory).map_err(|why| failure(None, why))?;
        let caches = steps.iter().map(|(cache, _)| Arc::downgrade(&cache.tables)).collect();
        Ok(Self { key, plan, uploads, outputs, caches })
    }
}

fn caches_of(
    program: &GgmlProgram,
    key: &Key,
    steps: &[(&CellCache, Step<'_>)],
) -> Vec<(ValueId, [T; 2], i64)> {
    let mut caches = Vec::with_capacity(steps.len());
    for ((used, (cache, _)), &(_, cells)) in program.caches.iter().zip(steps).zip(&key.cells) {
        let tables = [cache.tables.keys.t, cache.tables.values.t];
        caches.push((used.state, tables, i64::try_from(cells).unwrap_or(0)));
    }
    caches
}
