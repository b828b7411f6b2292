//! The tokens of GBNF.

use super::syntax;
use crate::error::GrammarError;

/// A token of the right side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Text(String),
    Class { negated: bool, ranges: Vec<(char, char)> },
    Any,
    Name(String),
    Open,
    Close,
    Or,
    Repeat { least: u32, most: Option<u32> },
    End,
}

/// Reads tokens from a source.
pub(super) struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { rest: source, line: 1 }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn error(&self, message: String) -> GrammarError {
        syntax(Some(self.line), message)
    }

    fn expected(&self, what: &str) -> GrammarError {
        match self.rest.chars().next() {
            Some(got) => self.error(format!("expected {what}, got `{}`", got.escape_debug())),
            None => self.error(format!("expected {what}, got the end")),
        }
    }

    /// The name of the next rule and its `::=`; nothing at the end.
    pub(super) fn rule_name(&mut self) -> Result<Option<String>, GrammarError> {
        self.skip_space(true);
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.name().ok_or_else(|| self.expected("the name of a rule"))?;
        self.skip_space(false);
        if !self.take("::=") {
            return Err(self.expected("`::=`"));
        }
        self.skip_space(true);
        Ok(Some(name))
    }

    /// The next token; a line's end ends the rule unless a group is open.
    pub(super) fn next(&mut self, in_group: bool) -> Result<Token, GrammarError> {
        self.skip_space(in_group);
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let token = match first {
            '\n' | '\r' => {
                if self.next_line_goes_on() {
                    self.skip_space(true);
                    return self.next(in_group);
                }
                return Ok(Token::End);
            }
            '"' => return self.text(),
            '[' => return self.class(),
            '{' => return self.counts(),
            '(' => Token::Open,
            ')' => Token::Close,
            '.' => Token::Any,
            '*' => Token::Repeat { least: 0, most: None },
            '+' => Token::Repeat { least: 1, most: None },
            '?' => Token::Repeat { least: 0, most: Some(1) },
            '|' => {
                self.rest = self.rest.get(1..).unwrap_or_default();
                self.skip_space(true);
                return Ok(Token::Or);
            }
            _ => {
                return self
                    .name()
                    .map(Token::Name)
                    .ok_or_else(|| self.expected("a part of a rule"));
            }
        };
        self.rest = self.rest.get(1..).unwrap_or_default();
        Ok(token)
    }

    /// Whether what follows the line's end is another alternative of the same rule.
    fn next_line_goes_on(&self) -> bool {
        let mut ahead = Scanner { rest: self.rest, line: self.line };
        ahead.skip_space(true);
        ahead.rest.starts_with('|')
    }

    fn take(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        true
    }

    fn skip_space(&mut self, lines: bool) {
        loop {
            let rest = self.rest;
            match rest.chars().next() {
                Some(' ' | '\t') => self.rest = rest.get(1..).unwrap_or_default(),
                Some('\n' | '\r') if lines => {
                    self.line = self.line.saturating_add(usize::from(rest.starts_with('\n')));
                    self.rest = rest.get(1..).unwrap_or_default();
                }
                Some('#') => {
                    let end = rest.find('\n').unwrap_or(rest.len());
                    self.rest = rest.get(end..).unwrap_or_default();
                }
                _ => return,
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn text(&mut self) -> Result<Token, GrammarError> {
        self.take("\"");
        let mut text = String::new();
        while !self.take("\"") {
            text.push(self.character()?);
        }
        Ok(Token::Text(text))
    }

    fn class(&mut self) -> Result<Token, GrammarError> {
        self.take("[");
        let negated = self.take("^");
        let mut ranges = Vec::new();
        while !self.take("]") {
            let first = self.character()?;
            let ends_class = self.rest.starts_with("-]");
            let last = if !ends_class && self.take("-") { self.character()? } else { first };
            if last < first {
                return Err(self.error(format!("expected a range in order, got `{first}-{last}`")));
            }
            ranges.push((first, last));
        }
        if ranges.is_empty() && !negated {
            return Err(self.error("a class of no characters matches nothing".to_owned()));
        }
        Ok(Token::Class { negated, ranges })
    }

    /// One character of a text or a class, escaped or not.
    fn character(&mut self) -> Result<char, GrammarError> {
        let mut characters = self.rest.chars();
        let (Some(first), second, behind) =
            (characters.next(), characters.next(), characters.as_str())
        else {
            return Err(self.expected("the rest of a text or a class"));
        };
        if first != '\\' {
            self.line = self.line.saturating_add(usize::from(first == '\n'));
            self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
            return Ok(first);
        }
        let Some(code) = second else { return Err(self.expected("an escape")) };
        self.rest = behind;
        match code {
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            '\\' | '"' | '[' | ']' | '-' | '^' | '/' => Ok(code),
            'x' => self.hexadecimal(2),
            'u' => self.hexadecimal(4),
            'U' => self.hexadecimal(8),
            other => Err(self.error(format!("escape `\\{}` is not known", other.escape_debug()))),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char, GrammarError> {
        let number =
            self.rest.get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = number.and_then(|text| u32::from_str_radix(text, 16).ok());
        let character = number.and_then(char::from_u32);
        let character = character.ok_or_else(|| self.expected("the number of a character"))?;
        self.rest = self.rest.get(digits..).unwrap_or_default();
        Ok(character)
    }

    fn counts(&mut self) -> Result<Token, GrammarError> {
        self.take("{");
        let least = self.number()?;
        let comma = self.take(",");
        let most = if comma { self.number()? } else { least };
        if !self.take("}") || (least.is_none() && most.is_none()) {
            return Err(self.expected("a repetition such as `{2,3}`"));
        }
        Ok(Token::Repeat { least: least.unwrap_or(0), most })
    }

    fn number(&mut self) -> Result<Option<u32>, GrammarError> {
        self.skip_space(false);
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().map_err(|_| self.expected("a smaller count"))?;
        self.rest = rest;
        self.skip_space(false);
        Ok(Some(number))
    }
}
