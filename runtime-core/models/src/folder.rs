//! Folders as HuggingFace keeps models: `config.json` and weights as safetensors, which are mapped.
//!
//! What the configuration says is said again as GGUF metadata, and weights get the names that they
//! have there: the builders know one language alone. What cannot be said so is refused.

mod config;
mod form;
mod names;
mod safetensors;

use std::path::{Path, PathBuf};

use remuda_base::Map;
use remuda_tensor::Tensor;

use crate::ModelError;

/// No configuration or list of files is longer.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// A model's folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// GGUF metadata without tensors.
    pub(crate) header: Vec<u8>,
    /// The weights by their names in GGUF.
    pub(crate) weights: Map<String, Tensor>,
    /// The folder, for the tokenizer.
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let config = config::Config::read(&path.join("config.json"))?;
        let mut weights = Map::new();
        let wanted = |name: &str| !matches!(names::translate(name, config.family), Ok(None));
        for file in safetensors::files(path)? {
            for (name, tensor) in safetensors::open(&file, wanted)? {
                let Some(ours) = names::translate(&name, config.family)? else { continue };
                let tensor = config.adapt(&ours, tensor)?;
                if weights.insert(ours, tensor).is_some() {
                    return Err(bad(&file, format!("the weight `{name}` is there twice")));
                }
            }
        }
        // Folders may hold the output matrix a second time although it is the embeddings'.
        if config.tied()? {
            weights.remove("output.weight");
        } else if let Some(output) =
            config.output().filter(|_| !weights.contains_key("output.weight"))
        {
            return Err(ModelError::Missing { name: format!("{output}.weight") });
        }
        weights.extend(config.divisors()?);
        Ok(Self { header: config.header()?, weights, path: path.to_owned() })
    }
}

/// A file of a folder that makes no sense.
fn bad(path: &Path, problem: impl Into<String>) -> ModelError {
    ModelError::Folder { path: path.to_owned(), problem: problem.into() }
}

/// Reads a JSON file of a bounded length.
fn read_json(path: &Path) -> Result<serde_json::Value, ModelError> {
    let file = |source| ModelError::File { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(file)?.len();
    if bytes > MAX_JSON_BYTES {
        return Err(bad(path, format!("expected at most {MAX_JSON_BYTES} bytes, got {bytes}")));
    }
    let text = std::fs::read(path).map_err(file)?;
    serde_json::from_slice(&text).map_err(|error| bad(path, error.to_string()))
}
