//! GGUF files: metadata and named tensors, read and written; versions 2 and 3, whole or in parts.
//!
//! A [`Gguf`] borrows the bytes of a file that the caller has mapped. Parsing checks everything
//! once (sizes, counts, UTF-8, alignment, ranges) and copies nothing but the tables of entries:
//! arrays, such as a vocabulary, stay in the file until they are iterated. Nothing here knows an
//! architecture.
//!
//! The bytes are hostile until proven otherwise: no input panics, recurses, or makes the reader
//! allocate more than a small multiple of the bytes given. Every count is checked against the bytes
//! that are left. Every error says where it is, what was expected and what was got.
//!
//! ```
//! use remuda_gguf::{Builder, Gguf, Value};
//! use remuda_tensor::DType;
//!
//! let mut builder = Builder::new();
//! builder.set("general.architecture", Value::Text("llama"))?;
//! builder.add_tensor("token_embd.weight", &[2, 4], DType::F32)?;
//! let mut file = Vec::new();
//! builder.write(&mut file, |_name, out| out.write_all(&[0; 32]))?;
//!
//! let gguf = Gguf::parse(&file)?;
//! assert_eq!(gguf.metadata().required::<&str>("general.architecture")?, "llama");
//! let tensor = gguf.tensor("token_embd.weight")?;
//! assert_eq!((tensor.shape.as_slice(), gguf.data(tensor).len()), ([2, 4].as_slice(), 32));
//! # Ok::<(), remuda_gguf::GgufError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod cursor;
mod dtypes;
mod error;
mod file;
mod metadata;
mod names;
mod parts;
mod tensors;
mod value;
mod write;

pub use error::{GgufError, Place, Problem};
pub use file::Gguf;
pub use metadata::{Entry, FromValue, Metadata};
pub use parts::{PartName, Parts};
pub use tensors::TensorInfo;
pub use value::{Array, Value, ValueType, Values};
pub use write::{ArrayBuf, Builder, Version};

/// The key of the alignment of tensor data.
pub const ALIGNMENT_KEY: &str = "general.alignment";
/// The alignment of a file that does not say.
pub const DEFAULT_ALIGNMENT: usize = 32;
/// The largest alignment that is accepted: more would only pad a small file to a large one.
pub const MAX_ALIGNMENT: usize = 1 << 20;
/// The most dimensions that a tensor may have.
pub const MAX_DIMENSIONS: usize = 4;
/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 65_535;
/// How deep arrays of arrays may be nested.
pub const MAX_ARRAY_DEPTH: usize = 8;
