//! Activations as the products want them: quantised per block, and in tiles of a few tokens.
//!
//! Quantising is done once and shared by all matrices with the same input. A tile interleaves as many
//! tokens as a kernel treats together, and holds beside their bytes all that is derived from them:
//! scales, and sums per block and half block, which correct for the offsets and minima of weights.

use remuda_simd::{Kernel, Simd};

use super::lanes::{FEW, few_tile};
use super::recipe::{BLOCK, BLOCKS, CENTRE, QUADS, RECORD};
use crate::pool::Shared;
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

/// Tokens of a tile where there are many.
pub(super) const TILE: usize = 3;
/// Tokens that weights of floats are multiplied with as they come from memory, at most.
pub(super) const FEW_FLOATS: usize = 8;
/// Tokens of a tile of floats where there are many.
pub(super) const FLOAT_TILE: usize = 6;
/// Steps of the depth that floats of all tiles lie together for.
pub(super) const FLOAT_DEPTH: usize = 64;

/// How activations are kept for a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Bytes, with a scale for every 32 values.
    Block,
    /// Bytes, with a scale for every 256 values.
    Record,
    /// As they are.
    Float,
}

/// The part of `T` tokens that meets a record of weights.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Chunk<const T: usize> {
    pub(super) quads: [[[[i8; 4]; QUADS]; T]; BLOCKS],
    /// Per block; the first of all where the scale is that of the record.
    pub(super) scales: [[f32; T]; BLOCKS],
    /// What corrects products with weights that are above their value by [`CENTRE`].
    pub(super) corrections: [[i32; T]; BLOCKS],
    /// Sums of the values, scaled where scales are per block.
    pub(super) sums: [[f32; T]; BLOCKS],
    /// As `corrections`, per half block.
    pub(super) half_corrections: [[i32; T]; 2 * BLOCKS],
    /// As `sums`, per half block.
    pub(super) half_sums: [[f32; T]; 2 * BLOCKS],
}

impl<const T: usize> Chunk<T> {
    const ZERO: Self = Self {
        quads: [[[[0; 4]; QUADS]; T]; BLOCKS],
        scales: [[0.0; T]; BLOCKS],
        corrections: [[0; T]; BLOCKS],
        sums: [[0.0; T]; BLOCKS],
        half_corrections: [[0; T]; 2 * BLOCKS],
        half_sums: [[0.0; T]; 2 * BLOCKS],
    };
}

/// Tokens ready to be multiplied. The memory is kept when it is filled again.
#[derive(Debug)]
pub struct Activations {
    grain: Grain,
    count: usize,
    depth: usize,
    /// How many of a few tokens share a chunk.
    few: usize,
    one: Vec<Chunk<1>>,
    two: Vec<Chunk<2>>,
    many: Vec<Chunk<TILE>>,
    four: Vec<Chunk<FEW>>,
    floats: Vec<f32>,
}

impl Default for Activations {
    fn default() -> Self {
        Self {
            grain: Grain::Float,
            count: 0,
            depth: 0,
            few: 1,
            one: Vec::new(),
            two: Vec::new(),
            many: Vec::new(),
            four: Vec::new(),
            floats: Vec::new(),
        }
    }
}

/// Where rows of f32 come from.
#[derive(Clone, Copy)]
enum Rows<'a> {
    Given(&'a [f32]),
    Made(&'a (dyn Fn(usize, &mut [f32]) + Sync)),
}

impl Activations {
    /// Takes in the tokens of `rows`, `depth` values each.
    ///
    /// # Panics
    /// When `rows` is no whole number of tokens.
    pub fn fill(&mut self, cx: Context<'_>, grain: Grain, depth: usize, rows: &[f32]) {
        assert!(depth > 0 && rows.len().is_multiple_of(depth), "whole rows of {depth}");
        self.take(cx, grain, [rows.len() / depth, depth], Rows::Given(rows));
    }

    /// Takes in `count` tokens that `make` writes, given the index of each.
    ///
    /// # Panics
    /// When `depth` is zero.
    pub fn fill_with(
        &mut self,
        cx: Context<'_>,
        grain: Grain,
        [count, depth]: [usize; 2],
        make: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        assert!(depth > 0, "tokens have values");
        self.take(cx, grain, [count, depth], Rows::Made(&make));
    }

    /// How they are kept.
    #[must_use]
    pub fn grain(&self) -> Grain {
        self.grain
    }

    /// How many tokens there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Values of a token.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn take(&mut self, cx: Context<'_>, grain: Grain, sizes: [usize; 2], rows: Rows<'_>) {
        [self.count, self.depth] = sizes;
        self.grain = grain;
        if grain == Grain::Float {
            return pack_floats(cx, &mut self.floats, sizes, rows);
        }
        let wide = grain == Grain::Record;
        self.few = few_tile(cx.isa, self.count);
        match (self.count, self.few) {
            (count, _) if count > FEW => quantize(cx, &mut self.many, sizes, rows, wide),
            (_, 1) => quantize(cx, &mut self.one, sizes, rows, wide),
            (_, 2) => quantize(cx, &mut self.two, sizes, rows, wide),
            _ => quantize(cx, &mut self.four, sizes, rows, wide),
        }
    }

    /// Those of the chunks that are filled: earlier rows may have needed more.
    fn filled<'a, const T: usize>(&self, chunks: &'a [Chunk<T>]) -> &'a [Chunk<T>] {
        let count = self.count.div_ceil(T) * self.depth.div_ceil(RECORD);
        &chunks[..count.min(chunks.len())]
    }

    /// How many of a few tokens share a chunk.
    pub(super) fn few(&self) -> usize {
        self.few
    }

    pub(super) fn ones(&self) -> &[Chunk<1>] {
        self.filled(&self.one)
    }

    pub(super) fn twos(&self) -> &[Chunk<2>] {
        self.filled(&self.two)
    }

    /// The tiles of each record, one after the other.
    pub(super) fn tiles(&self) -> &[Chunk<TILE>] {
        self.filled(&self.many)
    }

    pub(super) fn fours(&self) -> &[Chunk<FEW>] {
        self.filled(&self.four)
    }

    /// Floats: for every [`FLOAT_DEPTH`] of the depth, for every tile, for every value, its tokens.
    pub(super) fn floats(&self) -> &[f32] {
        let places = self.count.next_multiple_of(float_tile(self.count).max(1));
        &self.floats[..(places * self.depth).min(self.floats.len())]
    }
}

/// Makes room for so many, without touching what is there.
fn make_room<T: Copy>(room: &mut Vec<T>, count: usize, filler: T) {
    if room.len() < count {
        room.reserve_exact(count - room.len());
        room.resize(count, filler);
    }
}

/// Tokens of a tile of floats: not every number has a kernel.
pub(super) fn float_tile(count: usize) -> usize {
    match count {
        0..=4 => count,
        5..=FEW_FLOATS => count.next_multiple_of(2),
        _ => FLOAT_TILE,
    }
}

/// Values below which a job is not worth waking a thread for.
const ALONE: usize = 32 * 1024;

/// Calls `body` for every tile, in parallel where that pays.
fn for_tiles(cx: Context<'_>, tiles: usize, values: usize, body: impl Fn(usize) + Sync) {
    if values < ALONE {
        (0..tiles).for_each(body);
    } else {
        cx.pool.parallel_for(tiles, Schedule::Static, body);
    }
}

/// Calls `body` with a token's row.
fn with_row(rows: Rows<'_>, token: usize, depth: usize, body: impl FnOnce(&[f32])) {
    match rows {
        Rows::Given(rows) => body(&rows[token * depth..][..depth]),
        Rows::Made(make) => with_scratch(depth, |row| {
            make(token, row);
            body(row);
        }),
    }
}

fn quantize<const T: usize>(
    cx: Context<'_>,
    chunks: &mut Vec<Chunk<T>>,
    [count, depth]: [usize; 2],
    rows: Rows<'_>,
    wide: bool,
) {
    let (tiles, records) = (count.div_ceil(T), depth.div_ceil(RECORD));
    make_room(chunks, tiles * records, Chunk::ZERO);
    let chunks = Shared::new(chunks.as_mut_ptr());
    for_tiles(cx, tiles, count * depth, |tile| {
        for (place, token) in (tile * T..count.min(tile * T + T)).enumerate() {
            with_row(rows, token, depth, |row| {
                for (record, values) in row.chunks(RECORD).enumerate() {
                    // SAFETY: there are `records * tiles` chunks, those of a tile are touched by
                    // one call only, and no other reference to them lives meanwhile.
                    let chunk = unsafe { &mut *chunks.pointer().add(record * tiles + tile) };
                    cx.run(Quantize { values, place, chunk, wide });
                }
            });
        }
    });
}

/// Quantises up to a record of one token.
struct Quantize<'a, const T: usize> {
    values: &'a [f32],
    place: usize,
    chunk: &'a mut Chunk<T>,
    wide: bool,
}

/// A scale and its inverse. Values too small for that count as zero; a NaN or an infinity among the
/// values makes the scale one, so that it shows in the result.
#[inline(always)]
fn scale_of<S: Simd>(s: S, values: &[f32]) -> (f32, f32) {
    let mut top = s.splat_i32(0);
    for chunk in values.chunks(S::LANES) {
        // Without their signs floats are ordered as integers are, NaN above all.
        let bits = s.bits(s.load_partial(chunk, 0.0));
        top = s.max_i32(top, s.and_i32(bits, s.splat_i32(i32::MAX)));
    }
    let mut lanes = [0; remuda_simd::MAX_LANES];
    s.store_i32(top, &mut lanes);
    let greatest = f32::from_bits(lanes.iter().copied().max().unwrap_or(0).cast_unsigned());
    let inverse = 127.0 / greatest;
    if inverse.is_infinite() { (0.0, 0.0) } else { (greatest / 127.0, inverse) }
}

impl<const T: usize> Kernel for Quantize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { values, place, chunk, wide } = self;
        let mut scale = (0.0, 0.0);
        if wide {
            scale = scale_of(s, values);
            chunk.scales[0][place] = scale.0;
        }
        for (block, values) in values.chunks(BLOCK).enumerate() {
            if !wide {
                scale = scale_of(s, values);
                chunk.scales[block][place] = scale.0;
            }
            let mut bytes = [0; BLOCK];
            let inverse = s.splat(scale.1);
            for (values, bytes) in values.chunks(S::LANES).zip(bytes.chunks_mut(S::LANES)) {
                let scaled = s.mul(s.load_partial(values, 0.0), inverse);
                s.store_i8(s.to_i32(scaled), bytes);
            }
            let mut halves = [0; 2];
            for (sum, half) in halves.iter_mut().zip(bytes.chunks_exact(BLOCK / 2)) {
                *sum = half.iter().map(|&byte| i32::from(byte)).sum();
            }
            chunk.quads[block][place].as_flattened_mut().copy_from_slice(&bytes);
            let sum = halves[0] + halves[1];
            chunk.corrections[block][place] = -i32::from(CENTRE) * sum;
            chunk.sums[block][place] = if wide { sum as f32 } else { scale.0 * sum as f32 };
            for (half, sum) in halves.into_iter().enumerate() {
                chunk.half_corrections[2 * block + half][place] = -i32::from(CENTRE) * sum;
                chunk.half_sums[2 * block + half][place] = sum as f32;
            }
        }
    }
}

fn pack_floats(cx: Context<'_>, floats: &mut Vec<f32>, [count, depth]: [usize; 2], rows: Rows<'_>) {
    let width = float_tile(count).max(1);
    let tiles = count.div_ceil(width);
    make_room(floats, tiles * width * depth, 0.0);
    let floats = Shared::new(floats.as_mut_ptr());
    for_tiles(cx, tiles, count * depth, |tile| {
        for place in 0..width {
            let token = tile * width + place;
            let write = |row: &[f32]| {
                for (part, values) in row.chunks(FLOAT_DEPTH).enumerate() {
                    let start = (part * FLOAT_DEPTH * tiles + tile * values.len()) * width;
                    for (step, &value) in values.iter().enumerate() {
                        // SAFETY: a tile's part ends where the next one's starts, within
                        // `tiles * width * depth`, and is written by one call only.
                        unsafe {
                            *floats.pointer().add(start + step * width + place) = value;
                        }
                    }
                }
            };
            if token < count {
                with_row(rows, token, depth, write);
            } else {
                with_scratch(depth, |row| {
                    row.fill(0.0);
                    write(row);
                });
            }
        }
    });
}
