//! A graph under change, with the number of uses of every value.
//!
//! Rules ask who uses a value at every node, so the answer must not cost a walk over the graph: uses are
//! counted once, when a sweep begins, and every change keeps the counts true. What nothing uses any more
//! after a rule is dead, with everything that only it used; the dead leave the graph together, at the end.

use std::ops::Deref;

use remuda_ir::{Def, Graph, Inference, Node, NodeId, ValueId};
use remuda_tensor::{Dim, Tensor};

/// A graph that rules change. It reads like a [`Graph`] that lacks the dead nodes.
#[derive(Debug)]
pub struct Rewriter<'g> {
    graph: &'g mut Graph,
    /// What is known of the contents of values.
    known: &'g Inference,
    /// How often nodes use each value.
    uses: Vec<usize>,
    /// Nodes that used each value at some time; some may not any more.
    users: Vec<Vec<NodeId>>,
    /// Whether the graph gives the value out.
    given_out: Vec<bool>,
    /// The places of nodes in the order, by their index.
    places: Vec<usize>,
    /// Nodes that are to leave, by their index.
    dead: Vec<bool>,
    /// Values that lost a use.
    suspects: Vec<ValueId>,
    /// How many uses were looked at.
    work: usize,
}

impl Deref for Rewriter<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.graph
    }
}

impl<'g> Rewriter<'g> {
    pub(crate) fn new(graph: &'g mut Graph, known: &'g Inference) -> Self {
        let nodes = graph.order().iter().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut given_out = vec![false; graph.value_count()];
        graph.outputs.iter().for_each(|output| given_out[output.index()] = true);
        let mut places = vec![0; nodes];
        graph.order().iter().enumerate().for_each(|(place, id)| places[id.index()] = place);
        let mut rewriter = Self {
            uses: vec![0; graph.value_count()],
            users: vec![Vec::new(); graph.value_count()],
            given_out,
            places,
            dead: vec![false; nodes],
            suspects: Vec::new(),
            work: 0,
            known,
            graph,
        };
        for id in rewriter.graph.order().to_vec() {
            rewriter.count_uses(id);
        }
        rewriter
    }

    /// Takes the dead out. How many uses were looked at since the beginning.
    pub(crate) fn finish(self) -> usize {
        let dead = self.dead;
        self.graph.retain(|id| !dead[id.index()]);
        self.work
    }

    /// The node, unless it is dead.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.graph.node(id).filter(|_| !self.dead[id.index()])
    }

    /// What is known of the elements of a value, small and made of shapes.
    pub(crate) fn content(&self, value: ValueId) -> Option<Vec<Dim>> {
        self.known.content(self.graph, value)
    }

    /// Whether exactly one node uses the value, once, and the graph does not give it out.
    #[must_use]
    pub fn is_private(&self, value: ValueId) -> bool {
        self.uses[value.index()] == 1 && !self.given_out[value.index()]
    }

    /// Nodes that use a value, and some that did.
    pub(crate) fn users_of(&self, value: ValueId) -> &[NodeId] {
        &self.users[value.index()]
    }

    /// Whether one node stands before another.
    pub(crate) fn precedes(&self, one: NodeId, other: NodeId) -> bool {
        self.places[one.index()] < self.places[other.index()]
    }

    /// A new constant.
    pub fn add_const(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.graph.add_const(name, tensor);
        self.grow(id)
    }

    /// A new value that no node makes yet.
    pub fn add_pending(&mut self, name: &str) -> ValueId {
        let id = self.graph.add_pending(name);
        self.grow(id)
    }

    fn grow(&mut self, id: ValueId) -> ValueId {
        self.uses.push(0);
        self.users.push(Vec::new());
        self.given_out.push(false);
        id
    }

    /// Puts another node in the place of one, which may be dead.
    pub fn replace(&mut self, id: NodeId, node: Node) {
        let was_dead = std::mem::take(&mut self.dead[id.index()]);
        let Some(old) = self.graph.replace(id, node) else { return };
        self.count_uses(id);
        if !was_dead {
            self.drop_uses(&old);
        }
    }

    /// Turns the outputs of a node into constants.
    pub fn settle(&mut self, id: NodeId, results: Vec<Tensor>) {
        let Some(node) = self.graph.node(id).cloned() else { return };
        for (output, tensor) in node.outputs.iter().zip(results) {
            if let Some(output) = output {
                self.graph.set_const(*output, tensor);
            }
        }
        self.dead[id.index()] = true;
        self.drop_uses(&node);
    }

    /// Lets the nodes that use `from` use `to` instead. The graph must not give `from` out.
    pub fn replace_uses(&mut self, from: ValueId, to: ValueId) {
        let users = std::mem::take(&mut self.users[from.index()]);
        self.work += users.len();
        for &user in &users {
            if let Some(node) = self.graph.node_mut(user) {
                node.replace_use(from, to);
            }
        }
        self.users[to.index()].extend(users);
        self.uses[to.index()] += std::mem::take(&mut self.uses[from.index()]);
        self.suspects.push(from);
    }

    fn count_uses(&mut self, id: NodeId) {
        let Some(node) = self.graph.node(id) else { return };
        for value in node.uses() {
            self.work += 1;
            self.uses[value.index()] += 1;
            self.users[value.index()].push(id);
        }
    }

    fn drop_uses(&mut self, node: &Node) {
        for value in node.uses() {
            self.work += 1;
            self.uses[value.index()] -= 1;
            self.suspects.push(value);
        }
    }

    /// Lets the nodes die whose outputs nothing uses any more, with what only they used. To be called
    /// when a rule has made all its changes: between two of them a node may look useless.
    pub(crate) fn bury(&mut self) {
        while let Some(value) = self.suspects.pop() {
            let Def::Node(id, _) = self.graph.value(value).def else { continue };
            let Some(node) = self.node(id) else { continue };
            let wanted =
                |output: &ValueId| self.uses[output.index()] > 0 || self.given_out[output.index()];
            if !node.outputs.iter().flatten().any(wanted) {
                let node = node.clone();
                self.dead[id.index()] = true;
                self.drop_uses(&node);
            }
        }
    }
}
