//! From a file or bytes to a graph.

use std::path::Path;
use std::sync::Arc;

use remuda_ir::{Graph, Val, ValueType};
use remuda_onnx::{ExternalData, ImportError, ImportOptions};
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
    let bytes = Whole(std::fs::read(path).map_err(file)?);
    import(Arc::new(bytes), None)
}

/// Imports bytes.
pub(super) fn import(bytes: Arc<dyn Memory>, external: Option<Arc<dyn ExternalData>>) -> Result<Imported, Error> {
    let options = ImportOptions { external, ..ImportOptions::default() };
    let model = remuda_onnx::import(bytes, &options).map_err(model_error)?;
    let producer = format!("{} {}", model.metadata.producer_name, model.metadata.producer_version);
    let summary = Summary {
        producer: producer.trim().to_owned(),
        opsets: model.metadata.opsets.into_iter().collect(),
        warnings: model.warnings,
        ..Summary::default()
    };
    Ok(Imported { graph: model.graph, summary })
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

struct Whole(Vec<u8>);

impl Memory for Whole {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}
