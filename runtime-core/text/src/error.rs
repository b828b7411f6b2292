//! What can be wrong with a tokenizer, in words.

use remuda_base::Family;
use remuda_gguf::GgufError;

use crate::{MAX_SPECIAL_BYTES, MAX_TOKEN_BYTES, MAX_TOKENS};

/// A vocabulary cannot be used, or a text cannot be encoded with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A metadata key is missing or has another type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The kind of tokenizer is not known.
    #[error("tokenizer model `{name}` is not supported{}", suggestion(.nearest.as_deref()))]
    UnknownModel {
        /// What the file asks for.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// The rules that split text into words are not known.
    #[error("pre-tokenizer `{name}` is not known{}", suggestion(.nearest.as_deref()))]
    UnknownPre {
        /// What the file asks for.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// An array does not have one entry per token.
    #[error("metadata key `{key}`: expected {expected} entries, one per token, got {got}")]
    Length {
        /// The key of the array.
        key: &'static str,
        /// How many tokens there are.
        expected: usize,
        /// How many entries it has.
        got: usize,
    },
    /// An array holds values of another type.
    #[error("metadata key `{key}`: expected an array of {expected}, got one of `{got}`")]
    Elements {
        /// The key of the array.
        key: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        got: &'static str,
    },
    /// The vocabulary is empty.
    #[error("metadata key `tokenizer.ggml.tokens`: expected at least one token, got none")]
    Empty,
    /// The vocabulary is too large.
    #[error("vocabulary: expected at most {MAX_TOKENS} tokens, got {0}")]
    TooMany(usize),
    /// A token is too long.
    #[error("token {id}: expected at most {MAX_TOKEN_BYTES} bytes, got {bytes}")]
    TooLong {
        /// The token.
        id: usize,
        /// Its length.
        bytes: usize,
    },
    /// Two tokens have the same text.
    #[error("tokens {first} and {second} have the same text")]
    Twice {
        /// The first of them.
        first: usize,
        /// The second of them.
        second: usize,
    },
    /// A byte token does not name a byte.
    #[error("token {id}: expected the text of a byte token, such as `<0x0A>`, got `{text}`")]
    ByteToken {
        /// The token.
        id: usize,
        /// Its text, escaped and shortened.
        text: String,
    },
    /// A merge does not name two parts.
    #[error("merge {index}: expected two parts with a space between them")]
    Merge {
        /// Its place in the list.
        index: usize,
    },
    /// The special tokens are too long for a table that finds them.
    #[error("special tokens: expected at most {MAX_SPECIAL_BYTES} bytes together, got {0}")]
    SpecialBytes(usize),
    /// The table that finds special tokens in a text cannot be built.
    #[error("special tokens: the table that finds them cannot be built")]
    SpecialTable,
    /// The table that normalises text is broken.
    #[error("metadata key `tokenizer.ggml.precompiled_charsmap`: {0}")]
    Charsmap(&'static str),
    /// A token that the model adds to every prompt does not exist.
    #[error("the model adds token `{role}` to prompts, but its vocabulary has none")]
    NoRole {
        /// What the token is for.
        role: &'static str,
    },
    /// A `tokenizer.json` cannot be read.
    #[error("tokenizer.json: {0}")]
    Json(String),
    /// A `tokenizer.json` could not encode a text.
    #[error("tokenizer.json cannot encode this text: {0}")]
    Encode(String),
}

impl TextError {
    /// Whose turn it is now.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Gguf(error) => error.family(),
            Self::UnknownModel { .. } | Self::UnknownPre { .. } => Family::Unsupported,
            _ => Family::Invalid,
        }
    }
}

fn suggestion(name: Option<&str>) -> String {
    name.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// A text from a file as a message may show it.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        short.push('…');
    }
    short
}
