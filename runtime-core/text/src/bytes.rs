//! The printable alphabet of byte-level vocabularies: each byte is written as one character, so that
//! every token is a text. Bytes that print stand for themselves, the others follow from U+0100 on.

/// Whether a byte stands for itself.
const fn prints(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The characters of the bytes that do not print, from U+0100 on.
#[expect(clippy::indexing_slicing, reason = "worked out by the compiler, which checks it")]
const HIDDEN: [u8; 68] = {
    let mut hidden = [0; 68];
    let (mut byte, mut count) = (0u8, 0);
    while byte < u8::MAX {
        if !prints(byte) {
            hidden[count] = byte;
            count += 1;
        }
        byte += 1;
    }
    hidden
};

/// The byte that a character stands for.
fn byte_of(character: char) -> Option<u8> {
    match u8::try_from(u32::from(character)) {
        Ok(byte) => prints(byte).then_some(byte),
        Err(_) => HIDDEN.get((character as usize).checked_sub(0x100)?).copied(),
    }
}

/// The bytes that a token's text stands for, if each of its characters stands for one.
pub(crate) fn decode(text: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for character in text.chars() {
        let Some(byte) = byte_of(character) else {
            out.truncate(start);
            return false;
        };
        out.push(byte);
    }
    true
}

/// The byte of a token such as `<0x0A>`.
pub(crate) fn named(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_one_character() {
        let mut seen = [0; 256];
        for character in (0..0x200).filter_map(char::from_u32) {
            if let Some(byte) = byte_of(character) {
                seen[usize::from(byte)] += 1;
            }
        }
        assert_eq!(seen, [1; 256]);
        assert_eq!((byte_of('Ġ'), byte_of('Ċ'), byte_of('▁')), (Some(b' '), Some(b'\n'), None));
    }

    #[test]
    fn byte_tokens_are_two_digits() {
        assert_eq!((named("<0x0A>"), named("<0xff>")), (Some(10), Some(255)));
        for broken in ["<0x-1>", "<0x+1>", "<0x1>", "<0x123>", "<0x>", "0x0A", "<0x0A"] {
            assert_eq!(named(broken), None, "{broken}");
        }
    }
}
