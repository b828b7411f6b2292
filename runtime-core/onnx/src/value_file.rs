//! Values in files of their own, as test suites and samples keep them: `TensorProto`,
//! `SequenceProto`, `OptionalProto`.

use std::sync::Arc;

use remuda_ir::{Val, ValueType};
use remuda_tensor::Memory;

use crate::ImportOptions;
use crate::error::{ImportError, Result};
use crate::proto::TensorProto;
use crate::tensor::Loader;
use crate::wire::{Budget, Message};

/// Sequences of optionals of sequences, deeper than anybody writes them.
const MAX_DEPTH: usize = 8;

/// Reads the value in these bytes. Which message they are is not written in them: the type says so.
///
/// # Errors
/// When the bytes are no such message.
pub fn read_value(bytes: Arc<dyn Memory>, ty: &ValueType, options: &ImportOptions) -> Result<Val> {
    let budget = Budget::new(bytes.bytes(), options.max_fields, options.max_structure_bytes);
    let loader = Loader::new(&bytes, options, &budget);
    let message = Message::of_file(bytes.bytes(), kind(ty), &budget);
    read(message, ty, &loader, 0)
}

fn kind(ty: &ValueType) -> &'static str {
    match ty {
        ValueType::Tensor(_) | ValueType::State(_) => "TensorProto",
        ValueType::Sequence(_) => "SequenceProto",
        ValueType::Optional(_) => "OptionalProto",
    }
}

fn read(message: Message<'_>, ty: &ValueType, loader: &Loader<'_>, depth: usize) -> Result<Val> {
    if depth > MAX_DEPTH {
        return Err(ImportError::unsupported(format!("values nest deeper than {MAX_DEPTH}")));
    }
    let item = match ty {
        ValueType::Tensor(_) => {
            return Ok(loader.load(&TensorProto::decode(message)?)?.contiguous().into());
        }
        ValueType::Sequence(item) | ValueType::Optional(item) => item,
        ValueType::State(_) => {
            return Err(ImportError::unsupported("states are not kept in files"));
        }
    };
    let is_sequence = matches!(ty, ValueType::Sequence(_));
    let mut items = Vec::new();
    for field in message.fields() {
        let field = field?;
        match (field.number, is_sequence) {
            (1 | 2, _) => {}
            (3 | 5, _) | (7, true) => {
                let value =
                    read(field.message(kind(item))?, item, loader, depth.saturating_add(1))?;
                message.budget.push(&mut items, value)?;
            }
            (number, _) => {
                return Err(ImportError::unsupported(format!("field {number} of {}", kind(ty))));
            }
        }
    }
    if is_sequence {
        return Ok(Val::sequence(items));
    }
    Ok(Val::Optional(items.pop().map(Arc::new)))
}
