//! Why a model cannot be built.

use std::path::PathBuf;

use remuda_gguf::GgufError;
use remuda_ir::{OpError, VerifyError};

/// Why a model cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no good GGUF file, or lacks metadata or a weight.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// No builder answers to the architecture's name.
    #[error("architecture `{name}` is not supported{}", near.map_or(String::new(), |near| format!(", the nearest that is: `{near}`")))]
    Architecture {
        /// The name that the file says.
        name: String,
        /// The nearest name that is known.
        near: Option<&'static str>,
    },
    /// A model that reads with one half and writes with the other.
    #[error(
        "`{name}` reads with an encoder and writes with a decoder, which is supported for `t5` alone"
    )]
    EncoderDecoder {
        /// The name that the file says.
        name: String,
    },
    /// Metadata that makes no sense.
    #[error("`{key}` is {got}, expected {expected}")]
    Key {
        /// Which key.
        key: String,
        /// What would make sense.
        expected: String,
        /// What it says.
        got: String,
    },
    /// Metadata asks for something that is not implemented.
    #[error("`{key}` is `{got}`, which is not supported: expected {expected}")]
    Unsupported {
        /// Which key.
        key: String,
        /// What is supported.
        expected: String,
        /// What it says.
        got: String,
    },
    /// A weight has other dimensions than the metadata says.
    #[error("weight `{name}` has dimensions {got:?}, expected {expected:?}")]
    Shape {
        /// Which weight.
        name: String,
        /// What the metadata says.
        expected: Vec<usize>,
        /// What it has.
        got: Vec<usize>,
    },
    /// A weight that is not there.
    #[error("the weight `{name}` is missing")]
    Missing {
        /// Which weight.
        name: String,
    },
    /// A weight that the architecture has no place for.
    #[error("weight `{name}` has no place in this architecture")]
    Unused {
        /// Which weight.
        name: String,
    },
    /// A file that is no adapter for the model.
    #[error("the adapter's `{key}` is `{got}`, expected `{expected}`")]
    Adapter {
        /// Which key.
        key: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// Adapters for a model that they cannot be added to.
    #[error("adapters in GGUF files go with models in GGUF files, not with folders")]
    AdapterOfFolder,
    /// A file of a folder that makes no sense.
    #[error("`{}`: {problem}", path.display())]
    Folder {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] OpError),
    /// The graph does not verify.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// The names of architectures that read with an encoder and write with a decoder.
const ENCODER_DECODERS: &[&str] = &["mt5", "umt5"];

impl ModelError {
    /// The error of an architecture that none of those known is.
    pub(crate) fn unknown(name: &str, known: impl IntoIterator<Item = &'static str>) -> Self {
        if ENCODER_DECODERS.contains(&name) {
            return Self::EncoderDecoder { name: name.to_owned() };
        }
        let near = remuda_base::nearest(name, known);
        Self::Architecture { name: name.chars().take(100).collect(), near }
    }
}
