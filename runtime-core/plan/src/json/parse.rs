//! The reader.

use super::Json;

/// Deeper nesting than any plan has is an error, so that a file cannot exhaust the stack.
const DEEPEST: usize = 32;

/// What is wrong with a text, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: expected {expected}")]
pub struct JsonError {
    /// Where.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
}

/// The one value that `text` holds.
pub(crate) fn parse(text: &str) -> Result<Json, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blank();
    if reader.at < text.len() { Err(reader.error("the end")) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, expected: &'static str) -> JsonError {
        JsonError { at: self.at, expected }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blank();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > DEEPEST {
            return Err(self.error("less nesting"));
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.int(),
            Some(b'n') if self.text[self.at..].starts_with("null") => {
                self.at += 4;
                Ok(Json::Null)
            }
            _ => Err(self.error("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.expect(b'{', "`{`")?;
        let mut entries = Vec::new();
        if self.eat(b'}') {
            return Ok(Json::Object(entries));
        }
        loop {
            self.blank();
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            entries.push((key, self.value(depth + 1)?));
            if self.eat(b'}') {
                return Ok(Json::Object(entries));
            }
            self.expect(b',', "`,` or `}`")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.expect(b'[', "`[`")?;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Json::List(items));
            }
            self.expect(b',', "`,` or `]`")?;
        }
    }

    fn int(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let whole = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        match self.text[start..self.at].parse() {
            Ok(value) if whole => Ok(Json::Int(value)),
            _ => Err(self.error("a whole number")),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"', "a text")?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(letter) = rest.chars().next() else { return Err(self.error("`\"`")) };
            self.at += letter.len_utf8();
            match letter {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                control if u32::from(control) < 0x20 => return Err(self.error("an escape")),
                other => out.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(letter) = self.peek() else { return Err(self.error("an escape")) };
        self.at += 1;
        match letter {
            b'"' => Ok('"'),
            b'\\' => Ok('\\'),
            b'/' => Ok('/'),
            b'n' => Ok('\n'),
            b't' => Ok('\t'),
            b'r' => Ok('\r'),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'u' => self.unicode(),
            _ => Err(self.error("an escape")),
        }
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or(self.error("a character"));
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(self.error("the second half of a pair"));
        }
        self.at += 2;
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(self.error("the second half of a pair"));
        }
        let joined = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        char::from_u32(joined).ok_or(self.error("a character"))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4);
        let plain = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = plain.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let value = value.ok_or(self.error("four hexadecimal digits"))?;
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Json, parse};

    fn written(value: &Json) -> String {
        let mut out = String::new();
        value.write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let value = Json::text(text);
            prop_assert_eq!(parse(&written(&value)), Ok(value));
        }

        #[test]
        fn no_input_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn nothing_cut_short_is_accepted(at in 0usize..30) {
            let whole = r#"{"a":[1,-2,null],"b":"\ud83d\ude00"}"#;
            prop_assert!(parse(&whole[..at]).is_err());
        }
    }

    #[test]
    fn escapes_and_depth() {
        assert_eq!(parse(r#""\ud83d\ude00\u0041""#), Ok(Json::text("😀A")));
        assert!(parse(r#""\ud83dx""#).is_err());
        let error = parse(&"[".repeat(100)).unwrap_err();
        assert_eq!(error.to_string(), "at byte 33: expected less nesting");
        assert_eq!(parse("1.5").unwrap_err().to_string(), "at byte 1: expected a whole number");
    }
}
