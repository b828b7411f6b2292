//! Attributes of a file to attributes of a node; bodies are for the builder.

use remuda_ir::{Attr, ValueType};

use crate::error::{ImportError, Result};
use crate::proto::AttributeValue;
use crate::tensor::Loader;
use crate::types::value_type;

fn text(bytes: &[u8]) -> Result<String> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|error| ImportError::invalid(format!("the text is not UTF-8: {error}")))
}

/// What a node of a graph takes, roughly, beside its lists.
pub(crate) const NODE_BYTES: usize = 1024;

/// Roughly the memory that a copy of an attribute takes; elements of tensors are shared.
pub(crate) fn weight(attr: &Attr) -> usize {
    match attr {
        Attr::Int(_) | Attr::Float(_) | Attr::Tensor(_) | Attr::Type(_) => 64,
        Attr::Text(text) => text.len().saturating_add(64),
        Attr::Ints(values) => size_of_val(&values[..]).saturating_add(64),
        Attr::Floats(values) => size_of_val(&values[..]).saturating_add(64),
        Attr::Texts(texts) => texts
            .iter()
            .fold(64, |sum: usize, text| sum.saturating_add(64).saturating_add(text.len())),
        Attr::Graph(body) => {
            let attrs = body.graph.nodes().flat_map(|(_, node)| node.attrs.0.values().map(weight));
            let lists = attrs.fold(0, usize::saturating_add);
            let values = body.graph.value_count().max(1);
            values.saturating_mul(NODE_BYTES).saturating_add(lists)
        }
    }
}

/// The attribute that a value is, unless it is a body or a reference to an attribute of a function.
pub(crate) fn plain(value: &AttributeValue<'_>, loader: &Loader<'_>) -> Result<Option<Attr>> {
    let attr = match value {
        AttributeValue::Int(value) => Attr::Int(*value),
        AttributeValue::Float(value) => Attr::Float(*value),
        AttributeValue::Text(bytes) => Attr::Text(text(bytes)?),
        AttributeValue::Ints(values) => Attr::Ints(values.clone()),
        AttributeValue::Floats(values) => Attr::Floats(values.clone()),
        AttributeValue::Texts(texts) => {
            Attr::Texts(texts.iter().map(|bytes| text(bytes)).collect::<Result<_>>()?)
        }
        AttributeValue::Tensor(tensor) => Attr::Tensor(loader.load(tensor)?.contiguous()),
        AttributeValue::Sparse(sparse) => Attr::Tensor(loader.load_sparse(sparse)?),
        AttributeValue::Type(message) => {
            let ty: Option<ValueType> = value_type(*message)?;
            Attr::Type(ty.ok_or_else(|| ImportError::invalid("the type says nothing"))?)
        }
        AttributeValue::List(what) => {
            return Err(ImportError::unsupported(format!("a list of {what}")));
        }
        AttributeValue::Graph(_) | AttributeValue::Reference(_) => return Ok(None),
    };
    // Attributes of a function are made anew for each of its calls.
    loader.budget.charge(weight(&attr))?;
    Ok(Some(attr))
}
