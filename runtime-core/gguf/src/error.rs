//! What can be wrong with a file, where, and what to do about it.

use std::fmt;

use remuda_base::Family;

/// Something is wrong with a GGUF file, or with what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufError {
    /// What it concerns.
    pub place: Place,
    /// The byte where it shows, if it is about bytes that were read.
    pub offset: Option<usize>,
    /// What it is.
    pub problem: Box<Problem>,
}

impl GgufError {
    pub(crate) fn new(place: Place, offset: Option<usize>, problem: Problem) -> Self {
        Self { place, offset, problem: Box::new(problem) }
    }

    /// Whose turn it is now.
    #[must_use]
    pub fn family(&self) -> Family {
        self.problem.family()
    }

    /// What to try next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.problem.hint()
    }
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for GgufError {}

/// The part of a file that an error concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A metadata entry whose key is not known yet, counted from 0.
    Entry(usize),
    /// A metadata key.
    Key(String),
    /// A tensor whose name is not known yet, counted from 0.
    TensorEntry(usize),
    /// A tensor.
    Tensor(String),
    /// A part of a file in parts, counted from 1.
    Part(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Entry(index) => write!(f, "metadata entry {index}"),
            Self::Key(key) => write!(f, "metadata key `{}`", Shown(key)),
            Self::TensorEntry(index) => write!(f, "tensor entry {index}"),
            Self::Tensor(name) => write!(f, "tensor `{}`", Shown(name)),
            Self::Part(number) => write!(f, "part {number}"),
        }
    }
}

/// A name from a file as a message may show it: control characters escaped, at most 100 characters.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(100) {
            write!(f, "{}", character.escape_debug())?;
        }
        f.write_str(if characters.next().is_some() { "…" } else { "" })
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not a GGUF file.
    #[error("expected the magic `GGUF`, got {got}")]
    Magic {
        /// What the first bytes look like.
        got: String,
    },
    /// The file is for big-endian machines.
    #[error("expected a little-endian file, got a big-endian one")]
    BigEndian,
    /// A version that is not read.
    #[error("expected version 2 or 3, got {got}")]
    Version {
        /// The version in the file.
        got: u32,
    },
    /// The file ends too early.
    #[error("expected {expected} more bytes, got {left}")]
    Ends {
        /// Bytes that were needed.
        expected: u64,
        /// Bytes that were left.
        left: usize,
    },
    /// A count cannot be true.
    #[error("expected room for {count} {things} of at least {each} bytes each, got {left} bytes")]
    Count {
        /// What the file says.
        count: u64,
        /// What is counted.
        things: &'static str,
        /// The fewest bytes that one can take.
        each: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A text is not UTF-8.
    #[error("expected UTF-8 text, got the byte {byte:#04x}")]
    Utf8 {
        /// The first byte that does not fit.
        byte: u8,
    },
    /// An unknown value type.
    #[error("expected a value type from 0 to 12, got {got}")]
    ValueType {
        /// The type number.
        got: u32,
    },
    /// A truth value that is none.
    #[error("expected 0 or 1 for a `bool`, got {got}")]
    Bool {
        /// The byte.
        got: u8,
    },
    /// Arrays of arrays of arrays.
    #[error("expected at most {} levels of nested arrays, got more", crate::MAX_ARRAY_DEPTH)]
    Depth,
    /// An empty or endless key.
    #[error("expected a key of 1 to {} bytes, got {got}", crate::MAX_KEY_BYTES)]
    KeyLength {
        /// Its length.
        got: u64,
    },
    /// A tensor without a name.
    #[error("expected a tensor name, got an empty one")]
    NoName,
    /// A key or a tensor name occurs twice.
    #[error("expected one entry of this name, got a second one{}", first_at(*.first))]
    Duplicate {
        /// Where the first one is, if they were read.
        first: Option<usize>,
    },
    /// An alignment that is none.
    #[error("expected a power of two of at most {}, got {got}", crate::MAX_ALIGNMENT)]
    Alignment {
        /// The alignment in the file.
        got: u32,
    },
    /// A value of another type than asked for.
    #[error("expected {expected}, got {got}")]
    Type {
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// A key or tensor that is not there.
    #[error("expected it to be there, got nothing{}", nearest_of(.nearest.as_deref()))]
    Missing {
        /// The name there is that is closest to it.
        nearest: Option<String>,
    },
    /// Too many dimensions.
    #[error("expected at most {} dimensions, got {got}", crate::MAX_DIMENSIONS)]
    Dimensions {
        /// How many.
        got: usize,
    },
    /// A dimension without extent.
    #[error("expected every dimension to be at least 1, got {dims:?}")]
    EmptyDimension {
        /// The dimensions, innermost first.
        dims: Vec<u64>,
    },
    /// A row that ends inside a block.
    #[error("expected rows of a multiple of {block} elements for `{dtype}`, got {row}")]
    Row {
        /// The tensor's type.
        dtype: &'static str,
        /// Elements of a block.
        block: usize,
        /// Elements of a row.
        row: u64,
    },
    /// The dimensions multiply to more than there is.
    #[error("expected a size that can be addressed, got dimensions {dims:?} of `{dtype}`")]
    TooLarge {
        /// The tensor's type.
        dtype: &'static str,
        /// The dimensions, innermost first.
        dims: Vec<u64>,
    },
    /// An unknown tensor type.
    #[error("expected a known tensor type, got {got}")]
    TensorType {
        /// The type number.
        got: u32,
    },
    /// A tensor type that the format no longer has.
    #[error("expected a current tensor type, got `{name}` ({got}), which the format has dropped")]
    DroppedType {
        /// The type number.
        got: u32,
        /// What it was called.
        name: &'static str,
    },
    /// A dtype that the format has no number for.
    #[error("expected a type that GGUF has, got `{dtype}`")]
    NoTypeNumber {
        /// The dtype.
        dtype: &'static str,
    },
    /// An offset that is not aligned.
    #[error("expected a data offset that is a multiple of {alignment}, got {offset}")]
    Misaligned {
        /// The file's alignment.
        alignment: usize,
        /// The offset in the data section.
        offset: u64,
    },
    /// Data past the end of the file.
    #[error("expected {bytes} bytes of data from byte {start} on, got a file of {file} bytes")]
    OutOfRange {
        /// Bytes of the tensor.
        bytes: usize,
        /// Where they start in the file.
        start: u64,
        /// Bytes of the file.
        file: usize,
    },
    /// Two tensors share bytes.
    #[error(
        "expected data of its own, got bytes {start} to {end}, which overlap tensor `{}`",
        Shown(.other)
    )]
    Overlap {
        /// The first byte.
        start: usize,
        /// The byte after the last.
        end: usize,
        /// The other tensor.
        other: String,
    },
    /// The parts do not belong together.
    #[error("expected {expected}, got {got}")]
    Parts {
        /// What a set of parts must be.
        expected: String,
        /// What these are.
        got: String,
    },
    /// The source of a tensor's data gave more or less than the tensor takes.
    #[error("expected {expected} bytes of data, got {got}")]
    DataLength {
        /// Bytes that it takes.
        expected: usize,
        /// Bytes that were written.
        got: u64,
    },
    /// Writing failed.
    #[error("expected to write, got an error: {message}")]
    Io {
        /// What the system said.
        message: String,
    },
}

fn first_at(first: Option<usize>) -> String {
    first.map_or_else(String::new, |at| format!("; the first is at byte {at}"))
}

fn nearest_of(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| {
        format!("; the nearest name there is is `{}`", Shown(name))
    })
}

impl Problem {
    /// Whose turn it is now.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::BigEndian
            | Self::Version { .. }
            | Self::TensorType { .. }
            | Self::DroppedType { .. }
            | Self::NoTypeNumber { .. }
            | Self::Dimensions { .. }
            | Self::Depth => Family::Unsupported,
            Self::Io { .. } => Family::Resource,
            _ => Family::Invalid,
        }
    }

    /// What to try next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Magic { .. } => {
                "check that the path names a .gguf model and that the download finished"
            }
            Self::BigEndian => "convert it with gguf-py: `gguf-convert-endian MODEL little`",
            Self::Version { got: 0 | 1 } => {
                "convert the original model again with a current converter"
            }
            Self::Version { .. } | Self::TensorType { .. } => {
                "the file may come from newer software, or be damaged: update, or download it again"
            }
            Self::Ends { .. } | Self::Count { .. } | Self::OutOfRange { .. } => {
                "the file is cut short or damaged: compare its size with the source and download it again"
            }
            Self::DroppedType { .. } => {
                "quantise the original model again to a current type such as q4_0"
            }
            Self::NoTypeNumber { .. } => "convert the tensor to f32 or f16 first",
            Self::Missing { .. } => "`remuda show MODEL` lists the keys and tensors that there are",
            Self::Type { .. } => {
                "the converter wrote another type: convert the original model again"
            }
            Self::Parts { .. } => "keep all parts of one model in one folder and open the first",
            Self::DataLength { .. } => {
                "the shape and type of the tensor say how many bytes it takes"
            }
            Self::Io { .. } => "check the free space and the permissions of the target",
            Self::Duplicate { .. } | Self::NoName | Self::KeyLength { .. } => {
                "names must be unique and not empty: write the file again"
            }
            _ => "the file is damaged or was written wrongly: download or convert it again",
        }
    }
}
