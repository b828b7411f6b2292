//! A small JSON writer and reader, enough for plans: objects keep their order, numbers are whole.
//!
//! Plans are hashed by their text, so the text must not depend on a library's release; and plan
//! files come from anywhere, so the reader is total: bounded depth, an offset in every error.

mod parse;

pub(crate) use parse::{JsonError, parse};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Int(i128),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// The object with these entries.
    pub(crate) fn object<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Object(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// Writes without spaces; each entry of a list of objects on its own line.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                let lines = matches!(items.first(), Some(Self::Object(_)));
                write_items(out, '[', ']', lines, items.iter(), Self::write);
            }
            Self::Object(entries) => {
                write_items(out, '{', '}', false, entries.iter(), |(key, value), out| {
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                });
            }
        }
    }
}

macro_rules! from_ints {
    ($($int:ty),*) => {
        $(impl From<$int> for Json {
            fn from(value: $int) -> Self {
                Self::Int(value.into())
            }
        })*
    };
}
from_ints!(u32, u64, i64);

impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

fn write_items<T>(
    out: &mut String,
    open: char,
    close: char,
    lines: bool,
    items: impl Iterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    out.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if lines {
            out.push('\n');
        }
        write(item, out);
    }
    out.push(close);
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
