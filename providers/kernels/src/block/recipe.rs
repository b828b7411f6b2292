//! How each format is laid out in groups of sixteen rows, and how it is taken apart again.
//!
//! A group is a run of records along the depth, one for every 256 values: a header with the scales of
//! all sixteen rows, then vectors that hold four neighbouring values of every row. Bits keep the
//! places that they have in the file, so packing is little more than a transposition of 32-bit words.
//! Expanded weights are unsigned bytes: plain for formats with a minimum, 128 above their value for
//! the others, whose products are put right by the sum of the activations.

mod codebook;
mod quanta32;
mod super_blocks;

use super::lanes::{Lanes, ROWS};

pub(super) use codebook::{Iq4Nl, Iq4Xs, Mxfp4};
pub(super) use quanta32::{Q4One, Q4Zero, Q5One, Q5Zero, Q8Zero};
pub(super) use super_blocks::{Q2K, Q3K, Q4K, Q5K, Q6K};

/// Values that share a flush of integer sums, at most.
pub(super) const BLOCK: usize = 32;
/// Blocks of a record.
pub(super) const BLOCKS: usize = 8;
/// Values of a record.
pub(super) const RECORD: usize = BLOCK * BLOCKS;
/// Steps of four values in a block.
pub(super) const QUADS: usize = BLOCK / 4;
/// What is added to the values of formats without a minimum.
pub(super) const CENTRE: u8 = 128;

/// What the products of a format are made of.
pub(super) trait Kind: 'static {
    /// Expanded weights are [`CENTRE`] above their value.
    const CENTRED: bool;
    /// Scaled weights have a minimum added.
    const MINIMA: bool;
    /// Activations have a scale per record and not per block.
    const WIDE: bool;
    /// Scales per block.
    const UNITS: usize;
}

/// A [`Kind`] spelled out.
pub(super) struct Of<const CENTRED: bool, const MINIMA: bool, const WIDE: bool, const UNITS: usize>;

impl<const CENTRED: bool, const MINIMA: bool, const WIDE: bool, const UNITS: usize> Kind
    for Of<CENTRED, MINIMA, WIDE, UNITS>
{
    const CENTRED: bool = CENTRED;
    const MINIMA: bool = MINIMA;
    const WIDE: bool = WIDE;
    const UNITS: usize = UNITS;
}

/// One format.
pub(super) trait Recipe: 'static {
    /// How it is multiplied.
    type Kind: Kind;
    /// Bytes of the header of a record: whole cache lines.
    const HEADER: usize;
    /// Bytes per block of a record: whole cache lines.
    const PER_BLOCK: usize;
    /// Values and bytes of a block in a file.
    const SOURCE: [usize; 2];

    /// Writes the part of a row that a record holds; `source` is whole blocks of the file.
    fn pack(source: &[u8], lane: usize, record: &mut [u8]);
    /// Scales of a unit.
    fn scale<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats;
    /// Minima of a unit, for kinds that have them.
    fn minimum<L: Lanes>(l: L, header: &[u8], unit: usize) -> L::Floats {
        let _ = (header, unit);
        l.float(0.0)
    }
    /// Expands a block; `quanta` is the record without its header.
    fn expand<L: Lanes>(l: L, quanta: &[u8], block: usize) -> [L::Bytes; QUADS];
}

/// The vector of every step.
#[inline(always)]
fn steps<L: Lanes>(step: impl Fn(usize) -> L::Bytes) -> [L::Bytes; QUADS] {
    [step(0), step(1), step(2), step(3), step(4), step(5), step(6), step(7)]
}

/// Whether the blocks of a record are written out one by one, which makes every shift a constant. It
/// pays where places depend on the block, and only the widest registers are worth the code.
#[inline(always)]
pub(super) const fn unrolled<L: Lanes, R: Recipe>() -> bool {
    L::GROUPS > 1 && R::Kind::WIDE
}

/// Where the quanta of a block lie in a record whose blocks lie one after the other.
#[inline(always)]
fn of_block(quanta: &[u8], block: usize, per_block: usize) -> &[u8] {
    &quanta[block * per_block..][..per_block]
}

/// A run of sixteen 16-bit floats in a header.
#[inline(always)]
fn halves(header: &[u8], at: usize) -> &[u8; 2 * ROWS] {
    &header[2 * ROWS * at..].as_chunks().0[0]
}

/// A run of sixteen bytes in a header.
#[inline(always)]
fn bytes(header: &[u8], at: usize) -> &[u8; ROWS] {
    &header[at..].as_chunks().0[0]
}

/// Writes the 16-bit float of a row into a run of sixteen.
fn put_half(record: &mut [u8], run: usize, lane: usize, half: [u8; 2]) {
    record[(run * ROWS + lane) * 2..][..2].copy_from_slice(&half);
}

/// Writes the four bytes of a row into vectors that start at `at`.
fn put_quad(record: &mut [u8], at: usize, vector: usize, lane: usize, quad: [u8; 4]) {
    record[at + (vector * ROWS + lane) * 4..][..4].copy_from_slice(&quad);
}

/// Writes bytes of a row, four to a vector.
fn put_quads(record: &mut [u8], at: usize, lane: usize, source: &[u8]) {
    for (vector, &quad) in source.as_chunks().0.iter().enumerate() {
        put_quad(record, at, vector, lane, quad);
    }
}
