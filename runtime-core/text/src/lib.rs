//! Tokenizers: text to token ids and back, read from GGUF metadata or from a `tokenizer.json`.
//!
//! A [`Tokenizer`] is built once per model, is immutable and shared between threads. It holds a
//! [`Vocabulary`] (the texts, kinds and roles of the tokens) and one of four algorithms: byte-pair
//! merges behind a pre-tokenizer, SentencePiece merges by score, WordPiece, or Unigram. A
//! `tokenizer.json` runs on the crate `tokenizers` instead. [`Detokenizer`] turns a stream of tokens
//! into text without ever splitting a code point; [`StopStrings`] ends a stream at given texts.
//!
//! Vocabularies are hostile until read: whatever they hold, building gives a typed error or a
//! tokenizer whose time grows about linearly with the text.
//!
//! ```no_run
//! use remuda_text::{Encode, Tokenizer};
//! # fn open(file: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let gguf = remuda_gguf::Gguf::parse(file)?;
//! let tokenizer = Tokenizer::from_gguf(gguf.metadata())?;
//! let tokens = tokenizer.encode("Hello world", Encode::PROMPT)?;
//! assert_eq!(tokenizer.decode(&tokens), "Hello world");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::indexing_slicing)]

mod added;
mod bpe;
mod bytes;
mod cleanup;
mod error;
mod json;
mod metadata;
mod pre;
mod sentencepiece;
mod stop;
mod stream;
mod tokenizer;
mod unigram;
mod vocab;
mod wordpiece;

pub use error::TextError;
pub use stop::{StopError, StopStrings, Stopped};
pub use stream::Detokenizer;
pub use tokenizer::{Encode, Tokenizer};
pub use vocab::{Kind, Role, TokenId, Vocabulary};

/// The longest token that a vocabulary may have, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16_384;
/// The most tokens that a vocabulary may have.
pub const MAX_TOKENS: usize = 1 << 24;
/// The most bytes that the texts of all special tokens may have together.
pub const MAX_SPECIAL_BYTES: usize = 4 << 20;
