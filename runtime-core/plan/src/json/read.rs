//! The reader: asks for what should come next, and takes it.

use std::borrow::Cow;

/// What is wrong with a text, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: expected {expected}")]
pub(crate) struct JsonError {
    /// Where.
    pub(crate) at: usize,
    /// What should be there.
    pub(crate) expected: &'static str,
}

type Read<T> = Result<T, JsonError>;

/// A place in a text.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Whether the next entry or item is the first of its object or list.
    first: bool,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, first: true }
    }

    /// Nothing but blanks may come.
    pub(crate) fn end(&mut self) -> Read<()> {
        if self.peek().is_some() { Err(self.error("the end")) } else { Ok(()) }
    }

    /// An object; `read` takes its entries.
    pub(crate) fn object<T, E: From<JsonError>>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.open(b'{', "`{`")?;
        let value = read(self)?;
        self.first = false;
        self.expect(b'}', "`}`")?;
        Ok(value)
    }

    /// A list; `read` takes each item.
    pub(crate) fn list<T, E: From<JsonError>>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        self.open(b'[', "a list")?;
        let mut items = Vec::new();
        while !self.eat(b']') {
            self.comma()?;
            items.push(read(self)?);
        }
        self.first = false;
        Ok(items)
    }

    /// Whether the next entry has this key, which is taken if it has.
    pub(crate) fn key(&mut self, key: &str) -> Read<bool> {
        if self.peek() != Some(b'}') {
            self.comma()?;
        }
        self.peek();
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        let quoted = rest.strip_prefix(b"\"").and_then(|rest| rest.strip_prefix(key.as_bytes()));
        if quoted.is_none_or(|rest| rest.first() != Some(&b'"')) {
            return Ok(false);
        }
        self.at += key.len() + 2;
        self.expect(b':', "`:`").map(|()| true)
    }

    /// Takes `null` if it comes.
    pub(crate) fn null(&mut self) -> bool {
        let found = self.peek() == Some(b'n') && self.text[self.at..].starts_with("null");
        self.at += if found { 4 } else { 0 };
        found
    }

    /// A whole number.
    pub(crate) fn number(&mut self) -> Read<i128> {
        let negative = self.eat(b'-');
        let digits = self.text.as_bytes()[self.at..].iter().take_while(|b| b.is_ascii_digit());
        // More digits than any number of a plan has.
        let digits: &[u8] = &self.text.as_bytes()[self.at..self.at + digits.take(31).count()];
        let value = digits.iter().fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let behind = self.text.as_bytes().get(self.at + digits.len());
        if digits.is_empty() || matches!(behind, Some(b'.' | b'e' | b'E' | b'0'..=b'9')) {
            return Err(self.error("a whole number"));
        }
        self.at += digits.len();
        Ok(if negative { -value } else { value })
    }

    /// A text, borrowed where nothing in it is escaped.
    pub(crate) fn text(&mut self) -> Read<Cow<'t, str>> {
        self.expect(b'"', "a text")?;
        let text = self.text;
        let mut out = Cow::Borrowed("");
        loop {
            let rest = &text[self.at..];
            let plain = rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
            let Some(plain) = plain else { return Err(self.error("`\"`")) };
            out += &rest[..plain];
            self.at += plain;
            match rest.as_bytes()[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => {
                    self.at += 1;
                    out.to_mut().push(self.escape()?);
                }
                _ => return Err(self.error("an escape")),
            }
        }
    }

    fn error(&self, expected: &'static str) -> JsonError {
        JsonError { at: self.at, expected }
    }

    /// The next byte that is not blank; the reader stands at it.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Read<()> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Read<()> {
        self.expect(bracket, expected)?;
        self.first = true;
        Ok(())
    }

    /// What stands between two entries or items.
    fn comma(&mut self) -> Read<()> {
        if std::mem::take(&mut self.first) { Ok(()) } else { self.expect(b',', "`,`") }
    }

    fn escape(&mut self) -> Read<char> {
        let Some(letter) = self.text.as_bytes().get(self.at) else {
            return Err(self.error("an escape"));
        };
        let plain = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.error("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Read<char> {
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

    fn hex4(&mut self) -> Read<u32> {
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

    use super::{JsonError, Reader};
    use crate::json::{Sink, Text};

    type Mixed = (Vec<i128>, String);

    fn written(value: &Mixed) -> String {
        let mut out = Text::default();
        out.object(|to| {
            to.entries("a", &value.0, |number, to| to.number(*number));
            to.entry("b", value.1.as_str());
            to.entry("c", None::<u32>);
        });
        out.0
    }

    fn read(text: &str) -> Result<Option<Mixed>, JsonError> {
        let mut reader = Reader::new(text);
        let value = reader.object(|json| {
            let numbers =
                if json.key("a")? { json.list(Reader::number)? } else { return Ok(None) };
            let text = if json.key("b")? { json.text()?.into_owned() } else { return Ok(None) };
            Ok::<_, JsonError>((json.key("c")? && json.null()).then_some((numbers, text)))
        })?;
        reader.end().map(|()| value)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in any::<String>(), numbers in any::<Vec<i64>>()) {
            let value = (numbers.into_iter().map(i128::from).collect(), text);
            prop_assert_eq!(read(&written(&value)), Ok(Some(value)));
        }

        #[test]
        fn no_input_panics(text in any::<String>(), at in any::<prop::sample::Index>()) {
            let _ = read(&text);
            let _ = Reader::new(&text).text();
            let _ = Reader::new(&text).number();
            let mut inside = written(&(vec![-1, 2], "a\"\u{1}é".to_owned()));
            let mut place = at.index(inside.len());
            while !inside.is_char_boundary(place) {
                place -= 1;
            }
            inside.insert_str(place, &text);
            let _ = read(&inside);
        }
    }

    #[test]
    fn nothing_cut_short_is_accepted() {
        let whole = r#"{"a":[1,-2],"b":"\ud83d\ude00","c":null}"#;
        assert_eq!(read(whole), Ok(Some((vec![1, -2], "😀".to_owned()))));
        for at in 0..whole.len() {
            assert!(!matches!(read(&whole[..at]), Ok(Some(_))), "{at}");
        }
        assert!(read(&format!("{whole}]")).is_err());
    }

    #[test]
    fn errors_tell_the_place() {
        let text = |text| Reader::new(text).text().map(std::borrow::Cow::into_owned);
        assert_eq!(text(r#""\u0041\/""#), Ok("A/".to_owned()));
        assert!(text(r#""\ud83dx""#).is_err());
        let number = |text| Reader::new(text).number().map_err(|error| error.to_string());
        let whole = |at| Err(format!("at byte {at}: expected a whole number"));
        assert_eq!(number("1.5"), whole(0));
        assert_eq!(number("-x"), whole(1));
        assert_eq!(number(&"9".repeat(40)), whole(0));
    }
}
