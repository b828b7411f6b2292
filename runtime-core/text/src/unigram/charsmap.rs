//! The table by which SentencePiece models make text uniform: a double array of prefixes, each with
//! what it is replaced by.
//!
//! The table is part of the file and hostile: every index is checked, every replacement is a text
//! of bounded length.

use remuda_gguf::{Array, Value, ValueType};

use crate::error::TextError;

/// The longest replacement. Unicode's own longest is 33 bytes.
const MAX_REPLACEMENT: usize = 1024;

/// Prefixes and what they are replaced by.
#[derive(Debug, Clone)]
pub(crate) struct Charsmap {
    nodes: Vec<u32>,
    replacements: Vec<u8>,
}

impl Charsmap {
    /// The bytes are the length of the nodes, the nodes, and the replacements with a zero after each.
    pub(crate) fn read(array: &Array<'_>) -> Result<Self, TextError> {
        if !matches!(array.kind(), ValueType::I8 | ValueType::U8) {
            return Err(TextError::Charsmap("expected an array of bytes"));
        }
        let bytes: Vec<u8> = array.iter().filter_map(byte).collect();
        let cut_off = || TextError::Charsmap("it is cut off");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (nodes, replacements) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        let (nodes, odd) = nodes.as_chunks::<4>();
        if !odd.is_empty() {
            return Err(TextError::Charsmap("its nodes are no multiple of four bytes"));
        }
        let mut texts = replacements.split(|&byte| byte == 0);
        if texts.any(|text| text.len() > MAX_REPLACEMENT) {
            return Err(TextError::Charsmap("a replacement is longer than 1024 bytes"));
        }
        let nodes = nodes.iter().map(|&node| u32::from_le_bytes(node)).collect();
        Ok(Self { nodes, replacements: replacements.into() })
    }

    /// The longest prefix of `text` that is replaced, and by what.
    pub(crate) fn replace(&self, text: &str) -> Option<(usize, &str)> {
        let mut at = base(*self.nodes.first()?);
        let mut found = None;
        for (length, &byte) in (1..).zip(text.as_bytes()) {
            at ^= byte as usize;
            let Some(&node) = self.nodes.get(at) else { break };
            if byte == 0 || label(node) != u32::from(byte) {
                break;
            }
            at ^= base(node);
            if has_leaf(node) {
                found = self.nodes.get(at).map(|&leaf| (length, value(leaf)));
            }
        }
        let (length, start) = found?;
        let rest = self.replacements.get(start..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        let replacement = std::str::from_utf8(rest.get(..end)?).ok()?;
        text.is_char_boundary(length).then_some((length, replacement))
    }
}

fn byte(value: Value<'_>) -> Option<u8> {
    match value {
        Value::U8(byte) => Some(byte),
        Value::I8(byte) => Some(byte.cast_unsigned()),
        _ => None,
    }
}

/// Where the children of a node start, to be combined with their byte.
fn base(node: u32) -> usize {
    ((node >> 10) << ((node & (1 << 9)) >> 6)) as usize
}

/// The byte that leads to a node; a leaf has bit 31 set and is led to by none.
fn label(node: u32) -> u32 {
    node & (1 << 31 | 0xFF)
}

fn has_leaf(node: u32) -> bool {
    node >> 8 & 1 == 1
}

/// Where the replacement of a leaf starts.
fn value(leaf: u32) -> usize {
    (leaf & !(1 << 31)) as usize
}
