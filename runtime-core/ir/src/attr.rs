//! Attributes: what of a node is fixed when the model is written.

use remuda_base::Map;
use remuda_tensor::Tensor;

use crate::{AttrKind, Graph, OpError, ValueId, ValueType};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// A whole number.
    Int(i64),
    /// A real number.
    Float(f32),
    /// A text.
    Text(String),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Real numbers.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
    /// A tensor.
    Tensor(Tensor),
    /// A body of control flow.
    Graph(Box<Body>),
    /// A type.
    Type(ValueType),
}

/// A body of control flow and the values it uses of the graph around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// The body. Its captures are listed in [`Graph::captures`].
    pub graph: Graph,
    /// The outer values, one for each capture of `graph`, in the same order.
    pub captures: Vec<ValueId>,
}

impl Attr {
    /// What kind of attribute it is.
    #[must_use]
    pub fn kind(&self) -> AttrKind {
        match self {
            Self::Int(_) => AttrKind::Int,
            Self::Float(_) => AttrKind::Float,
            Self::Text(_) => AttrKind::Text,
            Self::Ints(_) => AttrKind::Ints,
            Self::Floats(_) => AttrKind::Floats,
            Self::Texts(_) => AttrKind::Texts,
            Self::Tensor(_) => AttrKind::Tensor,
            Self::Graph(_) => AttrKind::Graph,
            Self::Type(_) => AttrKind::Type,
        }
    }
}

/// The attributes of one node, by name.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Attrs(pub Map<String, Attr>);

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $out:ty, |$found:ident| $map:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// When it is there with another type.
        pub fn $name(&self, name: &str) -> Result<Option<$out>, OpError> {
            match self.0.get(name) {
                None => Ok(None),
                Some(Attr::$variant($found)) => Ok(Some($map)),
                Some(other) => Err(wrong_kind(name, AttrKind::$variant, other)),
            }
        }
    )*};
}

fn wrong_kind(name: &str, expected: AttrKind, got: &Attr) -> OpError {
    OpError::Invalid(format!("attribute `{name}` expected {expected}, got {}", got.kind()))
}

impl Attrs {
    getters! {
        /// The integer of this name, if present.
        int: Int -> i64, |value| *value;
        /// The float of this name, if present.
        float: Float -> f32, |value| *value;
        /// The text of this name, if present.
        text: Text -> &str, |value| value;
        /// The integers of this name, if present.
        ints: Ints -> &[i64], |value| value;
        /// The floats of this name, if present.
        floats: Floats -> &[f32], |value| value;
        /// The texts of this name, if present.
        texts: Texts -> &[String], |value| value;
        /// The tensor of this name, if present.
        tensor: Tensor -> &Tensor, |value| value;
        /// The body of this name, if present.
        body: Graph -> &Body, |value| value;
        /// The type of this name, if present.
        ty: Type -> &ValueType, |value| value;
    }

    /// The integer of this name, or `default`.
    ///
    /// # Errors
    /// When it is there with another type.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64, OpError> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// The integer of this name as a truth value, or `default`.
    ///
    /// # Errors
    /// When it is there with another type.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, OpError> {
        Ok(self.int(name)?.map_or(default, |value| value != 0))
    }

    /// The float of this name, or `default`.
    ///
    /// # Errors
    /// When it is there with another type.
    pub fn float_or(&self, name: &str, default: f32) -> Result<f32, OpError> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    /// The text of this name, or `default`.
    ///
    /// # Errors
    /// When it is there with another type.
    pub fn text_or<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, OpError> {
        Ok(self.text(name)?.unwrap_or(default))
    }

    /// The integer of this name.
    ///
    /// # Errors
    /// When it is missing or has another type.
    pub fn required_int(&self, name: &str) -> Result<i64, OpError> {
        self.int(name)?.ok_or_else(|| OpError::Invalid(format!("attribute `{name}` is missing")))
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &str, value: Attr) {
        self.0.insert(name.to_owned(), value);
    }

    /// Removes and returns an attribute.
    pub fn take(&mut self, name: &str) -> Option<Attr> {
        self.0.remove(name)
    }

    /// The bodies among the attributes.
    pub fn bodies(&self) -> impl Iterator<Item = (&str, &Body)> {
        self.0.iter().filter_map(|(name, attr)| match attr {
            Attr::Graph(body) => Some((name.as_str(), &**body)),
            _ => None,
        })
    }

    /// The bodies among the attributes, to be changed.
    pub fn bodies_mut(&mut self) -> impl Iterator<Item = &mut Body> {
        self.0.values_mut().filter_map(|attr| match attr {
            Attr::Graph(body) => Some(&mut **body),
            _ => None,
        })
    }
}
