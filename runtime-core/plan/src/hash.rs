//! A hash that is the same on every machine and in every release.
//!
//! Every word is mixed into 128 bits by a multiplication whose upper half is folded into the lower
//! one: both steps can be undone, so that one differing word always makes another hash. It tells
//! plans and questions apart and finds damage; it does not stand up to somebody who forges them.

use crate::json::Sink;

/// 2^128 divided by the golden ratio, made odd.
const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A running hash.
#[derive(Debug, Clone)]
pub(crate) struct Hash(u128);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(FACTOR)
    }

    /// One word, with what sort of word it is.
    fn word(&mut self, sort: u64, value: u64) -> &mut Self {
        let mixed = (self.0 ^ (u128::from(sort) << 64 | u128::from(value))).wrapping_mul(FACTOR);
        self.0 = mixed ^ mixed >> 64;
        self
    }

    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        self.word(0, value)
    }

    /// Length first, so that neighbouring texts cannot run into each other.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.word(1, text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
        self
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0
    }
}

/// Keys do not count: what is hashed has them in one order.
impl Sink for Hash {
    fn key(&mut self, _key: &str) {}

    fn null(&mut self) {
        self.word(2, 0);
    }

    fn number(&mut self, value: i128) {
        let magnitude = u64::try_from(value.unsigned_abs()).unwrap_or(u64::MAX);
        self.word(if value < 0 { 3 } else { 0 }, magnitude);
    }

    fn text(&mut self, text: &str) {
        Self::text(self, text);
    }

    fn list<T>(&mut self, items: &[T], tell: impl Fn(&T, &mut Self)) {
        self.word(4, items.len() as u64);
        items.iter().for_each(|item| tell(item, self));
    }

    fn object(&mut self, tell: impl FnOnce(&mut Self)) {
        tell(self);
    }
}

#[cfg(test)]
mod tests {
    use remuda_base::Set;

    use super::Hash;

    /// Stored plans are found again by these values: they must not change.
    #[test]
    fn known_values() {
        let mut hash = Hash::new();
        assert_eq!(
            hash.number(7).text("a plan of parts").finish(),
            0x9cde_f6cf_c096_f7f8_a269_d1b6_f856_318f
        );
    }

    #[test]
    fn one_other_bit_or_another_division_is_another_hash() {
        let mut hashes = Set::new();
        for bit in 0..64 {
            for behind in 0..2 {
                assert!(hashes.insert(Hash::new().number(1 << bit).number(behind).finish()));
            }
        }
        for texts in [["ab", "c"], ["a", "bc"], ["abc", ""], ["", "abc"], ["abc\0", ""]] {
            assert!(hashes.insert(Hash::new().text(texts[0]).text(texts[1]).finish()));
        }
    }
}
