//! Files of language models: mapped, parsed, and their weights as tensors over the mapping.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda_gguf::{Gguf, PartName, Parts, TensorInfo};
use remuda_mapped::MappedFile;
use remuda_tensor::{DType, Memory, Tensor};

use crate::ModelError;
use crate::folder::Folder;

/// A model's file, or all of its parts, or its folder. Cheap to clone.
#[derive(Clone)]
pub struct ModelFile(Form);

#[derive(Clone)]
enum Form {
    Gguf(Vec<Arc<dyn Memory>>),
    Folder(Arc<Folder>),
}

impl std::fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Form::Gguf(parts) => write!(f, "ModelFile({} parts)", parts.len()),
            Form::Folder(folder) => write!(f, "ModelFile({})", folder.path.display()),
        }
    }
}

/// What a weight is, without its bytes.
pub(crate) struct Weight<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: DType,
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
}

/// The bytes of one weight in a file.
pub(crate) struct Slice {
    pub(crate) file: Arc<dyn Memory>,
    pub(crate) range: Range<usize>,
}

impl Slice {
    /// Where a range of the part lies in the whole.
    fn inner(&self, range: Range<usize>) -> Range<usize> {
        let from = |at: usize| self.range.start.saturating_add(at).min(self.range.end);
        from(range.start)..from(range.end)
    }
}

impl Memory for Slice {
    fn bytes(&self) -> &[u8] {
        self.file.bytes().get(self.range.clone()).unwrap_or_default()
    }

    fn discard(&self, range: Range<usize>) {
        self.file.discard(self.inner(range));
    }

    fn origin(&self, range: Range<usize>) -> Option<String> {
        self.file.origin(self.inner(range))
    }
}

impl ModelFile {
    /// Whether these first bytes are those of a file of this kind.
    #[must_use]
    pub fn is_one(start: &[u8]) -> bool {
        start.starts_with(b"GGUF")
    }

    /// Maps a file, and the other parts of its model if it is a part of one; or the files of a folder
    /// as HuggingFace keeps models.
    ///
    /// # Errors
    /// When a file cannot be mapped, or the folder's configuration makes no sense.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if path.is_dir() {
            return Ok(Self(Form::Folder(Arc::new(Folder::open(path)?))));
        }
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
        Ok(Self(Form::Gguf(paths.into_iter().map(map).collect::<Result<_, _>>()?)))
    }

    /// A whole model in memory.
    #[must_use]
    pub fn from_memory(bytes: Arc<dyn Memory>) -> Self {
        Self(Form::Gguf(vec![bytes]))
    }

    /// The folder, if it is one: what concerns text lies there in files of its own.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Form::Gguf(_) => None,
            Form::Folder(folder) => Some(&folder.path),
        }
    }

    /// The metadata and, but for folders, the tensors' places.
    ///
    /// # Errors
    /// When the bytes are no good file.
    pub fn parse(&self) -> Result<Parts<'_>, ModelError> {
        let parts = match &self.0 {
            Form::Gguf(parts) => {
                parts.iter().map(|part| Gguf::parse(part.bytes())).collect::<Result<_, _>>()?
            }
            Form::Folder(folder) => vec![Gguf::parse(&folder.header)?],
        };
        Ok(Parts::join(parts)?)
    }

    /// What weights there are.
    pub(crate) fn weights<'a>(&'a self, parts: &'a Parts<'a>) -> Vec<Weight<'a>> {
        match &self.0 {
            Form::Gguf(_) => {
                let weight = |(_, info): (usize, &'a TensorInfo<'a>)| Weight {
                    name: info.name,
                    dtype: info.dtype,
                    elements: info.shape.iter().map(|&size| size as u64).product(),
                    bytes: info.range.len() as u64,
                };
                parts.tensors().map(weight).collect()
            }
            Form::Folder(folder) => {
                let weight = |(name, tensor): (&'a String, &Tensor)| Weight {
                    name,
                    dtype: tensor.dtype(),
                    elements: tensor.len() as u64,
                    bytes: tensor.byte_len() as u64,
                };
                folder.weights.iter().map(weight).collect()
            }
        }
    }

    /// Whether there is a weight of this name.
    pub(crate) fn has(&self, parts: &Parts<'_>, name: &str) -> bool {
        match &self.0 {
            Form::Gguf(_) => parts.tensor(name).is_ok(),
            Form::Folder(folder) => folder.weights.contains_key(name),
        }
    }

    /// A weight over the mapped bytes, by its name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn tensor(&self, parts: &Parts<'_>, name: &str) -> Result<Tensor, ModelError> {
        let missing = || ModelError::Missing { name: name.to_owned() };
        let files = match &self.0 {
            Form::Gguf(files) => files,
            Form::Folder(folder) => {
                return folder.weights.get(name).cloned().ok_or_else(missing);
            }
        };
        let (part, info) = parts.tensor(name)?;
        let file = Arc::clone(files.get(part).ok_or_else(missing)?);
        let memory = Slice { file, range: info.range.clone() };
        let tensor = Tensor::from_memory(info.dtype, info.shape.clone(), Arc::new(memory));
        Ok(tensor.map_err(remuda_ir::OpError::from)?)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::{Arc, Mutex};

    use remuda_tensor::Memory;

    use super::Slice;

    /// Remembers what is given back.
    #[derive(Default)]
    struct Given(Mutex<Vec<Range<usize>>>);

    impl Memory for Given {
        fn bytes(&self) -> &[u8] {
            &[0; 40]
        }

        fn discard(&self, range: Range<usize>) {
            self.0.lock().unwrap().push(range);
        }
    }

    #[test]
    fn a_weight_gives_back_its_own_bytes_of_the_file() {
        let file = Arc::new(Given::default());
        let weight = Slice { file: Arc::<Given>::clone(&file), range: 10..30 };
        weight.discard(0..20);
        weight.discard(5..100);
        assert_eq!(*file.0.lock().unwrap(), [10..30, 15..30]);
    }
}
