//! Finds the layers of a model: runs of nodes that repeat, one after the other.
//!
//! Nodes are compared by what can be told without their neighbours: operator, number of weights, number
//! of inputs, bytes of outputs. A graph in which each node looks like the one a *period* later repeats
//! with that period; the periods worth a look are the distances between nodes and the next ones like
//! them. Where a layer begins cannot be told from this, so layers are cut where the fewest bytes pass
//! from one to the next. All of it takes time linear in the graph.
//!
//! A wrong guess costs time, no more: whether blocks are really equal is checked before they are used as
//! such, and what comes of it competes with everything else.

use remuda_base::Map;

use crate::problem::Problem;

/// Nodes like it that are looked for in front of each node.
const LOOK_BACK: usize = 4;
/// Periods that are tried: those seen most often.
const MOST_PERIODS: usize = 16;

impl Problem {
    /// Fills in [`Node::block`](crate::Node::block): which nodes belong to which copy of a repeated layer. The nodes must be
    /// listed in an order in which they can run.
    pub fn mark_blocks(&mut self) {
        let words = words(self);
        let passing = passing(self);
        self.nodes.iter_mut().for_each(|node| node.block = None);
        let mut next = 0;
        for run in runs(&words) {
            let (first, count) = run.blocks(&passing);
            let blocks = self.nodes[first..].chunks_exact_mut(run.period).take(count);
            for (block, nodes) in (next..).zip(blocks) {
                nodes.iter_mut().for_each(|node| node.block = Some(block));
            }
            next += count as u32;
        }
    }
}

/// What can be told of each node without its neighbours, as a number: equal for nodes that look alike.
fn words(problem: &Problem) -> Vec<u32> {
    let mut inputs = vec![0u64; problem.nodes.len()];
    let mut outputs: Vec<Vec<u64>> = vec![Vec::new(); problem.nodes.len()];
    for tensor in &problem.tensors {
        for consumer in &tensor.consumers {
            inputs[consumer.index()] += 1;
        }
        if let Some(producer) = tensor.producer {
            outputs[producer.index()].push(tensor.bytes.first().copied().unwrap_or(0));
        }
    }
    let mut known = Map::new();
    let mut words = Vec::with_capacity(problem.nodes.len());
    for (node, (inputs, outputs)) in problem.nodes.iter().zip(inputs.into_iter().zip(outputs)) {
        let fresh = known.len() as u32;
        let look = (node.op.as_str(), node.tied, node.weights.len(), inputs, outputs);
        words.push(*known.entry(look).or_insert(fresh));
    }
    words
}

/// Per place in the order, the bytes that are made before it and used from it on.
fn passing(problem: &Problem) -> Vec<u64> {
    let mut begins = vec![0u64; problem.nodes.len() + 1];
    let mut ends = begins.clone();
    for tensor in &problem.tensors {
        let last = tensor.consumers.iter().map(|consumer| consumer.index()).max();
        if let (Some(producer), Some(last)) = (tensor.producer, last) {
            let bytes = tensor.bytes.first().copied().unwrap_or(0);
            let places = (producer.index() + 1, last + 1);
            begins[places.0] = begins[places.0].saturating_add(bytes);
            ends[places.1] = ends[places.1].saturating_add(bytes);
        }
    }
    let mut alive = 0u64;
    let sum = begins.iter().zip(ends).map(|(begin, end)| {
        alive = alive.saturating_add(*begin).saturating_sub(end);
        alive
    });
    sum.collect()
}

/// Nodes that repeat with a period, at least twice.
struct Run {
    start: usize,
    end: usize,
    period: usize,
}

impl Run {
    fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Where the first block begins and how many there are: cut where least passes, and of such cuts at
    /// the one with the most blocks.
    fn blocks(&self, passing: &[u64]) -> (usize, usize) {
        let count = |first: usize| (self.end - first) / self.period;
        let firsts = self.start..self.start + self.period;
        let whole = firsts.filter(|&first| count(first) > 1);
        // What passes into the second block: the first may begin with what the model begins with.
        let order = |first: &usize| {
            (passing[first + self.period], std::cmp::Reverse(count(*first)), *first)
        };
        let first = whole.min_by_key(order).unwrap_or(self.start);
        (first, count(first))
    }
}

/// The runs in a sequence of words, the longest first, none in another's place.
fn runs(words: &[u32]) -> Vec<Run> {
    let mut found: Vec<Run> =
        periods(words).into_iter().flat_map(|period| runs_of(words, period)).collect();
    found.sort_by_key(|run| (std::cmp::Reverse(run.end - run.start), run.period, run.start));
    let mut chosen: Vec<Run> = Vec::new();
    for run in found {
        if !chosen.iter().any(|other| other.overlaps(&run)) {
            chosen.push(run);
        }
    }
    chosen.sort_by_key(|run| run.start);
    chosen
}

/// The distances between nodes that look alike which occur most often.
fn periods(words: &[u32]) -> Vec<usize> {
    let mut places: Map<u32, Vec<usize>> = Map::new();
    let mut seen: Map<usize, usize> = Map::new();
    for (at, &word) in words.iter().enumerate() {
        let before = places.entry(word).or_default();
        for place in before.iter().rev().take(LOOK_BACK) {
            *seen.entry(at - place).or_default() += 1;
        }
        before.push(at);
    }
    let mut periods: Vec<(usize, usize)> = seen.into_iter().collect();
    periods.sort_by_key(|&(period, count)| (std::cmp::Reverse(count), period));
    periods.into_iter().take(MOST_PERIODS).map(|(period, _)| period).collect()
}

/// Where the sequence repeats with this period.
fn runs_of(words: &[u32], period: usize) -> Vec<Run> {
    let mut found = Vec::new();
    let mut start = 0;
    for at in 0..=words.len() - period {
        let repeats = words.get(at + period).is_some_and(|word| *word == words[at]);
        if repeats {
            continue;
        }
        if at - start >= period {
            found.push(Run { start, end: at + period, period });
        }
        start = at + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::ids::NodeId;
    use crate::problem::{Node, Problem, Tensor};

    /// Nodes of these operators, each reading what the one before makes; what passes over a bar is small.
    fn marked(ops: &str) -> Vec<Option<u32>> {
        let mut problem = Problem::default();
        for piece in ops.split_inclusive('|') {
            for op in piece.chars().filter(|op| *op != '|') {
                let at = problem.nodes.len();
                problem.add_node(Node { op: op.into(), ..Node::default() });
                if let Some(before) = at.checked_sub(1) {
                    problem.tensors[before].consumers.push(NodeId::from(at));
                }
                let producer = Some(NodeId::from(at));
                problem.add_tensor(Tensor { producer, bytes: vec![100], ..Tensor::default() });
            }
            if let Some(last) = problem.tensors.last_mut().filter(|_| piece.ends_with('|')) {
                last.bytes = vec![1];
            }
        }
        problem.mark_blocks();
        problem.nodes.iter().map(|node| node.block).collect()
    }

    fn shown(blocks: &[Option<u32>]) -> String {
        blocks.iter().map(|block| block.map_or('-', |at| char::from(b'0' + at as u8))).collect()
    }

    #[test]
    fn layers_are_found_between_what_comes_before_and_after() {
        assert_eq!(shown(&marked("e|nqkvao|nqkvao|nqkvao|h")), "-000000111111222222-");
        assert_eq!(shown(&marked("abcdef")), "------");
        assert_eq!(shown(&marked("")), "");
        assert_eq!(shown(&marked("e|rrrr")), "-0123");
    }

    #[test]
    fn layers_are_cut_where_least_passes() {
        // The last layer is followed by what a layer begins with.
        assert_eq!(shown(&marked("e|nab|nab|nab|n")), "-000111222-");
        // What repeats begins in the middle of a layer.
        assert_eq!(shown(&marked("xb|nab|nab|nab|h")), "--000111222-");
    }

    #[test]
    fn operators_that_a_layer_has_several_times_do_not_hide_it() {
        assert_eq!(shown(&marked("e|ffgg|ffgg|ffgg|ffgg|")), "-0000111122223333");
        assert_eq!(shown(&marked("e|nmmmnmm|nmmmnmm|nmmmnmm|nh")), "-000000011111112222222--");
    }

    #[test]
    fn an_encoder_and_a_decoder_are_two_runs() {
        let blocks = marked("x|nab|nab|nab|y|ncabd|ncabd|ncabd|z");
        assert_eq!(shown(&blocks), "-000111222-333334444455555-");
    }
}
