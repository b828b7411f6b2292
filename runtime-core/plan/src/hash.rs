//! A hash that is the same on every machine and in every release: 128-bit FNV-1a.

const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// A running hash.
#[derive(Debug, Clone)]
pub(crate) struct Hash(u128);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(BASIS)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(PRIME);
        }
        self
    }

    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Length first, so that neighbouring texts cannot run into each other.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Hash;

    /// The test vectors published with the hash.
    #[test]
    fn known_values() {
        assert_eq!(Hash::new().finish(), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        let hash = Hash::new().bytes(b"a").finish();
        assert_eq!(hash, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
