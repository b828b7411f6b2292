//! A whole file: header, metadata, tensors.

use crate::cursor::{Cursor, Fault};
use crate::error::{GgufError, Place, Problem};
use crate::metadata::{self, Metadata};
use crate::names::Names;
use crate::tensors::{self, TensorInfo};
use crate::value::Value;
use crate::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAX_ALIGNMENT};

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";

/// A parsed file, over the bytes of the caller.
#[derive(Clone, Debug)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    version: u32,
    alignment: usize,
    data_start: usize,
    metadata: Metadata<'a>,
    tensors: Vec<TensorInfo<'a>>,
    names: Names<'a>,
}

impl<'a> Gguf<'a> {
    /// Parses and checks a whole file. The data of the tensors is not read.
    ///
    /// # Errors
    /// When anything about the file is not as the format says, or it is of a kind that is not read.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(bytes);
        let header = Header::read(&mut cursor, bytes).map_err(|fault| fault.at(Place::File))?;
        let metadata = Metadata::read(&mut cursor, header.entries)?;
        let alignment = alignment_of(&metadata)?;
        let (unplaced, names) = tensors::read(&mut cursor, header.tensors)?;
        let data_start = cursor.offset().checked_next_multiple_of(alignment).unwrap_or(usize::MAX);
        let tensors = tensors::place(unplaced, data_start, alignment, bytes.len())?;
        Ok(Self { bytes, version: header.version, alignment, data_start, metadata, tensors, names })
    }

    /// The version of the format, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the data of every tensor is aligned to, from the start of the file.
    #[must_use]
    pub fn alignment(&self) -> usize {
        self.alignment
    }

    /// Where the data of the tensors begins.
    #[must_use]
    pub fn data_start(&self) -> usize {
        self.data_start
    }

    /// The keys and values.
    #[must_use]
    pub fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }

    /// The tensors, in the file's order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo<'a>] {
        &self.tensors
    }

    /// The tensor of this name, if it is there.
    #[must_use]
    pub fn find_tensor(&self, name: &str) -> Option<&TensorInfo<'a>> {
        self.names.find(name).and_then(|at| self.tensors.get(at))
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo<'a>, GgufError> {
        self.find_tensor(name).ok_or_else(|| {
            let nearest = self.names.nearest(name);
            GgufError::new(Place::Tensor(name.into()), None, Problem::Missing { nearest })
        })
    }

    /// The data of one of this file's tensors.
    #[must_use]
    pub fn data(&self, tensor: &TensorInfo<'_>) -> &'a [u8] {
        self.bytes.get(tensor.range.clone()).unwrap_or_default()
    }
}

/// The fixed part at the start.
struct Header {
    version: u32,
    tensors: usize,
    entries: usize,
}

impl Header {
    fn read(cursor: &mut Cursor<'_>, bytes: &[u8]) -> Result<Self, Fault> {
        if !bytes.starts_with(MAGIC) {
            return Err(Fault::new(0, wrong_magic(bytes)));
        }
        cursor.take(MAGIC.len() as u64)?;
        let version_at = cursor.offset();
        let version = cursor.u32()?;
        let refuse = |problem| Err(Fault::new(version_at, problem));
        match version {
            2 | 3 => {}
            _ if matches!(version.swap_bytes(), 1..=3) => return refuse(Problem::BigEndian),
            got => return refuse(Problem::Version { got }),
        }
        let tensors = cursor.count("tensors", tensors::LEAST_ENTRY_BYTES, 8)?;
        let entries = cursor.count("metadata entries", metadata::LEAST_ENTRY_BYTES, 0)?;
        Ok(Self { version, tensors, entries })
    }
}

/// Files that are often taken for GGUF, by their first bytes.
const LOOKALIKES: [(&[u8], &str); 9] = [
    (b"FUGG", "the magic of a big-endian writer"),
    (b"lmgg", "a `ggml` file from before GGUF"),
    (b"fmgg", "a `ggmf` file from before GGUF"),
    (b"tjgg", "a `ggjt` file from before GGUF"),
    (b"algg", "a `ggla` adapter from before GGUF"),
    (b"PK\x03\x04", "a zip archive (perhaps a PyTorch checkpoint)"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file"),
    (b"<!", "a web page"),
    (b"<html", "a web page"),
];

fn wrong_magic(bytes: &[u8]) -> Problem {
    let lookalike = LOOKALIKES.iter().find(|(start, _)| bytes.starts_with(start));
    let got = match (lookalike, bytes) {
        (Some(&(_, words)), _) => words.to_owned(),
        (None, []) => "an empty file".to_owned(),
        (None, _) => {
            let start = bytes.get(..4).unwrap_or(bytes);
            format!("`{}`", start.escape_ascii())
        }
    };
    Problem::Magic { got }
}

fn alignment_of(metadata: &Metadata<'_>) -> Result<usize, GgufError> {
    let entry = metadata.entries().iter().find(|entry| entry.key == ALIGNMENT_KEY);
    let Some(entry) = entry else { return Ok(DEFAULT_ALIGNMENT) };
    checked_alignment(&entry.value).map_err(|problem| {
        GgufError::new(Place::Key(ALIGNMENT_KEY.into()), Some(entry.offset), problem)
    })
}

/// The alignment that a value stands for.
pub(crate) fn checked_alignment(value: &Value<'_>) -> Result<usize, Problem> {
    let Value::U32(got) = *value else {
        return Err(Problem::Type { expected: "a `u32`", got: value.describe() });
    };
    let alignment = got as usize;
    if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT {
        return Ok(alignment);
    }
    Err(Problem::Alignment { got })
}
