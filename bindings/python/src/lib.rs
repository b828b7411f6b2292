//! The compiled part of the Python package `remuda`.
//!
//! It translates: arrays to tensors and back without copies where memory allows, errors to exceptions,
//! Ctrl-C to cancellation. What is only a matter of taste (ONNX Runtime's names, context managers) is
//! written in Python beside it.
//!
//! Unsafe code is in two modules: `foreign`, memory that Python objects own, and `dlpack`, the
//! exchange protocol, which is a C structure.

mod array;
mod ask;
#[expect(
    unsafe_code,
    reason = "DLPack is a C structure in a capsule; every block says why it is sound"
)]
mod dlpack;
mod dtype;
mod embedder;
mod error;
#[expect(unsafe_code, reason = "memory of Python objects; every block says why it is sound")]
mod foreign;
mod interrupt;
mod language;
mod model;
mod placement;
mod runtime;
mod tensor;
mod text;
mod value;
mod worker;

/// The compiled part of `remuda`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::array::Buffer;
    #[pymodule_export]
    use crate::embedder::Embedder;
    #[pymodule_export]
    use crate::language::{Answer, Generation, LanguageModel};
    #[pymodule_export]
    use crate::model::{Model, NodeArg};
    #[pymodule_export]
    use crate::runtime::{Runtime, build_info};
    #[pymodule_export]
    use crate::tensor::Tensor;
    #[pymodule_export]
    use crate::text::{ChatTemplate, Tokenizer};
    #[pymodule_export]
    use crate::worker::{conform, serve_worker};
}
