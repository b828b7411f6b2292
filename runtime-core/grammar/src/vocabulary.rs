//! A tokenizer as constraints see it: the bytes of every token, as a trie.

use std::sync::Arc;

use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use remuda_text::{Role, Tokenizer};

use crate::error::GrammarError;

/// Longer tokens are left out: none of them is worth the depth of the trie.
const MAX_TOKEN_BYTES: usize = 200;

struct Bridge {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl TokenizerEnv for Bridge {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let further = |text: &str| self.tokenizer.encode_further(text).unwrap_or_default();
        let tokens = self.trie.tokenize_with_greedy_fallback(bytes, further);
        // Some tokenizers normalise: what is forced must be these very bytes.
        if self.trie.decode_raw(&tokens) == bytes {
            tokens
        } else {
            self.trie.greedy_tokenize(bytes)
        }
    }
}

/// The trie over `tokenizer`'s vocabulary, and the tokens that end an answer.
pub(crate) fn bridge(tokenizer: Arc<Tokenizer>) -> Result<TokEnv, GrammarError> {
    let vocabulary = tokenizer.vocabulary();
    let ends: Vec<TokenId> = vocabulary.ends().collect();
    let named = vocabulary.role(Role::Eos).or_else(|| vocabulary.role(Role::Eot));
    let none = || GrammarError::Vocabulary("it has no token that ends an answer".to_owned());
    let end = named.or_else(|| ends.first().copied()).ok_or_else(none)?;
    let words: Vec<Vec<u8>> = vocabulary.ids().map(|id| word(&tokenizer, id)).collect();
    let trie = TokTrie::from(&TokRxInfo::new(vocabulary.ids().end, end), &words);
    let ends = if ends.is_empty() { vec![end] } else { ends };
    let trie = trie.with_eos_tokens(&ends);
    Ok(Arc::new(Bridge { trie, tokenizer }))
}

/// The bytes of a token; a mark gets bytes that no text has.
fn word(tokenizer: &Tokenizer, id: TokenId) -> Vec<u8> {
    let vocabulary = tokenizer.vocabulary();
    let piece = vocabulary.piece(id).unwrap_or_default();
    if piece.len() > MAX_TOKEN_BYTES {
        return Vec::new();
    }
    if vocabulary.is_special(id) {
        let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
        word.extend_from_slice(piece);
        return word;
    }
    piece.to_vec()
}
