//! Formats without kernels of their own: rows are decoded as a file has them, a part at a time.

use remuda_simd::Isa;

use super::activations::FLOAT_DEPTH;
use super::float::{Buffers, DECODED, Panels};
use super::lanes::ROWS;
use super::many::{GROUPS, PANEL_ROWS};

/// A block format and how it is decoded.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    /// Values of a block: a divisor of 256.
    pub values: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// Decodes whole blocks; the lengths match.
    pub decode: fn(&[u8], &mut [f32]),
}

impl Codec {
    /// Bytes of a row of so many values; nothing if it is no whole number of blocks.
    #[must_use]
    pub fn row_bytes(self, depth: usize) -> Option<usize> {
        let whole = self.values > 0 && depth.is_multiple_of(self.values);
        whole.then(|| (depth / self.values).checked_mul(self.bytes)).flatten()
    }
}

/// Rows as a file has them.
pub(super) struct PlainPanels<'a> {
    pub(super) codec: Codec,
    pub(super) weights: &'a [u8],
    pub(super) rows: usize,
    pub(super) depth: usize,
}

impl PlainPanels<'_> {
    /// Decodes up to [`DECODED`] values of a row.
    fn decode(&self, row: usize, first: usize, out: &mut [f32]) {
        let Some(row_bytes) = self.codec.row_bytes(self.depth) else { return };
        let count = DECODED.min(self.depth - first);
        let blocks = first / self.codec.values * self.codec.bytes;
        let length = count / self.codec.values * self.codec.bytes;
        let bytes = &self.weights[row * row_bytes + blocks..][..length];
        (self.codec.decode)(bytes, &mut out[..count]);
    }
}

impl Panels for PlainPanels<'_> {
    fn expand(&self, _: Isa, first_group: usize, part: usize, buffers: Buffers<'_>) {
        let Buffers { panel, decoded } = buffers;
        let first = part * FLOAT_DEPTH;
        let row = first_group * ROWS;
        let rows = PANEL_ROWS.min(self.rows - row);
        let decoded = decoded.chunks_exact_mut(DECODED).take(rows);
        for (place, decoded) in decoded.enumerate() {
            if first.is_multiple_of(DECODED) {
                self.decode(row + place, first, decoded);
            }
            let values = decoded[first % DECODED..].iter().take(FLOAT_DEPTH);
            for (value, out) in values.zip(panel[place..].iter_mut().step_by(GROUPS * ROWS)) {
                *out = *value;
            }
        }
    }
}
