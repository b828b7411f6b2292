//! The keys and values of a file, and looking them up by the type that is wanted.

use crate::MAX_KEY_BYTES;
use crate::cursor::{Cursor, Fault};
use crate::error::{GgufError, Place, Problem};
use crate::names::{Names, Twice};
use crate::value::{Array, Value, ValueType};

/// One key and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: Value<'a>,
    /// Where the value starts in the file.
    pub offset: usize,
}

/// The keys and values of a file, in its order.
#[derive(Clone, Debug, Default)]
pub struct Metadata<'a> {
    entries: Vec<Entry<'a>>,
    names: Names<'a>,
}

/// The fewest bytes that an entry takes: a key of one byte and a value of one byte.
pub(crate) const LEAST_ENTRY_BYTES: usize = 8 + 1 + 4 + 1;

impl<'a> Metadata<'a> {
    /// Every entry, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The value of `key`, if it is there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entry(key).map(|entry| entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        self.names.find(key).and_then(|at| self.entries.get(at))
    }

    /// The value of `key` as a `T`, if it is there.
    ///
    /// # Errors
    /// When it is there but is no `T`.
    pub fn optional<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(entry) = self.entry(key) else { return Ok(None) };
        let found = T::from_value(entry.value).map(Some);
        found.ok_or_else(|| {
            let problem = Problem::Type { expected: T::EXPECTED, got: shown(&entry.value) };
            GgufError::new(Place::Key(key.into()), Some(entry.offset), problem)
        })
    }

    /// The value of `key` as a `T`.
    ///
    /// # Errors
    /// When it is missing or is no `T`.
    pub fn required<T: FromValue<'a>>(&self, key: &str) -> Result<T, GgufError> {
        self.optional(key)?.ok_or_else(|| {
            let nearest = self.names.nearest(key);
            GgufError::new(Place::Key(key.into()), None, Problem::Missing { nearest })
        })
    }

    pub(crate) fn read(cursor: &mut Cursor<'a>, count: usize) -> Result<Self, GgufError> {
        let entries = (0..count).map(|at| read_entry(cursor, at)).collect::<Result<Vec<_>, _>>()?;
        let names = Names::new(entries.iter().map(|entry| entry.key));
        let names = names.map_err(|Twice { first, second }| {
            let start_of = |at: usize| entries.get(at).map(key_offset);
            let key = entries.get(second).map_or("", |entry| entry.key);
            let problem = Problem::Duplicate { first: start_of(first) };
            GgufError::new(Place::Key(key.to_owned()), start_of(second), problem)
        })?;
        Ok(Self { entries, names })
    }
}

fn read_entry<'a>(cursor: &mut Cursor<'a>, at: usize) -> Result<Entry<'a>, GgufError> {
    let key = read_key(cursor).map_err(|fault| fault.at(Place::Entry(at)))?;
    let entry = ValueType::read(cursor).and_then(|kind| {
        let offset = cursor.offset();
        Ok(Entry { key, value: Value::read(cursor, kind)?, offset })
    });
    entry.map_err(|fault| fault.at(Place::Key(key.to_owned())))
}

fn read_key<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let start = cursor.offset();
    let got = cursor.u64()?;
    match usize::try_from(got) {
        Ok(1..=MAX_KEY_BYTES) => cursor.utf8(got),
        _ => Err(Fault::new(start, Problem::KeyLength { got })),
    }
}

/// Where an entry starts: its value comes after the length, the key and the type.
fn key_offset(entry: &Entry<'_>) -> usize {
    entry.offset.saturating_sub(entry.key.len()).saturating_sub(8 + 4)
}

/// A value in an error: its type, and the value itself where that says more.
fn shown(value: &Value<'_>) -> String {
    match value.as_integer() {
        Some(number) => format!("{number} of type `{}`", value.kind()),
        None => value.describe(),
    }
}

/// What a metadata value can be read as. Integers of any width are read as long as they fit.
pub trait FromValue<'a>: Sized {
    /// What is expected, in words.
    const EXPECTED: &'static str;

    /// `value` as this type.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a `string`";

    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

impl<'a> FromValue<'a> for Array<'a> {
    const EXPECTED: &'static str = "an `array`";

    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Array(array) = value { Some(array) } else { None }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "a `bool`";

    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Bool(flag) = value { Some(flag) } else { None }
    }
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a float";

    #[expect(clippy::cast_possible_truncation, reason = "parameters are single precision anyway")]
    fn from_value(value: Value<'_>) -> Option<Self> {
        value.as_float().map(|number| number as Self)
    }
}

impl FromValue<'_> for f64 {
    const EXPECTED: &'static str = "a float";

    fn from_value(value: Value<'_>) -> Option<Self> {
        value.as_float()
    }
}

impl FromValue<'_> for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";

    fn from_value(value: Value<'_>) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }
}

impl FromValue<'_> for usize {
    const EXPECTED: &'static str = "an integer of at least 0";

    fn from_value(value: Value<'_>) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }
}

impl FromValue<'_> for i64 {
    const EXPECTED: &'static str = "an integer of 64 bits with sign";

    fn from_value(value: Value<'_>) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }
}
