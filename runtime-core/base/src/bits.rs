//! A fixed-capacity set of small integers, one bit each.

/// A set of integers below a capacity that is fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// An empty set that can hold `0..capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { words: vec![0; capacity.div_ceil(64)] }
    }

    /// Adds `index`; true if it was not there. An index past the capacity grows the set.
    pub fn insert(&mut self, index: usize) -> bool {
        if index / 64 >= self.words.len() {
            self.words.resize(index / 64 + 1, 0);
        }
        let (word, mask) = (&mut self.words[index / 64], 1 << (index % 64));
        let fresh = *word & mask == 0;
        *word |= mask;
        fresh
    }

    /// Removes `index`; true if it was there.
    pub fn remove(&mut self, index: usize) -> bool {
        let found = self.contains(index);
        if found {
            self.words[index / 64] &= !(1 << (index % 64));
        }
        found
    }

    /// Whether `index` is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Adds every member of `other`.
    pub fn union_with(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The members in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::BitSet;

    #[test]
    fn members_come_back_in_order() {
        let mut set = BitSet::new(10);
        assert!(set.insert(70) && set.insert(3) && !set.insert(3));
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 70]);
        assert!(set.remove(70) && !set.remove(70));
        assert_eq!((set.len(), set.contains(3), set.contains(64)), (1, true, false));
    }
}
