//! Graphs: what a provider is asked about and asked to compile.
//!
//! Values and nodes are arrays; they refer to each other by index. Nodes stand in an order in which
//! every value is made before it is used.

use crate::{Str, Value};

/// A list entry that names no value: an optional input or output that is left out.
pub const VALUE_NONE: u32 = u32::MAX;

/// The caller gives it.
pub const VALUE_INPUT: u32 = 0;
/// It is part of the model.
pub const VALUE_CONST: u32 = 1;
/// It outlives runs.
pub const VALUE_STATE: u32 = 2;
/// It comes from the graph around this body.
pub const VALUE_CAPTURE: u32 = 3;
/// A node makes it.
pub const VALUE_MADE: u32 = 4;

/// A dimension that is neither a number nor named.
pub const DIM_UNKNOWN: i64 = -1;

/// A type. `kind` is that of [`Value`]; 0 where nothing is known. Frozen within a major version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ValueType {
    /// [`crate::KIND_TENSOR`], … or 4 for a state.
    pub kind: u32,
    /// The element type of a tensor or state.
    pub dtype: u32,
    /// How many dimensions; `u32::MAX` where the rank is not known.
    pub rank: u32,
    /// Zero.
    pub reserved: u32,
    /// Dimensions: a number, or [`DIM_UNKNOWN`] where the dimension is a symbol or unknown.
    pub dims: *const i64,
    /// For each dimension its expression (`batch`, `2*past + 1`), empty where it is a number or
    /// unknown.
    pub symbols: *const Str,
    /// The type of the items of a sequence or optional, or null.
    pub item: *const ValueType,
    /// A state: heads, key size, value size, window (0: none).
    pub state: [u64; 4],
}

/// A value of a graph. Frozen within a major version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ValueInfo {
    /// Its name, unique in its graph.
    pub name: Str,
    /// [`VALUE_INPUT`], …
    pub source: u32,
    /// Zero.
    pub reserved: u32,
    /// Its type.
    pub ty: ValueType,
    /// Its content, for [`VALUE_CONST`]; lives until the program that is compiled from the graph is
    /// freed. May be null where only support is asked for.
    pub content: *const Value,
}

/// An integer.
pub const ATTR_INT: u32 = 1;
/// A float.
pub const ATTR_FLOAT: u32 = 2;
/// A text.
pub const ATTR_TEXT: u32 = 3;
/// Integers.
pub const ATTR_INTS: u32 = 4;
/// Floats.
pub const ATTR_FLOATS: u32 = 5;
/// Texts.
pub const ATTR_TEXTS: u32 = 6;
/// A tensor.
pub const ATTR_TENSOR: u32 = 7;
/// A body.
pub const ATTR_GRAPH: u32 = 8;
/// A type.
pub const ATTR_TYPE: u32 = 9;

/// An attribute: `kind` says which field holds it. Lists have `count` entries. Frozen within a major
/// version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Attr {
    /// Its name.
    pub name: Str,
    /// [`ATTR_INT`], …
    pub kind: u32,
    /// The value of a float.
    pub float: f32,
    /// The value of an integer.
    pub int: i64,
    /// The value of a text.
    pub text: Str,
    /// Entries of a list; captures of a body.
    pub count: usize,
    /// Integers.
    pub ints: *const i64,
    /// Floats.
    pub floats: *const f32,
    /// Texts.
    pub texts: *const Str,
    /// A tensor.
    pub tensor: *const Value,
    /// A body.
    pub graph: *const Graph,
    /// The outer values that the body captures, `count` of them.
    pub captures: *const u32,
    /// A type.
    pub ty: *const ValueType,
}

/// A node. Frozen within a major version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Its name; may be empty.
    pub name: Str,
    /// The operator's domain; empty for ONNX's own.
    pub domain: Str,
    /// The operator.
    pub op: Str,
    /// Inputs: indices of values or [`VALUE_NONE`].
    pub inputs: *const u32,
    /// How many inputs.
    pub input_count: usize,
    /// Outputs: indices of values or [`VALUE_NONE`].
    pub outputs: *const u32,
    /// How many outputs.
    pub output_count: usize,
    /// Attributes, sorted by name.
    pub attrs: *const Attr,
    /// How many attributes.
    pub attr_count: usize,
}

/// A graph, or a region of one. Operators mean what they mean in the newest opset that the host
/// knows (`opset`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Graph {
    /// Bytes of this struct as the host knows it.
    pub struct_size: usize,
    /// Its name.
    pub name: Str,
    /// The opset of ONNX's own domain that operators are of.
    pub opset: u32,
    /// Zero.
    pub reserved: u32,
    /// Values.
    pub values: *const ValueInfo,
    /// How many values.
    pub value_count: usize,
    /// Nodes, in an order in which they can run.
    pub nodes: *const Node,
    /// How many nodes.
    pub node_count: usize,
    /// Inputs, indices of values.
    pub inputs: *const u32,
    /// How many inputs.
    pub input_count: usize,
    /// Outputs, indices of values.
    pub outputs: *const u32,
    /// How many outputs.
    pub output_count: usize,
    /// Captures of a body, indices of values.
    pub captures: *const u32,
    /// How many captures.
    pub capture_count: usize,
    /// States, indices of values, in the order in which runs get them.
    pub states: *const u32,
    /// How many states.
    pub state_count: usize,
}
