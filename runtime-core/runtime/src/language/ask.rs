//! What is asked of a language model, and what comes back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use remuda_engine::Usage;
pub use remuda_sample::{
    LogProb, MirostatVersion, Params as Sampling, SETTINGS, SamplerName, Setting,
};

/// What an answer must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Constraint {
    /// A JSON object.
    JsonObject,
    /// JSON that a schema allows.
    JsonSchema(String),
    /// Text that a regular expression matches.
    Regex(String),
    /// Text of a grammar as llama.cpp writes them.
    Gbnf(String),
    /// Text of a grammar in Lark's syntax.
    Lark(String),
}

/// How an answer shall come.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The most tokens to generate; as many as the context has room for by default.
    pub most: Option<usize>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the answer; they are no part of it.
    pub stops: Vec<String>,
    /// What the answer must be like.
    pub constraint: Option<Constraint>,
    /// Requests with a larger number go first.
    pub priority: i32,
    /// Whether the probability of each token is told, and of how many that might have come.
    pub probabilities: Option<usize>,
    /// Set it to true, from any thread, to end the answer; an answer that is dropped before its end
    /// sets it, too. Without one each answer has its own.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Ask {
    /// An answer of at most so many tokens.
    #[must_use]
    pub fn most(tokens: usize) -> Self {
        Self { most: Some(tokens), ..Self::default() }
    }
}

/// A piece of an answer. Pieces never split a character; one may be empty while a stop text might
/// begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The text that is sure by now.
    pub text: String,
    /// The token that came; none with the rest of a text at its end.
    pub token: Option<u32>,
    /// The probability of the token, as the model gives it, and those of the likeliest tokens.
    pub probabilities: Option<(LogProb, Vec<LogProb>)>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// The model ended it.
    End,
    /// A stop text came: which of them.
    Stop(usize),
    /// It reached the most tokens, or the end of the context.
    Length,
    /// Somebody ended it.
    Cancelled,
}

/// What an answer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Tokens of prompt and answer.
    pub usage: Usage,
    /// Why it ended.
    pub finish: Finish,
    /// From the question to the first token.
    pub prompt_time: Duration,
    /// From the first token to the end.
    pub answer_time: Duration,
}
