//! A `tokenizer.json` as HuggingFace writes it, run by the crate `tokenizers`.
//!
//! That crate reads, encodes and decodes; what streams and constraints need beside it, the bytes of
//! every token and its kind, is collected into the same [`Vocabulary`](crate::Vocabulary) that GGUF
//! files fill.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use remuda_base::Map;
use serde_json::Value;

use crate::Role;
use crate::added::{Added, Names};
use crate::error::TextError;
use crate::tokenizer::{Affixes, Algorithm, Encode, Tokenizer};
use crate::vocab::{Kind, Pieces, TokenId, VocabularyBuilder};
use crate::{MAX_TOKENS, bytes};

/// A tokenizer of the crate `tokenizers`.
#[derive(Debug)]
pub(crate) struct Json {
    inner: tokenizers::Tokenizer,
    /// The same, for text in which control tokens are only text: made when first needed.
    plain: OnceLock<Box<tokenizers::Tokenizer>>,
}

/// Which tokens play a role is written beside the tokenizer, in `tokenizer_config.json`.
const ROLES: &[(&str, Role)] = &[
    ("bos_token", Role::Bos),
    ("eos_token", Role::Eos),
    ("unk_token", Role::Unknown),
    ("sep_token", Role::Separator),
    ("pad_token", Role::Padding),
    ("mask_token", Role::Mask),
];

impl Tokenizer {
    /// The tokenizer of a `tokenizer.json`, with the roles that a `tokenizer_config.json` names.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn from_json(tokenizer: &[u8], config: Option<&[u8]>) -> Result<Self, TextError> {
        let broken = |error: &dyn ToString| TextError::Json(error.to_string());
        let config = config.map(serde_json::from_slice::<Value>).transpose();
        let config = config.map_err(|error| broken(&error))?.unwrap_or_default();
        let inner = fenced(|| {
            let mut inner = tokenizers::Tokenizer::from_bytes(tokenizer)?;
            // A prompt is neither cut nor filled up here.
            inner.with_truncation(None)?.with_padding(None);
            Ok(inner)
        });
        let inner = inner.map_err(TextError::Json)?;
        let pieces = pieces(&inner)?;
        let mut builder = VocabularyBuilder::from_texts(tokens(&inner)?, kinds(&inner, pieces))?;
        for &(key, role) in ROLES {
            let entry = config.get(key);
            let text =
                entry.and_then(|entry| entry.as_str().or_else(|| entry.get("content")?.as_str()));
            builder.set_role(role, text);
        }
        let vocabulary = builder.finish(pieces)?;
        let added = Added::new(&vocabulary, Names::default())?;
        let json = Json { inner, plain: OnceLock::new() };
        let first = vocabulary.role(Role::Bos);
        let affixes =
            Affixes { bos: first.is_some_and(|bos| json.adds_first(bos)), ..Affixes::default() };
        Self::new(vocabulary, Algorithm::Json(Box::new(json)), added, affixes, Vec::new())
    }
}

impl Json {
    pub(crate) fn encode(&self, text: &str, how: Encode) -> Result<Vec<TokenId>, TextError> {
        let tokenizer = if how.special { &self.inner } else { self.plain() };
        let encoded = fenced(|| tokenizer.encode_fast(text, how.affixes));
        encoded.map(|encoded| encoded.get_ids().to_vec()).map_err(TextError::Encode)
    }

    pub(crate) fn decode(&self, tokens: &[TokenId]) -> Option<String> {
        fenced(|| self.inner.decode(tokens, true)).ok()
    }

    fn plain(&self) -> &tokenizers::Tokenizer {
        self.plain.get_or_init(|| {
            let mut plain = Box::new(self.inner.clone());
            plain.set_encode_special_tokens(true);
            plain
        })
    }

    fn adds_first(&self, bos: TokenId) -> bool {
        let encoded = fenced(|| self.inner.encode_fast("a", true));
        encoded.is_ok_and(|encoded| encoded.get_ids().first() == Some(&bos))
    }
}

/// Runs foreign code on foreign data: what it panics over is an error like any other.
fn fenced<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("it cannot be read: its parts do not fit together".to_owned()),
    }
}

/// The text of every token by id; ids that no token has get none.
fn tokens(tokenizer: &tokenizers::Tokenizer) -> Result<Vec<String>, TextError> {
    let by_id: Map<TokenId, String> =
        tokenizer.get_vocab(true).into_iter().map(|(text, id)| (id, text)).collect();
    let count = by_id.last_key_value().map_or(0, |(&last, _)| last as usize + 1);
    if count > MAX_TOKENS {
        return Err(TextError::TooMany(count));
    }
    let mut texts = vec![String::new(); count];
    for (id, text) in by_id {
        if let Some(place) = texts.get_mut(id as usize) {
            *place = text;
        }
    }
    Ok(texts)
}

fn kinds(tokenizer: &tokenizers::Tokenizer, pieces: Pieces) -> impl Fn(TokenId, &str) -> Kind {
    let added: Map<TokenId, bool> = tokenizer
        .get_added_tokens_decoder()
        .into_iter()
        .map(|(id, token)| (id, token.special))
        .collect();
    move |id, text| match added.get(&id) {
        Some(true) => Kind::Control,
        Some(false) => Kind::UserDefined,
        None if text.is_empty() => Kind::Unused,
        None if pieces == Pieces::Spaces && bytes::named(text).is_some() => Kind::Byte,
        None => Kind::Normal,
    }
}

/// How tokens turn into text, from the decoder that the file names.
fn pieces(tokenizer: &tokenizers::Tokenizer) -> Result<Pieces, TextError> {
    let decoder = tokenizer.get_decoder().map(serde_json::to_value).transpose();
    let decoder = decoder.map_err(|error| TextError::Json(error.to_string()))?;
    let mut open: Vec<&Value> = decoder.iter().collect();
    while let Some(step) = open.pop() {
        match step.get("type").and_then(Value::as_str) {
            Some("ByteLevel") => return Ok(Pieces::ByteLevel),
            Some("WordPiece") => return Ok(Pieces::Words),
            Some("Sequence") => {
                open.extend(step.get("decoders").and_then(Value::as_array).into_iter().flatten());
            }
            _ => {}
        }
    }
    Ok(Pieces::Spaces)
}
