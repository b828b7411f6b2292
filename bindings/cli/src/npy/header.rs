//! The header of a `.npy` file: a Python dictionary of three entries, as text.

use remuda::DType;

use super::NpyError;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Elements start at a multiple of this.
const ALIGN: usize = 64;
/// No header of an array of numbers is longer.
const MAX_HEADER: usize = 64 << 10;
/// numpy's own bound.
const MAX_RANK: usize = 64;

/// The type codes, without byte order.
const CODES: &[(DType, &str)] = &[
    (DType::F32, "f4"),
    (DType::F64, "f8"),
    (DType::F16, "f2"),
    (DType::I8, "i1"),
    (DType::I16, "i2"),
    (DType::I32, "i4"),
    (DType::I64, "i8"),
    (DType::U8, "u1"),
    (DType::U16, "u2"),
    (DType::U32, "u4"),
    (DType::U64, "u8"),
    (DType::Bool, "b1"),
    (DType::C64, "c8"),
    (DType::C128, "c16"),
];

/// The order of bytes in an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// What the header says.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) order: Order,
    pub(super) column_major: bool,
    pub(super) dims: Vec<usize>,
}

/// The header, and the bytes behind it.
pub(super) fn split(bytes: &[u8]) -> Result<(Header, &[u8]), NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::NotNpy)?;
    let (len, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => {
            let len = u32::from_le_bytes([*a, *b, *c, *d]);
            (usize::try_from(len).unwrap_or(usize::MAX), rest)
        }
        _ => return Err(NpyError::NotNpy),
    };
    if len > MAX_HEADER {
        return Err(NpyError::Header("it is too long"));
    }
    let (text, data) = rest.split_at_checked(len).ok_or(NpyError::Header("it is cut off"))?;
    let text = std::str::from_utf8(text).map_err(|_| NpyError::Header("it is no text"))?;
    Ok((parse(text)?, data))
}

fn parse(text: &str) -> Result<Header, NpyError> {
    let mut entries = Entries { rest: text.trim() };
    entries.expect("{", "a dictionary is expected")?;
    let (mut described, mut column_major, mut dims) = (None, None, None);
    while !entries.take("}") {
        let key = entries.quoted()?;
        entries.expect(":", "a colon is expected")?;
        match key {
            "descr" => described = Some(entries.quoted_type()?),
            "fortran_order" => column_major = Some(entries.boolean()?),
            "shape" => dims = Some(entries.shape()?),
            _ => return Err(NpyError::Header("an entry is unknown")),
        }
        if !entries.take(",") {
            entries.expect("}", "the dictionary does not end")?;
            break;
        }
    }
    if !entries.rest.is_empty() {
        return Err(NpyError::Header("something follows the dictionary"));
    }
    let (Some(described), Some(column_major), Some(dims)) = (described, column_major, dims) else {
        return Err(NpyError::Header("an entry is missing"));
    };
    let (dtype, order) = element_type(described)?;
    Ok(Header { dtype, order, column_major, dims })
}

fn element_type(described: &str) -> Result<(DType, Order), NpyError> {
    let unknown = || NpyError::Elements(described.to_owned());
    let mut letters = described.chars();
    let order = match letters.next() {
        Some('<' | '|') => Order::Little,
        Some('>') => Order::Big,
        Some('=') if cfg!(target_endian = "little") => Order::Little,
        Some('=') => Order::Big,
        _ => return Err(unknown()),
    };
    let code = letters.as_str();
    let dtype = CODES.iter().find(|&&(_, known)| known == code).map(|&(dtype, _)| dtype);
    Ok((dtype.ok_or_else(unknown)?, order))
}

/// What is left of the dictionary's text.
struct Entries<'a> {
    rest: &'a str,
}

impl<'a> Entries<'a> {
    fn take(&mut self, token: &str) -> bool {
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest).trim_start();
        found.is_some()
    }

    fn expect(&mut self, token: &str, problem: &'static str) -> Result<(), NpyError> {
        if self.take(token) { Ok(()) } else { Err(NpyError::Header(problem)) }
    }

    fn quoted(&mut self) -> Result<&'a str, NpyError> {
        const PROBLEM: NpyError = NpyError::Header("a quoted text is expected");
        let quote = self.rest.chars().next().filter(|&c| c == '\'' || c == '"').ok_or(PROBLEM)?;
        let (text, rest) = self.rest[1..].split_once(quote).ok_or(PROBLEM)?;
        self.rest = rest.trim_start();
        Ok(text)
    }

    /// A type by its code; a list of fields is a structure, which no tensor holds.
    fn quoted_type(&mut self) -> Result<&'a str, NpyError> {
        if self.rest.starts_with('[') {
            return Err(NpyError::Elements("structure".to_owned()));
        }
        self.quoted()
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        if self.take("True") {
            return Ok(true);
        }
        self.expect("False", "True or False is expected")?;
        Ok(false)
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyError> {
        self.expect("(", "a tuple is expected")?;
        let mut dims = Vec::new();
        while !self.take(")") {
            let digits = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(digits);
            dims.push(number.parse().map_err(|_| NpyError::Header("a dimension is no number"))?);
            self.rest = rest.trim_start();
            if !self.take(",") {
                self.expect(")", "the tuple does not end")?;
                break;
            }
        }
        if dims.len() > MAX_RANK {
            return Err(NpyError::Header("there are too many dimensions"));
        }
        Ok(dims)
    }
}

/// The code of an element type, if numpy has it.
pub(super) fn code(dtype: DType) -> Option<&'static str> {
    CODES.iter().find(|&&(known, _)| known == dtype).map(|&(_, code)| code)
}

/// A header of version 1, padded.
pub(super) fn text(code: &str, dims: &[usize]) -> Vec<u8> {
    let order = if code.ends_with('1') && !code.starts_with('c') { '|' } else { '<' };
    let sizes: String = dims.iter().map(|dim| format!("{dim}, ")).collect();
    let shape = if dims.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let dictionary =
        format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({shape}), }}");
    let start = MAGIC.len() + 4;
    let len = (start + dictionary.len() + 1).next_multiple_of(ALIGN) - start;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    // Bounded by the rank of a tensor: far below 64 KiB.
    bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.resize(start + len - 1, b' ');
    bytes.push(b'\n');
    bytes
}
