//! Writing files: metadata and tensors are announced first, then the data is streamed in order.
//!
//! What is announced goes through the same checks as what is read, so that a written file can be
//! read back.

use std::io::{self, Write};

use remuda_base::Set;
use remuda_tensor::DType;

use crate::cursor::Cursor;
use crate::error::{GgufError, Place, Problem};
use crate::file::{Gguf, MAGIC, checked_alignment};
use crate::parts::{COUNT_KEY, NUMBER_KEY, TENSORS_KEY};
use crate::tensors::measure;
use crate::value::{Array, Value, ValueType};
use crate::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAX_DIMENSIONS, MAX_KEY_BYTES, dtypes};

/// The version of the format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Version {
    /// Version 2.
    V2,
    /// Version 3, the current one.
    #[default]
    V3,
}

/// An array that is built, not read.
#[derive(Clone, Debug)]
pub struct ArrayBuf {
    kind: ValueType,
    len: usize,
    bytes: Vec<u8>,
}

impl ArrayBuf {
    /// An empty array of elements of this type.
    #[must_use]
    pub fn new(kind: ValueType) -> Self {
        Self { kind, len: 0, bytes: Vec::new() }
    }

    /// An array of texts.
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut array = Self::new(ValueType::Text);
        for text in texts {
            array.append(Value::Text(text));
        }
        array
    }

    /// Appends an element.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn push(&mut self, value: Value<'_>) -> Result<(), GgufError> {
        if value.kind() != self.kind {
            let problem = Problem::Type { expected: self.kind.name(), got: value.describe() };
            return Err(GgufError::new(Place::Entry(self.len), None, problem));
        }
        self.append(value);
        Ok(())
    }

    fn append(&mut self, value: Value<'_>) {
        value.encode(&mut self.bytes);
        self.len = self.len.saturating_add(1);
    }

    /// The array as a value to set.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        Value::Array(Array::new(self.kind, self.len, &self.bytes))
    }
}

#[derive(Clone, Debug)]
struct Planned {
    name: String,
    /// Innermost first, as the file lists them.
    dims: Vec<u64>,
    type_number: u32,
    bytes: usize,
}

/// A file to be written.
#[derive(Clone, Debug)]
pub struct Builder {
    version: Version,
    alignment: usize,
    keys: Set<String>,
    /// Key, type and value of each entry as the file holds them.
    entries: Vec<(String, Vec<u8>)>,
    names: Set<String>,
    tensors: Vec<Planned>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty file of version 3.
    #[must_use]
    pub fn new() -> Self {
        Self::with_version(Version::V3)
    }

    /// An empty file.
    #[must_use]
    pub fn with_version(version: Version) -> Self {
        Self {
            version,
            alignment: DEFAULT_ALIGNMENT,
            keys: Set::new(),
            entries: Vec::new(),
            names: Set::new(),
            tensors: Vec::new(),
        }
    }

    /// Adds a key and its value. `general.alignment` also sets the alignment of the data.
    ///
    /// # Errors
    /// When the key is there already, is empty or too long, or the value cannot be read back.
    pub fn set(&mut self, key: &str, value: Value<'_>) -> Result<(), GgufError> {
        self.try_set(key, value)
            .map_err(|problem| GgufError::new(Place::Key(key.into()), None, problem))
    }

    fn try_set(&mut self, key: &str, value: Value<'_>) -> Result<(), Problem> {
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Err(Problem::KeyLength { got: key.len() as u64 });
        }
        if self.keys.contains(key) {
            return Err(Problem::Duplicate { first: None });
        }
        let mut encoded = Vec::new();
        Value::Text(key).encode(&mut encoded);
        encoded.extend(value.kind().code().to_le_bytes());
        let value_at = encoded.len();
        value.encode(&mut encoded);
        let mut written = Cursor::new(encoded.get(value_at..).unwrap_or_default());
        Value::read(&mut written, value.kind()).map_err(|fault| fault.problem)?;
        if key == ALIGNMENT_KEY {
            self.alignment = checked_alignment(&value)?;
        }
        self.keys.insert(key.to_owned());
        self.entries.push((key.to_owned(), encoded));
        Ok(())
    }

    /// Adds every key of a file that is not there yet.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn copy_metadata(&mut self, source: &Gguf<'_>) -> Result<(), GgufError> {
        for entry in source.metadata().entries() {
            if !self.keys.contains(entry.key) {
                self.set(entry.key, entry.value)?;
            }
        }
        Ok(())
    }

    /// Adds a tensor; its dimensions are listed outermost first.
    ///
    /// # Errors
    /// When the name is there already or empty, or shape and type are none that a file can hold.
    pub fn add_tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        dtype: DType,
    ) -> Result<(), GgufError> {
        let planned = self.plan(name, shape, dtype);
        let planned =
            planned.map_err(|problem| GgufError::new(Place::Tensor(name.into()), None, problem))?;
        self.names.insert(name.to_owned());
        self.tensors.push(planned);
        Ok(())
    }

    fn plan(&self, name: &str, shape: &[usize], dtype: DType) -> Result<Planned, Problem> {
        if name.is_empty() {
            return Err(Problem::NoName);
        }
        if self.names.contains(name) {
            return Err(Problem::Duplicate { first: None });
        }
        if shape.len() > MAX_DIMENSIONS {
            return Err(Problem::Dimensions { got: shape.len() });
        }
        let type_number = dtypes::to_number(dtype)?;
        let dims: Vec<u64> = shape.iter().rev().map(|&dim| dim as u64).collect();
        let (_, bytes) = measure(&dims, dtype)?;
        Ok(Planned { name: name.to_owned(), dims, type_number, bytes })
    }

    /// Writes the file. `data` is asked for the data of each tensor, in order, by name.
    ///
    /// # Errors
    /// When writing fails or a tensor's data has another length than its shape and type say.
    pub fn write<W: Write>(
        &self,
        out: &mut W,
        mut data: impl FnMut(&str, &mut dyn Write) -> io::Result<()>,
    ) -> Result<(), GgufError> {
        let header = self.header()?;
        out.write_all(&header).map_err(|error| io_error(Place::File, &error))?;
        for tensor in &self.tensors {
            let place = || Place::Tensor(tensor.name.clone());
            let mut counted = Counted { out: &mut *out, bytes: 0 };
            data(&tensor.name, &mut counted).map_err(|error| io_error(place(), &error))?;
            let (expected, got) = (tensor.bytes, counted.bytes);
            if got != expected as u64 {
                let problem = Problem::DataLength { expected, got };
                return Err(GgufError::new(place(), None, problem));
            }
            let padding = self.padded(expected).unwrap_or(expected).saturating_sub(expected);
            out.write_all(&vec![0; padding]).map_err(|error| io_error(place(), &error))?;
        }
        Ok(())
    }

    fn padded(&self, bytes: usize) -> Option<usize> {
        bytes.checked_next_multiple_of(self.alignment)
    }

    /// Everything before the data, padding included.
    fn header(&self) -> Result<Vec<u8>, GgufError> {
        let mut out = MAGIC.to_vec();
        let version: u32 = if self.version == Version::V2 { 2 } else { 3 };
        out.extend(version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.entries.len() as u64).to_le_bytes());
        for (_, encoded) in &self.entries {
            out.extend(encoded);
        }
        let mut offset = 0_usize;
        for tensor in &self.tensors {
            Value::Text(&tensor.name).encode(&mut out);
            #[expect(clippy::cast_possible_truncation, reason = "at most four")]
            let rank = tensor.dims.len() as u32;
            out.extend(rank.to_le_bytes());
            out.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            out.extend(tensor.type_number.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            let next = self.padded(tensor.bytes).and_then(|bytes| offset.checked_add(bytes));
            offset = next.ok_or_else(|| {
                let (bytes, start) = (tensor.bytes, offset as u64);
                let problem = Problem::OutOfRange { bytes, start, file: usize::MAX };
                GgufError::new(Place::Tensor(tensor.name.clone()), None, problem)
            })?;
        }
        let padded = self.padded(out.len()).unwrap_or(out.len());
        out.resize(padded, 0);
        Ok(out)
    }

    /// Splits the file into parts whose data takes at most `max_bytes` each, unless one tensor alone
    /// takes more. The first part carries the metadata; all carry their numbers.
    ///
    /// # Errors
    /// When the keys that number the parts are set already.
    pub fn split(&self, max_bytes: usize) -> Result<Vec<Self>, GgufError> {
        let mut groups: Vec<Vec<Planned>> = vec![Vec::new()];
        let mut used = 0_usize;
        for tensor in &self.tensors {
            let bytes = self.padded(tensor.bytes).unwrap_or(tensor.bytes);
            let full = used.checked_add(bytes).is_none_or(|sum| sum > max_bytes);
            if full && used > 0 {
                groups.push(Vec::new());
                used = 0;
            }
            used = used.saturating_add(bytes);
            if let Some(group) = groups.last_mut() {
                group.push(tensor.clone());
            }
        }
        let count = groups.len();
        let numbered = groups.into_iter().enumerate();
        numbered.map(|(number, tensors)| self.part(number, count, tensors)).collect()
    }

    fn part(&self, number: usize, count: usize, tensors: Vec<Planned>) -> Result<Self, GgufError> {
        let mut part = Self::with_version(self.version);
        part.alignment = self.alignment;
        for (key, encoded) in &self.entries {
            if number == 0 || key == ALIGNMENT_KEY {
                part.keys.insert(key.clone());
                part.entries.push((key.clone(), encoded.clone()));
            }
        }
        let narrow = |value: usize| u16::try_from(value).map(Value::U16);
        let numbers = (narrow(number), narrow(count), i32::try_from(self.tensors.len()));
        let (Ok(number), Ok(count), Ok(total)) = numbers else {
            let expected = "at most 65535 parts and 2147483647 tensors".to_owned();
            let got = format!("{count} parts and {} tensors", self.tensors.len());
            return Err(GgufError::new(Place::File, None, Problem::Parts { expected, got }));
        };
        part.set(NUMBER_KEY, number)?;
        part.set(COUNT_KEY, count)?;
        part.set(TENSORS_KEY, Value::I32(total))?;
        part.names = tensors.iter().map(|tensor| tensor.name.clone()).collect();
        part.tensors = tensors;
        Ok(part)
    }

    /// The names of the tensors, in order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }
}

/// Counts what goes through.
struct Counted<'w> {
    out: &'w mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn io_error(place: Place, error: &io::Error) -> GgufError {
    GgufError::new(place, None, Problem::Io { message: error.to_string() })
}
