//! Lets shape classes share programs, and with them the weights that lie in these.
//!
//! A part of one class and a part of another on the same target may have nodes in common without being
//! the same. Compiled as they are, the weights of these nodes would lie there twice. So both are cut
//! into pieces, one of which is what they have in common; a piece that several classes have is compiled
//! once. Cutting costs a launch, so it is done only for weights that are worth it.

use remuda_base::{Map, Set};
use remuda_ir::{Graph, NodeId, ValueId};
use remuda_plan::{ClassPlan, Plan};

/// Parts whose common nodes hold fewer bytes stay whole.
const WORTH_SHARING: u64 = 64 << 10;

/// Nodes that a target runs in one go: a part, or a piece of one.
pub(super) struct Piece {
    /// The part, by its place in the plan of its class.
    pub(super) part: usize,
    /// What the part should take.
    pub(super) predicted_ns: u64,
    pub(super) target: usize,
    pub(super) nodes: Vec<NodeId>,
}

/// The pieces of every class, in an order in which they can run.
pub(super) fn pieces(graph: &Graph, plan: &Plan) -> Vec<Vec<Piece>> {
    let shared = Shared::new(graph, plan);
    let of_class = |(class, entry): (usize, &ClassPlan)| {
        let mut pieces = Vec::new();
        for (part, planned) in entry.parts.iter().enumerate() {
            let labelled = planned
                .nodes
                .iter()
                .map(|node| (graph.order()[node.index()], shared.label(class, part, node.index())));
            let cut = cut(graph, labelled.collect());
            let target = planned.provider.index();
            let predicted_ns = planned.compute_ns.saturating_add(planned.launch_ns);
            let piece = |nodes| Piece { part, predicted_ns, target, nodes };
            pieces.extend(cut.into_iter().map(piece));
        }
        pieces
    };
    plan.classes.iter().enumerate().map(of_class).collect()
}

/// A part: its class, and its place in the plan of that.
type PartOf = (usize, usize);

/// Which parts of different classes share weights.
struct Shared<'p> {
    plan: &'p Plan,
    /// Bytes of the nodes that two parts on one target have in common.
    bytes: Map<(PartOf, PartOf), u64>,
}

impl<'p> Shared<'p> {
    fn new(graph: &Graph, plan: &'p Plan) -> Self {
        let mut shared = Self { plan, bytes: Map::new() };
        for (at, (_, node)) in graph.nodes().enumerate() {
            let constants = node.uses().filter_map(|id| graph.value(id).constant());
            let bytes: u64 = constants.map(|tensor| tensor.byte_len() as u64).sum();
            for class in 0..plan.classes.len() {
                let Some(own) = shared.part(class, at) else { continue };
                for other in shared.others(class, at) {
                    *shared.bytes.entry(((class, own), other)).or_insert(0) += bytes;
                }
            }
        }
        shared
    }

    fn part(&self, class: usize, node: usize) -> Option<usize> {
        Some(self.plan.classes[class].placements.get(node)?.part as usize)
    }

    /// The parts of other classes that run a node on the same target.
    fn others(&self, class: usize, node: usize) -> Vec<PartOf> {
        let place = |class: usize| self.plan.classes[class].placements.get(node);
        let Some(own) = place(class) else { return Vec::new() };
        let others = (0..self.plan.classes.len()).filter(|&other| other != class);
        let others = others.filter_map(|other| {
            let there = place(other).filter(|there| there.provider == own.provider)?;
            Some((other, there.part as usize))
        });
        others.collect()
    }

    /// What a node of a part has to be together with: the parts of other classes worth sharing with.
    fn label(&self, class: usize, part: usize, node: usize) -> Vec<PartOf> {
        let worth = |other: &PartOf| {
            self.bytes.get(&((class, part), *other)).is_some_and(|&bytes| bytes >= WORTH_SHARING)
        };
        self.others(class, node).into_iter().filter(worth).collect()
    }
}

/// Cuts nodes, which are in an order in which they can run, so that each piece has one label.
fn cut(graph: &Graph, nodes: Vec<(NodeId, Vec<PartOf>)>) -> Vec<Vec<NodeId>> {
    let mut pieces = Vec::new();
    let mut rest = nodes;
    while let Some((_, label)) = rest.first().cloned() {
        let mut waited_for: Set<ValueId> = Set::new();
        let (mut piece, mut later) = (Vec::new(), Vec::new());
        for (id, own) in rest {
            let Some(node) = graph.node(id) else { continue };
            if own == label && !node.uses().any(|value| waited_for.contains(&value)) {
                piece.push(id);
            } else {
                waited_for.extend(node.outputs.iter().flatten().copied());
                later.push((id, own));
            }
        }
        pieces.push(piece);
        rest = later;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::cut;
    use remuda_ir::{Graph, NodeId, text, verify};

    fn graph() -> Graph {
        let source = "graph \"g\" {\n  input %x: f32[4]\n  %a = Neg(%x)\n  %b = Abs(%x)\n  \
                      %c = Add(%a, %b)\n  %d = Exp(%c)\n  output %d\n}";
        let graph = text::parse(source).unwrap();
        verify(&graph, &remuda_ops::Ops).unwrap();
        graph
    }

    /// The pieces by place, where the nodes have these labels.
    fn cuts(labels: [usize; 4]) -> Vec<Vec<usize>> {
        let graph = graph();
        let order: Vec<NodeId> = graph.order().to_vec();
        let nodes = order.iter().zip(labels).map(|(&id, label)| (id, vec![(1, label)])).collect();
        let place = |id: &NodeId| order.iter().position(|known| known == id).unwrap();
        cut(&graph, nodes).iter().map(|piece| piece.iter().map(place).collect()).collect()
    }

    #[test]
    fn pieces_are_as_large_as_order_allows() {
        assert_eq!(cuts([0, 0, 0, 0]), [vec![0, 1, 2, 3]]);
        assert_eq!(cuts([0, 1, 0, 1]), [vec![0], vec![1], vec![2], vec![3]]);
        assert_eq!(cuts([0, 1, 1, 1]), [vec![0], vec![1, 2, 3]]);
        assert_eq!(cuts([0, 1, 1, 0]), [vec![0], vec![1, 2], vec![3]]);
    }
}
