//! A vocabulary from the arrays of the metadata.

use remuda_base::{Map, Set};
use remuda_gguf::{Array, Metadata, Value, ValueType};

use super::roles::{Defaults, END_ROLES, ENDS, KNOWN, NO_ENDS, SHOWN};
use super::{Index, Kind, Pool, Role, TokenId, Vocabulary};
use crate::error::{TextError, shown};
use crate::{MAX_TOKEN_BYTES, MAX_TOKENS, bytes};

const TOKENS: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const KINDS: &str = "tokenizer.ggml.token_type";
const SUPPRESSED: &str = "tokenizer.ggml.suppress_tokens";

/// How the texts of tokens turn into what they add to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// Each character stands for a byte.
    ByteLevel,
    /// `▁` stands for a space.
    Spaces,
    /// Words start with a space that is not written; other tokens start with `##`.
    Words,
}

/// Collects what a vocabulary is made of.
pub(crate) struct VocabularyBuilder {
    texts: Pool,
    kinds: Vec<Kind>,
    scores: Vec<f32>,
    by_text: Index,
    roles: Map<Role, TokenId>,
    suppressed: Vec<TokenId>,
}

impl VocabularyBuilder {
    pub(crate) fn read(metadata: &Metadata<'_>, defaults: Defaults) -> Result<Self, TextError> {
        let tokens = metadata.required::<Array<'_>>(TOKENS)?;
        let mut builder = Self::with_texts(texts(TOKENS, &tokens)?, tokens.len())?;
        builder.read_kinds(metadata)?;
        builder.read_scores(metadata)?;
        builder.read_roles(metadata, defaults)?;
        builder.read_suppressed(metadata)?;
        Ok(builder)
    }

    fn with_texts<'a>(
        texts: impl Iterator<Item = &'a str>,
        count: usize,
    ) -> Result<Self, TextError> {
        match count {
            0 => return Err(TextError::Empty),
            1..=MAX_TOKENS => {}
            _ => return Err(TextError::TooMany(count)),
        }
        let mut pool = Pool::default();
        let mut by_text = Index::default();
        for (id, text) in texts.enumerate() {
            if text.len() > MAX_TOKEN_BYTES || !pool.fits(text.len()) {
                return Err(TextError::TooLong { id, bytes: text.len() });
            }
            // A token without text would match everywhere: it gets one that no text has.
            let name = if text.is_empty() { format!("[EMPTY_{id}]") } else { String::new() };
            let text = if text.is_empty() { name.as_bytes() } else { text.as_bytes() };
            let token = pool.push(text);
            if let Some(first) = by_text.add(&pool, token) {
                return Err(TextError::Twice { first: first as usize, second: id });
            }
        }
        let kinds = vec![Kind::Normal; pool.len()];
        let scores = Vec::new();
        Ok(Self { texts: pool, kinds, scores, by_text, roles: Map::new(), suppressed: Vec::new() })
    }

    /// From texts in the order of their ids; an id without a text has an empty one.
    pub(crate) fn from_texts(
        texts: Vec<String>,
        kind: impl Fn(TokenId, &str) -> Kind,
    ) -> Result<Self, TextError> {
        let mut builder = Self::with_texts(texts.iter().map(String::as_str), texts.len())?;
        for ((place, id), text) in builder.kinds.iter_mut().zip(0..).zip(&texts) {
            *place = kind(id, text);
        }
        Ok(builder)
    }

    /// Gives a role to the token with that text, if there is one.
    pub(crate) fn set_role(&mut self, role: Role, text: Option<&str>) {
        self.roles.extend(text.and_then(|text| self.find(text)).map(|id| (role, id)));
    }

    fn read_kinds(&mut self, metadata: &Metadata<'_>) -> Result<(), TextError> {
        let Some(array) = metadata.optional::<Array<'_>>(KINDS)? else { return Ok(()) };
        self.one_per_token(KINDS, &array, "integers", |kind| kind == ValueType::I32)?;
        for (kind, value) in self.kinds.iter_mut().zip(array) {
            *kind = match value.as_integer() {
                Some(2) => Kind::Unknown,
                Some(3) => Kind::Control,
                Some(4) => Kind::UserDefined,
                Some(5) => Kind::Unused,
                Some(6) => Kind::Byte,
                _ => Kind::Normal,
            };
        }
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "scores are single precision")]
    fn read_scores(&mut self, metadata: &Metadata<'_>) -> Result<(), TextError> {
        let Some(array) = metadata.optional::<Array<'_>>(SCORES)? else { return Ok(()) };
        let numbers = |kind| matches!(kind, ValueType::F32 | ValueType::I32);
        self.one_per_token(SCORES, &array, "numbers", numbers)?;
        let score = |value: Value<'_>| value.as_float().map_or(0.0, |score| score as f32);
        self.scores = array.iter().take(self.kinds.len()).map(score).collect();
        Ok(())
    }

    fn one_per_token(
        &self,
        key: &'static str,
        array: &Array<'_>,
        expected: &'static str,
        fits: impl Fn(ValueType) -> bool,
    ) -> Result<(), TextError> {
        if !fits(array.kind()) {
            return Err(TextError::Elements { key, expected, got: array.kind().name() });
        }
        // Converters pad these arrays at times; fewer entries than tokens is another file.
        if array.len() < self.kinds.len() {
            let (expected, got) = (self.kinds.len(), array.len());
            return Err(TextError::Length { key, expected, got });
        }
        Ok(())
    }

    fn read_roles(&mut self, metadata: &Metadata<'_>, defaults: Defaults) -> Result<(), TextError> {
        let exists = |id: &TokenId| (*id as usize) < self.kinds.len();
        self.roles = defaults.iter().copied().filter(|(_, id)| exists(id)).collect();
        for known in KNOWN {
            for key in known.keys {
                let id = metadata.get(key).and_then(|value| value.as_integer());
                let id = id.and_then(|id| TokenId::try_from(id).ok()).filter(exists);
                self.roles.extend(id.map(|id| (known.role, id)));
            }
        }
        Ok(())
    }

    fn read_suppressed(&mut self, metadata: &Metadata<'_>) -> Result<(), TextError> {
        let Some(array) = metadata.optional::<Array<'_>>(SUPPRESSED)? else { return Ok(()) };
        let id = |value: Value<'_>| TokenId::try_from(value.as_integer()?).ok();
        let exists = |id: &TokenId| (*id as usize) < self.kinds.len();
        self.suppressed = array.iter().filter_map(id).filter(exists).collect();
        Ok(())
    }

    /// Forgets a role that a default gave.
    pub(crate) fn without(&mut self, role: Role, metadata: &Metadata<'_>) {
        let named = KNOWN.iter().filter(|known| known.role == role).flat_map(|known| known.keys);
        if !named.into_iter().any(|key| metadata.get(key).is_some()) {
            self.roles.remove(&role);
        }
    }

    /// Roles and ends from the texts of tokens, then the bytes that each token stands for.
    pub(crate) fn finish(mut self, pieces: Pieces) -> Result<Vocabulary, TextError> {
        for known in KNOWN {
            if self.roles.contains_key(&known.role) {
                continue;
            }
            if let Some(id) = known.texts.iter().find_map(|text| self.find(text)) {
                self.roles.insert(known.role, id);
                self.mark(id);
            }
        }
        let ends = self.ends();
        let mut stands_for = Pool::default();
        for (id, &kind) in (0..).zip(&self.kinds) {
            let text = self.texts.get(id).unwrap_or_default();
            stands_for.push(&piece(id, text, kind, pieces)?);
        }
        let Self { texts, kinds, scores, by_text, roles, suppressed } = self;
        Ok(Vocabulary {
            texts,
            pieces: stands_for,
            kinds,
            scores,
            by_text,
            roles,
            ends,
            suppressed,
        })
    }

    fn find(&self, text: &str) -> Option<TokenId> {
        self.by_text.find(&self.texts, text.as_bytes())
    }

    /// A token that plays a role is no text, whatever the file says of it.
    fn mark(&mut self, id: TokenId) {
        if let Some(kind) = self.kinds.get_mut(id as usize) {
            *kind = Kind::Control;
        }
    }

    fn ends(&mut self) -> Set<TokenId> {
        let mut ends: Set<TokenId> = Set::new();
        for id in ENDS.iter().filter_map(|text| self.find(text)).collect::<Vec<_>>() {
            ends.insert(id);
            self.mark(id);
        }
        for id in SHOWN.iter().filter_map(|text| self.find(text)).collect::<Vec<_>>() {
            if let Some(kind) = self.kinds.get_mut(id as usize) {
                *kind = Kind::UserDefined;
            }
        }
        ends.extend(END_ROLES.iter().filter_map(|role| self.roles.get(role)));
        for rule in NO_ENDS {
            let is_end = |text: &&str| self.find(text).is_some_and(|id| ends.contains(&id));
            let applies = rule.with.iter().all(is_end);
            if let Some(id) = self.find(rule.text).filter(|_| applies) {
                ends.remove(&id);
                if let Some(kind) = self.kinds.get_mut(id as usize) {
                    *kind = rule.kind;
                }
            }
        }
        ends
    }
}

/// What a token adds to an answer.
fn piece(id: TokenId, text: &[u8], kind: Kind, pieces: Pieces) -> Result<Vec<u8>, TextError> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    match (kind, pieces) {
        (Kind::Byte, _) => bytes::named(text)
            .map(|byte| vec![byte])
            .ok_or_else(|| TextError::ByteToken { id: id as usize, text: shown(text) }),
        (Kind::Unknown | Kind::Control | Kind::UserDefined, _) => Ok(text.into()),
        (Kind::Normal | Kind::Unused, Pieces::Spaces) => Ok(text.replace('▁', " ").into()),
        (Kind::Normal | Kind::Unused, Pieces::Words) => Ok(match text.strip_prefix("##") {
            Some(rest) => rest.into(),
            None => format!(" {text}").into(),
        }),
        (Kind::Normal | Kind::Unused, Pieces::ByteLevel) => {
            let mut piece = Vec::with_capacity(text.len());
            if !bytes::decode(text, &mut piece) {
                piece.extend_from_slice(text.as_bytes());
            }
            Ok(piece)
        }
    }
}

/// The texts of an array.
pub(crate) fn texts<'a>(
    key: &'static str,
    array: &Array<'a>,
) -> Result<impl Iterator<Item = &'a str>, TextError> {
    let got = array.kind().name();
    array.texts().ok_or(TextError::Elements { key, expected: "`string`", got })
}
