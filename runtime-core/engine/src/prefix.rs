//! What sequences have cached, and which of them has most of a prompt.
//!
//! Tokens are cut into blocks, and the key of a block is a hash of all tokens up to its end: one look-up
//! for each block of a prompt tells who has that much of it, however many sequences there are and
//! whatever they go on with. Nothing else makes caches differ: adapters belong to the model, and each
//! engine has one. Keys only propose: before anything is reused, tokens are compared.

use remuda_base::Map;

/// Tokens of a block: two pages of the CPU's caches. It is the grain of the table and not of what is
/// reused, because within the last block tokens are compared one by one: small enough for that to take
/// no time, large enough for a sequence of 128k tokens to have no more than 2,048 keys.
pub(crate) const BLOCK: usize = 64;

/// What sequences have cached.
#[derive(Debug)]
pub(crate) struct Cached {
    sequences: Vec<Sequence>,
    /// The sequences that have a block, by its key.
    holders: Map<u64, Vec<usize>>,
    hash: Hash,
}

/// The key of a block behind another.
type Hash = fn(u64, &[u32]) -> u64;

#[derive(Clone, Debug, Default)]
struct Sequence {
    tokens: Vec<u32>,
    /// Of its whole blocks.
    keys: Vec<u64>,
}

/// FNV-1a of the tokens, begun with the key in front, its bits mixed.
fn chained(before: u64, block: &[u32]) -> u64 {
    let hash = block.iter().fold(before ^ 0xcbf2_9ce4_8422_2325, |hash, &token| {
        (hash ^ u64::from(token)).wrapping_mul(0x100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// How many of their first tokens are the same.
fn common(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

impl Cached {
    pub(crate) fn new(sequences: usize) -> Self {
        let sequences = vec![Sequence::default(); sequences];
        Self { sequences, holders: Map::new(), hash: chained }
    }

    /// The tokens whose keys and values a sequence has.
    pub(crate) fn tokens(&self, at: usize) -> &[u32] {
        &self.sequences[at].tokens
    }

    pub(crate) fn extend(&mut self, at: usize, tokens: &[u32]) {
        let Sequence { tokens: known, keys } = &mut self.sequences[at];
        known.extend_from_slice(tokens);
        for block in known.chunks_exact(BLOCK).skip(keys.len()) {
            let key = (self.hash)(keys.last().copied().unwrap_or(0), block);
            keys.push(key);
            self.holders.entry(key).or_default().push(at);
        }
    }

    pub(crate) fn truncate(&mut self, at: usize, length: usize) {
        let Sequence { tokens, keys } = &mut self.sequences[at];
        tokens.truncate(length);
        let whole = (tokens.len() / BLOCK).min(keys.len());
        for key in keys.drain(whole..) {
            let Some(holders) = self.holders.get_mut(&key) else { continue };
            if let Some(place) = holders.iter().position(|&holder| holder == at) {
                holders.swap_remove(place);
            }
            if holders.is_empty() {
                self.holders.remove(&key);
            }
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.holders.clear();
        self.sequences.fill(Sequence::default());
    }

    /// The sequence that has most of a prompt, of several the one with the highest rank, and how much it
    /// has; sequences without a rank are left out. The last token of a prompt does not count: it is always
    /// run, for its logits.
    pub(crate) fn longest<R: Ord>(
        &self,
        prompt: &[u32],
        rank: impl Fn(usize) -> Option<R>,
    ) -> Option<(usize, usize)> {
        let prompt = &prompt[..prompt.len().saturating_sub(1)];
        let all: Vec<usize> = (0..self.sequences.len()).collect();
        let mut holders = vec![&all];
        let mut key = 0;
        for block in prompt.chunks_exact(BLOCK) {
            key = (self.hash)(key, block);
            let Some(found) = self.holders.get(&key) else { break };
            holders.push(found);
        }
        // Those that have the most blocks first: of the others none has as many tokens.
        holders.iter().enumerate().rev().find_map(|(blocks, holders)| {
            let (known, rest) = prompt.split_at(blocks * BLOCK);
            let length = |at: usize| {
                let own = self.tokens(at).get(known.len()..).unwrap_or_default();
                known.len() + common(own, rest)
            };
            let ranked = holders.iter().filter_map(|&at| Some((length(at), rank(at)?, at)));
            let mut ranked: Vec<_> = ranked.filter(|(length, ..)| *length > 0).collect();
            ranked.sort();
            let found = ranked.into_iter().rev();
            let mut sure = found.filter(|(.., at)| self.tokens(*at).starts_with(known));
            sure.next().map(|(length, _, at)| (at, length))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::{BLOCK, Cached, Hash, chained, common};

    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % end
        }
    }

    /// Texts that often have long beginnings in common.
    fn text(random: &mut Random) -> Vec<u32> {
        let pieces = random.below(6);
        let piece = |start: usize| (0..50).map(move |at| u32::try_from(start * 7 + at).unwrap());
        let starts: Vec<usize> = (0..pieces).map(|_| random.below(2)).collect();
        let mut text: Vec<u32> = starts.into_iter().flat_map(piece).collect();
        text.truncate(text.len().saturating_sub(random.below(20)));
        text
    }

    fn check(hash: Hash) {
        const SEQUENCES: usize = 5;
        let mut random = Random(7);
        let mut cached = Cached { hash, ..Cached::new(SEQUENCES) };
        let mut plain = vec![Vec::new(); SEQUENCES];
        let mut found = 0;
        for _ in 0..4000 {
            let at = random.below(SEQUENCES);
            match random.below(4) {
                0 => {
                    let length = random.below(plain[at].len() + 1);
                    plain[at].truncate(length);
                    cached.truncate(at, length);
                }
                1 => {
                    plain[at] = text(&mut random);
                    cached.truncate(at, 0);
                    cached.extend(at, &plain[at]);
                }
                _ => {
                    let more = text(&mut random);
                    let more = &more[..more.len().min(random.below(90))];
                    plain[at].extend_from_slice(more);
                    cached.extend(at, more);
                }
            }
            let (prompt, out) = (text(&mut random), random.below(SEQUENCES));
            let usable = &prompt[..prompt.len().saturating_sub(1)];
            let rank = |at: usize| (at != out).then_some(Reverse(at));
            let each = (0..SEQUENCES).filter(|&at| at != out);
            let each = each.map(|at| (common(&plain[at], usable), Reverse(at)));
            let want = each.max().filter(|(length, _)| *length > 0);
            let want = want.map(|(length, Reverse(at))| (at, length));
            assert_eq!(cached.longest(&prompt, rank), want);
            found += usize::from(want.is_some_and(|(_, length)| length > 2 * BLOCK));
        }
        assert!(found > 200, "{found}");
        (0..SEQUENCES).for_each(|at| cached.truncate(at, 0));
        assert!(cached.holders.is_empty());
    }

    #[test]
    fn the_longest_prefix_is_what_comparing_with_every_sequence_finds() {
        check(chained);
    }

    #[test]
    fn blocks_whose_keys_collide_are_told_apart_by_their_tokens() {
        check(|_, _| 0);
        check(|before, block| (before + u64::from(block[0])) % 3);
    }

    #[test]
    fn a_key_depends_on_everything_in_front_of_its_block() {
        let mut cached = Cached::new(2);
        let block: Vec<u32> = (0..64).collect();
        let other: Vec<u32> = (1..65).collect();
        cached.extend(0, &[&block[..], &block].concat());
        cached.extend(1, &[&other[..], &block].concat());
        assert_eq!(cached.holders.len(), 4);
        cached.truncate(1, 2 * BLOCK - 1);
        assert_eq!(cached.holders.len(), 3);
        cached.clear();
        assert!(cached.holders.is_empty() && cached.tokens(0).is_empty());
        assert_eq!(cached.longest(&block, |_| Some(())), None);
    }
}
