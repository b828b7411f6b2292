//! ONNX models to graphs.
//!
//! [`import`] takes the bytes of a model (usually a mapped file) and gives a [`Model`]: its graph,
//! verified, with every node brought to the newest operator set and every type inferred that can be,
//! and what the file says beside it. Weights are views of the bytes, or of the files that
//! [`ExternalData`] opens, wherever their alignment allows.
//!
//! The contract: whatever the bytes are, the answer is a model or an [`ImportError`] that says what
//! is wrong and where. Nothing panics, recursion is bounded, and memory stays in proportion to the
//! limits in [`ImportOptions`]. Operators of unknown domains become nodes without a definition; it
//! is the planner that refuses them when no provider takes them.
//!
//! How the parts follow each other: `wire` reads fields, `proto` gives them the structure of a
//! model, `build` turns that into a graph (scopes, captures, functions), `upgrade` brings each node
//! to the newest operator set on the way.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::expect_used)]

mod attributes;
mod build;
mod error;
mod external;
mod model;
mod options;
mod order;
mod proto;
mod tensor;
mod types;
mod upgrade;
mod value_file;
mod wire;

pub use error::{ImportError, Problem};
pub use external::{Folder, import_file};
pub use model::{Declaration, Metadata, Model, import};
pub use options::{ExternalData, ImportOptions};
pub use value_file::read_value;
