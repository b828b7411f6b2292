//! Tokens in the order of their bytes: all that start a text are found by narrowing a range.

use crate::vocab::{TokenId, Vocabulary};

/// Tokens in the order of their bytes.
#[derive(Debug, Clone)]
pub(crate) struct Sorted {
    ids: Vec<TokenId>,
    texts: Vec<Box<[u8]>>,
    /// Where the tokens that start with a byte begin, one entry more than bytes.
    starts: Box<[usize; 257]>,
}

impl Sorted {
    pub(crate) fn new(vocabulary: &Vocabulary, ids: impl Iterator<Item = TokenId>) -> Self {
        let text = |id: TokenId| vocabulary.text(id).unwrap_or_default().as_bytes();
        let mut ids: Vec<TokenId> = ids.collect();
        ids.sort_unstable_by_key(|&id| text(id));
        let texts: Vec<Box<[u8]>> = ids.iter().map(|&id| text(id).into()).collect();
        let mut starts = Box::new([texts.len(); 257]);
        for (byte, start) in (0..=u8::MAX).zip(starts.iter_mut()) {
            *start = texts.partition_point(|text| text.first() < Some(&byte));
        }
        Self { ids, texts, starts }
    }

    /// Every token that starts `text`, the shortest first: its length and its id.
    pub(crate) fn prefixes(&self, text: &[u8]) -> impl Iterator<Item = (usize, TokenId)> {
        let first = text.first().map_or(256, |&byte| usize::from(byte));
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or(self.texts.len());
        let (mut low, mut high) = (bound(first), bound(first + 1));
        let mut length = 0;
        std::iter::from_fn(move || {
            loop {
                let byte = *text.get(length)?;
                let range = self.texts.get(low..high)?;
                if length > 0 {
                    let at = |token: &[u8]| token.get(length).copied();
                    let skip = range.partition_point(|token| at(token) < Some(byte));
                    let keep = range.partition_point(|token| at(token) <= Some(byte));
                    (low, high) = (low + skip, low + keep);
                }
                length += 1;
                let found = self.texts.get(low).filter(|_| low < high)?;
                if found.len() == length {
                    return Some((length, *self.ids.get(low)?));
                }
            }
        })
    }

    /// The length of the longest token that starts `text`.
    pub(crate) fn longest_in(&self, text: &[u8]) -> Option<usize> {
        if self.ids.is_empty() {
            return None;
        }
        self.prefixes(text).last().map(|(length, _)| length)
    }
}
