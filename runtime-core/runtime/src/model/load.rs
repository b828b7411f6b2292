//! From a file or bytes to a graph.

use std::path::Path;
use std::sync::Arc;

use remuda_ir::{Graph, Val, ValueType};
use remuda_onnx::{ImportError, ImportOptions};
use remuda_tensor::Memory;

use super::Summary;
use crate::{Error, ErrorKind};

/// A model's graph and what its file says of itself.
pub(super) struct Imported {
    pub(super) graph: Graph,
    pub(super) summary: Summary,
}

/// Imports a file; its external data lies beside it.
pub(super) fn open(path: &Path) -> Result<Imported, Error> {
    let file = |source| Error::File { path: path.to_owned(), source };
    // A missing file is no fault of a model: told before the importer looks at it.
    std::fs::metadata(path).map_err(file)?;
    remuda_onnx::import_file(path, &ImportOptions::default()).map(imported).map_err(model_error)
}

/// Imports bytes, which have no external data.
pub(super) fn import(bytes: Arc<dyn Memory>) -> Result<Imported, Error> {
    remuda_onnx::import(bytes, &ImportOptions::default()).map(imported).map_err(model_error)
}

fn imported(model: remuda_onnx::Model) -> Imported {
    let producer = format!("{} {}", model.metadata.producer_name, model.metadata.producer_version);
    let summary = Summary {
        producer: producer.trim().to_owned(),
        opsets: model.metadata.opsets.into_iter().collect(),
        warnings: model.warnings,
        ..Summary::default()
    };
    Imported { graph: model.graph, summary }
}

/// The value in the bytes of a `TensorProto`, `SequenceProto` or `OptionalProto`; the type says which.
///
/// # Errors
/// When the bytes are no such message.
pub fn value_from_protobuf(bytes: Arc<dyn Memory>, ty: &ValueType) -> Result<Val, Error> {
    remuda_onnx::read_value(bytes, ty, &ImportOptions::default()).map_err(model_error)
}

fn model_error(error: ImportError) -> Error {
    let kind = match &error {
        ImportError::Invalid(_) => ErrorKind::Invalid,
        ImportError::Unsupported(_) => ErrorKind::Unsupported,
        ImportError::Resource(_) => ErrorKind::Resource,
        ImportError::Bug(_) => ErrorKind::Bug,
    };
    Error::Model { kind, message: error.to_string(), hint: error.problem().hint.clone() }
}
