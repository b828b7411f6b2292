//! What the caller decides about an import.

use std::fmt;
use std::sync::Arc;

use remuda_tensor::Memory;

use crate::ImportError;

/// Opens the files in which a model keeps its weights.
pub trait ExternalData: Send + Sync {
    /// The bytes of the file at this location, relative to the model. The location is whatever the
    /// model says: it is for the implementation to refuse what it must not open.
    ///
    /// # Errors
    /// When the file is not there or must not be opened.
    fn open(&self, location: &str) -> Result<Arc<dyn Memory>, ImportError>;
}

/// What the caller decides about an import. The limits bound what a hostile file can cost; the
/// defaults are far above what real models need.
#[derive(Clone)]
pub struct ImportOptions {
    /// Opens external data; without it, models that have any are refused.
    pub external: Option<Arc<dyn ExternalData>>,
    /// Inputs that the caller may give although the model has a default for them (an initializer of
    /// the same name). Other inputs with a default are constants.
    pub overridable: Vec<String>,
    /// How many fields may be read, each counted as often as it is read.
    pub max_fields: usize,
    /// Bytes that the model's structure may take: names, nodes, attributes.
    pub max_structure_bytes: usize,
    /// Bytes of elements that may be copied because they cannot stay where they are.
    pub max_copied_bytes: usize,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            external: None,
            overridable: Vec::new(),
            max_fields: 1 << 26,
            max_structure_bytes: 1 << 29,
            max_copied_bytes: usize::try_from(1u64 << 32).unwrap_or(usize::MAX),
        }
    }
}

impl fmt::Debug for ImportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOptions")
            .field("external", &self.external.is_some())
            .field("overridable", &self.overridable)
            .field("max_fields", &self.max_fields)
            .field("max_structure_bytes", &self.max_structure_bytes)
            .field("max_copied_bytes", &self.max_copied_bytes)
            .finish()
    }
}
