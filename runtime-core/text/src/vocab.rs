//! The tokens of a model: text, kind and score of each, and which of them play a role.

mod build;
mod pool;
mod roles;

pub(crate) use build::{Pieces, VocabularyBuilder, texts};
pub(crate) use pool::{Index, Pool};
pub use roles::Role;

use remuda_base::{Map, Set};

/// The number of a token in its vocabulary.
pub type TokenId = u32;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A part of text.
    Normal,
    /// What stands for text that has no token.
    Unknown,
    /// A mark such as the end of a turn: never made of plain text, not part of the answer.
    Control,
    /// Added by hand: found in text before anything else.
    UserDefined,
    /// Without use.
    Unused,
    /// One byte.
    Byte,
}

/// The tokens of a model.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    texts: Pool,
    pieces: Pool,
    kinds: Vec<Kind>,
    scores: Vec<f32>,
    by_text: Index,
    roles: Map<Role, TokenId>,
    ends: Set<TokenId>,
    suppressed: Vec<TokenId>,
}

impl Vocabulary {
    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none: never so for a tokenizer that was built.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The text of a token as the vocabulary writes it, `Ġthe` or `▁the`.
    #[must_use]
    pub fn text(&self, id: TokenId) -> Option<&str> {
        std::str::from_utf8(self.texts.get(id)?).ok()
    }

    /// The bytes that a token adds to an answer, ` the`. A token may be part of a code point.
    #[must_use]
    pub fn piece(&self, id: TokenId) -> Option<&[u8]> {
        self.pieces.get(id)
    }

    /// What a token is.
    #[must_use]
    pub fn kind(&self, id: TokenId) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }

    /// The score of a token: 0 where the model has none.
    #[must_use]
    pub fn score(&self, id: TokenId) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or(0.0)
    }

    /// The token whose text, as the vocabulary writes it, is `text`.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<TokenId> {
        self.by_text.find(&self.texts, text.as_bytes())
    }

    /// The token that plays `role`.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<TokenId> {
        self.roles.get(&role).copied()
    }

    /// Whether a token ends an answer.
    #[must_use]
    pub fn is_end(&self, id: TokenId) -> bool {
        self.ends.contains(&id)
    }

    /// Every token that ends an answer, in order.
    pub fn ends(&self) -> impl Iterator<Item = TokenId> {
        self.ends.iter().copied()
    }

    /// Tokens that the model asks never to be chosen.
    #[must_use]
    pub fn suppressed(&self) -> &[TokenId] {
        &self.suppressed
    }

    /// Whether a token is a mark rather than text.
    #[must_use]
    pub fn is_special(&self, id: TokenId) -> bool {
        matches!(self.kind(id), Some(Kind::Control | Kind::Unknown))
    }

    /// Every token.
    #[expect(clippy::cast_possible_truncation, reason = "at most `MAX_TOKENS` were accepted")]
    pub fn ids(&self) -> std::ops::Range<TokenId> {
        0..self.len() as TokenId
    }
}
