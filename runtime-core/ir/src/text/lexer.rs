//! Tokens of the text form. Total on any text: every token or an error, in linear time.

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `%name`.
    Ref(String),
    /// A word: names, dtypes, numbers with their suffix, hexadecimal data.
    Word(String),
    /// A quoted text.
    Text(String),
    /// One of `{}[]()=,:@;`.
    Mark(char),
    /// The end.
    End,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The byte at which the next token starts or space before it.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(super) fn next(&mut self) -> Result<Token, String> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        match first {
            '{' | '}' | '[' | ']' | '(' | ')' | '=' | ',' | ':' | '@' | ';' | '*' | '+' | '?' => {
                self.at += 1;
                Ok(Token::Mark(first))
            }
            '"' => Ok(Token::Text(self.quoted()?)),
            '%' => {
                self.at += 1;
                if self.rest().starts_with('"') {
                    return Ok(Token::Ref(self.quoted()?));
                }
                let name = self.take(|c| {
                    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | ':' | '-')
                });
                // The colon in front of a type belongs to the declaration, not to the name.
                let name = name.strip_suffix(':').map_or(name, |short| {
                    self.at -= 1;
                    short
                });
                if name.is_empty() {
                    Err("a name after `%`".into())
                } else {
                    Ok(Token::Ref(name.into()))
                }
            }
            _ => {
                let word = self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
                if word.is_empty() {
                    Err(format!("a token, not `{first}`"))
                } else {
                    Ok(Token::Word(word.into()))
                }
            }
        }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    /// Passes over this many bytes.
    pub(super) fn raw_skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads a text as Rust's `{:?}` prints it.
    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => text.push(escape(&mut chars).ok_or("an escape in a text")?),
                _ => text.push(c),
            }
        }
        Err("a closing quote".into())
    }
}

fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    Some(match chars.next()?.1 {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        'u' => {
            let digits: String = chars
                .map(|(_, c)| c)
                .skip_while(|&c| c == '{')
                .take_while(|&c| c != '}')
                .take(8)
                .collect();
            char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
        }
        plain @ ('"' | '\\' | '\'') => plain,
        _ => return None,
    })
}
