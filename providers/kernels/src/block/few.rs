//! Products with few tokens: weights are read once, as fast as memory gives them.
//!
//! Nothing is kept of the weights: the vectors of a block are expanded in registers and meet every
//! token at once. A thread walks four ranges of groups in turn, because several streams of reads
//! bring more than one, and asks for what comes next some records ahead.

use std::ops::Range;

use super::activations::Chunk;
use super::format::record_bytes;
use super::lanes::{Lanes, ROWS, Work};
use super::output::Output;
use super::recipe::{BLOCK, BLOCKS, Kind, QUADS, RECORD, Recipe, unrolled};

/// Ranges that are read in turn.
const STREAMS: usize = 4;
/// How far ahead memory is asked for.
const AHEAD: usize = 4096;
const LINE: usize = 64;

/// The products of a range of groups with a tile of `T` tokens.
pub(super) struct Few<'a, R, const T: usize> {
    pub(super) recipe: std::marker::PhantomData<R>,
    pub(super) weights: &'a [u8],
    pub(super) group_bytes: usize,
    pub(super) groups: Range<usize>,
    pub(super) depth: usize,
    /// The tiles of each record, one after the other.
    pub(super) tokens: &'a [Chunk<T>],
    /// Tiles of a record, and which of them.
    pub(super) tiles: usize,
    pub(super) tile: usize,
    pub(super) output: &'a Output<'a>,
}

impl<R: Recipe, const T: usize> Work for Few<'_, R, T> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let share = self.groups.len().div_ceil(STREAMS);
        for step in 0..share {
            let mut totals = [[l.float(0.0); T]; STREAMS];
            let groups: [usize; STREAMS] =
                [0, 1, 2, 3].map(|stream| self.groups.start + stream * share + step);
            let whole = record_bytes::<R>(BLOCKS);
            let tokens = self.tokens.iter().skip(self.tile).step_by(self.tiles);
            for (record, tokens) in tokens.enumerate() {
                let blocks = BLOCKS.min((self.depth - record * RECORD) / BLOCK);
                for (&group, totals) in groups.iter().zip(&mut totals) {
                    if group >= self.groups.end {
                        break;
                    }
                    let start = group * self.group_bytes + record * whole;
                    let record = &self.weights[start..][..record_bytes::<R>(blocks)];
                    multiply_record::<L, R, T>(l, record, blocks, tokens, totals);
                }
            }
            for (&group, totals) in groups.iter().zip(totals) {
                if group < self.groups.end {
                    for (token, total) in totals.into_iter().enumerate() {
                        let mut sums = [0.0; ROWS];
                        l.put(total, &mut sums);
                        self.output.put(group, self.tile * T + token, &sums);
                    }
                }
            }
        }
    }
}

/// Asks for the memory that lies some way behind `bytes`.
#[inline(always)]
fn ask_ahead<L: Lanes>(l: L, bytes: *const u8, count: usize) {
    for line in 0..count / LINE {
        l.prefetch(bytes.wrapping_add(AHEAD + line * LINE));
    }
}

#[inline(always)]
fn multiply_record<L: Lanes, R: Recipe, const T: usize>(
    l: L,
    record: &[u8],
    blocks: usize,
    tokens: &Chunk<T>,
    totals: &mut [L::Floats; T],
) {
    let record = record.split_at(R::HEADER);
    ask_ahead(l, record.0.as_ptr(), R::HEADER);
    let mut sums = start::<L, R, T>(l, totals);
    if unrolled::<L, R>() && blocks == BLOCKS {
        let record = (record.0, &record.1[..BLOCKS * R::PER_BLOCK]);
        block::<L, R, T>(l, record, 0, tokens, &mut sums);
        block::<L, R, T>(l, record, 1, tokens, &mut sums);
        block::<L, R, T>(l, record, 2, tokens, &mut sums);
        block::<L, R, T>(l, record, 3, tokens, &mut sums);
        block::<L, R, T>(l, record, 4, tokens, &mut sums);
        block::<L, R, T>(l, record, 5, tokens, &mut sums);
        block::<L, R, T>(l, record, 6, tokens, &mut sums);
        block::<L, R, T>(l, record, 7, tokens, &mut sums);
    } else {
        for index in 0..blocks.min(BLOCKS) {
            block::<L, R, T>(l, record, index, tokens, &mut sums);
        }
    }
    end::<L, R, T>(l, tokens, sums, totals);
}

/// Sums of a record that is scaled as a whole start from zero.
#[inline(always)]
fn start<L: Lanes, R: Recipe, const T: usize>(l: L, totals: &[L::Floats; T]) -> [L::Floats; T] {
    if R::Kind::WIDE { [l.float(0.0); T] } else { *totals }
}

#[inline(always)]
fn end<L: Lanes, R: Recipe, const T: usize>(
    l: L,
    tokens: &Chunk<T>,
    sums: [L::Floats; T],
    totals: &mut [L::Floats; T],
) {
    for t in 0..T {
        totals[t] = if R::Kind::WIDE {
            l.mul_add(sums[t], l.float(tokens.scales[0][t]), totals[t])
        } else {
            sums[t]
        };
    }
}

#[inline(always)]
fn block<L: Lanes, R: Recipe, const T: usize>(
    l: L,
    (header, quanta): (&[u8], &[u8]),
    index: usize,
    tokens: &Chunk<T>,
    sums: &mut [L::Floats; T],
) {
    ask_ahead(l, quanta.as_ptr().wrapping_add(index * R::PER_BLOCK), R::PER_BLOCK);
    let weights = R::expand(l, quanta, index);
    let quads = QUADS / R::Kind::UNITS;
    for part in 0..R::Kind::UNITS {
        let unit = index * R::Kind::UNITS + part;
        let scale = R::scale(l, header, unit);
        for t in 0..T {
            let mut products = l.int(if R::Kind::CENTRED {
                if R::Kind::UNITS == 1 {
                    tokens.corrections[index][t]
                } else {
                    tokens.half_corrections[unit][t]
                }
            } else {
                0
            });
            for quad in part * quads..(part + 1) * quads {
                let token = l.quad(&tokens.quads[index][t][quad]);
                products = l.dot(products, weights[quad], token);
            }
            let scale =
                if R::Kind::WIDE { scale } else { l.mul(scale, l.float(tokens.scales[index][t])) };
            sums[t] = l.mul_add(l.to_floats(products), scale, sums[t]);
            if R::Kind::MINIMA {
                let minimum = R::minimum(l, header, unit);
                let of_token = if R::Kind::UNITS == 1 {
                    tokens.sums[index][t]
                } else {
                    tokens.half_sums[unit][t]
                };
                sums[t] = l.mul_add(minimum, l.float(of_token), sums[t]);
            }
        }
    }
}
