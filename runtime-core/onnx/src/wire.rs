//! The protobuf wire format, read in place: nothing is copied, nothing recurses, and what decoding
//! may cost is bounded before it is paid.
//!
//! A [`Message`] is a range of the file. Its [`fields`](Message::fields) are read one after the
//! other; a nested message is again a range. Every field that is read and every byte that decoded
//! structures take is charged to the file's [`Budget`], so that a file of a billion empty fields is
//! refused instead of filling the memory.

use std::cell::Cell;

use crate::error::{ImportError, Result};

/// What decoding one file may still cost.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The address of the file's first byte, to tell where in it a message lies.
    start: usize,
    fields: Cell<usize>,
    memory: Cell<usize>,
}

impl Budget {
    pub(crate) fn new(file: &[u8], fields: usize, memory: usize) -> Self {
        Self { start: file.as_ptr().addr(), fields: Cell::new(fields), memory: Cell::new(memory) }
    }

    fn charge_field(&self) -> Result<()> {
        match self.fields.get().checked_sub(1) {
            Some(left) => {
                self.fields.set(left);
                Ok(())
            }
            None => Err(ImportError::resource("the file has more fields than a model may have")
                .hint("raise `max_fields` in the import options if the file is what it should be")),
        }
    }

    /// Charges memory that is about to be taken.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        match self.memory.get().checked_sub(bytes) {
            Some(left) => {
                self.memory.set(left);
                Ok(())
            }
            None => Err(ImportError::resource(
                "the model's structure takes more memory than it may",
            )
            .hint("raise `max_structure_bytes` in the import options if the file is what it should be")),
        }
    }

    /// Appends to a list whose growth is charged.
    pub(crate) fn push<T>(&self, list: &mut Vec<T>, item: T) -> Result<()> {
        self.charge(size_of::<T>())?;
        list.push(item);
        Ok(())
    }
}

/// A message: a range of the file, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    kind: &'static str,
    pub(crate) budget: &'a Budget,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Raw<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    raw: Raw<'a>,
    owner: Message<'a>,
}

/// The fields of a message, in the order of the file. Ends after the first error.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    owner: Message<'a>,
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            // The tenth byte has room for one bit.
            return (shift < 63 || byte <= 1).then_some(value);
        }
    }
    None
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (&array, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(array)
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

impl<'a> Message<'a> {
    /// The message that a whole file is.
    pub(crate) fn of_file(bytes: &'a [u8], kind: &'static str, budget: &'a Budget) -> Self {
        Self { bytes, kind, budget }
    }

    pub(crate) fn fields(self) -> Fields<'a> {
        Fields { rest: self.bytes, owner: self }
    }

    /// An error at a byte of this message.
    fn malformed(&self, rest: &[u8], message: impl Into<String>) -> ImportError {
        let byte = rest.as_ptr().addr().saturating_sub(self.budget.start);
        ImportError::invalid(message).at(format!("byte {byte} ({})", self.kind))
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>> {
        self.owner.budget.charge_field()?;
        let start = self.rest;
        let wrong = |message: &str| self.owner.malformed(start, message);
        let rest = &mut self.rest;
        let tag = take_varint(rest).ok_or_else(|| wrong("expected the tag of a field"))?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or_else(|| wrong("the number of the field is out of range"))?;
        let raw = match tag & 7 {
            0 => take_varint(rest).map(Raw::Varint),
            1 => take_array(rest).map(Raw::Fixed64),
            2 => take_bytes(rest).map(Raw::Bytes),
            5 => take_array(rest).map(Raw::Fixed32),
            other => {
                return Err(wrong(&format!("field {number} has the unknown wire type {other}")));
            }
        };
        let raw =
            raw.ok_or_else(|| wrong(&format!("field {number} is longer than what is left")))?;
        Ok(Field { number, raw, owner: self.owner })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    fn mistyped(&self, expected: &str) -> ImportError {
        let got = match self.raw {
            Raw::Varint(_) => "an integer",
            Raw::Fixed64(_) => "8 fixed bytes",
            Raw::Fixed32(_) => "4 fixed bytes",
            Raw::Bytes(_) => "bytes with a length",
        };
        let message = format!("field {} expected {expected}, got {got}", self.number);
        ImportError::invalid(message).at(self.owner.kind)
    }

    pub(crate) fn int(&self) -> Result<i64> {
        match self.raw {
            Raw::Varint(value) => Ok(value.cast_signed()),
            _ => Err(self.mistyped("an integer")),
        }
    }

    /// An integer that fits 32 bits; enumerations are written so.
    pub(crate) fn int32(&self) -> Result<i32> {
        let value = self.int()?;
        i32::try_from(value).map_err(|_| {
            ImportError::invalid(format!("field {} holds {value}, expected 32 bits", self.number))
                .at(self.owner.kind)
        })
    }

    pub(crate) fn float(&self) -> Result<f32> {
        match self.raw {
            Raw::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.mistyped("4 fixed bytes")),
        }
    }

    pub(crate) fn bytes(&self) -> Result<&'a [u8]> {
        match self.raw {
            Raw::Bytes(bytes) => Ok(bytes),
            _ => Err(self.mistyped("bytes with a length")),
        }
    }

    pub(crate) fn text(&self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| {
            let at = bytes.get(error.valid_up_to()..).unwrap_or_default();
            self.owner.malformed(at, format!("the text in field {} is not UTF-8", self.number))
        })
    }

    pub(crate) fn message(&self, kind: &'static str) -> Result<Message<'a>> {
        Ok(Message { bytes: self.bytes()?, kind, budget: self.owner.budget })
    }

    /// Calls `each` with every integer of a repeated field, packed or not.
    pub(crate) fn ints(&self, mut each: impl FnMut(u64) -> Result<()>) -> Result<()> {
        match self.raw {
            Raw::Varint(value) => each(value),
            Raw::Bytes(bytes) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let start = rest;
                    let value = take_varint(&mut rest).ok_or_else(|| {
                        self.owner.malformed(start, format!("field {} is cut off", self.number))
                    })?;
                    each(value)?;
                }
                Ok(())
            }
            _ => Err(self.mistyped("integers")),
        }
    }

    /// Calls `each` with every 4-byte value of a repeated field, packed or not.
    pub(crate) fn fixed32(&self, mut each: impl FnMut([u8; 4]) -> Result<()>) -> Result<()> {
        match self.raw {
            Raw::Fixed32(bytes) => each(bytes),
            Raw::Bytes(bytes) => self.chunks(bytes, each),
            _ => Err(self.mistyped("values of 4 bytes")),
        }
    }

    /// Calls `each` with every 8-byte value of a repeated field, packed or not.
    pub(crate) fn fixed64(&self, mut each: impl FnMut([u8; 8]) -> Result<()>) -> Result<()> {
        match self.raw {
            Raw::Fixed64(bytes) => each(bytes),
            Raw::Bytes(bytes) => self.chunks(bytes, each),
            _ => Err(self.mistyped("values of 8 bytes")),
        }
    }

    fn chunks<const N: usize>(
        &self,
        bytes: &[u8],
        each: impl FnMut([u8; N]) -> Result<()>,
    ) -> Result<()> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(self.owner.malformed(rest, format!("field {} is cut off", self.number)));
        }
        chunks.iter().copied().try_for_each(each)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Message};

    fn read(bytes: &[u8]) -> Result<Vec<(u32, u64)>, String> {
        let budget = Budget::new(bytes, 100, 100);
        let message = Message::of_file(bytes, "TestProto", &budget);
        message
            .fields()
            .map(|field| {
                let field = field?;
                Ok((field.number, field.int()?.cast_unsigned()))
            })
            .collect::<Result<_, crate::ImportError>>()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn integers_of_every_length_are_read() {
        assert_eq!(read(&[0x08, 0x96, 0x01, 0x10, 0x00]).unwrap(), [(1, 150), (2, 0)]);
        let mut longest = vec![0x08];
        longest.extend([0xff; 9]);
        longest.push(1);
        assert_eq!(read(&longest).unwrap(), [(1, u64::MAX)]);
    }

    #[test]
    fn malformed_fields_name_their_byte() {
        let errors = [
            (&[0x08][..], "byte 0 (TestProto): field 1 is longer than what is left"),
            (&[0x08, 1, 0x12, 5, 0], "byte 2 (TestProto): field 2 is longer than what is left"),
            (&[0x0b], "byte 0 (TestProto): field 1 has the unknown wire type 3"),
            (&[0x00], "byte 0 (TestProto): the number of the field is out of range"),
            (&[0x80], "byte 0 (TestProto): expected the tag of a field"),
            (&[0x12, 0], "TestProto: field 2 expected an integer, got bytes with a length"),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
                "byte 0 (TestProto): field 1 is longer than what is left",
            ),
        ];
        for (bytes, error) in errors {
            assert_eq!(read(bytes).unwrap_err(), error, "{bytes:?}");
        }
    }

    #[test]
    fn more_fields_than_allowed_are_refused() {
        let bytes = [0x08, 0].repeat(101);
        assert_eq!(read(&bytes).unwrap_err(), "the file has more fields than a model may have");
    }
}
