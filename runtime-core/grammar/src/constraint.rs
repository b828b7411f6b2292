//! A constraint on one sequence.

use std::fmt;

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;
use remuda_text::TokenId;

use crate::error::{GrammarError, first_line};

/// Follows a sequence and says which tokens may come next.
#[derive(Clone)]
pub struct Constraint {
    kind: &'static str,
    matcher: Matcher,
    /// End tokens taken since the answer was complete. The matcher never sees them: it has nowhere to go from its end.
    ends: usize,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The tokens that may come next.
#[derive(Debug, Clone)]
pub struct Mask(SimpleVob);

impl Mask {
    /// Whether `token` may come next.
    #[must_use]
    pub fn allows(&self, token: TokenId) -> bool {
        (token as usize) < self.0.len() && self.0.is_allowed(token)
    }

    /// How many tokens may come next.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.num_set()
    }

    /// One bit per token, the lowest first.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        self.0.as_slice()
    }
}

impl Constraint {
    pub(crate) fn new(kind: &'static str, matcher: Matcher) -> Self {
        Self { kind, matcher, ends: 0 }
    }

    /// The tokens that may come next. Tokens that end an answer are among them when it is complete, and are
    /// all of them once nothing else can follow.
    ///
    /// # Errors
    /// When the work for this step meets its limit, or nothing can follow that the source describes.
    pub fn mask(&mut self) -> Result<Mask, GrammarError> {
        if self.ends > 0 {
            let env = self.matcher.tok_env().map_err(|error| self.limit(&error))?;
            return Ok(Mask(env.tok_trie().eos_token_set()));
        }
        let mut mask = self.matcher.compute_mask_or_eos().map_err(|error| self.limit(&error))?;
        if !self.is_complete()? {
            let env = self.matcher.tok_env().map_err(|error| self.limit(&error))?;
            env.tok_trie().eos_tokens().iter().for_each(|&end| mask.disallow_token(end));
        }
        if mask.is_zero() {
            return Err(self.limit(&"no token may follow, and the answer is not complete"));
        }
        Ok(Mask(mask))
    }

    /// Takes the token that came. One that ends an answer is taken whenever the answer is complete.
    ///
    /// # Errors
    /// When it is not allowed; the sequence stays where it was.
    pub fn accept(&mut self, token: TokenId) -> Result<(), GrammarError> {
        if self.is_end(token) && self.is_complete()? {
            self.ends = self.ends.saturating_add(1);
            return Ok(());
        }
        let taken = if self.ends > 0 { Ok(0) } else { self.matcher.try_consume_tokens(&[token]) };
        match taken.map_err(|error| self.limit(&error))? {
            1 => Ok(()),
            _ => Err(GrammarError::NotAllowed { kind: self.kind, token }),
        }
    }

    /// Goes back by `count` tokens.
    ///
    /// # Errors
    /// When fewer were taken.
    pub fn rollback(&mut self, count: usize) -> Result<(), GrammarError> {
        let over_end = count.min(self.ends);
        self.matcher
            .rollback(count.saturating_sub(over_end))
            .map_err(|error| self.limit(&error))?;
        self.ends = self.ends.saturating_sub(over_end);
        Ok(())
    }

    /// Tokens that must come now, whatever the model says: they need not be sampled.
    pub fn forced(&mut self) -> Vec<TokenId> {
        if self.ends > 0 { Vec::new() } else { self.matcher.compute_ff_tokens() }
    }

    /// Whether the answer may end here.
    ///
    /// # Errors
    /// When the work meets its limit.
    pub fn is_complete(&mut self) -> Result<bool, GrammarError> {
        if self.ends > 0 {
            return Ok(true);
        }
        self.matcher.is_accepting().map_err(|error| self.limit(&error))
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.ends > 0 || self.matcher.is_stopped()
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.matcher.tok_env().is_ok_and(|env| env.tok_trie().eos_tokens().contains(&token))
    }

    fn limit(&self, error: &dyn ToString) -> GrammarError {
        GrammarError::Limit { kind: self.kind, message: first_line(error) }
    }
}
