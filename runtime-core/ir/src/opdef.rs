//! What an operator is, as one value.

use std::fmt;

use remuda_tensor::Tensor;

use crate::{
    Attr, Graph, InferCtx, Inferred, KernelCtx, Node, OpError, OpName, Types, Val, ValueId,
};

/// An operator: everything that the rest of the project may ask about it.
#[derive(Debug)]
pub struct OpDef {
    /// The domain: empty for ONNX's own.
    pub domain: &'static str,
    /// The name in the domain.
    pub name: &'static str,
    /// The opset of its domain in which it appeared.
    pub since: u32,
    /// How nodes of older opsets become nodes of the newest one, by rising [`Upgrade::below`].
    pub upgrades: &'static [Upgrade],
    /// Its inputs, in order.
    pub inputs: &'static [InputDef],
    /// Its outputs, in order.
    pub outputs: &'static [OutputDef],
    /// Its attributes, in any order.
    pub attrs: &'static [AttrDef],
    /// What passes and the planner may assume.
    pub traits: Traits,
    /// How results of different providers are compared.
    pub tolerance: Tolerance,
    /// The shape rule: the types of the outputs from what is known of the inputs.
    pub infer: fn(&InferCtx<'_>) -> Result<Vec<Inferred>, OpError>,
    /// The slow, plainly right kernel.
    pub reference: fn(&KernelCtx<'_>) -> Result<Vec<Val>, OpError>,
    /// Cases in text: see `remuda_ops::cases`.
    pub cases: &'static str,
}

/// Whether an input or output must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Exactly one.
    Required,
    /// None or one.
    Optional,
    /// Any number, at the end of the list.
    Variadic,
}

/// One input of an operator.
#[derive(Clone, Copy, Debug)]
pub struct InputDef {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Whether it must be there.
    pub presence: Presence,
    /// What its elements (or those of its items) may be.
    pub types: Types,
    /// Inputs with the same letter hold the same dtype; empty for no such tie.
    pub tie: &'static str,
}

impl InputDef {
    /// A required input tied to type letter `T`.
    #[must_use]
    pub const fn new(name: &'static str, types: Types) -> Self {
        Self { name, presence: Presence::Required, types, tie: "T" }
    }

    /// An optional input tied to type letter `T`.
    #[must_use]
    pub const fn optional(name: &'static str, types: Types) -> Self {
        Self { presence: Presence::Optional, ..Self::new(name, types) }
    }

    /// Any number of inputs tied to type letter `T`.
    #[must_use]
    pub const fn variadic(name: &'static str, types: Types) -> Self {
        Self { presence: Presence::Variadic, ..Self::new(name, types) }
    }

    /// The same with another type letter; empty for none.
    #[must_use]
    pub const fn tied(self, tie: &'static str) -> Self {
        Self { tie, ..self }
    }
}

/// One output of an operator.
#[derive(Clone, Copy, Debug)]
pub struct OutputDef {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Whether it must be asked for.
    pub presence: Presence,
}

impl OutputDef {
    /// A required output.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, presence: Presence::Required }
    }

    /// An optional output.
    #[must_use]
    pub const fn optional(name: &'static str) -> Self {
        Self { name, presence: Presence::Optional }
    }

    /// Any number of outputs.
    #[must_use]
    pub const fn variadic(name: &'static str) -> Self {
        Self { name, presence: Presence::Variadic }
    }
}

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AttrKind {
    Int,
    Float,
    Text,
    Ints,
    Floats,
    Texts,
    Tensor,
    Graph,
    Type,
}

impl AttrKind {
    /// Whether the attribute is of this kind.
    #[must_use]
    pub fn fits(self, attr: &Attr) -> bool {
        self == attr.kind()
    }
}

impl fmt::Display for AttrKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int => "an integer",
            Self::Float => "a float",
            Self::Text => "a string",
            Self::Ints => "integers",
            Self::Floats => "floats",
            Self::Texts => "strings",
            Self::Tensor => "a tensor",
            Self::Graph => "a graph",
            Self::Type => "a type",
        })
    }
}

/// One attribute of an operator.
#[derive(Clone, Copy, Debug)]
pub struct AttrDef {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: AttrKind,
    /// Whether it must be there.
    pub required: bool,
}

impl AttrDef {
    /// An attribute that may be left out.
    #[must_use]
    pub const fn new(name: &'static str, kind: AttrKind) -> Self {
        Self { name, kind, required: false }
    }

    /// An attribute that must be there.
    #[must_use]
    pub const fn required(name: &'static str, kind: AttrKind) -> Self {
        Self { name, kind, required: true }
    }
}

/// What passes and the planner may assume of an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Same inputs give the same outputs (no random numbers, no state).
    pub pure: bool,
    /// Output 0 has the shape of its (broadcast) inputs and each element depends only on the
    /// elements at its place.
    pub elementwise: bool,
    /// Output 0 may be written over input 0 if nobody else needs that.
    pub in_place: bool,
    /// Outputs are the input's bytes under other dimensions: no work.
    pub view: bool,
    /// The shapes of outputs depend on the contents of inputs that are not constants.
    pub data_dependent: bool,
}

impl Traits {
    /// Same inputs, same outputs; nothing more.
    pub const PURE: Self = Self {
        pure: true,
        elementwise: false,
        in_place: false,
        view: false,
        data_dependent: false,
    };
    /// A pure elementwise operator that may work in place.
    pub const ELEMENTWISE: Self = Self { elementwise: true, in_place: true, ..Self::PURE };
    /// A pure operator that only renames dimensions.
    pub const VIEW: Self = Self { view: true, in_place: true, ..Self::PURE };
    /// A pure operator whose output shape depends on contents.
    pub const DATA_DEPENDENT: Self = Self { data_dependent: true, ..Self::PURE };
    /// Not even the same outputs for the same inputs.
    pub const IMPURE: Self = Self { pure: false, ..Self::PURE };
}

/// How results of different providers are compared with the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Bit for bit (NaN equals NaN).
    Exact,
    /// `|got - want| <= scale * (atol + rtol * |want|)` with the bounds of the output's dtype
    /// multiplied by this scale; integers exactly.
    Float(f32),
    /// As [`Tolerance::Float`], and integer outputs may differ by one: results of a rounding whose
    /// input differs by rounding.
    OneStep(f32),
    /// Random numbers: dtype and dimensions only.
    Shape,
}

/// How a node of an older opset becomes a newer one.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    /// Applies to nodes of opsets below this.
    pub below: u32,
    /// Changes the node.
    pub apply: fn(&mut Draft<'_>) -> Result<(), OpError>,
}

/// An operator that newer opsets no longer have, and what replaces it.
#[derive(Clone, Copy, Debug)]
pub struct LegacyOp {
    /// The domain.
    pub domain: &'static str,
    /// The old name.
    pub name: &'static str,
    /// Turns the node into one of another operator (sets `node.op`) as of `opset`; the upgrades of
    /// that operator run afterwards.
    pub apply: fn(&mut Draft<'_>) -> Result<(), OpError>,
}

/// A node on its way into a graph, while it is brought to the newest opset.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The graph it will be part of: constants and nodes in front of it can be added.
    pub graph: &'a mut Graph,
    /// The node.
    pub node: Node,
    /// The opset of its domain that the model was written for. An upgrade that turns the node into
    /// what it was in a later opset may raise it.
    pub opset: u32,
    /// Nodes to put behind it.
    pub after: Vec<Node>,
}

impl Draft<'_> {
    /// A new constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("{}_const", self.node.op.name);
        self.graph.add_const(&name, tensor)
    }

    /// Makes input `at` this value; inputs between are left out.
    pub fn set_input(&mut self, at: usize, value: ValueId) {
        if self.node.inputs.len() <= at {
            self.node.inputs.resize(at + 1, None);
        }
        self.node.inputs[at] = Some(value);
    }

    /// Turns an attribute of integers into a constant `i64` input.
    ///
    /// # Errors
    /// When the attribute has another type.
    pub fn ints_to_input(&mut self, attr: &str, at: usize) -> Result<(), OpError> {
        let Some(ints) = self.node.attrs.ints(attr)?.map(<[i64]>::to_vec) else { return Ok(()) };
        self.node.attrs.take(attr);
        let value = self.constant(Tensor::vector(ints));
        self.set_input(at, value);
        Ok(())
    }

    /// Puts a node in front: one output, returned.
    pub fn before(&mut self, op: OpName, inputs: &[ValueId], attrs: crate::Attrs) -> ValueId {
        let name = format!("{}_in", self.node.op.name);
        self.graph.apply(op, inputs, attrs, &name)
    }

    /// Lets a node behind make output `at` out of a new value that this node makes instead: the new
    /// value is the first input of `op`, `extra` its others.
    pub fn behind(&mut self, at: usize, op: OpName, extra: &[ValueId], attrs: crate::Attrs) {
        let Some(output) = self.node.output(at) else { return };
        let name = format!("{}_out", self.node.op.name);
        let fresh = self.graph.add_pending(&name);
        self.node.outputs[at] = Some(fresh);
        let inputs = std::iter::once(fresh).chain(extra.iter().copied()).map(Some).collect();
        let mut node = Node::new(op, inputs, vec![Some(output)]);
        node.attrs = attrs;
        self.after.insert(0, node);
    }
}

/// Where definitions are found.
pub trait OpTable: Sync {
    /// The definition of this operator.
    fn find(&self, domain: &str, name: &str) -> Option<&'static OpDef>;
}
