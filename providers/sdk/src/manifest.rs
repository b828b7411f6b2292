//! The manifest of a provider library, put together by the compiler.
//!
//! It is TOML in a section of its own. The head says what the compiler knows; what the author adds
//! follows. Everything here runs at compile time: a manifest that is too large or a name that would
//! need quoting is a compile error.

use remuda_abi::{
    ABI_MAJOR, ABI_MINOR, LAYOUT_HASH, MAX_MANIFEST_BYTES, TARGET_ARCH, TARGET_ENV, TARGET_OS,
};

/// A text that is made at compile time.
#[derive(Debug)]
pub struct Text {
    bytes: [u8; MAX_MANIFEST_BYTES],
    len: usize,
}

/// The manifest of a provider: the head, then the author's lines.
#[must_use]
pub const fn text(name: &str, version: &str, extra: &str) -> Text {
    let text = Text { bytes: [0; MAX_MANIFEST_BYTES], len: 0 };
    let text = text.push("abi = \"").decimal(ABI_MAJOR).push(".").decimal(ABI_MINOR);
    let text = text.push("\"\nlayout = \"").hex(LAYOUT_HASH);
    let text = text.push("\"\nname = \"").word(name);
    let text = text.push("\"\nversion = \"").word(version);
    let text = text.push("\"\ntarget = \"").push(TARGET_ARCH).push("-").push(TARGET_OS);
    let text = if TARGET_ENV.is_empty() { text } else { text.push("-").push(TARGET_ENV) };
    text.push("\"\ncpu = [").features().push("]\n").push(extra)
}

macro_rules! compiled_in {
    ($text:ident, $($feature:literal)*) => {{
        $(let $text = if cfg!(target_feature = $feature) {
            $text.push(concat!("\"", $feature, "\", "))
        } else {
            $text
        };)*
        $text
    }};
}

impl Text {
    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a manifest is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Its bytes, if it has `N`.
    #[must_use]
    pub const fn bytes<const N: usize>(&self) -> [u8; N] {
        assert!(N == self.len, "the length is that of the text");
        let mut bytes = [0; N];
        let mut at = 0;
        while at < N {
            bytes[at] = self.bytes[at];
            at += 1;
        }
        bytes
    }

    const fn byte(mut self, byte: u8) -> Self {
        assert!(self.len < MAX_MANIFEST_BYTES, "the manifest is too large");
        self.bytes[self.len] = byte;
        self.len += 1;
        self
    }

    const fn push(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self = self.byte(bytes[at]);
            at += 1;
        }
        self
    }

    /// A text that stands between quotes.
    const fn word(self, text: &str) -> Self {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty(), "a provider has a name and a version");
        let mut at = 0;
        while at < bytes.len() {
            let plain =
                bytes[at] > b' ' && bytes[at] < 127 && bytes[at] != b'"' && bytes[at] != b'\\';
            assert!(plain, "a provider's name and version are printable ASCII without quotes");
            at += 1;
        }
        self.push(text)
    }

    const fn decimal(self, number: u32) -> Self {
        let rest = if number >= 10 { self.decimal(number / 10) } else { self };
        rest.byte(b'0' + (number % 10).to_le_bytes()[0])
    }

    const fn hex(mut self, number: u64) -> Self {
        let bytes = number.to_be_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self = self.byte(digit(bytes[at] >> 4)).byte(digit(bytes[at] & 15));
            at += 1;
        }
        self
    }

    /// The instruction sets that the compiler may use everywhere in the library.
    const fn features(self) -> Self {
        let text = self;
        compiled_in!(text,
            "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "movbe"
            "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512vnni"
            "neon" "dotprod" "fp16" "i8mm" "sve"
        )
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_head_says_what_the_compiler_knows() {
        let made = text("tiny", "1.2.3", "conflicts = []\n");
        let text = str::from_utf8(&made.bytes[..made.len()]).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "abi = \"1.0\"");
        assert_eq!(lines[1], format!("layout = \"{:016x}\"", remuda_abi::LAYOUT_HASH));
        assert_eq!(lines[2..4], ["name = \"tiny\"", "version = \"1.2.3\""]);
        assert!(
            lines[4].starts_with(&format!("target = \"{}-", std::env::consts::ARCH)),
            "{}",
            lines[4]
        );
        assert!(lines[5].starts_with("cpu = ["), "{}", lines[5]);
        assert_eq!(lines[6], "conflicts = []");
    }
}
