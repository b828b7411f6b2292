//! Formats of 256 values whose parts have small integers as scales: `Q2_K` to `Q6_K`.
//!
//! A header holds the floats of every row first: the scale, and the minimum with its sign turned, as
//! it is subtracted. The small integers follow, one run of sixteen bytes per part.

use super::super::lanes::{Lanes, ROWS, VECTOR, vector};
use super::{BLOCKS, CENTRE, Of, QUADS, Recipe, bytes, halves, put_half, put_quads, steps};

/// Bytes of the two floats of all rows.
const FLOATS: usize = 64;
/// Parts of sixteen values in a record.
const PARTS: usize = 2 * BLOCKS;

/// The same half float with the other sign.
fn negated([low, high]: [u8; 2]) -> [u8; 2] {
    [low, high ^ 0x80]
}

/// Eight scales and minima of six bits, as `Q4_K` and `Q5_K` have them. Their low four bits fill
/// runs of bytes, one per block; the high two bits of two blocks share a run.
struct SixBits;

impl SixBits {
    const LOW: usize = FLOATS;
    const HIGH: usize = Self::LOW + BLOCKS * ROWS;
    const HEADER: usize = Self::HIGH + BLOCKS / 2 * ROWS;

    fn pack(packed: &[u8], lane: usize, record: &mut [u8]) {
        for block in 0..BLOCKS {
            let (scale, minimum) = if block < 4 {
                (packed[block] & 63, packed[block + 4] & 63)
            } else {
                let low = packed[block + 4];
                (low & 15 | packed[block - 4] >> 6 << 4, low >> 4 | packed[block] >> 6 << 4)
            };
            record[Self::LOW + block * ROWS + lane] = scale & 15 | minimum << 4;
            let high = &mut record[Self::HIGH + block / 2 * ROWS + lane];
            *high |= (scale >> 4 | minimum >> 4 << 2) << (4 * (block % 2));
        }
    }

    /// The integers whose low bits start at `low` and whose high bits start at `high`.
    #[inline(always)]
    fn unpack<L: Lanes>(l: L, header: &[u8], block: usize, [low, high]: [u32; 2]) -> L::Floats {
        let lows = l.bytes_to_ints(bytes(header, Self::LOW + block * ROWS));
        let highs = l.bytes_to_ints(bytes(header, Self::HIGH + block / 2 * ROWS));
        let shift = if block.is_multiple_of(2) { high } else { high + 4 };
        l.to_floats(l.int_join(l.int_field(lows, low, 15), l.int_field(highs, shift, 3)))
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], block: usize) -> L::Floats {
        l.mul(l.halves(halves(header, 0)), Self::unpack(l, header, block, [0, 0]))
    }

    #[inline(always)]
    fn minimum<L: Lanes>(l: L, header: &[u8], block: usize) -> L::Floats {
        l.mul(l.halves(halves(header, 1)), Self::unpack(l, header, block, [4, 2]))
    }
}

pub(crate) struct Q4K;

impl Recipe for Q4K {
    type Kind = Of<false, true, true, 1>;
    const HEADER: usize = SixBits::HEADER;
    const PER_BLOCK: usize = 4 * VECTOR;
    const SOURCE: [usize; 2] = [256, 144];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        put_half(record, 0, lane, [source[0], source[1]]);
        put_half(record, 1, lane, negated([source[2], source[3]]));
        SixBits::pack(&source[4..16], lane, record);
        put_quads(record, Self::HEADER, lane, &source[16..]);
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        SixBits::scale(l, header, unit)
    }

    #[inline(always)]
    fn minimum<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        SixBits::minimum(l, header, unit)
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let shift = if block.is_multiple_of(2) { 0 } else { 4 };
        steps::<L>(
            #[inline(always)]
            |step| l.field(l.load(vector(quanta, block / 2 * QUADS + step)), shift, 15),
        )
    }
}

/// As [`Q4K`], then the fifth bits: bit `b` belongs to block `b`.
pub(crate) struct Q5K;

impl Recipe for Q5K {
    type Kind = Of<false, true, true, 1>;
    const HEADER: usize = SixBits::HEADER;
    const PER_BLOCK: usize = 5 * VECTOR;
    const SOURCE: [usize; 2] = [256, 176];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        put_half(record, 0, lane, [source[0], source[1]]);
        put_half(record, 1, lane, negated([source[2], source[3]]));
        SixBits::pack(&source[4..16], lane, record);
        put_quads(record, Self::HEADER, lane, &source[48..]);
        put_quads(record, Self::HEADER + 4 * QUADS * VECTOR, lane, &source[16..48]);
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        SixBits::scale(l, header, unit)
    }

    #[inline(always)]
    fn minimum<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        SixBits::minimum(l, header, unit)
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let shift = if block.is_multiple_of(2) { 0 } else { 4 };
        let high_shift = block as i32 - 4;
        steps::<L>(
            #[inline(always)]
            |step| {
                let low = l.load(vector(quanta, block / 2 * QUADS + step));
                let high = l.load(vector(quanta, 4 * QUADS + step));
                l.or(l.field(low, shift, 15), l.field(high, high_shift, 16))
            },
        )
    }
}

/// Signed bytes as scales of sixteen values each.
struct SignedParts;

impl SignedParts {
    const HEADER: usize = FLOATS + PARTS * ROWS;

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        let factors = l.signed_bytes_to_ints(bytes(header, FLOATS + unit * ROWS));
        l.mul(l.halves(halves(header, 0)), l.to_floats(factors))
    }
}

/// Low four bits of two blocks share bytes, as do the high two bits of four.
pub(crate) struct Q6K;

impl Recipe for Q6K {
    type Kind = Of<true, false, true, 2>;
    const HEADER: usize = SignedParts::HEADER;
    const PER_BLOCK: usize = 6 * VECTOR;
    const SOURCE: [usize; 2] = [256, 210];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        put_half(record, 0, lane, [source[208], source[209]]);
        for (part, &factor) in source[192..208].iter().enumerate() {
            record[FLOATS + part * ROWS + lane] = factor;
        }
        put_quads(record, Self::HEADER, lane, &source[..192]);
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        SignedParts::scale(l, header, unit)
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let (half, place) = (block / 4, block % 4);
        let shift = if place < 2 { 0 } else { 4 };
        let high_shift = 2 * place as i32 - 4;
        steps::<L>(
            #[inline(always)]
            |step| {
                let low = l.load(vector(quanta, (2 * half + place % 2) * QUADS + step));
                let high = l.load(vector(quanta, (4 + half) * QUADS + step));
                let value = l.or(l.field(low, shift, 15), l.field(high, high_shift, 48));
                l.add(value, CENTRE - 32)
            },
        )
    }
}

/// Low two bits of four blocks share bytes, as do the third bits of all eight.
pub(crate) struct Q3K;

impl Recipe for Q3K {
    type Kind = Of<true, false, true, 2>;
    const HEADER: usize = SignedParts::HEADER;
    const PER_BLOCK: usize = 3 * VECTOR;
    const SOURCE: [usize; 2] = [256, 110];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        put_half(record, 0, lane, [source[108], source[109]]);
        let packed = &source[96..108];
        for part in 0..PARTS {
            let low = packed[part % 8] >> (4 * (part / 8)) & 15;
            let high = packed[8 + part % 4] >> (2 * (part / 4)) & 3;
            record[FLOATS + part * ROWS + lane] = (low | high << 4).wrapping_sub(32);
        }
        put_quads(record, Self::HEADER, lane, &source[32..96]);
        put_quads(record, Self::HEADER + 2 * QUADS * VECTOR, lane, &source[..32]);
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        SignedParts::scale(l, header, unit)
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let (shift, high_shift) = (2 * (block % 4) as i32, block as i32 - 2);
        steps::<L>(
            #[inline(always)]
            |step| {
                let low = l.load(vector(quanta, block / 4 * QUADS + step));
                let high = l.load(vector(quanta, 2 * QUADS + step));
                let value = l.or(l.field(low, shift, 3), l.field(high, high_shift, 4));
                l.add(value, CENTRE - 4)
            },
        )
    }
}

/// Two bits of four blocks share bytes; a byte per part holds its scale and its minimum.
pub(crate) struct Q2K;

impl Recipe for Q2K {
    type Kind = Of<false, true, true, 2>;
    const HEADER: usize = FLOATS + PARTS * ROWS;
    const PER_BLOCK: usize = 2 * VECTOR;
    const SOURCE: [usize; 2] = [256, 84];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        put_half(record, 0, lane, [source[80], source[81]]);
        put_half(record, 1, lane, negated([source[82], source[83]]));
        for (part, &packed) in source[..PARTS].iter().enumerate() {
            record[FLOATS + part * ROWS + lane] = packed;
        }
        put_quads(record, Self::HEADER, lane, &source[16..80]);
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        let packed = l.bytes_to_ints(bytes(header, FLOATS + unit * ROWS));
        l.mul(l.halves(halves(header, 0)), l.to_floats(l.int_field(packed, 0, 15)))
    }

    #[inline(always)]
    fn minimum<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        let packed = l.bytes_to_ints(bytes(header, FLOATS + unit * ROWS));
        l.mul(l.halves(halves(header, 1)), l.to_floats(l.int_field(packed, 4, 15)))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let shift = 2 * (block % 4) as i32;
        steps::<L>(
            #[inline(always)]
            |step| l.field(l.load(vector(quanta, block / 4 * QUADS + step)), shift, 3),
        )
    }
}
