//! How much memory a run of a graph takes whose dimensions are numbers: the arena's blocks, followed from
//! node to node as a run takes and gives them back, rows made ready for products, and what kernels say
//! that they need.

use remuda_base::{Map, Set};
use remuda_ir::{Graph, Node, ValueId};
use remuda_kernels::block::{Activations, Grain};

use super::fixed::{bytes_of, fixed_values};
use super::strided::strided_values;
use super::{Settings, last_uses};
use crate::arena::{block_bytes, fitting};
use crate::kernel::{Needs, Preparation};
use crate::kernels;

/// Bytes that a run takes beside its inputs, constants and states. What depends on dimensions that are
/// no numbers counts nothing.
#[must_use]
pub fn workspace_bytes(graph: &Graph, settings: &Settings) -> u64 {
    let fixed = fixed_values(graph);
    let mut run = Walk::new(graph, last_uses(graph, &fixed));
    let strided = strided_values(graph);
    let Settings { isa, packs, .. } = *settings;
    for (number, (_, node)) in graph.nodes().enumerate() {
        if node.outputs.iter().flatten().any(|output| fixed[output.index()]) {
            continue;
        }
        let widened = false;
        let (fixed, strided) = (&fixed[..], &strided[..]);
        let preparation = Preparation { graph, node, isa, fixed, strided, widened, packs };
        let kernel = if settings.fast { kernels::prepare(&preparation) } else { None };
        let needs = kernel.map_or_else(Needs::default, |kernel| kernel.needs(&preparation));
        run.step(number, node, needs);
    }
    let threads = run.thread_bytes.saturating_mul(settings.pool.size());
    let operands = run.operand_bytes[0].saturating_add(run.operand_bytes[1]);
    let all = [run.block_bytes, operands, run.run_bytes, threads];
    all.into_iter().fold(0, |sum, bytes| sum.saturating_add(bytes as u64))
}

/// Operators whose output is their first input under other dimensions.
const VIEWS: [&str; 5] = ["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

/// A block of the arena, by its place among all.
type Block = usize;

/// A run, without computing.
struct Walk<'a> {
    graph: &'a Graph,
    last: Vec<Option<usize>>,
    /// Size and holders of every block that is in use.
    blocks: Vec<(usize, usize)>,
    of_value: Vec<Option<Block>>,
    free: Map<usize, usize>,
    block_bytes: usize,
    /// The rows that are ready to be multiplied, and how they were made.
    ready: Option<(Block, Grain, [usize; 2])>,
    /// The most that ready rows take as bytes, and as floats.
    operand_bytes: [usize; 2],
    run_bytes: usize,
    thread_bytes: usize,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph, last: Vec<Option<usize>>) -> Self {
        Self {
            graph,
            last,
            blocks: Vec::new(),
            of_value: vec![None; graph.value_count()],
            free: Map::new(),
            block_bytes: 0,
            ready: None,
            operand_bytes: [0; 2],
            run_bytes: 0,
            thread_bytes: 0,
        }
    }

    fn step(&mut self, number: usize, node: &Node, needs: Needs) {
        let view = node.op.domain.is_empty() && VIEWS.contains(&&*node.op.name);
        let dying = |walk: &Self, id: &ValueId| walk.last[id.index()] == Some(number);
        for output in node.outputs.iter().flatten() {
            let bytes = bytes_of(self.graph, *output).unwrap_or(0);
            let block = if view {
                node.input(0).and_then(|id| self.of_value[id.index()])
            } else if needs.in_place {
                let mut own = node.uses().filter(|id| dying(self, id));
                own.find_map(|id| self.of_value[id.index()].filter(|&b| self.fits(b, bytes)))
            } else {
                None
            };
            let block = match block {
                Some(block) => {
                    self.blocks[block].1 += 1;
                    block
                }
                None => self.take(bytes),
            };
            self.of_value[output.index()] = Some(block);
        }
        self.account(node, needs);
        let dead: Set<ValueId> = node.uses().filter(|id| dying(self, id)).collect();
        for id in dead {
            if let Some(block) = self.of_value[id.index()].take() {
                self.give(block);
            }
        }
    }

    /// Whether a value in this block alone holds it, and another of so many bytes can take its place.
    fn fits(&self, block: Block, bytes: usize) -> bool {
        let (size, holders) = self.blocks[block];
        holders == 1 && block_bytes(bytes) == Some(size)
    }

    /// What a kernel takes beside its output.
    fn account(&mut self, node: &Node, needs: Needs) {
        self.run_bytes = self.run_bytes.max(needs.run_bytes);
        self.thread_bytes = self.thread_bytes.max(needs.thread_bytes);
        let Some((grain, sizes)) = needs.operands else { return };
        let most = &mut self.operand_bytes[usize::from(grain == Grain::Float)];
        *most = (*most).max(Activations::bytes(grain, sizes));
        // Rows that the caller gave take no block.
        let rows = node.input(0).and_then(|id| self.of_value[id.index()]);
        if rows.is_some() && self.ready == rows.map(|rows| (rows, grain, sizes)) {
            return;
        }
        rows.into_iter().for_each(|rows| self.blocks[rows].1 += 1);
        let before = std::mem::replace(&mut self.ready, rows.map(|rows| (rows, grain, sizes)));
        before.into_iter().for_each(|(before, ..)| self.give(before));
    }

    fn take(&mut self, bytes: usize) -> Block {
        let size = block_bytes(bytes).unwrap_or(usize::MAX);
        let found = self.free.range_mut(fitting(size)).next();
        let found = found.map(|(&found, count)| {
            *count -= 1;
            (found, *count)
        });
        match found {
            Some((found, 0)) => {
                self.free.remove(&found);
            }
            Some(_) => {}
            None => self.block_bytes = self.block_bytes.saturating_add(size),
        }
        self.blocks.push((found.map_or(size, |(found, _)| found), 1));
        self.blocks.len() - 1
    }

    /// Counts one holder less; a block that nobody holds is free.
    fn give(&mut self, block: Block) {
        let (size, holders) = &mut self.blocks[block];
        *holders -= 1;
        if *holders == 0 {
            *self.free.entry(*size).or_insert(0) += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remuda_ir::{Val, infer_graph, text, verify};
    use remuda_kernels::ThreadPool;
    use remuda_kernels::block::{Activations, Grain, scratch_bytes};
    use remuda_simd::Isa;
    use remuda_tensor::{DType, Tensor};

    use super::super::{Program, RunOptions};
    use super::{Settings, workspace_bytes};
    use crate::Arena;

    const THREADS: usize = 2;

    /// What is planned for a graph of f32, and the bytes of the blocks that a run leaves in the arena.
    fn planned_and_held(body: &str) -> (usize, usize) {
        let mut graph = text::parse(&format!("graph \"g\" {{\n{body}\n}}")).unwrap();
        verify(&graph, &remuda_ops::Ops).unwrap();
        infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
        let pool = Arc::new(ThreadPool::new(THREADS).unwrap());
        let settings = Settings { pool, isa: Isa::best(), fast: true, packs: true, kept: None };
        let planned = workspace_bytes(&graph, &settings);
        let zeros = |&id: &remuda_ir::ValueId| {
            let dims = graph.value(id).ty.as_ref()?.as_tensor()?.fixed_dims()?;
            Some(Val::from(Tensor::zeros(DType::F32, dims).ok()?))
        };
        let inputs = graph.inputs.iter().map(zeros).collect::<Option<Vec<_>>>().unwrap();
        let program = Program::new(&graph, &settings).unwrap();
        // What the caller still holds is no memory of the run.
        program.run(inputs.clone(), &RunOptions::default()).unwrap();
        let held = program.lock_arenas().iter().map(Arena::held_bytes).sum();
        drop(inputs);
        (usize::try_from(planned).unwrap(), held)
    }

    /// The sum that leaves the arena.
    const SUM: usize = 256;

    #[test]
    fn elementwise_work_is_planned_as_it_is_done() {
        let (planned, held) = planned_and_held(
            "  input %x: f32[300, 100]\n  %a = Exp(%x)\n  %b = Neg(%a)\n  %c = Add(%a, %b)\n  \
             %d = Abs(%c)\n  %s = ReduceSum(%d) {keepdims = 0}\n  output %s",
        );
        assert_eq!((planned, held), (2 * 120_064 + SUM, 2 * 120_064));
    }

    #[test]
    fn rows_of_products_stay_until_others_are_made_ready() {
        let (planned, held) = planned_and_held(
            "  input %x: f32[40, 64]\n  input %w: f32[96, 64]\n  input %v: f32[64, 96]\n  \
             %y = remuda::Linear(%x, %w)\n  %z = remuda::Linear(%y, %v)\n  %a = Neg(%z)\n  \
             %b = remuda::Linear(%a, %w)\n  %s = ReduceSum(%b) {keepdims = 0}\n  output %s",
        );
        // `y` is held while `z` is negated in place and until its rows are ready: `b` cannot have its block.
        let blocks = 4 * 40 * (96 + 64 + 96);
        let ready = Activations::bytes(Grain::Float, [40, 96]);
        let scratch = THREADS * scratch_bytes(Grain::Float, 40);
        assert_eq!((planned, held), (blocks + SUM + ready + scratch, blocks));
    }

    #[test]
    fn sizes_that_are_not_known_count_nothing() {
        let mut graph =
            text::parse("graph \"g\" {\n  input %x: f32[n]\n  %y = Exp(%x)\n  output %y\n}")
                .unwrap();
        infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
        let pool = Arc::new(ThreadPool::single());
        let settings = Settings { pool, isa: Isa::best(), fast: true, packs: true, kept: None };
        assert!(workspace_bytes(&graph, &settings) < 1024);
    }
}
