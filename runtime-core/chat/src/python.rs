//! Values as Python writes them: `str`, `repr` and `json.dumps`.
//!
//! Templates are written for Python, and what they print of a boolean, a number or a list is part of
//! what a model was trained on.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::budget::Budget;

/// How deep values may nest where they are written out.
const MAX_DEPTH: usize = 64;

/// `str(value)`; an undefined value is empty.
pub(crate) fn str_of(value: &Value, budget: &Budget) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(String::new()),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            budget.charge(text.len())?;
            Ok(text.to_owned())
        }
        _ => {
            let mut writer = Writer { out: String::new(), budget, depth: 0 };
            writer.repr(value)?;
            Ok(writer.out)
        }
    }
}

/// The arguments of `json.dumps`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dumps {
    pub(crate) ensure_ascii: bool,
    pub(crate) indent: Option<String>,
    pub(crate) separators: Option<(String, String)>,
    pub(crate) sort_keys: bool,
}

/// `json.dumps(value, …)`.
pub(crate) fn dumps(value: &Value, how: &Dumps, budget: &Budget) -> Result<String, Error> {
    let between = if how.indent.is_some() { "," } else { ", " };
    let separators = how.separators.clone().unwrap_or_else(|| (between.into(), ": ".into()));
    let mut json =
        Json { writer: Writer { out: String::new(), budget, depth: 0 }, how, separators };
    json.write(value)?;
    Ok(json.writer.out)
}

struct Writer<'a> {
    out: String,
    budget: &'a Budget,
    depth: usize,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) -> Result<(), Error> {
        self.budget.charge(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::InvalidOperation, "values are nested too deep"));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn repr(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Undefined => self.push("Undefined"),
            ValueKind::None => self.push("None"),
            ValueKind::Bool => self.push(if value.is_true() { "True" } else { "False" }),
            ValueKind::Number => self.push(&number(value)),
            ValueKind::String => self.push(&quoted(value.as_str().unwrap_or_default())),
            ValueKind::Map => self.repr_map(value),
            ValueKind::Seq | ValueKind::Iterable => self.repr_list(value),
            _ => self.push(&value.to_string()),
        }
    }

    fn repr_list(&mut self, value: &Value) -> Result<(), Error> {
        self.enter()?;
        let tuple = value.is_tuple();
        self.push(if tuple { "(" } else { "[" })?;
        let mut count = 0;
        for (index, item) in value.try_iter()?.enumerate() {
            if index > 0 {
                self.push(", ")?;
            }
            self.repr(&item)?;
            count = index;
        }
        if tuple && count == 0 && value.len() == Some(1) {
            self.push(",")?;
        }
        self.leave();
        self.push(if tuple { ")" } else { "]" })
    }

    fn repr_map(&mut self, value: &Value) -> Result<(), Error> {
        self.enter()?;
        self.push("{")?;
        for (index, key) in value.try_iter()?.enumerate() {
            if index > 0 {
                self.push(", ")?;
            }
            self.repr(&key)?;
            self.push(": ")?;
            self.repr(&value.get_item(&key)?)?;
        }
        self.leave();
        self.push("}")
    }
}

struct Json<'a> {
    writer: Writer<'a>,
    how: &'a Dumps,
    separators: (String, String),
}

impl Json<'_> {
    fn write(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => self.writer.push("null"),
            ValueKind::Bool => self.writer.push(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.writer.push(&json_number(value)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.map(value),
            ValueKind::Seq | ValueKind::Iterable => self.list(value),
            kind => {
                let text = format!("an {kind} value cannot be written as JSON");
                Err(Error::new(ErrorKind::InvalidOperation, text))
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let mut out = String::with_capacity(text.len().saturating_add(2));
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.how.ensure_ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
        self.writer.push(&out)
    }

    fn list(&mut self, value: &Value) -> Result<(), Error> {
        self.writer.enter()?;
        self.writer.push("[")?;
        let mut any = false;
        for item in value.try_iter()? {
            self.next(any)?;
            self.write(&item)?;
            any = true;
        }
        self.close(any, "]")
    }

    fn map(&mut self, value: &Value) -> Result<(), Error> {
        self.writer.enter()?;
        self.writer.push("{")?;
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.how.sort_keys {
            keys.sort();
        }
        let mut any = false;
        for key in keys {
            self.next(any)?;
            match key.kind() {
                ValueKind::String => self.text(key.as_str().unwrap_or_default())?,
                ValueKind::None => self.text("null")?,
                ValueKind::Bool => self.text(if key.is_true() { "true" } else { "false" })?,
                _ => self.text(&number(&key))?,
            }
            let colon = self.separators.1.clone();
            self.writer.push(&colon)?;
            self.write(&value.get_item(&key)?)?;
            any = true;
        }
        self.close(any, "}")
    }

    /// What stands before an item.
    fn next(&mut self, any: bool) -> Result<(), Error> {
        if any {
            let comma = self.separators.0.clone();
            self.writer.push(&comma)?;
        }
        self.line()
    }

    fn close(&mut self, any: bool, bracket: &str) -> Result<(), Error> {
        self.writer.leave();
        if any {
            self.line()?;
        }
        self.writer.push(bracket)
    }

    fn line(&mut self) -> Result<(), Error> {
        if let Some(indent) = &self.how.indent {
            self.writer.push("\n")?;
            for _ in 0..self.writer.depth {
                self.writer.push(indent)?;
            }
        }
        Ok(())
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// `repr` of a float: as short as it can be, with an exponent where it is very large or small.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number:?}")
}

fn json_number(value: &Value) -> String {
    match number(value).as_str() {
        "nan" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        plain => plain.to_owned(),
    }
}

/// `repr` of a text: in double quotes only if it holds single ones and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() && u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use serde_json::json;

    use super::*;
    use crate::Limits;

    #[test]
    fn values_print_as_in_python() {
        let budget = Budget::new(&Limits::default(), 0);
        let value = json!({"a": [1, 2.0, 1e22, 1e-5, true, null], "b": "it's\n", "c": "\"'"});
        let value = Value::from(Serde(&value));
        let expected = r#"{'a': [1, 2.0, 1e+22, 1e-05, True, None], 'b': "it's\n", 'c': '"\''}"#;
        assert_eq!(str_of(&value, &budget).unwrap(), expected);
        let plain = dumps(&value, &Dumps::default(), &budget).unwrap();
        let expected = r#"{"a": [1, 2.0, 1e+22, 1e-05, true, null], "b": "it's\n", "c": "\"'"}"#;
        assert_eq!(plain, expected);
        let how = Dumps { indent: Some("  ".into()), ..Dumps::default() };
        let short = Value::from(Serde(&json!({"ä": [1, 2], "e": {}})));
        let text = "{\n  \"ä\": [\n    1,\n    2\n  ],\n  \"e\": {}\n}";
        assert_eq!(dumps(&short, &how, &budget).unwrap(), text);
        let how = Dumps { ensure_ascii: true, ..Dumps::default() };
        assert_eq!(dumps(&Value::from("ä💡"), &how, &budget).unwrap(), r#""\u00e4\ud83d\udca1""#);
    }
}
