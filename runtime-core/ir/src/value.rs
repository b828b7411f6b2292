//! Values: the edges of the graph.

use std::fmt;

use remuda_tensor::{DType, Tensor, TensorType};

use crate::NodeId;

/// A value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// Its index among the values of its graph.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of a value before the graph runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A tensor.
    Tensor(TensorType),
    /// A list of values of one type.
    Sequence(Box<ValueType>),
    /// A value that may be absent.
    Optional(Box<ValueType>),
    /// State that outlives a run.
    State(StateType),
}

/// State that outlives a run: made by the provider that uses it, addressed by sequence and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateType {
    /// How cached elements are stored: a float, or a block format.
    pub dtype: DType,
    /// Key/value heads.
    pub heads: usize,
    /// Elements of one key.
    pub key_dim: usize,
    /// Elements of one value.
    pub value_dim: usize,
    /// Only the last so many positions are ever read, if the layer has a sliding window.
    pub window: Option<usize>,
}

impl ValueType {
    /// The tensor type, if it is a tensor.
    #[must_use]
    pub fn as_tensor(&self) -> Option<&TensorType> {
        match self {
            Self::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }
}

impl From<TensorType> for ValueType {
    fn from(tensor: TensorType) -> Self {
        Self::Tensor(tensor)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor(tensor) => write!(f, "{tensor}"),
            Self::Sequence(item) => write!(f, "seq({item})"),
            Self::Optional(item) => write!(f, "optional({item})"),
            Self::State(state) => {
                let StateType { dtype, heads, key_dim, value_dim, window } = state;
                write!(f, "kv_cache({dtype}, {heads}, {key_dim}, {value_dim}")?;
                window.map_or(Ok(()), |window| write!(f, ", {window}"))?;
                f.write_str(")")
            }
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Def {
    /// The caller of the graph gives it.
    Input,
    /// It is part of the model.
    Const(Tensor),
    /// It outlives runs.
    State,
    /// It comes from the graph around this body.
    Capture,
    /// A node makes it: the node and which of its outputs.
    Node(NodeId, usize),
    /// Nothing makes it (any more); the verifier refuses uses of it.
    Nothing,
}

/// One value of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name, unique in its graph.
    pub name: String,
    /// Its type, as far as it is known.
    pub ty: Option<ValueType>,
    /// Where it comes from.
    pub def: Def,
}

impl Value {
    /// The constant, if it is one.
    #[must_use]
    pub fn constant(&self) -> Option<&Tensor> {
        match &self.def {
            Def::Const(tensor) => Some(tensor),
            _ => None,
        }
    }
}
