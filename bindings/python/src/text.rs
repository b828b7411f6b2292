//! Tokenizers and chat templates.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use remuda::text::{self as inner, Chat, Encode, TokenId};

use crate::error::{bad_input, raised};

/// Text to tokens and back. Safe to use from many threads.
#[pyclass(module = "remuda", frozen)]
#[derive(Debug)]
pub(crate) struct Tokenizer(inner::Tokenizer);

#[pymethods]
impl Tokenizer {
    /// The tokenizer of a GGUF file, of a `tokenizer.json`, or of a folder that holds one.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let loaded = py.detach(|| inner::load_tokenizer(&path));
        loaded.map(Self).map_err(|error| raised(py, &error))
    }

    /// The tokens of a text.
    #[pyo3(signature = (text, *, add_special_tokens = true, parse_special_tokens = true))]
    fn encode(
        &self,
        py: Python<'_>,
        text: &str,
        add_special_tokens: bool,
        parse_special_tokens: bool,
    ) -> PyResult<Vec<TokenId>> {
        let how = Encode { affixes: add_special_tokens, special: parse_special_tokens };
        let encoded = py.detach(|| self.0.encode(text, how));
        encoded.map_err(|error| raised(py, &error.into()))
    }

    /// The tokens of many texts.
    #[pyo3(signature = (texts, *, add_special_tokens = true, parse_special_tokens = true))]
    fn encode_batch(
        &self,
        py: Python<'_>,
        texts: Vec<String>,
        add_special_tokens: bool,
        parse_special_tokens: bool,
    ) -> PyResult<Vec<Vec<TokenId>>> {
        let how = Encode { affixes: add_special_tokens, special: parse_special_tokens };
        let encoded: Result<Vec<_>, _> =
            py.detach(|| texts.iter().map(|text| self.0.encode(text, how)).collect());
        encoded.map_err(|error| raised(py, &error.into()))
    }

    /// The text of tokens, without marks such as the end of a turn.
    fn decode(&self, py: Python<'_>, tokens: Vec<TokenId>) -> String {
        py.detach(|| self.0.decode(&tokens))
    }

    /// The bytes that a token adds to an answer.
    fn piece<'py>(&self, py: Python<'py>, token: TokenId) -> PyResult<Bound<'py, PyBytes>> {
        let piece = self.0.vocabulary().piece(token);
        let piece = piece.ok_or_else(|| bad_input(py, &format!("there is no token {token}")))?;
        Ok(PyBytes::new(py, piece))
    }

    /// The text of a token as the vocabulary writes it.
    fn id_to_token(&self, token: TokenId) -> Option<String> {
        self.0.vocabulary().text(token).map(ToOwned::to_owned)
    }

    /// The token with that text.
    fn token_to_id(&self, text: &str) -> Option<TokenId> {
        self.0.vocabulary().find(text)
    }

    /// How many tokens there are.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.0.vocabulary().len()
    }

    /// The tokens that end an answer.
    #[getter]
    fn end_tokens(&self) -> Vec<TokenId> {
        self.0.vocabulary().ends().collect()
    }

    /// What a person should know about it.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes().to_vec()
    }

    fn __len__(&self) -> usize {
        self.0.vocabulary().len()
    }
}

/// A conversation to the text that a model was trained on.
#[pyclass(module = "remuda", frozen)]
#[derive(Debug)]
pub(crate) struct ChatTemplate(inner::ChatTemplate);

#[pymethods]
impl ChatTemplate {
    /// A template from its source.
    #[new]
    #[pyo3(signature = (source, *, bos_token = "", eos_token = ""))]
    fn new(py: Python<'_>, source: &str, bos_token: &str, eos_token: &str) -> PyResult<Self> {
        let template = inner::ChatTemplate::new(source);
        let template = template.map_err(|error| raised(py, &error.into()))?;
        Ok(Self(template.with_tokens(bos_token, eos_token)))
    }

    /// The template of a GGUF file, or `None` if it has none.
    #[staticmethod]
    fn from_gguf(py: Python<'_>, path: PathBuf) -> PyResult<Option<Self>> {
        let template = py.detach(|| from_gguf(&path));
        template.map(|template| template.map(Self)).map_err(|error| raised(py, &error))
    }

    /// Renders a conversation that is given as JSON.
    #[pyo3(signature = (conversation, now = None))]
    fn render_json(
        &self,
        py: Python<'_>,
        conversation: &str,
        now: Option<u64>,
    ) -> PyResult<String> {
        let chat = Chat::from_json(conversation).map_err(|error| raised(py, &error.into()))?;
        let now = now.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let chat = Chat { now, ..chat };
        py.detach(|| self.0.render(&chat)).map_err(|error| raised(py, &error.into()))
    }

    /// What the template does with small conversations, in words.
    fn problems(&self, py: Python<'_>) -> Vec<String> {
        let report = py.detach(|| self.0.probe());
        report.findings.iter().map(ToString::to_string).collect()
    }

    /// The template as it came.
    #[getter]
    fn source(&self) -> &str {
        self.0.source()
    }
}

fn from_gguf(path: &Path) -> Result<Option<inner::ChatTemplate>, remuda::Error> {
    let file = inner::open_gguf(path)?;
    let gguf = file.parse()?;
    let tokenizer = inner::Tokenizer::from_gguf(gguf.metadata())?;
    inner::chat_template(&gguf, &tokenizer)
}
