//! What a model is, in numbers.

use remuda_base::Map;
use remuda_ir::{Def, Graph};

/// What a model is, in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Who wrote the file, as it says itself.
    pub producer: String,
    /// The opset of each domain that the file was written for.
    pub opsets: Vec<(String, i64)>,
    /// What the importer wants the user to know.
    pub warnings: Vec<String>,
    /// Nodes of the file by operator, bodies included.
    pub operators: Map<String, usize>,
    /// As [`Self::operators`], of the graph that runs, which is rewritten.
    pub running: Map<String, usize>,
    /// Elements of all constants.
    pub parameters: u64,
    /// Bytes of all constants.
    pub parameter_bytes: u64,
    /// How often each rewrite of the graph applied.
    pub rewrites: Vec<(&'static str, usize)>,
}

impl Summary {
    /// Counts nodes and constants.
    pub(crate) fn count(&mut self, graph: &Graph) {
        for (_, value) in graph.values() {
            if let Def::Const(tensor) = &value.def {
                self.parameters += tensor.len() as u64;
                self.parameter_bytes += tensor.byte_len() as u64;
            }
        }
        for (_, node) in graph.nodes() {
            *self.operators.entry(node.op.to_string()).or_insert(0) += 1;
            node.attrs.bodies().for_each(|(_, body)| self.count(&body.graph));
        }
    }

    /// Counts the nodes of the graph that runs.
    pub(crate) fn count_running(&mut self, graph: &Graph) {
        for (_, node) in graph.nodes() {
            *self.running.entry(node.op.to_string()).or_insert(0) += 1;
            node.attrs.bodies().for_each(|(_, body)| self.count_running(&body.graph));
        }
    }

    /// How many nodes the file holds, bodies included.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.operators.values().sum()
    }
}
