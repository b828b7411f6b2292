//! Formats of 32 values with a scale of their own: `Q8_0`, `Q4_0`, `Q4_1`, `Q5_0` and `Q5_1`.

use super::super::lanes::{Lanes, VECTOR, vector};
use super::{
    BLOCKS, CENTRE, Of, QUADS, Recipe, halves, of_block, put_half, put_quad, put_quads, steps,
};

/// A header of one 16-bit float per block and row.
pub(super) const SCALES: usize = BLOCKS * 32;
/// Four bits of 32 values.
pub(super) const NIBBLES: usize = 4 * VECTOR;

/// A scale per block, values on both sides of zero.
pub(super) type Centred = Of<true, false, false, 1>;
/// A scale and a minimum per block.
type Above = Of<false, true, false, 1>;

/// The low four bits of the first half of a block share bytes with those of the second.
#[inline(always)]
pub(super) fn nibbles<L: Lanes>(l: L, quanta: &[u8]) -> [L::Bytes; QUADS] {
    let (a, b) = (l.load(vector(quanta, 0)), l.load(vector(quanta, 1)));
    let (c, d) = (l.load(vector(quanta, 2)), l.load(vector(quanta, 3)));
    [
        l.field(a, 0, 15),
        l.field(b, 0, 15),
        l.field(c, 0, 15),
        l.field(d, 0, 15),
        l.field(a, 4, 15),
        l.field(b, 4, 15),
        l.field(c, 4, 15),
        l.field(d, 4, 15),
    ]
}

/// `nibbles` with a fifth bit from the vector behind them, whose bit `q` belongs to step `q`.
#[inline(always)]
fn five_bits<L: Lanes>(l: L, quanta: &[u8]) -> [L::Bytes; QUADS] {
    let mut values = nibbles(l, quanta);
    let high = l.load(vector(quanta, 4));
    for (value, step) in values.iter_mut().zip(0..) {
        *value = l.or(*value, l.field(high, step - 4, 16));
    }
    values
}

/// The fifth bits of a block with those of step `q` in bit `q`.
fn planes(bits: u32) -> [u8; 4] {
    let mut planes = [0; 4];
    for at in 0..32 {
        planes[at % 4] |= u8::from(bits >> at & 1 == 1) << (at / 4);
    }
    planes
}

#[inline(always)]
fn add_to_all<L: Lanes>(l: L, mut values: [L::Bytes; QUADS], summand: u8) -> [L::Bytes; QUADS] {
    for value in &mut values {
        *value = l.add(*value, summand);
    }
    values
}

pub(crate) struct Q8Zero;

impl Recipe for Q8Zero {
    type Kind = Centred;
    const HEADER: usize = SCALES;
    const PER_BLOCK: usize = QUADS * VECTOR;
    const SOURCE: [usize; 2] = [32, 34];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        for (block, bytes) in source.as_chunks::<34>().0.iter().enumerate() {
            put_half(record, block, lane, [bytes[0], bytes[1]]);
            let at = Self::HEADER + block * Self::PER_BLOCK;
            for (step, quad) in bytes[2..].as_chunks::<4>().0.iter().enumerate() {
                put_quad(record, at, step, lane, quad.map(|byte| byte ^ CENTRE));
            }
        }
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, unit))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let quanta = of_block(quanta, block, Self::PER_BLOCK);
        steps::<L>(
            #[inline(always)]
            |step| l.load(vector(quanta, step)),
        )
    }
}

pub(crate) struct Q4Zero;

impl Recipe for Q4Zero {
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
        let values = nibbles(l, of_block(quanta, block, Self::PER_BLOCK));
        add_to_all(l, values, CENTRE - 8)
    }
}

pub(crate) struct Q4One;

impl Recipe for Q4One {
    type Kind = Above;
    const HEADER: usize = 2 * SCALES;
    const PER_BLOCK: usize = NIBBLES;
    const SOURCE: [usize; 2] = [32, 20];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        for (block, bytes) in source.as_chunks::<20>().0.iter().enumerate() {
            put_half(record, block, lane, [bytes[0], bytes[1]]);
            put_half(record, BLOCKS + block, lane, [bytes[2], bytes[3]]);
            put_quads(record, Self::HEADER + block * Self::PER_BLOCK, lane, &bytes[4..]);
        }
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, unit))
    }

    #[inline(always)]
    fn minimum<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, BLOCKS + unit))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        nibbles(l, of_block(quanta, block, Self::PER_BLOCK))
    }
}

pub(crate) struct Q5Zero;

impl Recipe for Q5Zero {
    type Kind = Centred;
    const HEADER: usize = SCALES;
    const PER_BLOCK: usize = NIBBLES + VECTOR;
    const SOURCE: [usize; 2] = [32, 22];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        for (block, bytes) in source.as_chunks::<22>().0.iter().enumerate() {
            put_half(record, block, lane, [bytes[0], bytes[1]]);
            let at = Self::HEADER + block * Self::PER_BLOCK;
            put_quads(record, at, lane, &bytes[6..]);
            let high = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
            put_quad(record, at, 4, lane, planes(high));
        }
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, unit))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        let values = five_bits(l, of_block(quanta, block, Self::PER_BLOCK));
        add_to_all(l, values, CENTRE - 16)
    }
}

pub(crate) struct Q5One;

impl Recipe for Q5One {
    type Kind = Above;
    const HEADER: usize = 2 * SCALES;
    const PER_BLOCK: usize = NIBBLES + VECTOR;
    const SOURCE: [usize; 2] = [32, 24];

    fn pack(source: &[u8], lane: usize, record: &mut [u8]) {
        for (block, bytes) in source.as_chunks::<24>().0.iter().enumerate() {
            put_half(record, block, lane, [bytes[0], bytes[1]]);
            put_half(record, BLOCKS + block, lane, [bytes[2], bytes[3]]);
            let at = Self::HEADER + block * Self::PER_BLOCK;
            put_quads(record, at, lane, &bytes[8..]);
            let high = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            put_quad(record, at, 4, lane, planes(high));
        }
    }

    #[inline(always)]
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, unit))
    }

    #[inline(always)]
    fn minimum<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        l.halves(halves(header, BLOCKS + unit))
    }

    #[inline(always)]
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS] {
        five_bits(l, of_block(quanta, block, Self::PER_BLOCK))
    }
}
