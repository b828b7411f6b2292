//! Types of all values of a graph, by the shape rules of its operators.
//!
//! The same rules serve three callers: the importer (symbolic dimensions), the planner (one shape
//! class) and a run (numbers). Whole numbers that are computed from shapes are followed through the
//! graph as [`Dim`]s, so that `Reshape(x, Concat(Shape(x)[0], -1))` has a known type.

use std::cell::Cell;

use remuda_base::Map;
use remuda_tensor::{Dim, Tensor, TensorType};

use crate::context::MAX_CONTENT;
use crate::{
    Body, Def, Graph, InferCtx, InferInput, Inferred, Node, NodeId, OpDef, OpError, OpTable,
    ValueId, ValueType,
};

/// What inference has found so far, beside the types in the graph.
type Contents = Map<ValueId, Vec<Dim>>;

/// Infers the type of every value of a graph and of its bodies, and sets it. Types that were
/// declared are refined, and must agree.
///
/// # Errors
/// When a node breaks a rule of its operator; the message names the node.
pub fn infer_graph(graph: &mut Graph, ops: &dyn OpTable) -> Result<(), OpError> {
    Inference::of(graph, ops).map(|_| ())
}

/// Bodies in bodies, deeper than any real model nests them.
const MAX_DEPTH: usize = 32;

/// How often the nodes of a body may be inferred, on average. A loop infers its body more than once,
/// with every loop in it again: that must not grow beyond all bounds.
const MAX_VISITS: usize = 64;

/// What inference needs wherever it is.
#[derive(Clone, Copy)]
struct Scope<'a> {
    ops: &'a dyn OpTable,
    /// Nodes that may still be inferred.
    visits: &'a Cell<usize>,
    depth: usize,
}

impl Scope<'_> {
    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn visit(self) -> Result<(), OpError> {
        let left = self.visits.get().checked_sub(1);
        self.visits.set(left.ok_or_else(|| {
            OpError::Unsupported("its bodies nest too deep for their types to be inferred".into())
        })?);
        Ok(())
    }
}

fn label(graph: &Graph, id: NodeId, error: OpError) -> OpError {
    let label = graph.node(id).map_or_else(String::new, Node::label);
    error.at(&format!("node {label}"))
}

/// How many nodes there are in the bodies of a node.
fn nodes_below(node: &Node) -> usize {
    let bodies = node.attrs.bodies().flat_map(|(_, body)| body.graph.nodes());
    bodies.map(|(_, node)| 1 + nodes_below(node)).sum()
}

/// A node of the outermost graph.
fn infer_root(
    graph: &mut Graph,
    id: NodeId,
    ops: &dyn OpTable,
    contents: &mut Contents,
) -> Result<(), OpError> {
    let nodes = 1 + graph.node(id).map_or(0, nodes_below);
    let visits = Cell::new(nodes.saturating_mul(MAX_VISITS));
    infer_at(graph, id, Scope { ops, visits: &visits, depth: 0 }, contents)
}

fn infer_within(
    graph: &mut Graph,
    scope: Scope<'_>,
    contents: &mut Contents,
) -> Result<(), OpError> {
    if scope.depth > MAX_DEPTH {
        return Err(OpError::Unsupported(format!("bodies nest deeper than {MAX_DEPTH}")));
    }
    for id in graph.order().to_vec() {
        infer_at(graph, id, scope, contents).map_err(|error| label(graph, id, error))?;
    }
    Ok(())
}

/// Types of a graph that is being built: node by node, in order.
#[derive(Debug, Default)]
pub struct Inference {
    contents: Contents,
}

impl Inference {
    /// What [`infer_graph`] does, with what it found of the contents of values.
    ///
    /// # Errors
    /// As for [`infer_graph`].
    pub fn of(graph: &mut Graph, ops: &dyn OpTable) -> Result<Self, OpError> {
        let mut inference = Self::default();
        for id in graph.order().to_vec() {
            let step = inference.step(graph, id, ops);
            step.map_err(|error| label(graph, id, error))?;
        }
        Ok(inference)
    }

    /// Infers and sets the types of what this node makes. Everything it uses must have been inferred
    /// before.
    ///
    /// # Errors
    /// When the node breaks a rule of its operator; the caller knows which node it is.
    pub fn step(
        &mut self,
        graph: &mut Graph,
        id: NodeId,
        ops: &dyn OpTable,
    ) -> Result<(), OpError> {
        infer_root(graph, id, ops, &mut self.contents)
    }

    /// What is known of the content of a value: of a small integer constant, or from a shape
    /// computation.
    #[must_use]
    pub fn content(&self, graph: &Graph, id: ValueId) -> Option<Vec<Dim>> {
        let known = self.contents.get(&id).cloned();
        known.or_else(|| constant_content(graph.value(id).constant()?))
    }

    /// Sets what is known of the content of a value, for instance of a captured one.
    pub fn set_content(&mut self, id: ValueId, content: Vec<Dim>) {
        self.contents.insert(id, content);
    }
}

fn infer_at(
    graph: &mut Graph,
    id: NodeId,
    scope: Scope<'_>,
    contents: &mut Contents,
) -> Result<(), OpError> {
    scope.visit()?;
    type_bodies(graph, id, scope, contents)?;
    let Some(node) = graph.node(id).cloned() else { return Ok(()) };
    let Some(def) = scope.ops.find(&node.op.domain, &node.op.name) else { return Ok(()) };
    let inferred = infer_known(graph, &node, def, scope, contents)?;
    for (output, found) in node.outputs.iter().zip(inferred) {
        let Some(output) = *output else { continue };
        let ty = match &graph.value(output).ty {
            Some(declared) => refine(declared, &found.ty).ok_or_else(|| {
                let name = &graph.value(output).name;
                OpError::Invalid(format!(
                    "output `{name}` is declared `{declared}`, the operator gives `{}`",
                    found.ty
                ))
            })?,
            None => found.ty,
        };
        graph.set_type(output, ty);
        if let Some(content) = found.content.filter(|content| content.len() <= MAX_CONTENT) {
            contents.insert(output, content);
        }
    }
    Ok(())
}

/// Infers the types of one node's outputs from the types its inputs have in the graph.
///
/// # Errors
/// When the node breaks a rule of its operator.
pub fn infer_node(
    graph: &Graph,
    node: &Node,
    def: &OpDef,
    ops: &dyn OpTable,
) -> Result<Vec<Inferred>, OpError> {
    // The bodies are inferred twice: for what the graph says now, then as the operator asks.
    let mut node = node.clone();
    let visits = Cell::new(nodes_below(&node).saturating_add(1).saturating_mul(MAX_VISITS));
    let (scope, contents) = (Scope { ops, visits: &visits, depth: 0 }, Contents::new());
    type_bodies_of(graph, &mut node, scope, &contents)?;
    infer_known(graph, &node, def, scope, &contents)
}

/// The bodies of the node must have been typed.
fn infer_known(
    graph: &Graph,
    node: &Node,
    def: &OpDef,
    scope: Scope<'_>,
    contents: &Contents,
) -> Result<Vec<Inferred>, OpError> {
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for input in &node.inputs {
        let Some(id) = *input else {
            inputs.push(None);
            continue;
        };
        let value = graph.value(id);
        // An input whose type nobody knows (a stranger's operator made it) ends inference here.
        let Some(ty) = &value.ty else { return Ok(Vec::new()) };
        let content = contents.get(&id).map(Vec::as_slice);
        inputs.push(Some(InferInput { ty, constant: value.constant(), content }));
    }
    let untyped = Cell::new(false);
    let bodies = |attr: &str, types: &[Option<ValueType>]| {
        let body = node.attrs.body(attr)?;
        let body =
            body.ok_or_else(|| OpError::Invalid(format!("attribute `{attr}` is missing")))?;
        if let Some(known) = typed_outputs(body, types) {
            return Ok(known);
        }
        let found = infer_body_at(graph, body, types, scope.inner(), contents)?;
        untyped.set(untyped.get() || found.iter().any(Option::is_none));
        all_known(body, found)
    };
    let inferred = (def.infer)(&InferCtx { node, inputs, bodies: &bodies });
    // A stranger's operator in a body ends inference as one in front of the node does.
    if untyped.get() { Ok(Vec::new()) } else { inferred }
}

fn all_known(body: &Body, types: Vec<Option<ValueType>>) -> Result<Vec<ValueType>, OpError> {
    let named = body.graph.outputs.iter().zip(types);
    let known = named.map(|(&output, ty)| {
        ty.ok_or_else(|| {
            let name = &body.graph.value(output).name;
            OpError::Unsupported(format!("the type of body output `{name}` cannot be inferred"))
        })
    });
    known.collect()
}

/// The types of a typed body's outputs, if the asked input types are those it was typed with.
fn typed_outputs(body: &Body, inputs: &[Option<ValueType>]) -> Option<Vec<ValueType>> {
    let ty = |id: &ValueId| body.graph.value(*id).ty.clone();
    let same = body.graph.inputs.iter().zip(inputs).all(|(id, want)| {
        want.as_ref().is_none_or(|want| body.graph.value(*id).ty.as_ref() == Some(want))
    });
    same.then(|| body.graph.outputs.iter().map(ty).collect()).flatten()
}

/// Gives captured values of a node's bodies the types they have outside, and types the bodies with
/// what they declare themselves.
fn type_bodies(
    graph: &mut Graph,
    id: NodeId,
    scope: Scope<'_>,
    contents: &Contents,
) -> Result<(), OpError> {
    let Some(node) = graph.node(id).filter(|node| node.attrs.bodies().next().is_some()) else {
        return Ok(());
    };
    let mut node = node.clone();
    type_bodies_of(graph, &mut node, scope, contents)?;
    if let Some(slot) = graph.node_mut(id) {
        *slot = node;
    }
    Ok(())
}

fn type_bodies_of(
    graph: &Graph,
    node: &mut Node,
    scope: Scope<'_>,
    contents: &Contents,
) -> Result<(), OpError> {
    for body in node.attrs.bodies_mut() {
        adopt_captures(graph, body);
        let mut contents = captured_contents(graph, body, contents);
        infer_within(&mut body.graph, scope.inner(), &mut contents)?;
    }
    Ok(())
}

fn adopt_captures(outer: &Graph, body: &mut Body) {
    for (inner, outer_id) in body.graph.captures.clone().into_iter().zip(&body.captures) {
        if let Some(ty) = outer.value(*outer_id).ty.clone() {
            body.graph.set_type(inner, ty);
        }
    }
}

/// What is known of the contents of captured values, for the values that capture them.
fn captured_contents(outer: &Graph, body: &Body, contents: &Contents) -> Contents {
    let pairs = body.graph.captures.iter().zip(&body.captures);
    pairs
        .filter_map(|(&inner, outer_id)| {
            let known = contents.get(outer_id).cloned();
            let content = known.or_else(|| constant_content(outer.value(*outer_id).constant()?))?;
            Some((inner, content))
        })
        .collect()
}

fn constant_content(constant: &Tensor) -> Option<Vec<Dim>> {
    let small = (constant.len() <= MAX_CONTENT).then_some(constant)?;
    Some(small.to_i64_vec().ok()?.into_iter().map(Dim::Known).collect())
}

/// The types of a body's outputs when its inputs have these types (`None`: as it declares).
///
/// # Errors
/// When a node of the body breaks a rule of its operator.
pub fn infer_body_types(
    outer: &Graph,
    body: &Body,
    inputs: &[Option<ValueType>],
    ops: &dyn OpTable,
) -> Result<Vec<ValueType>, OpError> {
    let nodes: usize = body.graph.nodes().map(|(_, node)| 1 + nodes_below(node)).sum();
    let visits = Cell::new(nodes.saturating_mul(MAX_VISITS));
    let scope = Scope { ops, visits: &visits, depth: 1 };
    all_known(body, infer_body_at(outer, body, inputs, scope, &Contents::new())?)
}

fn infer_body_at(
    outer: &Graph,
    body: &Body,
    inputs: &[Option<ValueType>],
    scope: Scope<'_>,
    contents: &Contents,
) -> Result<Vec<Option<ValueType>>, OpError> {
    let mut body = body.clone();
    // What was inferred for other input types does not hold for these.
    let made: Vec<ValueId> = body
        .graph
        .values()
        .filter(|(_, value)| matches!(value.def, Def::Node(..)))
        .map(|(id, _)| id)
        .collect();
    let declared: Vec<Option<ValueType>> =
        body.graph.outputs.iter().map(|&output| body.graph.value(output).ty.clone()).collect();
    for id in made {
        body.graph.forget_type(id);
    }
    for (&input, ty) in body.graph.inputs.clone().iter().zip(inputs) {
        if let Some(ty) = ty {
            body.graph.set_type(input, ty.clone());
        }
    }
    adopt_captures(outer, &mut body);
    let mut contents = captured_contents(outer, &body, contents);
    infer_within(&mut body.graph, scope, &mut contents)?;
    let outputs = body.graph.outputs.iter().zip(declared);
    Ok(outputs
        .map(|(&output, declared)| body.graph.value(output).ty.clone().or(declared))
        .collect())
}

/// The more precise of two types, or `None` if they contradict each other.
pub(crate) fn refine(declared: &ValueType, found: &ValueType) -> Option<ValueType> {
    match (declared, found) {
        (ValueType::Tensor(a), ValueType::Tensor(b)) => {
            if a.dtype != b.dtype {
                return None;
            }
            let dims = match (&a.dims, &b.dims) {
                (Some(a), Some(b)) if a.len() == b.len() => Some(
                    a.iter().zip(b).map(|(a, b)| refine_dim(a, b)).collect::<Option<Vec<_>>>()?,
                ),
                (Some(_), Some(_)) => return None,
                (a, b) => b.clone().or_else(|| a.clone()),
            };
            Some(ValueType::Tensor(TensorType { dtype: a.dtype, dims }))
        }
        (ValueType::Sequence(a), ValueType::Sequence(b)) => {
            Some(ValueType::Sequence(refine(a, b)?.into()))
        }
        (ValueType::Optional(a), ValueType::Optional(b)) => {
            Some(ValueType::Optional(refine(a, b)?.into()))
        }
        (ValueType::State(a), ValueType::State(b)) if a == b => Some(declared.clone()),
        _ => None,
    }
}

fn refine_dim(declared: &Dim, found: &Dim) -> Option<Dim> {
    match (declared, found) {
        (Dim::Known(a), Dim::Known(b)) if a != b => None,
        (_, Dim::Known(_)) | (Dim::Unknown, _) => Some(found.clone()),
        (Dim::Known(_), _) | (_, Dim::Unknown) => Some(declared.clone()),
        // Two expressions: the one that follows from the inputs is bound at run time.
        _ => Some(found.clone()),
    }
}
