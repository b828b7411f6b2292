//! Many short byte strings in one allocation, and finding one by its bytes.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::TokenId;

/// Byte strings, numbered from 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Pool {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> TokenId {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX).saturating_sub(1)
    }

    pub(crate) fn get(&self, id: TokenId) -> Option<&[u8]> {
        let at = id as usize;
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start as usize..*self.ends.get(at)? as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether another string fits: positions are 32 bits.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.bytes.len().saturating_add(bytes) < u32::MAX as usize
    }
}

/// Ids found by their bytes in a [`Pool`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    table: HashTable<TokenId>,
    hasher: DefaultHashBuilder,
    longest: usize,
}

impl Index {
    /// Adds `id`, whose bytes are in `pool`; gives the id that has the same bytes, if one has.
    pub(crate) fn add(&mut self, pool: &Pool, id: TokenId) -> Option<TokenId> {
        let bytes = pool.get(id)?;
        self.longest = self.longest.max(bytes.len());
        if let Some(same) = self.find(pool, bytes) {
            return Some(same);
        }
        let hasher = &self.hasher;
        let hash = |bytes: &[u8]| hasher.hash_one(bytes);
        self.table.insert_unique(hash(bytes), id, |&id| hash(pool.get(id).unwrap_or_default()));
        None
    }

    pub(crate) fn find(&self, pool: &Pool, bytes: &[u8]) -> Option<TokenId> {
        if bytes.len() > self.longest {
            return None;
        }
        let hash = self.hasher.hash_one(bytes);
        self.table.find(hash, |&id| pool.get(id) == Some(bytes)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_by_their_bytes() {
        let (mut pool, mut index) = (Pool::default(), Index::default());
        for text in ["a", "", "bcd"] {
            let id = pool.push(text.as_bytes());
            assert_eq!(index.add(&pool, id), None);
        }
        let twice = pool.push(b"a");
        assert_eq!(index.add(&pool, twice), Some(0));
        assert_eq!(
            (pool.get(1), pool.get(2), pool.get(9)),
            (Some(&b""[..]), Some(&b"bcd"[..]), None)
        );
        assert_eq!((index.find(&pool, b"bcd"), index.find(&pool, b"bc")), (Some(2), None));
    }
}
