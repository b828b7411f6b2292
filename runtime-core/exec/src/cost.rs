//! What a node costs by a roofline: the longer of computing and moving bytes.
//!
//! The rates are measured ones, one for each sort of work, or those of an ordinary core, which are meant
//! to be right to a factor of two or so: they rank nodes against each other until somebody measures.

mod work;

use remuda_base::Map;
use remuda_ir::{Graph, Node, ValueType};
use remuda_tensor::{DType, Dim, TensorType};

use crate::speeds::Speeds;

/// Arithmetic operations per nanosecond of one thread, unless somebody has measured it.
const OPS_PER_NS: f64 = 16.0;
/// Elements of exponentials and the like per nanosecond of one thread.
const FUNCTIONS_PER_NS: f64 = 0.5;
/// Bytes per nanosecond that all threads together move.
const BYTES_PER_NS: f64 = 8.0;
/// What any node costs.
const NODE_NS: f64 = 400.0;
/// What a named dimension counts whose name does not begin with `batch`.
const USUAL_SIZE: usize = 128;
/// Bytes that a value counts of which not even the rank is known.
const USUAL_BYTES: u64 = 4096;

/// How large named dimensions are taken to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sizes(pub(crate) Map<String, usize>);

impl Sizes {
    /// How large a named dimension is taken to be.
    pub(crate) fn named(&self, name: &str) -> usize {
        let small =
            name.len() >= 5 && name.is_char_boundary(5) && name[..5].eq_ignore_ascii_case("batch");
        self.0.get(name).copied().unwrap_or(if small { 1 } else { USUAL_SIZE })
    }

    fn dim(&self, dim: &Dim) -> u64 {
        let fixed = dim.substitute(&|name| Some(Dim::from(self.named(name))));
        fixed.as_usize().unwrap_or(USUAL_SIZE) as u64
    }

    fn dims(&self, ty: &TensorType) -> Option<Vec<u64>> {
        Some(ty.dims.as_ref()?.iter().map(|dim| self.dim(dim)).collect())
    }

    /// Bytes of a value of this type, about.
    pub(crate) fn bytes(&self, ty: Option<&ValueType>) -> u64 {
        let Some(ValueType::Tensor(ty)) = ty else { return USUAL_BYTES };
        let Some(dims) = self.dims(ty) else { return USUAL_BYTES };
        let count = dims.iter().fold(1u64, |count, &dim| count.saturating_mul(dim));
        let bytes = usize::try_from(count).ok().and_then(|count| width(ty.dtype, count));
        bytes.unwrap_or(u64::MAX >> 16)
    }
}

fn width(dtype: DType, count: usize) -> Option<u64> {
    if dtype == DType::String {
        return Some(count as u64 * 16);
    }
    dtype.bytes_for(count).map(|bytes| bytes as u64)
}

/// What a roofline is drawn with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    node_ns: f64,
    ops_per_ns: f64,
    functions_per_ns: f64,
    bytes_per_ns: f64,
}

impl Rates {
    /// Those of an ordinary CPU with so many threads.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn of_cpu(threads: usize) -> Self {
        let threads = threads.max(1) as f64;
        Self {
            node_ns: NODE_NS,
            ops_per_ns: OPS_PER_NS * threads,
            functions_per_ns: FUNCTIONS_PER_NS * threads,
            bytes_per_ns: BYTES_PER_NS,
        }
    }
}

impl From<&Speeds> for Rates {
    fn from(speeds: &Speeds) -> Self {
        let &Speeds { node_ns, ops_per_ns, functions_per_ns, bytes_per_ns, .. } = speeds;
        Self { node_ns, ops_per_ns, functions_per_ns, bytes_per_ns }
    }
}

/// Nanoseconds of a node, with those of its bodies.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(crate) fn of_node(graph: &Graph, node: &Node, sizes: &Sizes, rates: &Rates) -> f64 {
    let values = node.uses().chain(node.outputs.iter().flatten().copied());
    let bytes: u64 =
        values.map(|id| sizes.bytes(graph.value(id).ty.as_ref())).fold(0, u64::saturating_add);
    let work = work::of(graph, node, sizes);
    let compute = work.products / rates.ops_per_ns + work.functions / rates.functions_per_ns;
    let own = rates.node_ns + compute.max(bytes as f64 / rates.bytes_per_ns);
    own + node.attrs.bodies().map(|(_, body)| of_body(&body.graph, node, sizes, rates)).sum::<f64>()
}

/// Nanoseconds of a body: once for a branch of `If`, else as often as a loop is taken to run.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn of_body(body: &Graph, node: &Node, sizes: &Sizes, rates: &Rates) -> f64 {
    let rounds = if &*node.op.name == "If" { 1 } else { USUAL_SIZE };
    let nodes = body.nodes().map(|(_, inner)| of_node(body, inner, sizes, rates));
    nodes.sum::<f64>() * rounds as f64
}

#[cfg(test)]
mod tests {
    use super::{Rates, Sizes, of_node};
    use remuda_base::Map;
    use remuda_ir::{Graph, infer_graph, text, verify};

    fn graph() -> Graph {
        let source = "graph \"g\" {\n  input %x: f32[batch, tokens, 64]\n  input %w: f32[64, 256]\n  \
            %y = MatMul(%x, %w)\n  %z = Neg(%x)\n  output %y, %z\n}";
        let mut graph = text::parse(source).unwrap();
        verify(&graph, &remuda_ops::Ops).unwrap();
        infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
        graph
    }

    #[test]
    fn products_cost_more_than_elementwise_and_grow_with_named_sizes() {
        let graph = graph();
        let cost = |sizes: &Sizes| -> Vec<f64> {
            let rates = Rates::of_cpu(1);
            graph.nodes().map(|(_, node)| of_node(&graph, node, sizes, &rates)).collect()
        };
        let usual = cost(&Sizes::default());
        assert!(usual[0] > 10.0 * usual[1], "{usual:?}");
        let long = cost(&Sizes(Map::from([("tokens".to_owned(), 4096)])));
        assert!(long[0] > 20.0 * usual[0], "{long:?}");
        let batched = cost(&Sizes(Map::from([("batch".to_owned(), 8)])));
        assert!(batched[0] > 5.0 * usual[0], "{batched:?}");
    }
}
