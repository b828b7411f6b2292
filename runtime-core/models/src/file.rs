//! Files of language models: mapped, parsed, and their weights as tensors over the mapping.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda_gguf::{Gguf, PartName, Parts};
use remuda_mapped::MappedFile;
use remuda_tensor::{Memory, Tensor};

use crate::ModelError;

/// A model's file, or all of its parts. Cheap to clone.
#[derive(Clone)]
pub struct ModelFile {
    parts: Vec<Arc<dyn Memory>>,
}

impl std::fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelFile({} parts)", self.parts.len())
    }
}

/// The bytes of one weight in a file.
struct Slice {
    file: Arc<dyn Memory>,
    range: Range<usize>,
}

impl Memory for Slice {
    fn bytes(&self) -> &[u8] {
        self.file.bytes().get(self.range.clone()).unwrap_or_default()
    }
}

impl ModelFile {
    /// Whether these first bytes are those of a file of this kind.
    #[must_use]
    pub fn is_one(start: &[u8]) -> bool {
        start.starts_with(b"GGUF")
    }

    /// Maps a file, and the other parts of its model if it is a part of one.
    ///
    /// # Errors
    /// When a file cannot be mapped.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let name = path.to_string_lossy();
        let paths = match PartName::parse(&name) {
            Some(part) => {
                (1..=part.count).map(|number| PathBuf::from(part.sibling(number))).collect()
            }
            None => vec![path.to_owned()],
        };
        let map = |path: PathBuf| match MappedFile::open(&path) {
            Ok(file) => Ok(Arc::new(file) as Arc<dyn Memory>),
            Err(source) => Err(ModelError::File { path, source }),
        };
        Ok(Self { parts: paths.into_iter().map(map).collect::<Result<_, _>>()? })
    }

    /// A whole model in memory.
    #[must_use]
    pub fn from_memory(bytes: Arc<dyn Memory>) -> Self {
        Self { parts: vec![bytes] }
    }

    /// The metadata and the tensors' places.
    ///
    /// # Errors
    /// When the bytes are no good file.
    pub fn parse(&self) -> Result<Parts<'_>, ModelError> {
        let parts = self.parts.iter().map(|part| Gguf::parse(part.bytes()));
        Ok(Parts::join(parts.collect::<Result<_, _>>()?)?)
    }

    /// A weight over the mapped bytes, by its name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn tensor(&self, parts: &Parts<'_>, name: &str) -> Result<Tensor, ModelError> {
        let (part, info) = parts.tensor(name)?;
        let memory = Slice { file: Arc::clone(&self.parts[part]), range: info.range.clone() };
        let tensor = Tensor::from_memory(info.dtype, info.shape.clone(), Arc::new(memory));
        Ok(tensor.map_err(remuda_ir::OpError::from)?)
    }
}
