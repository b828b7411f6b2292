//! Formats whose four bits are places in a table: `IQ4_NL`, `IQ4_XS` and `MXFP4`.

use super::super::lanes::{Lanes, ROWS};
use super::quanta32::{Centred, NIBBLES, SCALES, nibbles};
use super::{BLOCKS, CENTRE, Of, QUADS, Recipe, bytes, halves, of_block, put_half, put_quads};

/// The uneven levels of `IQ4_NL`, [`CENTRE`] above their value.
const LEVELS: [u8; 16] =
    centred([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);
/// Twice the four-bit floats, [`CENTRE`] above their value.
const DOUBLED: [u8; 16] = centred([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]);

const fn centred(values: [i8; 16]) -> [u8; 16] {
    let mut table = [0; 16];
    let mut at = 0;
    while at < 16 {
        table[at] = values[at].cast_unsigned() ^ CENTRE;
        at += 1;
    }
    table
}

#[inline(always)]
fn levels<L: Lanes>(l: L, quanta: &[u8], table: &[u8; 16]) -> [L::Bytes; QUADS] {
    let mut values = nibbles(l, quanta);
    for value in &mut values {
        *value = l.lookup(table, *value);
    }
    values
}

pub(crate) struct Iq4Nl;

impl Recipe for Iq4Nl {
    type Kind = Centred;
    const HEADER: usize = SCALES;
    const PER_BLOCK: usize = NIBBLES;
    const SOURCE: [usize; 2] = [32, 18];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        for (block, bytes) in source.as_chunks::<18>().0.iter().enumerate() {
            put_half(record, block, lane, [bytes[0], bytes[1]]);
            put_quads(record, Self::HEADER + block * Self::PER_BLOCK, lane, &bytes[2..]);
        }
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, unit))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        levels(l, of_block(quanta, block, Self::PER_BLOCK), &LEVELS)
    }
}

/// The scale is a power of two; a bf16 holds half of every one of them exactly.
pub(crate) struct Mxfp4;

/// The bf16 of `2^(exponent - 128)`.
fn half_power(exponent: u8) -> u16 {
    match exponent {
        0 | 1 => 0x20 << exponent,
        _ => u16::from(exponent - 1) << 7,
    }
}

impl Recipe for Mxfp4 {
    type Kind = Centred;
    const HEADER: usize = SCALES;
    const PER_BLOCK: usize = NIBBLES;
    const SOURCE: [usize; 2] = [32, 17];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        for (block, bytes) in source.as_chunks::<17>().0.iter().enumerate() {
            put_half(record, block, lane, half_power(bytes[0]).to_le_bytes());
            put_quads(record, Self::HEADER + block * Self::PER_BLOCK, lane, &bytes[1..]);
        }
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.brain_halves(halves(header, unit))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        levels(l, of_block(quanta, block, Self::PER_BLOCK), &DOUBLED)
    }
}

/// Header: a scale per row, then a signed byte per block and row.
pub(crate) struct Iq4Xs;

const XS_FACTORS: usize = 64;

impl Recipe for Iq4Xs {
    type Kind = Of<true, false, true, 1>;
    const HEADER: usize = XS_FACTORS + BLOCKS * ROWS;
    const PER_BLOCK: usize = NIBBLES;
    const SOURCE: [usize; 2] = [256, 136];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        put_half(record, 0, lane, [source[0], source[1]]);
        let high = u16::from_le_bytes([source[2], source[3]]);
        for block in 0..BLOCKS {
            let low = source[4 + block / 2] >> (4 * (block % 2)) & 15;
            let [high, _] = (high >> (2 * block) & 3).to_le_bytes();
            record[XS_FACTORS + block * ROWS + lane] = (low | high << 4).wrapping_sub(32);
        }
        put_quads(record, Self::HEADER, lane, &source[8..]);
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        let factors = l.signed_bytes_to_ints(bytes(header, XS_FACTORS + unit * ROWS));
        l.mul(l.halves(halves(header, 0)), l.to_floats(factors))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        levels(l, of_block(quanta, block, Self::PER_BLOCK), &LEVELS)
    }
}
