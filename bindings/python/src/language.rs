//! Language models: texts, conversations and tokens in, texts and tokens out.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use remuda::text::{Chat, Encode};
use remuda::{
    DType, Finish, Generation as Inner, LanguageModel as Model, LanguageOptions, Piece,
    Tensor as Plain,
};

use crate::ask::ask;
use crate::error::{bad_input, raised};
use crate::foreign::Foreign;
use crate::interrupt;
use crate::placement;
use crate::runtime::Runtime;
use crate::tensor::Tensor;

/// How long a pressed Ctrl-C may go unnoticed while an answer is waited for.
const NOTICE: Duration = Duration::from_millis(20);

/// A loaded language model.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct LanguageModel(Model);

/// Where a model is.
#[derive(FromPyObject)]
pub(crate) enum Source<'py> {
    Bytes(Bound<'py, PyBytes>),
    Path(PathBuf),
}

#[pymethods]
impl LanguageModel {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "named arguments in Python")]
    #[pyo3(signature = (runtime, model, n_ctx=None, n_seq=1, n_batch=512, cache="f16", lookup=false, lora=Vec::new(), draft=None, deterministic=false))]
    fn new(
        py: Python<'_>,
        runtime: &Runtime,
        model: Source<'_>,
        n_ctx: Option<usize>,
        n_seq: u32,
        n_batch: usize,
        cache: &str,
        lookup: bool,
        lora: Vec<(PathBuf, f64)>,
        draft: Option<PathBuf>,
        deterministic: bool,
    ) -> PyResult<Self> {
        let cache = DType::from_name(cache)
            .ok_or_else(|| bad_input(py, &format!("there is no element type `{cache}`")))?;
        let options = LanguageOptions {
            context: n_ctx,
            sequences: n_seq,
            step_tokens: n_batch,
            cache,
            lookup,
            adapters: lora,
            draft,
            deterministic,
            ..LanguageOptions::default()
        };
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
        dict.set_item("packed_bytes", memory.packed_bytes)?;
        dict.set_item("work_bytes", memory.work_bytes)?;
        Ok(dict)
    }

    /// Who runs which node of which sort of step, and why nobody else does.
    fn placement<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        placement::plan(py, &self.0.placement(), self.0.trials())
    }

    /// What placement wants the user to know.
    fn placement_warnings(&self) -> Vec<String> {
        self.0.placement_warnings().to_vec()
    }

    /// What the step that ended last did; nothing before the first one.
    fn last_receipt<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.last_receipt().map(|last| placement::receipt(py, &last)).transpose()
    }

    /// The devices that failed since the model was loaded.
    fn failovers<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        placement::step_failovers(py, &self.0.failovers())
    }

    /// Why the draft model was given up, if it was.
    fn draft_lost(&self) -> Option<String> {
        self.0.draft_lost()
    }

    /// The source of the chat template, if the file has one.
    fn template(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let template = self.0.template().map_err(|error| raised(py, &error))?;
        Ok(template.map(|template| template.source().to_owned()))
    }

    /// The tokens of a text.
    #[pyo3(signature = (text, affixes=true, special=true))]
    fn tokenize(
        &self,
        py: Python<'_>,
        text: &str,
        affixes: bool,
        special: bool,
    ) -> PyResult<Vec<u32>> {
        let tokenizer = self.0.tokenizer().map_err(|error| raised(py, &error))?;
        let tokens = py.detach(|| tokenizer.encode(text, Encode { affixes, special }));
        tokens.map_err(|error| raised(py, &error.into()))
    }

    /// The bytes of tokens; with `special`, marks are shown by their texts.
    #[pyo3(signature = (tokens, special=false))]
    fn detokenize<'py>(
        &self,
        py: Python<'py>,
        tokens: Vec<u32>,
        special: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tokenizer = self.0.tokenizer().map_err(|error| raised(py, &error))?;
        Ok(PyBytes::new(py, &tokenizer.decode_bytes(&tokens, special)))
    }

    /// The tokens that end an answer.
    fn ends(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        let tokenizer = self.0.tokenizer().map_err(|error| raised(py, &error))?;
        Ok(tokenizer.vocabulary().ends().collect())
    }

    /// Goes on from tokens.
    fn answer(
        &self,
        py: Python<'_>,
        prompt: Vec<u32>,
        asked: &Bound<'_, PyDict>,
    ) -> PyResult<Answer> {
        let asked = ask(py, asked)?;
        let started = py.detach(|| self.0.answer_tokens(prompt, &asked));
        Ok(Answer(Mutex::new(started.map_err(|error| raised(py, &error))?)))
    }

    /// Answers a conversation that is given as JSON.
    fn chat(
        &self,
        py: Python<'_>,
        conversation: &str,
        asked: &Bound<'_, PyDict>,
    ) -> PyResult<Answer> {
        let asked = ask(py, asked)?;
        let chat = Chat::from_json(conversation).map_err(|error| raised(py, &error.into()))?;
        let started = py.detach(|| self.0.chat(&chat, &asked));
        Ok(Answer(Mutex::new(started.map_err(|error| raised(py, &error))?)))
    }

    /// The logits behind each token: one row per token.
    fn logits(&self, py: Python<'_>, tokens: Vec<u32>) -> PyResult<Tensor> {
        let (model, rows) = (self.0.clone(), tokens.len());
        let logits = interrupt::run(py, move |_| model.logits(tokens))?;
        let logits = logits.map_err(|error| raised(py, &error))?;
        let tensor = Plain::from_vec([rows, self.0.info().vocabulary], logits);
        tensor.map(Tensor).map_err(|error| crate::error::bad_tensor(py, error))
    }

    /// The logits behind a prompt and behind each token of an answer to it.
    fn answer_logits(
        &self,
        py: Python<'_>,
        tokens: Vec<u32>,
        answer: Vec<u32>,
    ) -> PyResult<Tensor> {
        let (model, rows) = (self.0.clone(), answer.len() + 1);
        let logits = interrupt::run(py, move |_| model.answer_logits(tokens, answer))?;
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

    /// The perplexity of tokens in windows of so many, and its standard error.
    fn perplexity(&self, py: Python<'_>, tokens: Vec<u32>, window: usize) -> PyResult<(f64, f64)> {
        let model = self.0.clone();
        let found = interrupt::run(py, move |cancel| {
            model.perplexity(&tokens, window, cancel, &mut |_| ())
        })?;
        found.map(|found| (found.value, found.error)).map_err(|error| raised(py, &error))
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
pub(crate) struct Answer(Mutex<remuda::Answer>);

/// Text, token, its log-probability, and the likeliest tokens with theirs.
type PieceTuple = (String, Option<u32>, Option<f32>, Option<Vec<(u32, f32)>>);

fn tuple(piece: Piece) -> PieceTuple {
    let (own, likeliest) = piece.probabilities.unzip();
    let likeliest = likeliest.map(|list| list.iter().map(|l| (l.token, l.logprob)).collect());
    (piece.text, piece.token, own.map(|own| own.logprob), likeliest)
}

#[pymethods]
impl Answer {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PieceTuple>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match py.detach(|| lock().poll(NOTICE)) {
                Poll::Ready(None) => return Ok(None),
                Poll::Ready(Some(Ok(piece))) => return Ok(Some(tuple(piece))),
                Poll::Ready(Some(Err(error))) => return Err(raised(py, &error)),
                Poll::Pending => {}
            }
            if let Err(raised) = py.check_signals() {
                lock().cancel();
                return Err(raised);
            }
        }
    }

    /// Ends it at its next step.
    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).cancel());
    }

    /// What it came to, once it has ended.
    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let outcome = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).outcome());
        let Some(outcome) = outcome else { return Ok(None) };
        let dict = PyDict::new(py);
        dict.set_item("prompt_tokens", outcome.usage.prompt)?;
        dict.set_item("cached_tokens", outcome.usage.reused)?;
        dict.set_item("completion_tokens", outcome.usage.generated)?;
        dict.set_item("ahead_tokens", outcome.usage.ahead)?;
        let failovers = placement::step_failovers(py, &outcome.usage.failovers)?;
        dict.set_item("failovers", failovers)?;
        let finish = match outcome.finish {
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
            _ => "stop",
        };
        dict.set_item("finish_reason", finish)?;
        dict.set_item("prompt_seconds", outcome.prompt_time.as_secs_f64())?;
        dict.set_item("completion_seconds", outcome.answer_time.as_secs_f64())?;
        Ok(Some(dict))
    }
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
        let next = py.detach(|| {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let next = slot.as_mut().and_then(Iterator::next);
            // What has ended is dropped.
            if next.is_none() {
                slot.take();
            }
            next
        });
        next.transpose().map_err(|error| raised(py, &error))
    }

    /// Ends it.
    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
