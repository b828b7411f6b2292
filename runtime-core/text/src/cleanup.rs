//! Spaces that tokenising put before punctuation, taken out again.

/// Takes out the space before `?`, `!`, `.` and `,`, around an apostrophe that stands alone, and
/// before the endings of English contractions.
pub(crate) fn clean_up(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if matches!(byte, b'?' | b'!' | b'.' | b',') && out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(byte);
    }
    contractions(&apostrophes(&out))
}

fn apostrophes(text: &[u8]) -> Vec<u8> {
    replace(text, &[(b" ' ", b"'")])
}

fn contractions(text: &[u8]) -> Vec<u8> {
    replace(
        text,
        &[
            (b" n't", b"n't"),
            (b" 'm", b"'m"),
            (b" 's", b"'s"),
            (b" 've", b"'ve"),
            (b" 're", b"'re"),
        ],
    )
}

fn replace(text: &[u8], pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let found = pairs.iter().find_map(|(from, to)| Some((rest.strip_prefix(*from)?, to)));
        if let Some((after, to)) = found {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_before_punctuation_go() {
        let clean = |text: &str| String::from_utf8(clean_up(text.as_bytes())).unwrap();
        assert_eq!(clean("Hello , world ! It 's I 'll do n't"), "Hello, world! It's I 'll don't");
        assert_eq!(clean("a  . b ' c"), "a . b'c");
        assert_eq!(clean("Äh ?"), "Äh?");
    }
}
