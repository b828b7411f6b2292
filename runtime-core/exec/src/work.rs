//! The memory that values between nodes take during a run.

use remuda_base::{Map, Set};
use remuda_ir::{Def, Graph, ValueId};

use crate::cost::Sizes;

/// Free blocks by size, and the bytes of all blocks: a run takes the smallest free one that is large
/// enough and not wastefully larger, or a new one.
#[derive(Default)]
struct Blocks {
    free: Map<u64, usize>,
    held: u64,
}

impl Blocks {
    fn take(&mut self, bytes: u64) {
        let fits = bytes..=bytes.saturating_add(bytes / 2);
        let Some((&size, _)) = self.free.range(fits).next() else {
            self.held = self.held.saturating_add(bytes);
            return;
        };
        if let Some(count) = self.free.get_mut(&size) {
            *count -= 1;
            if *count == 0 {
                self.free.remove(&size);
            }
        }
    }

    fn give(&mut self, bytes: u64) {
        *self.free.entry(bytes).or_insert(0) += 1;
    }
}

/// Bytes that a run of a typed graph takes for what its nodes compute, with named dimensions of these
/// sizes; about.
#[must_use]
pub fn work_bytes(graph: &Graph, sizes: Map<String, usize>) -> u64 {
    let sizes = Sizes(sizes);
    let bytes = |id: ValueId| sizes.bytes(graph.value(id).ty.as_ref());
    let computed = |id: &ValueId| matches!(graph.value(*id).def, Def::Node(..));
    let mut last = vec![usize::MAX; graph.value_count()];
    for (place, (_, node)) in graph.nodes().enumerate() {
        node.uses().for_each(|id| last[id.index()] = place);
    }
    graph.outputs.iter().for_each(|id| last[id.index()] = usize::MAX);
    let mut blocks = Blocks::default();
    for (place, (_, node)) in graph.nodes().enumerate() {
        let dies = |id: &ValueId| computed(id) && last[id.index()] == place;
        let dead: Set<ValueId> = node.uses().filter(dies).collect();
        let mut dead: Vec<u64> = dead.into_iter().map(bytes).collect();
        for made in node.outputs.iter().flatten().map(|&id| bytes(id)) {
            // A node writes over an input of the same size that nobody else needs, or views it.
            match dead.iter().position(|&bytes| bytes == made) {
                Some(same) => {
                    dead.swap_remove(same);
                }
                None => blocks.take(made),
            }
        }
        dead.into_iter().for_each(|bytes| blocks.give(bytes));
    }
    blocks.held
}
