//! Metadata of one architecture, read by what is wanted of it.

use remuda_gguf::{Array, FromValue, Metadata, Value};

use crate::ModelError;

/// The keys that start with the architecture's name.
pub(crate) struct Keys<'a> {
    metadata: &'a Metadata<'a>,
    architecture: &'a str,
}

/// No model has more of anything that is counted by a key, and products of two sizes fit a number.
const MOST: usize = 1 << 31;

impl<'a> Keys<'a> {
    pub(crate) fn new(metadata: &'a Metadata<'a>, architecture: &'a str) -> Self {
        Self { metadata, architecture }
    }

    pub(crate) fn architecture(&self) -> &'a str {
        self.architecture
    }

    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn get<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>, ModelError> {
        Ok(self.metadata.optional(&self.full(key))?)
    }

    /// A size above 0.
    pub(crate) fn size(&self, key: &str) -> Result<usize, ModelError> {
        let size = self.metadata.required::<usize>(&self.full(key))?;
        self.in_range(key, size)
    }

    /// A size above 0, if it is there; 0 counts as absent.
    pub(crate) fn optional_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let size = self.get::<usize>(key)?.filter(|&size| size > 0);
        size.map(|size| self.in_range(key, size)).transpose()
    }

    /// A size that may be said once for all layers or for each of them; it must be the same for all.
    pub(crate) fn size_of_layers(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let Some(Value::Array(array)) = self.metadata.get(&self.full(key)) else {
            return self.optional_size(key);
        };
        let mut sizes = array.iter().map(|value| value.as_integer());
        let first = sizes.next().flatten();
        if sizes.any(|size| size != first) {
            return Err(ModelError::Unsupported {
                key: self.full(key),
                expected: "one number for all layers".to_owned(),
                got: "different numbers".to_owned(),
            });
        }
        let size = first.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0);
        size.map(|size| self.in_range(key, size)).transpose()
    }

    fn in_range(&self, key: &str, size: usize) -> Result<usize, ModelError> {
        if (1..=MOST).contains(&size) {
            return Ok(size);
        }
        Err(self.bad(key, format!("a number from 1 to {MOST}"), size.to_string()))
    }

    /// The error of a key that makes no sense.
    pub(crate) fn bad(&self, key: &str, expected: String, got: String) -> ModelError {
        ModelError::Key { key: self.full(key), expected, got }
    }

    /// The error of a key that asks for something that is not implemented.
    pub(crate) fn unsupported(&self, key: &str, expected: String, got: String) -> ModelError {
        ModelError::Unsupported { key: self.full(key), expected, got }
    }

    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let Some(number) = self.get::<f64>(key)? else { return Ok(None) };
        if number.is_finite() {
            return Ok(Some(number));
        }
        Err(self.bad(key, "a finite number".to_owned(), number.to_string()))
    }

    pub(crate) fn float_or(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        Ok(self.float(key)?.unwrap_or(default))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.get(key)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        self.get(key)
    }

    /// The token that answers start with where an encoder reads the prompt: padding where nothing is
    /// said, and the first token where that is not said either.
    pub(crate) fn start(&self, vocabulary: usize) -> Result<u32, ModelError> {
        const KEY: &str = "decoder_start_token_id";
        let own = self.get::<u32>(KEY)?;
        let padding = self.metadata.optional::<u32>("tokenizer.ggml.padding_token_id")?;
        let start = own.or(padding).unwrap_or(0);
        if (start as usize) < vocabulary {
            return Ok(start);
        }
        Err(self.bad(KEY, format!("a token below {vocabulary}"), start.to_string()))
    }

    /// The model's own name.
    pub(crate) fn name(&self) -> Result<Option<&'a str>, ModelError> {
        Ok(self.metadata.optional("general.name")?)
    }

    /// The vocabulary's entries in the tokenizer.
    pub(crate) fn tokens(&self) -> Result<Option<usize>, ModelError> {
        let tokens = self.metadata.optional::<Array<'a>>("tokenizer.ggml.tokens")?;
        Ok(tokens.map(|tokens| tokens.len()))
    }
}
