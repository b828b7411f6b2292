//! Encoders: texts to vectors.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use remuda::{Pooling, Tensor as Plain};

use crate::error::raised;
use crate::foreign::Foreign;
use crate::interrupt;
use crate::language::Source;
use crate::placement;
use crate::runtime::Runtime;
use crate::tensor::Tensor;

/// A loaded encoder.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Embedder(remuda::Embedder);

#[pymethods]
impl Embedder {
    #[new]
    fn new(py: Python<'_>, runtime: &Runtime, model: Source<'_>) -> PyResult<Self> {
        let runtime = runtime.inner().clone();
        let loaded = match model {
            Source::Path(path) => interrupt::run(py, move |_| runtime.load_embedder(path))?,
            Source::Bytes(bytes) => {
                let bytes = Foreign::of_bytes(&bytes);
                interrupt::run(py, move |_| runtime.load_embedder_bytes(bytes))?
            }
        };
        loaded.map(Self).map_err(|error| raised(py, &error))
    }

    /// What placement wants the user to know.
    fn placement_warnings(&self) -> Vec<String> {
        self.0.placement_warnings().to_vec()
    }

    /// What the run that ended last did; nothing before the first one.
    fn last_receipt<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.last_receipt().map(|last| placement::receipt(py, &last)).transpose()
    }

    /// What the model is.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = self.0.info();
        let dict = PyDict::new(py);
        dict.set_item("architecture", &info.architecture)?;
        dict.set_item("name", &info.name)?;
        dict.set_item("layers", info.layers)?;
        dict.set_item("features", info.features)?;
        dict.set_item("vocabulary", info.vocabulary)?;
        dict.set_item("context", info.context)?;
        let pooling = match info.pooling {
            Pooling::First => "first",
            Pooling::Last => "last",
            _ => "mean",
        };
        dict.set_item("pooling", pooling)?;
        dict.set_item("parameters", info.parameters)?;
        dict.set_item("weight_bytes", info.weight_bytes)?;
        Ok(dict)
    }

    /// The tokens of a text, with those that the model wants around one.
    fn tokenize(&self, py: Python<'_>, text: &str) -> PyResult<Vec<u32>> {
        let how = remuda::text::Encode { affixes: true, special: false };
        let tokens = self.0.tokenizer().encode(text, how);
        tokens.map_err(|error| raised(py, &error.into()))
    }

    /// The vectors of texts, given as tokens: one row each.
    fn embed(&self, py: Python<'_>, texts: Vec<Vec<u32>>) -> PyResult<Tensor> {
        let (model, rows) = (self.0.clone(), texts.len());
        let vectors = interrupt::run(py, move |cancel| {
            let mut vectors = Vec::new();
            for tokens in &texts {
                vectors.extend(model.embed_tokens(tokens, cancel)?.vector);
            }
            Ok::<Vec<f32>, remuda::Error>(vectors)
        })?;
        let vectors = vectors.map_err(|error| raised(py, &error))?;
        let tensor = Plain::from_vec([rows, self.0.info().features], vectors);
        tensor.map(Tensor).map_err(|error| crate::error::bad_tensor(py, error))
    }
}
