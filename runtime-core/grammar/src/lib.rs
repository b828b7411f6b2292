//! Constraints: at each step, which tokens keep an answer inside a JSON Schema, a regular expression
//! or a grammar (GBNF or Lark).
//!
//! A [`Compiler`] knows the vocabulary of a model. It turns a [`Source`] into a [`Constraint`], which
//! follows one sequence: it gives the mask of allowed tokens, takes the chosen one, and can go back.
//! The crate `llguidance` does the work; here are its limits, the bridge to our tokenizers, and GBNF,
//! which it does not read.
//!
//! Sources come from requests and are hostile: length, nesting, and the work at each step are bounded.
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod compiler;
mod constraint;
mod error;
mod gbnf;
mod lark;
mod vocabulary;

pub use compiler::{Compiler, Source};
pub use constraint::{Constraint, Mask};
pub use error::GrammarError;

/// The longest source that is read, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1 << 18;
/// How deep brackets may nest in a source.
pub const MAX_DEPTH: usize = 100;
