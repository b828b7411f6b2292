//! Keys: hashes of everything that an entry depends on.

use std::fmt;

use sha2::{Digest, Sha256};

/// The hash of everything that an entry depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Key {
    /// The key that a file is named after.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut key = [0; 32];
        if digits.len() != 64 || !digits.iter().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(key))
    }
}

/// Makes a key of named parts. Each is hashed with its length, so that no two lists of parts look alike.
#[derive(Clone, Debug, Default)]
pub struct KeyMaker(Sha256);

impl KeyMaker {
    /// A key for one purpose; entries of other purposes never meet it.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        Self::default().text("purpose", purpose)
    }

    /// A part.
    #[must_use]
    pub fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        for part in [name.as_bytes(), bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// A part that is a text.
    #[must_use]
    pub fn text(self, name: &str, text: &str) -> Self {
        self.bytes(name, text.as_bytes())
    }

    /// A part that is a number.
    #[must_use]
    pub fn number(self, name: &str, number: u64) -> Self {
        self.bytes(name, &number.to_le_bytes())
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyMaker};

    #[test]
    fn keys_tell_parts_apart_and_are_read_back() {
        let one = KeyMaker::new("plan").text("a", "bc").finish();
        let others = [
            KeyMaker::new("plan").text("ab", "c").finish(),
            KeyMaker::new("plan").text("a", "b").text("", "c").finish(),
            KeyMaker::new("speeds").text("a", "bc").finish(),
        ];
        assert!(!others.contains(&one));
        assert_eq!(Key::parse(&one.to_string()), Some(one));
        assert_eq!(Key::parse("no key"), None);
        assert_eq!(Key::parse(&"é".repeat(32)), None);
    }
}
