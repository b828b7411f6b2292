//! DRY ("don't repeat yourself"): a token that would continue a repeated run of tokens is penalised,
//! the more so the longer the run. Breakers, such as line ends, end a run.

use remuda_base::Map;

use crate::candidates::{Candidates, TokenId};
use crate::history::History;

/// The longest text of a breaker that is looked at.
const MAX_BREAKER_BYTES: usize = 40;
/// The most tokens of a breaker after its first.
const MAX_TAIL: usize = 20;
/// The largest exponent keeps the penalty a finite number.
const LARGEST_LN: f32 = 88.722_84;

/// Which runs of tokens end a repetition: the first token, and each list of what must follow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breakers {
    tails: Map<TokenId, Vec<Vec<TokenId>>>,
}

impl Breakers {
    /// Breakers given as tokens.
    #[must_use]
    pub fn from_tokens(breakers: &[Vec<TokenId>]) -> Self {
        let mut tails: Map<TokenId, Vec<Vec<TokenId>>> = Map::new();
        for breaker in breakers {
            if let Some((&head, tail)) = breaker.split_first() {
                tails.entry(head).or_default().push(tail.to_vec());
            }
        }
        Self { tails }
    }

    /// Breakers given as texts: every token that holds one, and every token that ends with the start
    /// of one, with the tokens of its rest.
    pub fn from_texts<'a>(
        texts: &[impl AsRef<str>],
        pieces: impl Iterator<Item = (TokenId, &'a [u8])> + Clone,
        tokenize: impl Fn(&str) -> Vec<TokenId>,
    ) -> Self {
        let mut tails: Map<TokenId, Vec<Vec<TokenId>>> = Map::new();
        for text in texts {
            let text = shortened(text.as_ref());
            let Some(&first) = text.as_bytes().first() else { continue };
            for (token, piece) in pieces.clone().filter(|(_, piece)| piece.contains(&first)) {
                let found = overlaps(piece, text, &tokenize);
                if !found.is_empty() {
                    tails.entry(token).or_default().extend(found);
                }
            }
        }
        Self { tails }
    }

    fn is_single(&self, token: TokenId) -> bool {
        self.tails.get(&token).is_some_and(|tails| tails.iter().any(Vec::is_empty))
    }
}

fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_BREAKER_BYTES)).unwrap_or(text)
}

/// What must follow a token so that `text` is complete: nothing if the token holds it.
fn overlaps(
    piece: &[u8],
    text: &str,
    tokenize: &impl Fn(&str) -> Vec<TokenId>,
) -> Vec<Vec<TokenId>> {
    if piece.windows(text.len()).any(|window| window == text.as_bytes()) {
        return vec![Vec::new()];
    }
    let starts = (1..text.len())
        .filter(|&length| piece.ends_with(text.as_bytes().get(..length).unwrap_or_default()));
    let rests = starts.filter_map(|length| text.get(length..));
    let tail = |rest| {
        let mut tail = tokenize(rest);
        tail.truncate(MAX_TAIL);
        tail
    };
    rests.map(tail).collect()
}

/// The penalty, and the tokens that it looks at.
#[derive(Debug, Clone)]
pub struct Dry {
    multiplier: f32,
    base: f32,
    allowed_length: usize,
    breakers: Breakers,
    history: History,
}

impl Dry {
    /// Over the last `last` tokens, or over all.
    #[must_use]
    pub fn new(
        multiplier: f32,
        base: f32,
        allowed_length: usize,
        last: Option<usize>,
        breakers: Breakers,
    ) -> Self {
        Self { multiplier, base, allowed_length, breakers, history: History::new(last) }
    }

    /// Takes a token of the sequence.
    pub fn accept(&mut self, token: TokenId) {
        self.history.push(token);
    }

    /// Forgets the sequence.
    pub fn reset(&mut self) {
        self.history.clear();
    }

    /// Changes the logits of tokens that would continue a repetition.
    pub fn apply(&self, candidates: &mut Candidates) {
        let limit = self.repeat_limit();
        let off = self.multiplier == 0.0 || self.base < 1.0;
        if off || self.history.len() <= self.allowed_length || limit < self.allowed_length {
            return;
        }
        let longest = self.continuations(limit);
        if longest.is_empty() {
            return;
        }
        candidates.shift(|candidate| match longest.get(&candidate.token) {
            Some(&length) if !self.breakers.is_single(candidate.token) => {
                candidate.logit - self.penalty(length)
            }
            _ => candidate.logit,
        });
    }

    #[expect(clippy::cast_precision_loss, reason = "a sequence has fewer than 2^24 tokens")]
    fn penalty(&self, length: usize) -> f32 {
        let exponent = (length - self.allowed_length) as f32;
        let largest = if self.base > 1.000_001 { LARGEST_LN / self.base.ln() } else { f32::MAX };
        self.multiplier * self.base.powf(exponent.min(largest.floor()))
    }

    /// How far back a repetition may reach: to the nearest breaker.
    fn repeat_limit(&self) -> usize {
        for distance in 0..self.history.len() {
            let Some(tails) =
                self.history.back(distance).and_then(|head| self.breakers.tails.get(&head))
            else {
                continue;
            };
            let follows = |tail: &&Vec<TokenId>| {
                tail.len() <= distance
                    && (tail.iter().enumerate())
                        .all(|(at, &token)| self.history.back(distance - at - 1) == Some(token))
            };
            if let Some(longest) = tails.iter().filter(follows).map(Vec::len).max() {
                return distance - longest;
            }
        }
        self.history.len()
    }

    /// For each token that followed a run equal to the end of the sequence, how long that run was.
    fn continuations(&self, limit: usize) -> Map<TokenId, usize> {
        let mut longest: Map<TokenId, usize> = Map::new();
        for (distance, length) in self.suffix_lengths(limit).into_iter().enumerate().skip(1) {
            if length < self.allowed_length {
                continue;
            }
            let Some(next) = self.history.back(distance - 1) else { continue };
            let known = longest.entry(next).or_default();
            *known = (*known).max(length);
        }
        longest.retain(|_, length| *length >= self.allowed_length);
        longest
    }

    /// For each distance from the end, how many tokens up to there equal the end of the sequence, at
    /// most `limit`: the Z function of the reversed sequence, in linear time.
    fn suffix_lengths(&self, limit: usize) -> Vec<usize> {
        let count = self.history.len();
        let same = |a: usize, b: usize| self.history.back(a) == self.history.back(b);
        let mut lengths = vec![0_usize; count];
        let (mut left, mut right) = (0_usize, 0_usize);
        for at in 1..count {
            let inside = right.saturating_sub(at);
            let known = lengths.get(at - left).copied().unwrap_or(0);
            let mut length = known.min(inside);
            while at + length < count && same(length, at + length) {
                length += 1;
            }
            if at + length > right {
                (left, right) = (at, at + length);
            }
            if let Some(place) = lengths.get_mut(at) {
                *place = length;
            }
        }
        lengths.into_iter().map(|length| length.min(limit)).collect()
    }
}
