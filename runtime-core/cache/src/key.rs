//! Keys: hashes of everything that an entry depends on.

use std::fmt;

use remuda_tensor::Tensor;
use sha2::{Digest, Sha256};

/// Bytes that are looked at of a tensor from a file, at its beginning, in its middle and at its end.
const SAMPLE: usize = 512;

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

    /// A part that is a tensor. One of a file is told by the state of the file and its place in it, with
    /// samples of its bytes, so that no model is read as a whole; others are hashed.
    #[must_use]
    pub fn tensor(self, name: &str, tensor: &Tensor) -> Self {
        let whole = tensor.contiguous();
        let Some(bytes) = whole.bytes() else { return self.text(name, &format!("{tensor:?}")) };
        match tensor.origin().filter(|_| bytes.len() > 3 * SAMPLE) {
            None => self.bytes(name, bytes),
            Some(origin) => {
                let starts = [0, bytes.len() / 2, bytes.len() - SAMPLE];
                let samples = starts.iter().map(|&start| &bytes[start..(start + SAMPLE)]);
                samples.fold(self.text("origin", &origin), |key, sample| key.bytes(name, sample))
            }
        }
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use remuda_tensor::{DType, Memory, Tensor};

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

    /// Bytes of a file in some state.
    struct OfFile(Vec<u8>, &'static str);

    impl Memory for OfFile {
        fn bytes(&self) -> &[u8] {
            &self.0
        }

        fn origin(&self, range: Range<usize>) -> Option<String> {
            (!self.1.is_empty()).then(|| format!("{} {range:?}", self.1))
        }
    }

    fn key(bytes: &[u8], state: &'static str) -> Key {
        let memory = Arc::new(OfFile(bytes.to_vec(), state));
        let tensor = Tensor::from_memory(DType::U8, [bytes.len()], memory).unwrap();
        KeyMaker::new("test").tensor("weight", &tensor).finish()
    }

    #[test]
    fn weights_of_files_are_told_by_state_and_samples_and_others_by_all_bytes() {
        let plain = vec![1; 100_000];
        let changed = |at: usize| {
            let mut bytes = plain.clone();
            bytes[at] = 2;
            bytes
        };
        assert_eq!(key(&plain, "one"), key(&plain, "one"));
        assert_ne!(key(&plain, "one"), key(&plain, "other"));
        assert_ne!(key(&plain, "one"), key(&plain, ""));
        for at in [0, 50_000, 99_999] {
            assert_ne!(key(&changed(at), "one"), key(&plain, "one"));
        }
        // Not read: a file that changes is in another state.
        assert_eq!(key(&changed(20_000), "one"), key(&plain, "one"));
        assert_ne!(key(&changed(20_000), ""), key(&plain, ""));
    }
}
