//! The graph: an arena of values, an arena of nodes, and an order.

use std::fmt;
use std::sync::Arc;

use remuda_base::Map;
use remuda_tensor::Tensor;

use crate::{Attrs, Def, Value, ValueId, ValueType};

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Its index among all nodes its graph ever had.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The name of an operator: domain and name. ONNX's own domain is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpName {
    /// The domain: empty, `com.microsoft`, `ai.onnx.ml`, `remuda`, or a stranger's.
    pub domain: Arc<str>,
    /// The name in the domain.
    pub name: Arc<str>,
}

impl OpName {
    /// The operator `name` of `domain`.
    #[must_use]
    pub fn new(domain: &str, name: &str) -> Self {
        Self { domain: domain.into(), name: name.into() }
    }

    /// The operator `name` of ONNX's own domain.
    #[must_use]
    pub fn onnx(name: &str) -> Self {
        Self::new("", name)
    }

    /// Whether it is this operator of ONNX's own domain.
    #[must_use]
    pub fn is_onnx(&self, name: &str) -> bool {
        self.domain.is_empty() && &*self.name == name
    }
}

impl fmt::Display for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.domain.is_empty() {
            write!(f, "{}::", self.domain)?;
        }
        f.write_str(&self.name)
    }
}

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name; may be empty, need not be unique.
    pub name: String,
    /// The operator.
    pub op: OpName,
    /// Inputs in the operator's order; `None` where an optional one is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs in the operator's order; `None` where nobody wants it.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes.
    pub attrs: Attrs,
}

impl Node {
    /// A node without a name and attributes.
    #[must_use]
    pub fn new(op: OpName, inputs: Vec<Option<ValueId>>, outputs: Vec<Option<ValueId>>) -> Self {
        Self { name: String::new(), op, inputs, outputs, attrs: Attrs::default() }
    }

    /// Every value it uses: its inputs and what its bodies capture.
    pub fn uses(&self) -> impl Iterator<Item = ValueId> + '_ {
        let captured = self.attrs.bodies().flat_map(|(_, body)| body.captures.iter().copied());
        self.inputs.iter().flatten().copied().chain(captured)
    }

    /// The input at this place, if there is one.
    #[must_use]
    pub fn input(&self, at: usize) -> Option<ValueId> {
        self.inputs.get(at).copied().flatten()
    }

    /// The output at this place, if somebody wants it.
    #[must_use]
    pub fn output(&self, at: usize) -> Option<ValueId> {
        self.outputs.get(at).copied().flatten()
    }

    /// Replaces every use of `from` by `to`.
    pub fn replace_use(&mut self, from: ValueId, to: ValueId) {
        for input in self.inputs.iter_mut().flatten().filter(|input| **input == from) {
            *input = to;
        }
        for body in self.attrs.bodies_mut() {
            for capture in body.captures.iter_mut().filter(|capture| **capture == from) {
                *capture = to;
            }
        }
    }

    /// How messages name the node: `` `blk.3/attn` (Softmax) ``, or `` `Softmax` `` without a name.
    #[must_use]
    pub fn label(&self) -> String {
        if self.name.is_empty() {
            format!("`{}`", self.op)
        } else {
            format!("`{}` ({})", self.name, self.op)
        }
    }
}

/// A graph: a model's, or a body of control flow.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// What the caller gives, in order.
    pub inputs: Vec<ValueId>,
    /// What the caller gets, in order.
    pub outputs: Vec<ValueId>,
    /// For a body: the values it uses of the graph around it.
    pub captures: Vec<ValueId>,
    values: Vec<Value>,
    names: Map<String, ValueId>,
    nodes: Vec<Option<Node>>,
    order: Vec<NodeId>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The value.
    ///
    /// # Panics
    /// When the id is of another graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Every value, used or not.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        (0..).map(ValueId).zip(&self.values)
    }

    /// How many values there are.
    #[must_use]
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// The value of this name.
    #[must_use]
    pub fn find_value(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// Sets the type of a value.
    pub fn set_type(&mut self, id: ValueId, ty: ValueType) {
        self.values[id.index()].ty = Some(ty);
    }

    /// Forgets the type of a value.
    pub fn forget_type(&mut self, id: ValueId) {
        self.values[id.index()].ty = None;
    }

    /// A new value. A name that is taken or empty gets a number behind it.
    pub fn add_value(&mut self, name: &str, ty: Option<ValueType>, def: Def) -> ValueId {
        let id = ValueId(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        let name = self.free_name(name);
        self.names.insert(name.clone(), id);
        self.values.push(Value { name, ty, def });
        id
    }

    fn free_name(&self, wanted: &str) -> String {
        if !wanted.is_empty() && !self.names.contains_key(wanted) {
            return wanted.to_owned();
        }
        let stem = if wanted.is_empty() { "v" } else { wanted };
        let mut number = self.values.len();
        loop {
            let name = format!("{stem}_{number}");
            if !self.names.contains_key(&name) {
                return name;
            }
            // Visits every number; names that were chosen to collide cannot make it long.
            number = number.wrapping_mul(5).wrapping_add(1);
        }
    }

    /// Renames a value; a name that is taken gets a number behind it.
    pub fn rename(&mut self, id: ValueId, name: &str) {
        let old = std::mem::take(&mut self.values[id.index()].name);
        self.names.remove(&old);
        let name = self.free_name(name);
        self.names.insert(name.clone(), id);
        self.values[id.index()].name = name;
    }

    /// A new input.
    pub fn add_input(&mut self, name: &str, ty: Option<ValueType>) -> ValueId {
        let id = self.add_value(name, ty, Def::Input);
        self.inputs.push(id);
        id
    }

    /// A new constant.
    pub fn add_const(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let ty = remuda_tensor::TensorType::new(
            tensor.dtype(),
            tensor.dims().iter().map(|&dim| dim.into()),
        );
        self.add_value(name, Some(ty.into()), Def::Const(tensor))
    }

    /// A new captured value of a body.
    pub fn add_capture(&mut self, name: &str, ty: Option<ValueType>) -> ValueId {
        let id = self.add_value(name, ty, Def::Capture);
        self.captures.push(id);
        id
    }

    /// A new value that no node makes yet.
    pub fn add_pending(&mut self, name: &str) -> ValueId {
        self.add_value(name, None, Def::Nothing)
    }

    /// Turns a value into a constant, whatever made it before.
    pub fn set_const(&mut self, id: ValueId, tensor: Tensor) {
        let ty = remuda_tensor::TensorType::new(
            tensor.dtype(),
            tensor.dims().iter().map(|&dim| dim.into()),
        );
        let value = &mut self.values[id.index()];
        value.ty = Some(ty.into());
        value.def = Def::Const(tensor);
    }

    /// Changes where a value comes from.
    pub fn set_def(&mut self, id: ValueId, def: Def) {
        self.values[id.index()].def = def;
    }

    /// Appends a node; its outputs are from now on made by it.
    pub fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.claim_outputs(id, &node);
        self.nodes.push(Some(node));
        self.order.push(id);
        id
    }

    fn claim_outputs(&mut self, id: NodeId, node: &Node) {
        for (at, output) in node.outputs.iter().enumerate() {
            if let Some(output) = output {
                self.values[output.index()].def = Def::Node(id, at);
            }
        }
    }

    /// The outputs of a node are made by nothing from now on, unless something else took them over.
    fn disclaim_outputs(&mut self, id: NodeId, node: &Node) {
        for output in node.outputs.iter().flatten() {
            let value = &mut self.values[output.index()];
            if matches!(value.def, Def::Node(maker, _) if maker == id) {
                value.def = Def::Nothing;
            }
        }
    }

    /// Appends a node with one new output and returns that.
    pub fn apply(&mut self, op: OpName, inputs: &[ValueId], attrs: Attrs, name: &str) -> ValueId {
        let output = self.add_pending(name);
        let mut node =
            Node::new(op, inputs.iter().copied().map(Some).collect(), vec![Some(output)]);
        node.attrs = attrs;
        self.push(node);
        output
    }

    /// Puts another node in the place of one, under its id.
    pub fn replace(&mut self, id: NodeId, node: Node) -> Option<Node> {
        let old = self.nodes.get_mut(id.index())?.take()?;
        self.disclaim_outputs(id, &old);
        self.claim_outputs(id, &node);
        self.nodes[id.index()] = Some(node);
        Some(old)
    }

    /// The nodes in order.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.order.iter().filter_map(|&id| self.nodes[id.index()].as_ref().map(|node| (id, node)))
    }

    /// The ids of the nodes in order.
    #[must_use]
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// The node, unless it was removed.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index())?.as_ref()
    }

    /// The node, to be changed. Outputs must not be changed this way.
    pub fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.index())?.as_mut()
    }

    /// Takes out all nodes but those to be kept, in one pass. Their outputs are made by nothing from
    /// now on, unless something else took them over.
    pub fn retain(&mut self, mut keep: impl FnMut(NodeId) -> bool) {
        for id in std::mem::take(&mut self.order) {
            if keep(id) {
                self.order.push(id);
            } else if let Some(node) = self.nodes[id.index()].take() {
                self.disclaim_outputs(id, &node);
            }
        }
    }

    /// For every value the nodes that use it, in order; a node that uses it twice is listed once.
    #[must_use]
    pub fn users(&self) -> Vec<Vec<NodeId>> {
        let mut users = vec![Vec::new(); self.values.len()];
        for (id, node) in self.nodes() {
            for used in node.uses() {
                let list: &mut Vec<NodeId> = &mut users[used.index()];
                if list.last() != Some(&id) {
                    list.push(id);
                }
            }
        }
        users
    }

    /// Orders the nodes so that every value is made before it is used, keeping the present order
    /// where it can. False if there is a cycle; the order is then unchanged.
    pub fn sort(&mut self) -> bool {
        let place: Map<NodeId, usize> =
            self.order.iter().enumerate().map(|(at, &id)| (id, at)).collect();
        let users = self.users();
        let mut waits: Vec<usize> = vec![0; self.order.len()];
        for (at, &id) in self.order.iter().enumerate() {
            waits[at] = self.producers(id).count();
        }
        let mut ready: std::collections::BTreeSet<usize> =
            (0..waits.len()).filter(|&at| waits[at] == 0).collect();
        let mut sorted = Vec::with_capacity(self.order.len());
        let mut done = vec![false; self.order.len()];
        while let Some(at) = ready.pop_first() {
            let id = self.order[at];
            sorted.push(id);
            done[at] = true;
            let outputs = self.node(id).into_iter().flat_map(|node| node.outputs.iter().flatten());
            for user in outputs.flat_map(|output| &users[output.index()]) {
                let made = self.producers(*user).filter(|&producer| producer == id).count();
                let user_at = place[user];
                waits[user_at] = waits[user_at].saturating_sub(made);
                if waits[user_at] == 0 && !done[user_at] {
                    ready.insert(user_at);
                }
            }
        }
        let complete = sorted.len() == self.order.len();
        if complete {
            self.order = sorted;
        }
        complete
    }

    /// The nodes that make what this node uses, once for each use.
    fn producers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.node(id).into_iter().flat_map(Node::uses).filter_map(|used| {
            match self.value(used).def {
                Def::Node(maker, _) => Some(maker),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Graph, Node, OpName};
    use crate::Def;

    #[test]
    fn sorting_repairs_the_order_and_sees_cycles() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", None);
        let (a, b) = (graph.add_pending("a"), graph.add_pending("b"));
        graph.push(Node::new(OpName::onnx("Neg"), vec![Some(a)], vec![Some(b)]));
        let first = graph.push(Node::new(OpName::onnx("Abs"), vec![Some(x)], vec![Some(a)]));
        assert!(graph.sort());
        assert_eq!(graph.order()[0], first);
        graph.node_mut(first).unwrap().inputs[0] = Some(b);
        assert!(!graph.sort());
    }

    #[test]
    fn a_removed_node_leaves_its_outputs_unmade() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", None);
        let y = graph.apply(OpName::onnx("Abs"), &[x], Default::default(), "x");
        assert_ne!(graph.value(y).name, "x", "a taken name is made unique");
        graph.retain(|_| false);
        assert_eq!(graph.value(y).def, Def::Nothing);
        assert_eq!(graph.nodes().count(), 0);
    }

    #[test]
    fn a_replacement_stands_where_the_old_node_stood() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", None);
        let a = graph.apply(OpName::onnx("Abs"), &[x], Default::default(), "a");
        let b = graph.apply(OpName::onnx("Neg"), &[a], Default::default(), "b");
        let (first, c) = (graph.order()[0], graph.add_pending("c"));
        graph.replace(first, Node::new(OpName::onnx("Exp"), vec![Some(x)], vec![Some(c)]));
        assert_eq!(graph.order()[0], first);
        assert_eq!(
            (&graph.value(a).def, &graph.value(c).def),
            (&Def::Nothing, &Def::Node(first, 0))
        );
        assert!(matches!(graph.value(b).def, Def::Node(_, 0)));
    }
}
