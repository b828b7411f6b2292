//! A tokenizer: a vocabulary, an algorithm, and the tokens that it puts around a text.

use std::borrow::Cow;

use crate::Role;
use crate::added::{Added, Fragment};
use crate::bpe::Bpe;
use crate::cleanup::clean_up;
use crate::error::TextError;
use crate::json::Json;
use crate::sentencepiece::{SPACE, SentencePiece};
use crate::stream::Detokenizer;
use crate::unigram::Unigram;
use crate::vocab::{TokenId, Vocabulary};
use crate::wordpiece::WordPiece;

/// Text to token ids and back. Immutable, and safe to use from many threads.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    algorithm: Algorithm,
    added: Added,
    affixes: Affixes,
    notes: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Algorithm {
    Bpe(Box<Bpe>),
    SentencePiece(SentencePiece),
    WordPiece(WordPiece),
    Unigram(Box<Unigram>),
    Json(Box<Json>),
}

/// What is put around a text, and taken off again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Affixes {
    pub(crate) bos: bool,
    pub(crate) eos: bool,
    pub(crate) separator: bool,
    pub(crate) space_prefix: bool,
    pub(crate) clean_up: bool,
}

/// How a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encode {
    /// Whether the model's start and end tokens are added.
    pub affixes: bool,
    /// Whether the texts of control tokens, such as `<|im_end|>`, become these tokens. Never so for
    /// text that a stranger wrote.
    pub special: bool,
}

impl Encode {
    /// A whole prompt, as a chat template made it or as a person typed it.
    pub const PROMPT: Self = Self { affixes: true, special: true };
    /// A part of a prompt: nothing added, nothing special.
    pub const TEXT: Self = Self { affixes: false, special: false };
}

impl Tokenizer {
    pub(crate) fn new(
        vocabulary: Vocabulary,
        algorithm: Algorithm,
        added: Added,
        affixes: Affixes,
        notes: Vec<String>,
    ) -> Result<Self, TextError> {
        let needed = [(affixes.bos, Role::Bos, "bos"), (affixes.eos, Role::Eos, "eos")];
        for (needed, role, name) in needed {
            if needed && vocabulary.role(role).is_none() {
                return Err(TextError::NoRole { role: name });
            }
        }
        Ok(Self { vocabulary, algorithm, added, affixes, notes })
    }

    /// Its tokens.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// What a person should know about it, such as a key that is missing.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether prompts start with the token for that.
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.affixes.bos
    }

    /// Whether prompts end with the token for that.
    #[must_use]
    pub fn adds_eos(&self) -> bool {
        self.affixes.eos
    }

    /// The tokens of `text`.
    ///
    /// # Errors
    /// Only for a `tokenizer.json` that allows texts it has no token for.
    pub fn encode(&self, text: &str, how: Encode) -> Result<Vec<TokenId>, TextError> {
        if let Algorithm::Json(json) = &self.algorithm {
            return json.encode(text, how);
        }
        let mut out = Vec::with_capacity(text.len() / 3 + 2);
        let role =
            |wanted: bool, role: Role| self.vocabulary.role(role).filter(|_| wanted && how.affixes);
        out.extend(role(self.affixes.bos, Role::Bos));
        let mut after_special = true;
        for fragment in self.added.split(text, how.special) {
            match fragment {
                Fragment::Token(id) => out.push(id),
                Fragment::Text(ref part) => {
                    let part = text.get(part.clone()).unwrap_or_default();
                    self.encode_part(part, after_special, &mut out);
                }
            }
            after_special = matches!(fragment, Fragment::Token(_));
        }
        if matches!(self.algorithm, Algorithm::WordPiece(_)) {
            out.extend(role(self.affixes.separator, Role::Separator));
        }
        out.extend(role(self.affixes.eos, Role::Eos));
        Ok(out)
    }

    /// The tokens of a text that goes on where other text ended: no space is put before it.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_further(&self, text: &str) -> Result<Vec<TokenId>, TextError> {
        if let Algorithm::Json(json) = &self.algorithm {
            return json.encode(text, Encode::TEXT);
        }
        let mut out = Vec::new();
        self.encode_part(text, false, &mut out);
        Ok(out)
    }

    fn encode_part(&self, part: &str, after_special: bool, out: &mut Vec<TokenId>) {
        match &self.algorithm {
            Algorithm::Bpe(bpe) => bpe.encode(part, &self.vocabulary, out),
            Algorithm::SentencePiece(pieces) => {
                let mut escaped = String::with_capacity(part.len() + 8);
                if self.affixes.space_prefix && after_special {
                    escaped.push(SPACE);
                }
                escaped.extend(part.chars().map(|c| if c == ' ' { SPACE } else { c }));
                pieces.encode(&escaped, &self.vocabulary, out);
            }
            Algorithm::WordPiece(words) => words.encode(part, &self.vocabulary, out),
            Algorithm::Unigram(unigram) => unigram.encode(part, &self.vocabulary, out),
            Algorithm::Json(_) => {}
        }
    }

    /// The text of `tokens`, without marks such as the end of a turn, and without what encoding put
    /// around it. Bytes that are no text become U+FFFD.
    #[must_use]
    pub fn decode(&self, tokens: &[TokenId]) -> String {
        if let Algorithm::Json(json) = &self.algorithm {
            return json.decode(tokens).unwrap_or_default();
        }
        String::from_utf8_lossy(&self.decode_bytes(tokens, false)).into_owned()
    }

    /// The bytes of `tokens`; with `special`, control tokens are shown by their texts.
    #[must_use]
    pub fn decode_bytes(&self, tokens: &[TokenId], special: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for &token in tokens {
            if special || !self.vocabulary.is_special(token) {
                let piece = self.vocabulary.piece(token).unwrap_or_default();
                let first = bytes.is_empty() && self.drops_first_space();
                bytes.extend_from_slice(if first {
                    piece.strip_prefix(b" ").unwrap_or(piece)
                } else {
                    piece
                });
            }
        }
        if self.affixes.clean_up { clean_up(&bytes) } else { bytes }
    }

    /// The text of one token, for people: bytes that are no text become U+FFFD.
    #[must_use]
    pub fn shown(&self, token: TokenId) -> Cow<'_, str> {
        String::from_utf8_lossy(self.vocabulary.piece(token).unwrap_or_default())
    }

    /// Turns the tokens of an answer into text one by one.
    #[must_use]
    pub fn stream(&self) -> Detokenizer {
        Detokenizer::default()
    }

    /// Words start with a space, and so does the first one.
    fn drops_first_space(&self) -> bool {
        self.affixes.space_prefix || matches!(self.algorithm, Algorithm::WordPiece(_))
    }
}
