//! What a language model's file says about text: its tokenizer and its chat template.

use std::path::Path;
use std::sync::Arc;

use remuda_base::Family;
use remuda_gguf::{Gguf, Metadata};
use remuda_mapped::MappedFile;
use remuda_tensor::Memory;

pub use remuda_chat::{Chat, ChatError, ChatTemplate, Finding, Limits, Report};
pub use remuda_text::{
    Detokenizer, Encode, Kind, Role, StopError, StopStrings, Stopped, TextError, TokenId,
    Tokenizer, Vocabulary,
};

use crate::demo::demo;
use crate::error::{Error, ErrorKind};

/// GGUF files: metadata and tensors.
pub mod gguf {
    pub use remuda_gguf::{Array, Entry, Gguf, GgufError, Metadata, TensorInfo, Value, ValueType};
}

/// Where GGUF files keep the template.
const TEMPLATE: &str = "tokenizer.chat_template";

impl From<Family> for ErrorKind {
    fn from(family: Family) -> Self {
        match family {
            Family::Invalid => Self::Invalid,
            Family::Unsupported => Self::Unsupported,
            Family::Resource => Self::Resource,
            Family::Bug => Self::Bug,
        }
    }
}

impl From<TextError> for Error {
    fn from(error: TextError) -> Self {
        let (kind, message) = (error.family().into(), error.to_string());
        Self::Model { kind, message, hint: None }
    }
}

impl From<ChatError> for Error {
    fn from(error: ChatError) -> Self {
        let (kind, message) = (error.family().into(), error.to_string());
        Self::Model { kind, message, hint: None }
    }
}

impl From<remuda_gguf::GgufError> for Error {
    fn from(error: remuda_gguf::GgufError) -> Self {
        let hint = Some(error.hint().to_owned()).filter(|hint| !hint.is_empty());
        Self::Model { kind: error.family().into(), message: error.to_string(), hint }
    }
}

/// A GGUF file in memory.
pub struct GgufFile(Arc<dyn Memory>);

impl std::fmt::Debug for GgufFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GgufFile({} bytes)", self.0.bytes().len())
    }
}

impl GgufFile {
    /// Reads its tables.
    ///
    /// # Errors
    /// When it is no GGUF file.
    pub fn parse(&self) -> Result<Gguf<'_>, Error> {
        Ok(Gguf::parse(self.0.bytes())?)
    }

    /// Whether it starts as GGUF files do.
    #[must_use]
    pub fn is_gguf(&self) -> bool {
        self.0.bytes().starts_with(b"GGUF")
    }
}

/// Maps a GGUF file.
///
/// # Errors
/// When it cannot be opened.
pub fn open_gguf(path: &Path) -> Result<GgufFile, Error> {
    map(path).map(GgufFile)
}

fn map(path: &Path) -> Result<Arc<dyn Memory>, Error> {
    if let Some(carried) = demo(path) {
        return Ok(carried);
    }
    match MappedFile::open(path) {
        Ok(file) => Ok(Arc::new(file)),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// The tokenizer of a GGUF file, of a `tokenizer.json`, or of a folder that holds one.
///
/// # Errors
/// When the file cannot be read, or holds no tokenizer that is known.
pub fn load_tokenizer(path: &Path) -> Result<Tokenizer, Error> {
    if path.is_dir() {
        return load_tokenizer(&path.join("tokenizer.json"));
    }
    let file = map(path)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        let config = path.with_file_name("tokenizer_config.json");
        let config = config.exists().then(|| map(&config)).transpose()?;
        let config = config.as_ref().map(|config| config.bytes());
        return Ok(Tokenizer::from_json(file.bytes(), config)?);
    }
    Ok(Tokenizer::from_gguf(Gguf::parse(file.bytes())?.metadata())?)
}

/// The chat template that a GGUF file names, with the texts of its start and end tokens.
///
/// # Errors
/// When there is one but it is no template.
pub fn chat_template(
    gguf: &Gguf<'_>,
    tokenizer: &Tokenizer,
) -> Result<Option<ChatTemplate>, Error> {
    template_of(gguf.metadata(), tokenizer)
}

/// The chat template that metadata names.
pub(crate) fn template_of(
    metadata: &Metadata<'_>,
    tokenizer: &Tokenizer,
) -> Result<Option<ChatTemplate>, Error> {
    let Some(source) = metadata.optional::<&str>(TEMPLATE)? else { return Ok(None) };
    Ok(Some(with_tokens_of(ChatTemplate::new(source)?, tokenizer)))
}

/// A template that prints the start and end tokens of this tokenizer.
pub(crate) fn with_tokens_of(template: ChatTemplate, tokenizer: &Tokenizer) -> ChatTemplate {
    let vocabulary = tokenizer.vocabulary();
    let text = |role| vocabulary.role(role).and_then(|id| vocabulary.text(id)).unwrap_or_default();
    template.with_tokens(text(Role::Bos), text(Role::Eos))
}
