//! Generation: one scheduler that batches the steps of many sequences.
//!
//! An [`Engine`] owns a compiled language model and its caches, and a thread that runs steps. Every
//! step takes the next token of each sequence that generates and fills up with pieces of prompts, so
//! that a long prompt delays the others by no more than a piece. What a sequence has in common with
//! another, one that ended or one that is still going on, is not computed again. Requests with a larger priority go first. All memory is taken when the engine starts; a request that
//! cannot fit is refused, one that does not fit now waits.
//!
//! Where an encoder reads prompts, a step takes one whole prompt beside the tokens, and what comes of it is
//! kept with the sequence until it ends. Nothing of it is used for another prompt.
//!
//! The engine knows tokens, not texts: whoever asks brings a [`Consumer`] that picks tokens from
//! logits.
#![forbid(unsafe_code)]

mod budget;
mod draft;
mod engine;
mod gauge;
mod journal;
mod lookup;
mod prefix;
mod runner;
mod scheduler;
mod slot;

pub use budget::{Budget, Memory};
pub use engine::{Engine, Handle};
pub use journal::StepFailover;
pub use runner::Runner;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remuda_exec::ExecError;

/// Why an engine cannot start or take a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A prompt without tokens.
    #[error("the prompt is empty: expected at least 1 token")]
    Empty,
    /// A token that the vocabulary does not have.
    #[error("token {token} is not in the vocabulary of {vocabulary}")]
    Token {
        /// The token.
        token: u32,
        /// How many tokens there are.
        vocabulary: usize,
    },
    /// More positions than a sequence may have.
    #[error("the prompt has {prompt} tokens, the context has room for {context}")]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Positions of a sequence.
        context: usize,
    },
    /// A budget that makes no sense.
    #[error("{0}")]
    Budget(String),
    /// The engine is gone.
    #[error("the engine has stopped")]
    Stopped,
    /// There is no plan for the model, or a run failed.
    #[error(transparent)]
    Run(#[from] ExecError),
}

/// What a consumer does with the logits behind its last token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Goes on with this token.
    Token(u32),
    /// Has enough.
    End,
}

/// What a request came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens that were given: those of the prompt, and those that the answer was to begin with.
    pub prompt: usize,
    /// Those of them that an earlier sequence had computed.
    pub reused: usize,
    /// Tokens that were generated.
    pub generated: usize,
    /// Those of them that were run ahead of what was sure, and were right.
    pub ahead: usize,
    /// Devices that failed while the request was under way, and without which it went on.
    pub failovers: Vec<StepFailover>,
}

/// Who asks: picks tokens, and is told how it ends. Called on the engine's thread, one call at a
/// time.
pub trait Consumer: Send {
    /// Whether the logits behind every token that is given are wanted: of prompt and answer; of the start and
    /// the answer where an encoder reads the prompt.
    fn wants_prompt(&self) -> bool {
        false
    }

    /// The logits behind the given token at this place.
    fn prompt(&mut self, place: usize, logits: &[f32]) {
        let _ = (place, logits);
    }

    /// Picks what follows, from the logits behind the last token.
    fn next(&mut self, logits: &[f32]) -> Next;

    /// The request has ended.
    fn ended(&mut self, result: Result<Usage, EngineError>);
}

/// A prompt to go on from.
pub struct Request {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// Tokens that the answer begins with: they are not picked.
    pub answer: Vec<u32>,
    /// The most tokens to generate; as many as the context has room for by default.
    pub most: Option<usize>,
    /// Requests with a larger number go first.
    pub priority: i32,
    /// Set it to true, from any thread, to end the request.
    pub cancel: Arc<AtomicBool>,
    /// Who asks.
    pub consumer: Box<dyn Consumer>,
}

impl Request {
    /// A request without wishes.
    #[must_use]
    pub fn new(prompt: Vec<u32>, consumer: Box<dyn Consumer>) -> Self {
        let answer = Vec::new();
        Self { prompt, answer, most: None, priority: 0, cancel: Arc::default(), consumer }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} tokens)", self.prompt.len())
    }
}
