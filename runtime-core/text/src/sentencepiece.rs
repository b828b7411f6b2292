//! SentencePiece merges: the neighbours that form the token of the highest score are joined first.
//! What forms no token goes byte by byte.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Role;
use crate::vocab::{TokenId, Vocabulary};

/// Spaces are written so in vocabularies of this kind.
pub(crate) const SPACE: char = '▁';
const NONE: usize = usize::MAX;

/// The tokens of single bytes, where the vocabulary has them.
#[derive(Debug, Clone)]
pub(crate) struct SentencePiece {
    bytes: Box<[Option<TokenId>; 256]>,
}

impl SentencePiece {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        let mut bytes = Box::new([None; 256]);
        for (byte, token) in (0..=u8::MAX).zip(bytes.iter_mut()) {
            let named = vocabulary.find(&format!("<0x{byte:02X}>"));
            *token = named.or_else(|| vocabulary.find(std::str::from_utf8(&[byte]).ok()?));
        }
        Self { bytes }
    }

    /// `text` has its spaces escaped already.
    pub(crate) fn encode(&self, text: &str, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        let mut parts = Parts::new(text);
        let mut joins = BinaryHeap::new();
        for right in 1..parts.list.len() {
            joins.extend(parts.propose(vocabulary, right - 1, right));
        }
        while let Some(join) = joins.pop() {
            if !parts.join(&join) {
                continue;
            }
            let (before, after) = parts.neighbours(join.left);
            joins.extend(before.and_then(|before| parts.propose(vocabulary, before, join.left)));
            joins.extend(after.and_then(|after| parts.propose(vocabulary, join.left, after)));
        }
        for part in parts.remaining() {
            match vocabulary.find(part) {
                Some(id) => out.push(id),
                None => self.encode_bytes(part, vocabulary, out),
            }
        }
    }

    fn encode_bytes(&self, part: &str, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        let byte = |byte: u8| self.bytes.get(usize::from(byte)).copied().flatten();
        if let Some(ids) = part.bytes().map(byte).collect::<Option<Vec<_>>>() {
            out.extend(ids);
        } else {
            out.extend(vocabulary.role(Role::Unknown));
        }
    }
}

/// A pair that may be joined: by score, then from the left.
#[derive(Debug, Clone, Copy)]
struct Join {
    score: f32,
    left: usize,
    right: usize,
    bytes: usize,
}

impl Ord for Join {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Join {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Join {}

#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
    previous: usize,
    next: usize,
}

/// A text as a list of parts, at first its characters.
struct Parts<'a> {
    text: &'a str,
    list: Vec<Part>,
}

impl<'a> Parts<'a> {
    fn new(text: &'a str) -> Self {
        let mut list: Vec<Part> = Vec::with_capacity(text.len());
        for (start, character) in text.char_indices() {
            let at = list.len();
            let previous = at.checked_sub(1).unwrap_or(NONE);
            list.push(Part { start, end: start + character.len_utf8(), previous, next: at + 1 });
        }
        if let Some(last) = list.last_mut() {
            last.next = NONE;
        }
        Self { text, list }
    }

    fn propose(&self, vocabulary: &Vocabulary, left: usize, right: usize) -> Option<Join> {
        let (start, end) = (self.list.get(left)?.start, self.list.get(right)?.end);
        let id = vocabulary.find(self.text.get(start..end)?)?;
        Some(Join { score: vocabulary.score(id), left, right, bytes: end - start })
    }

    /// Joins a pair unless one of its parts has changed since it was proposed.
    fn join(&mut self, join: &Join) -> bool {
        let (Some(&left), Some(&right)) = (self.list.get(join.left), self.list.get(join.right))
        else {
            return false;
        };
        let gone = left.start == left.end || right.start == right.end;
        if gone || left.next != join.right || right.end - left.start != join.bytes {
            return false;
        }
        if let Some(part) = self.list.get_mut(join.left) {
            (part.end, part.next) = (right.end, right.next);
        }
        if let Some(part) = self.list.get_mut(join.right) {
            part.end = part.start;
        }
        if let Some(part) = self.list.get_mut(right.next) {
            part.previous = join.left;
        }
        true
    }

    fn neighbours(&self, at: usize) -> (Option<usize>, Option<usize>) {
        let some = |place: usize| (place != NONE).then_some(place);
        self.list.get(at).map_or((None, None), |part| (some(part.previous), some(part.next)))
    }

    fn remaining(&self) -> impl Iterator<Item = &'a str> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let part = self.list.get(at)?;
            at = part.next;
            self.text.get(part.start..part.end)
        })
    }
}
