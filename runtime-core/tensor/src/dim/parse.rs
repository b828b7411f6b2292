//! Reads a dimension as it is printed.

use super::Dim;

/// Whether a symbol can be printed without quotes.
pub(super) fn is_plain_symbol(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    starts
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        && !matches!(name, "floordiv" | "max" | "min")
}

/// Reads a dimension: `12`, `batch`, `2*past + 1`, `floordiv(h, 2)`, `?`.
///
/// # Errors
/// A sentence that says at which byte what was expected.
pub fn parse_dim(text: &str) -> Result<Dim, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let dim = parser.sum()?;
    parser.skip_space();
    match parser.rest() {
        "" => Ok(dim),
        rest => Err(parser.wrong("the end of the dimension", rest)),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// Nesting that no printed dimension reaches.
const MAX_DEPTH: usize = 32;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(self.wrong(&format!("`{token}`"), self.rest())) }
    }

    fn wrong(&self, expected: &str, got: &str) -> String {
        let got: String = got.chars().take(12).collect();
        format!("expected {expected} at byte {} of dimension `{}`, got `{got}`", self.at, self.text)
    }

    fn sum(&mut self) -> Result<Dim, String> {
        let mut total =
            if self.eat('-') { Dim::Known(0).sub(&self.product()?) } else { self.product()? };
        loop {
            if self.eat('+') {
                total = total.add(&self.product()?);
            } else if self.eat('-') {
                total = total.sub(&self.product()?);
            } else {
                return Ok(total);
            }
        }
    }

    fn product(&mut self) -> Result<Dim, String> {
        let mut total = self.atom()?;
        while self.eat('*') {
            total = total.mul(&self.atom()?);
        }
        Ok(total)
    }

    fn atom(&mut self) -> Result<Dim, String> {
        if self.eat('?') {
            return Ok(Dim::Unknown);
        }
        if self.eat('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or("");
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let value = word.parse().map_err(|_| self.wrong("a 64-bit number", word))?;
            self.at += end;
            return Ok(Dim::Known(value));
        }
        match word {
            "floordiv" => self.call(end, Dim::floor_div),
            "max" => self.call(end, Dim::greater),
            "min" => self.call(end, Dim::lesser),
            _ if is_plain_symbol(word) => {
                self.at += end;
                Ok(Dim::symbol(word))
            }
            _ => Err(self.wrong("a number or a symbol", rest)),
        }
    }

    fn quoted(&mut self) -> Result<Dim, String> {
        let mut name = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(Dim::symbol(&name));
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\' | '\''))) => name.push(escaped),
                    Some((_, 'n')) => name.push('\n'),
                    Some((_, 't')) => name.push('\t'),
                    Some((_, 'r')) => name.push('\r'),
                    Some((_, '0')) => name.push('\0'),
                    Some((_, 'u')) => {
                        let digits: String = chars
                            .by_ref()
                            .map(|(_, c)| c)
                            .skip(1)
                            .take_while(|&c| c != '}')
                            .collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        name.push(code.ok_or_else(|| self.wrong("a code point", &digits))?);
                    }
                    _ => return Err(self.wrong("an escape", "\\")),
                },
                _ => name.push(c),
            }
        }
        Err(self.wrong("a closing quote", ""))
    }

    fn call(&mut self, name_len: usize, op: fn(&Dim, &Dim) -> Dim) -> Result<Dim, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("at most 32 nested calls", self.rest()));
        }
        self.at += name_len;
        self.expect('(')?;
        let left = self.sum()?;
        self.expect(',')?;
        let right = self.sum()?;
        self.expect(')')?;
        self.depth -= 1;
        Ok(op(&left, &right))
    }
}
