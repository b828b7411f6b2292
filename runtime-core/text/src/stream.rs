//! Tokens to text as they come, never splitting a code point.

use crate::tokenizer::Tokenizer;
use crate::vocab::TokenId;

/// The text of an answer, token by token.
#[derive(Debug, Clone, Default)]
pub struct Detokenizer {
    /// The start of a code point whose rest has not come yet: at most three bytes.
    pending: Vec<u8>,
    special: bool,
}

impl Detokenizer {
    /// Shows control tokens by their texts as well.
    #[must_use]
    pub fn with_special(mut self) -> Self {
        self.special = true;
        self
    }

    /// The text that `token` completes. It may be empty.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: TokenId) -> String {
        let vocabulary = tokenizer.vocabulary();
        if !self.special && vocabulary.is_special(token) {
            return String::new();
        }
        self.push_bytes(vocabulary.piece(token).unwrap_or_default())
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.pending.len());
        let mut complete = self.pending.len();
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            let broken = chunk.invalid();
            let at_end = broken.as_ptr_range().end == self.pending.as_ptr_range().end;
            if at_end && is_start(broken) {
                complete = self.pending.len().saturating_sub(broken.len());
            } else if !broken.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.drain(..complete);
        text
    }

    /// What is left at the end: U+FFFD if a code point was cut off.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Whether bytes that are no text may yet become some when more come.
fn is_start(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn code_points_wait_for_their_last_byte() {
        let mut stream = Detokenizer::default();
        assert_eq!(stream.push_bytes(b"a\xF0\x9F"), "a");
        assert_eq!(stream.push_bytes(b"\x92"), "");
        assert_eq!(stream.push_bytes(b"\xA1!"), "💡!");
        assert_eq!(stream.push_bytes(b"\xE4\xFFb\xC3"), "\u{FFFD}\u{FFFD}b");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    proptest! {
        #[test]
        fn pieces_add_up_to_the_whole(bytes: Vec<u8>, cuts: Vec<u8>) {
            let mut stream = Detokenizer::default();
            let mut text = String::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(usize::from(cut % 5).min(rest.len()));
                text += &stream.push_bytes(now);
                rest = later;
            }
            text += &stream.push_bytes(rest);
            text += &stream.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
