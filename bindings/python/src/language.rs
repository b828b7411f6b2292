//! Language models, by tokens; texts are put on top in Python.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use remuda::{
    DType, Generation as Inner, LanguageModel as Model, LanguageOptions, Sampling, Tensor as Plain,
};

use crate::error::{bad_input, raised};
use crate::foreign::Foreign;
use crate::interrupt;
use crate::runtime::Runtime;
use crate::tensor::Tensor;

/// A loaded language model.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct LanguageModel(Model);

/// Where a model is.
#[derive(FromPyObject)]
enum Source<'py> {
    Bytes(Bound<'py, PyBytes>),
    Path(PathBuf),
}

#[pymethods]
impl LanguageModel {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "named arguments in Python")]
    #[pyo3(signature = (runtime, model, n_ctx=None, n_seq=1, n_batch=512, cache="f16"))]
    fn new(
        py: Python<'_>,
        runtime: &Runtime,
        model: Source<'_>,
        n_ctx: Option<usize>,
        n_seq: u32,
        n_batch: usize,
        cache: &str,
    ) -> PyResult<Self> {
        let cache = DType::from_name(cache)
            .ok_or_else(|| bad_input(py, &format!("there is no element type `{cache}`")))?;
        let options =
            LanguageOptions { context: n_ctx, sequences: n_seq, step_tokens: n_batch, cache };
        let runtime = runtime.inner().clone();
        let loaded = match model {
            Source::Path(path) => {
                interrupt::run(py, move |_| runtime.load_language(path, &options))?
            }
            Source::Bytes(bytes) => {
                let bytes = Foreign::of_bytes(&bytes);
                interrupt::run(py, move |_| runtime.load_language_bytes(bytes, &options))?
            }
        };
        loaded.map(Self).map_err(|error| raised(py, &error))
    }

    /// What the model is, and the memory that it takes.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (info, memory, budget) = (self.0.info(), self.0.memory(), self.0.budget());
        let dict = PyDict::new(py);
        dict.set_item("architecture", &info.architecture)?;
        dict.set_item("name", &info.name)?;
        dict.set_item("layers", info.layers)?;
        dict.set_item("features", info.features)?;
        dict.set_item("vocabulary", info.vocabulary)?;
        dict.set_item("trained_context", info.context)?;
        dict.set_item("parameters", info.parameters)?;
        dict.set_item("type", info.dtype.name())?;
        dict.set_item("context", budget.context)?;
        dict.set_item("sequences", budget.sequences)?;
        dict.set_item("weight_bytes", memory.weight_bytes)?;
        dict.set_item("cache_bytes", memory.cache_bytes)?;
        Ok(dict)
    }

    /// The tokens of a text, with those that the model wants around a prompt.
    fn tokenize(&self, py: Python<'_>, text: &str) -> PyResult<Vec<u32>> {
        self.0.tokenize(text).map_err(|error| raised(py, &error))
    }

    /// The text of tokens.
    fn detokenize(&self, py: Python<'_>, tokens: Vec<u32>) -> PyResult<String> {
        let tokenizer = self.0.tokenizer().map_err(|error| raised(py, &error))?;
        Ok(tokenizer.decode(&tokens))
    }

    /// Goes on from a text.
    #[pyo3(signature = (prompt, most=None, temperature=0.8, seed=0))]
    fn answer(
        &self,
        py: Python<'_>,
        prompt: &str,
        most: Option<usize>,
        temperature: f32,
        seed: u64,
    ) -> PyResult<Answer> {
        let sampling = Sampling { temperature, seed, ..Sampling::default() };
        let started = self.0.answer(prompt, most, sampling);
        Ok(Answer(Mutex::new(Some(started.map_err(|error| raised(py, &error))?))))
    }

    /// The logits behind each token: one row per token.
    fn logits(&self, py: Python<'_>, tokens: Vec<u32>) -> PyResult<Tensor> {
        let (model, rows) = (self.0.clone(), tokens.len());
        let logits = interrupt::run(py, move |_| model.logits(tokens))?;
        let logits = logits.map_err(|error| raised(py, &error))?;
        let tensor = Plain::from_vec([rows, self.0.info().vocabulary], logits);
        tensor.map(Tensor).map_err(|error| crate::error::bad_tensor(py, error))
    }

    /// The logarithm of the probability of each token but the first after those in front of it.
    fn log_probabilities(&self, py: Python<'_>, tokens: Vec<u32>) -> PyResult<Vec<f64>> {
        let model = self.0.clone();
        let found = interrupt::run(py, move |_| model.log_probabilities(tokens))?;
        found.map_err(|error| raised(py, &error))
    }

    /// Goes on from a prompt with the likeliest token each time, until one of `ends`.
    #[pyo3(signature = (tokens, most=None, ends=Vec::new()))]
    fn greedy(
        &self,
        py: Python<'_>,
        tokens: Vec<u32>,
        most: Option<usize>,
        ends: Vec<u32>,
    ) -> PyResult<Generation> {
        let started = self.0.generate(tokens, most, remuda::greedy(ends));
        let started = started.map_err(|error| raised(py, &error))?;
        Ok(Generation(Mutex::new(Some(started))))
    }
}

/// A text as it comes.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Answer(Mutex<Option<remuda::Answer>>);

#[pymethods]
impl Answer {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let next = py.detach(|| next_of(&self.0));
        next.transpose().map_err(|error| raised(py, &error))
    }

    /// Ends it.
    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The next item; what has ended is dropped.
fn next_of<I: Iterator>(slot: &Mutex<Option<I>>) -> Option<I::Item> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let next = slot.as_mut().and_then(Iterator::next);
    if next.is_none() {
        slot.take();
    }
    next
}

/// Tokens as they come.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Generation(Mutex<Option<Inner>>);

#[pymethods]
impl Generation {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        let next = py.detach(|| next_of(&self.0));
        next.transpose().map_err(|error| raised(py, &error))
    }

    /// Ends it.
    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
