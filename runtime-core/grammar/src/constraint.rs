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
        Self { kind, matcher }
    }

    /// The tokens that may come next. Once the answer is complete and nothing can follow, these are
    /// the tokens that end it.
    ///
    /// # Errors
    /// When the work for this step meets its limit.
    pub fn mask(&mut self) -> Result<Mask, GrammarError> {
        self.matcher.compute_mask_or_eos().map(Mask).map_err(|error| self.limit(&error))
    }

    /// Takes the token that came.
    ///
    /// # Errors
    /// When it is not allowed; the sequence stays where it was.
    pub fn accept(&mut self, token: TokenId) -> Result<(), GrammarError> {
        let taken = self.matcher.try_consume_tokens(&[token]);
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
        self.matcher.rollback(count).map_err(|error| self.limit(&error))
    }

    /// Tokens that must come now, whatever the model says: they need not be sampled.
    pub fn forced(&mut self) -> Vec<TokenId> {
        self.matcher.compute_ff_tokens()
    }

    /// Whether the answer may end here.
    ///
    /// # Errors
    /// When the work meets its limit.
    pub fn is_complete(&mut self) -> Result<bool, GrammarError> {
        self.matcher.is_accepting().map_err(|error| self.limit(&error))
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.matcher.is_stopped()
    }

    fn limit(&self, error: &dyn ToString) -> GrammarError {
        GrammarError::Limit { kind: self.kind, message: first_line(error) }
    }
}
