//! Metadata values. Scalars are read at once; an array keeps the bytes of the file and decodes its
//! elements as it is iterated.

use std::fmt;

use crate::MAX_ARRAY_DEPTH;
use crate::cursor::{Cursor, Fault};
use crate::error::Problem;

/// The type of a metadata value, or of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueType {
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// 16-bit unsigned integer.
    U16,
    /// 16-bit signed integer.
    I16,
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
    /// 32-bit float.
    F32,
    /// Truth value.
    Bool,
    /// UTF-8 text.
    Text,
    /// Elements of one type.
    Array,
    /// 64-bit unsigned integer.
    U64,
    /// 64-bit signed integer.
    I64,
    /// 64-bit float.
    F64,
}

/// Every type with its name and the fewest bytes that a value takes, by number.
const TYPES: [(ValueType, &str, usize); 13] = [
    (ValueType::U8, "u8", 1),
    (ValueType::I8, "i8", 1),
    (ValueType::U16, "u16", 2),
    (ValueType::I16, "i16", 2),
    (ValueType::U32, "u32", 4),
    (ValueType::I32, "i32", 4),
    (ValueType::F32, "f32", 4),
    (ValueType::Bool, "bool", 1),
    (ValueType::Text, "string", 8),
    (ValueType::Array, "array", 12),
    (ValueType::U64, "u64", 8),
    (ValueType::I64, "i64", 8),
    (ValueType::F64, "f64", 8),
];

impl ValueType {
    /// Every type, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        TYPES.iter().map(|&(kind, ..)| kind)
    }

    /// The number in files.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The name in text: `u32`, `string`.
    #[must_use]
    pub fn name(self) -> &'static str {
        TYPES.get(self as usize).map_or("?", |&(_, name, _)| name)
    }

    /// The fewest bytes that a value takes; the exact number unless it is a text or an array.
    pub(crate) fn least_bytes(self) -> usize {
        TYPES.get(self as usize).map_or(1, |&(.., bytes)| bytes)
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let start = cursor.offset();
        let got = cursor.u32()?;
        let found = usize::try_from(got).ok().and_then(|at| TYPES.get(at));
        found.map(|&(kind, ..)| kind).ok_or(Fault::new(start, Problem::ValueType { got }))
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A metadata value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// 8-bit unsigned integer.
    U8(u8),
    /// 8-bit signed integer.
    I8(i8),
    /// 16-bit unsigned integer.
    U16(u16),
    /// 16-bit signed integer.
    I16(i16),
    /// 32-bit unsigned integer.
    U32(u32),
    /// 32-bit signed integer.
    I32(i32),
    /// 32-bit float.
    F32(f32),
    /// Truth value.
    Bool(bool),
    /// UTF-8 text.
    Text(&'a str),
    /// Elements of one type.
    Array(Array<'a>),
    /// 64-bit unsigned integer.
    U64(u64),
    /// 64-bit signed integer.
    I64(i64),
    /// 64-bit float.
    F64(f64),
}

impl<'a> Value<'a> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::Text(_) => ValueType::Text,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The value, if it is an integer of any width; every one fits.
    #[must_use]
    pub fn as_integer(&self) -> Option<i128> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::I8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::U64(value) => Some(value.into()),
            Self::I64(value) => Some(value.into()),
            _ => None,
        }
    }

    /// The value, if it is a float of any width.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// Its type in words: `` `u32` ``, `` `array` of 3 `string` ``.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Array(array) => format!("`array` of {} `{}`", array.len(), array.kind()),
            _ => format!("`{}`", self.kind()),
        }
    }

    /// The next value, of the given type.
    pub(crate) fn read(cursor: &mut Cursor<'a>, kind: ValueType) -> Result<Self, Fault> {
        Ok(match kind {
            ValueType::U8 => Self::U8(cursor.u8()?),
            ValueType::I8 => Self::I8(cursor.u8()?.cast_signed()),
            ValueType::U16 => Self::U16(cursor.u16()?),
            ValueType::I16 => Self::I16(cursor.u16()?.cast_signed()),
            ValueType::U32 => Self::U32(cursor.u32()?),
            ValueType::I32 => Self::I32(cursor.u32()?.cast_signed()),
            ValueType::F32 => Self::F32(f32::from_bits(cursor.u32()?)),
            ValueType::Bool => Self::Bool(cursor.bool()?),
            ValueType::Text => Self::Text(cursor.text()?),
            ValueType::Array => Self::Array(Array::read(cursor)?),
            ValueType::U64 => Self::U64(cursor.u64()?),
            ValueType::I64 => Self::I64(cursor.u64()?.cast_signed()),
            ValueType::F64 => Self::F64(f64::from_bits(cursor.u64()?)),
        })
    }

    /// Appends the value as a file holds it, without its type.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(value) => out.push(*value),
            Self::I8(value) => out.push(value.cast_unsigned()),
            Self::U16(value) => out.extend(value.to_le_bytes()),
            Self::I16(value) => out.extend(value.to_le_bytes()),
            Self::U32(value) => out.extend(value.to_le_bytes()),
            Self::I32(value) => out.extend(value.to_le_bytes()),
            Self::F32(value) => out.extend(value.to_le_bytes()),
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Text(text) => {
                out.extend((text.len() as u64).to_le_bytes());
                out.extend(text.as_bytes());
            }
            Self::Array(array) => array.encode(out),
            Self::U64(value) => out.extend(value.to_le_bytes()),
            Self::I64(value) => out.extend(value.to_le_bytes()),
            Self::F64(value) => out.extend(value.to_le_bytes()),
        }
    }
}

/// Elements of one type, still in the bytes of the file. They were checked when it was parsed.
#[derive(Clone, Copy, PartialEq)]
pub struct Array<'a> {
    kind: ValueType,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    pub(crate) fn new(kind: ValueType, len: usize, bytes: &'a [u8]) -> Self {
        Self { kind, len, bytes }
    }

    /// The type of its elements.
    #[must_use]
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its elements, decoded one by one.
    #[must_use]
    pub fn iter(&self) -> Values<'a> {
        Values { kind: self.kind, left: self.len, cursor: Cursor::new(self.bytes) }
    }

    /// Its elements, if they are texts.
    pub fn texts(&self) -> Option<impl Iterator<Item = &'a str>> {
        (self.kind == ValueType::Text).then(|| {
            self.iter()
                .filter_map(|value| if let Value::Text(text) = value { Some(text) } else { None })
        })
    }

    fn header(cursor: &mut Cursor<'_>) -> Result<(ValueType, usize), Fault> {
        let kind = ValueType::read(cursor)?;
        let len = cursor.count("array elements", kind.least_bytes(), 0)?;
        Ok((kind, len))
    }

    /// Reads past an array, checking every element; nested arrays wait in a list, not on the stack.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let (kind, len) = Self::header(cursor)?;
        let start = cursor.offset();
        let mut open = vec![(kind, len)];
        while let Some((kind, left)) = open.pop() {
            let Some(rest) = left.checked_sub(1) else { continue };
            if kind == ValueType::Array {
                let offset = cursor.offset();
                open.push((kind, rest));
                if open.len() >= MAX_ARRAY_DEPTH {
                    return Err(Fault::new(offset, Problem::Depth));
                }
                open.push(Self::header(cursor)?);
            } else {
                skip(cursor, kind, left)?;
            }
        }
        Ok(Self { kind, len, bytes: cursor.since(start) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.kind.code().to_le_bytes());
        out.extend((self.len as u64).to_le_bytes());
        out.extend(self.bytes);
    }
}

/// Reads past `count` values that are no arrays, checking them.
fn skip(cursor: &mut Cursor<'_>, kind: ValueType, count: usize) -> Result<(), Fault> {
    match kind {
        ValueType::Text => (0..count).try_for_each(|_| cursor.text().map(drop)),
        ValueType::Bool => (0..count).try_for_each(|_| cursor.bool().map(drop)),
        _ => {
            let bytes = (kind.least_bytes() as u64).saturating_mul(count as u64);
            cursor.take(bytes).map(drop)
        }
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({} x {})", self.len, self.kind)
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Values<'a>;

    fn into_iter(self) -> Values<'a> {
        self.iter()
    }
}

/// The elements of an [`Array`], decoded one by one.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    kind: ValueType,
    left: usize,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        Value::read(&mut self.cursor, self.kind).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Values<'_> {}
