//! How surprising a text is, measured as llama.cpp does: windows of the text side by side, of each
//! the second half scored.

use std::sync::atomic::{AtomicBool, Ordering};

use remuda_ir::OpError;
use remuda_text::Role;

use super::LanguageModel;
use crate::Error;

/// How surprising a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Perplexity {
    /// The perplexity.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// How many tokens were scored.
    pub tokens: usize,
    /// Windows that are done, and all of them.
    pub windows: (usize, usize),
}

/// Sums over scored tokens.
#[derive(Default)]
struct Sums {
    count: usize,
    loss: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, log_probability: f64) {
        self.count += 1;
        self.loss -= log_probability;
        self.squares += log_probability * log_probability;
    }

    #[expect(clippy::cast_precision_loss, reason = "texts are shorter")]
    fn perplexity(&self, windows: (usize, usize)) -> Perplexity {
        let count = self.count as f64;
        let mean = self.loss / count;
        let variance = (self.squares / count - mean * mean).max(0.0);
        let value = mean.exp();
        let error = value * (variance / (count - 1.0).max(1.0)).sqrt();
        Perplexity { value, error, tokens: self.count, windows }
    }
}

impl LanguageModel {
    /// How surprising a text of these tokens is, in windows of so many; `told` hears of each window.
    /// Where the model wants a token that starts a text, each window starts with it. A rest shorter
    /// than a window is left out, unless it is all there is.
    ///
    /// # Errors
    /// When a window is longer than the context, fewer than 4 tokens are there, `cancel` is set, or a
    /// run fails.
    pub fn perplexity(
        &self,
        tokens: &[u32],
        window: usize,
        cancel: &AtomicBool,
        told: &mut dyn FnMut(&Perplexity),
    ) -> Result<Perplexity, Error> {
        let window = window.min(tokens.len());
        if window < 4 {
            let text = format!("a perplexity needs windows of at least 4 tokens, got {window}");
            return Err(Error::Input(text));
        }
        let tokenizer = self.tokenizer().ok().filter(|tokenizer| tokenizer.adds_bos());
        let start = tokenizer.and_then(|tokenizer| tokenizer.vocabulary().role(Role::Bos));
        let windows = tokens.chunks_exact(window);
        let count = windows.len();
        let mut sums = Sums::default();
        let mut last = Perplexity::default();
        for (at, tokens) in windows.enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Run(OpError::Cancelled));
            }
            let mut tokens = tokens.to_vec();
            if let (Some(start), Some(first)) = (start, tokens.first_mut()) {
                *first = start;
            }
            let found = self.log_probabilities(tokens)?;
            found.iter().skip(window / 2).for_each(|&one| sums.add(one));
            last = sums.perplexity((at + 1, count));
            told(&last);
        }
        Ok(last)
    }
}
