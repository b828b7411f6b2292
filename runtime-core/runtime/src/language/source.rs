//! Tokenizer and template of a model: in the metadata of its file, or in the files of its folder.

use std::path::Path;

use remuda_chat::ChatTemplate;
use remuda_mapped::MappedFile;
use remuda_models::ModelFile;
use remuda_tensor::Memory;
use remuda_text::Tokenizer;

use super::model_error;
use crate::Error;
use crate::text::{load_tokenizer, template_of, with_tokens_of};

/// The tokenizer that belongs to a model.
pub(super) fn tokenizer(file: &ModelFile) -> Result<Tokenizer, Error> {
    match file.folder() {
        Some(folder) => load_tokenizer(folder),
        None => Ok(Tokenizer::from_gguf(file.parse().map_err(model_error)?.metadata())?),
    }
}

/// The chat template that belongs to a model, if it has one.
pub(super) fn template(
    file: &ModelFile,
    tokenizer: &Tokenizer,
) -> Result<Option<ChatTemplate>, Error> {
    match file.folder() {
        Some(folder) => template_in(folder, tokenizer),
        None => template_of(file.parse().map_err(model_error)?.metadata(), tokenizer),
    }
}

/// Folders keep the template in a file of its own, or in the tokenizer's configuration.
fn template_in(folder: &Path, tokenizer: &Tokenizer) -> Result<Option<ChatTemplate>, Error> {
    let map = |path: &Path| {
        MappedFile::open(path).map_err(|source| Error::File { path: path.to_owned(), source })
    };
    let own = folder.join("chat_template.jinja");
    if own.exists() {
        let file = map(&own)?;
        let source = String::from_utf8_lossy(file.bytes());
        return Ok(Some(with_tokens_of(ChatTemplate::new(&source)?, tokenizer)));
    }
    let config = folder.join("tokenizer_config.json");
    if !config.exists() {
        return Ok(None);
    }
    Ok(ChatTemplate::from_config(map(&config)?.bytes())?)
}
