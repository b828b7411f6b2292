//! Byte-pair merges: each word starts as single bytes (or characters), and the neighbours whose
//! merge comes first in the model's list are joined until none is left.
//!
//! Words merge in `O(n log n)` by a heap. A word that is a token and is what its own merges lead to
//! is looked up instead; whether that holds for a token is found out when it is first met.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashMap;
use remuda_gguf::{Array, Metadata};

use crate::error::TextError;
use crate::pre::{Pre, Splitter};
use crate::vocab::{Index, Pool, TokenId, Vocabulary, texts};
use crate::{Role, bytes};

const MERGES: &str = "tokenizer.ggml.merges";
/// Stands for a character that is in no token and no merge.
const NOTHING: TokenId = TokenId::MAX;

/// What a word that is a token turns into.
mod whole {
    /// Not found out yet.
    pub(super) const UNKNOWN: u8 = 0;
    /// That token.
    pub(super) const ALONE: u8 = 1;
    /// Something else.
    pub(super) const OTHER: u8 = 2;
}

/// Byte-pair merges behind a pre-tokenizer.
#[derive(Debug)]
pub(crate) struct Bpe {
    pre: &'static Pre,
    splitter: Splitter,
    /// What symbols are made of: first the tokens, then parts of merges that are no tokens.
    symbols: Pool,
    index: Index,
    merges: HashMap<(TokenId, TokenId), Merge>,
    single_bytes: Box<[TokenId; 256]>,
    whole: Vec<AtomicU8>,
    tokens: TokenId,
}

#[derive(Debug, Clone, Copy)]
struct Merge {
    rank: u32,
    result: TokenId,
}

impl Bpe {
    pub(crate) fn read(
        metadata: &Metadata<'_>,
        vocabulary: &Vocabulary,
        pre: &'static Pre,
    ) -> Result<Self, TextError> {
        let mut bpe = Self::without_merges(vocabulary, pre);
        let merges = match metadata.optional::<Array<'_>>(MERGES)? {
            None if pre.names.contains(&"kimi-k2") => {
                bpe.merges_of_tokens();
                return Ok(bpe);
            }
            None => metadata.required::<Array<'_>>(MERGES)?,
            Some(merges) => merges,
        };
        bpe.merges.reserve(merges.len());
        for (rank, merge) in (0..).zip(texts(MERGES, &merges)?) {
            bpe.add_merge(rank, merge)?;
        }
        Ok(bpe)
    }

    fn without_merges(vocabulary: &Vocabulary, pre: &'static Pre) -> Self {
        let mut symbols = Pool::default();
        let mut index = Index::default();
        let mut decoded = Vec::new();
        for id in vocabulary.ids() {
            let text = vocabulary.text(id).unwrap_or_default();
            decoded.clear();
            let reachable = pre.characters || bytes::decode(text, &mut decoded);
            symbols.push(if pre.characters { text.as_bytes() } else { &decoded });
            if reachable {
                index.add(&symbols, id);
            }
        }
        let mut single_bytes = Box::new([NOTHING; 256]);
        for (byte, single) in (0..=u8::MAX).zip(single_bytes.iter_mut()) {
            let found = if pre.characters {
                vocabulary.find(&format!("<0x{byte:02X}>"))
            } else {
                index.find(&symbols, &[byte])
            };
            *single = found.unwrap_or(NOTHING);
        }
        Self {
            pre,
            splitter: Splitter::new(pre),
            whole: vocabulary.ids().map(|_| AtomicU8::new(whole::UNKNOWN)).collect(),
            tokens: vocabulary.ids().end,
            merges: HashMap::new(),
            symbols,
            index,
            single_bytes,
        }
    }

    fn add_merge(&mut self, rank: u32, merge: &str) -> Result<(), TextError> {
        let broken = || TextError::Merge { index: rank as usize };
        let first = merge.chars().next().ok_or_else(broken)?.len_utf8();
        let space = merge.get(first..).and_then(|rest| rest.find(' ')).ok_or_else(broken)? + first;
        let (left, right) = (merge.get(..space), merge.get(space + 1..));
        let (Some(left), Some(right)) = (left, right) else { return Err(broken()) };
        let mut both = Vec::with_capacity(merge.len());
        let split = match (self.symbol_bytes(left, &mut both), both.len()) {
            (true, split) if self.symbol_bytes(right, &mut both) => split,
            // A character that stands for no byte: no text leads here.
            _ => return Ok(()),
        };
        let (Some(left), Some(right)) = (both.get(..split), both.get(split..)) else {
            return Err(broken());
        };
        let (left, right) = (self.symbol(left), self.symbol(right));
        let result = self.symbol(&both);
        self.merges.entry((left, right)).or_insert(Merge { rank, result });
        Ok(())
    }

    fn symbol_bytes(&self, text: &str, out: &mut Vec<u8>) -> bool {
        if self.pre.characters {
            out.extend_from_slice(text.as_bytes());
            return true;
        }
        bytes::decode(text, out)
    }

    fn symbol(&mut self, bytes: &[u8]) -> TokenId {
        if let Some(id) = self.index.find(&self.symbols, bytes) {
            return id;
        }
        if !self.symbols.fits(bytes.len()) {
            return NOTHING;
        }
        let id = self.symbols.push(bytes);
        self.index.add(&self.symbols, id);
        id
    }

    /// For vocabularies whose ids are the ranks: every split of a token into two is a merge.
    fn merges_of_tokens(&mut self) {
        for id in 0..self.tokens {
            let Some(token) = self.symbols.get(id) else { continue };
            for split in 1..token.len() {
                let find = |part: Option<&[u8]>| self.index.find(&self.symbols, part?);
                let (left, right) = (find(token.get(..split)), find(token.get(split..)));
                if let (Some(left), Some(right)) = (left, right) {
                    self.merges.insert((left, right), Merge { rank: id, result: id });
                }
            }
        }
    }

    pub(crate) fn encode(&self, text: &str, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        let escaped = self.pre.spaces_escaped.then(|| text.replace(' ', "▁"));
        let text = escaped.as_deref().unwrap_or(text);
        let mut work = Work::default();
        for word in self.splitter.split(text) {
            if let Some(word) = text.get(word) {
                self.encode_word(word, vocabulary, &mut work, out);
            }
        }
    }

    fn encode_word(
        &self,
        word: &str,
        vocabulary: &Vocabulary,
        work: &mut Work,
        out: &mut Vec<TokenId>,
    ) {
        let token = self.index.find(&self.symbols, word.as_bytes()).filter(|&id| id < self.tokens);
        let known = token.and_then(|id| Some((id, self.whole.get(id as usize)?)));
        if let Some((id, known)) = known {
            let taken_whole = self.pre.whole_words
                || (self.pre.whole_breaks && word.bytes().all(|byte| byte == b'\n'));
            if taken_whole || known.load(Ordering::Relaxed) == whole::ALONE {
                out.push(id);
                return;
            }
        }
        let start = out.len();
        self.merge(word, work);
        self.write(word, work, vocabulary, out);
        if let Some((id, known)) = known {
            let alone = out.get(start..) == Some(&[id]);
            known.store(if alone { whole::ALONE } else { whole::OTHER }, Ordering::Relaxed);
        }
    }

    fn merge(&self, word: &str, work: &mut Work) {
        work.start(
            word,
            |part| match (self.pre.characters, part) {
                (false, &[byte]) => self.single_byte_symbol(byte),
                _ => self.index.find(&self.symbols, part).unwrap_or(NOTHING),
            },
            self.pre.characters,
        );
        for at in 1..work.parts.len() {
            self.propose(work, at - 1, at);
        }
        while let Some(Reverse(join)) = work.joins.pop() {
            if !work.is_current(&join) {
                continue;
            }
            let (left, right) = (join.left as usize, join.right as usize);
            work.join(left, right, join.result);
            let (before, after) = work.neighbours(left);
            if let Some(before) = before {
                self.propose(work, before, left);
            }
            if let Some(after) = after {
                self.propose(work, left, after);
            }
        }
    }

    /// A byte without a token may still be part of a merge.
    fn single_byte_symbol(&self, byte: u8) -> TokenId {
        match self.single_bytes.get(usize::from(byte)) {
            Some(&id) if id != NOTHING => id,
            _ => self.index.find(&self.symbols, &[byte]).unwrap_or(NOTHING),
        }
    }

    fn propose(&self, work: &mut Work, left: usize, right: usize) {
        let (Some(a), Some(b)) = (work.parts.get(left), work.parts.get(right)) else { return };
        if let Some(merge) = self.merges.get(&(a.symbol, b.symbol)) {
            work.joins.push(Reverse(Join {
                rank: merge.rank,
                left: place(left),
                right: place(right),
                symbols: (a.symbol, b.symbol),
                result: merge.result,
            }));
        }
    }

    fn write(&self, word: &str, work: &Work, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        let mut at = 0;
        while let Some(part) = work.parts.get(at) {
            if part.symbol < self.tokens {
                out.push(part.symbol);
            } else {
                let bytes = word.as_bytes().get(part.start as usize..part.end as usize);
                self.write_bytes(bytes.unwrap_or_default(), vocabulary, out);
            }
            if part.next == NONE {
                break;
            }
            at = part.next as usize;
        }
    }

    /// What has no token of its own goes byte by byte, and what has no byte is unknown.
    fn write_bytes(&self, bytes: &[u8], vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        let single = |byte: u8| self.single_bytes.get(usize::from(byte)).copied();
        let tokens = bytes.iter().map(|&byte| single(byte).filter(|&id| id != NOTHING));
        let unknown = vocabulary.role(Role::Unknown);
        let mut missing = false;
        for token in tokens {
            match token {
                Some(id) => out.push(id),
                None if missing => {}
                None => {
                    out.extend(unknown);
                    missing = true;
                }
            }
        }
    }
}

/// No neighbour.
const NONE: u32 = u32::MAX;

/// A place in a word: words are pieces of a text that a vocabulary's positions can hold.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

/// The parts of a word while it is being merged.
#[derive(Debug, Default)]
struct Work {
    parts: Vec<Part>,
    joins: BinaryHeap<Reverse<Join>>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    symbol: TokenId,
    start: u32,
    end: u32,
    previous: u32,
    next: u32,
}

/// A pair that may be joined: by rank, then from the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Join {
    rank: u32,
    left: u32,
    right: u32,
    symbols: (TokenId, TokenId),
    result: TokenId,
}

impl Work {
    fn start(&mut self, word: &str, symbol: impl Fn(&[u8]) -> TokenId, characters: bool) {
        self.parts.clear();
        self.joins.clear();
        let mut push = |start: usize, part: &[u8]| {
            let at = self.parts.len();
            self.parts.push(Part {
                symbol: symbol(part),
                start: place(start),
                end: place(start + part.len()),
                previous: at.checked_sub(1).map_or(NONE, place),
                next: place(at + 1),
            });
        };
        if characters {
            for (start, character) in word.char_indices() {
                push(start, character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        } else {
            word.as_bytes().chunks(1).enumerate().for_each(|(start, byte)| push(start, byte));
        }
        if let Some(last) = self.parts.last_mut() {
            last.next = NONE;
        }
    }

    /// Whether both parts are still what they were when the pair was proposed.
    fn is_current(&self, join: &Join) -> bool {
        let part = |at: u32| self.parts.get(at as usize);
        let (Some(left), Some(right)) = (part(join.left), part(join.right)) else { return false };
        left.next == join.right && (left.symbol, right.symbol) == join.symbols && !left.is_gone()
    }

    fn join(&mut self, left: usize, right: usize, result: TokenId) {
        let Some(&Part { end, next, .. }) = self.parts.get(right) else { return };
        if let Some(part) = self.parts.get_mut(left) {
            (part.symbol, part.end, part.next) = (result, end, next);
        }
        if let Some(part) = self.parts.get_mut(right) {
            part.end = part.start;
        }
        if let Some(part) = self.parts.get_mut(next as usize) {
            part.previous = place(left);
        }
    }

    fn neighbours(&self, at: usize) -> (Option<usize>, Option<usize>) {
        let some = |place: u32| (place != NONE).then_some(place as usize);
        self.parts.get(at).map_or((None, None), |part| (some(part.previous), some(part.next)))
    }
}

impl Part {
    fn is_gone(&self) -> bool {
        self.start == self.end
    }
}
