//! The last tokens of a sequence.

use std::collections::VecDeque;

use crate::candidates::TokenId;

/// The last tokens of a sequence, the newest first when asked by [`back`](Self::back).
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    tokens: VecDeque<TokenId>,
    limit: Option<usize>,
}

impl History {
    /// Keeps the last `limit` tokens, or all.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { tokens: VecDeque::new(), limit }
    }

    /// Takes a token; gives the one that falls out.
    pub(crate) fn push(&mut self, token: TokenId) -> Option<TokenId> {
        self.tokens.push_back(token);
        if self.limit.is_some_and(|limit| self.tokens.len() > limit) {
            return self.tokens.pop_front();
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token `distance` before the newest.
    pub(crate) fn back(&self, distance: usize) -> Option<TokenId> {
        self.tokens.get(self.tokens.len().checked_sub(distance + 1)?).copied()
    }

    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
    }
}
