//! Products with many tokens: a panel of weights is expanded into the first-level cache and meets
//! all tokens before the next one is.
//!
//! A panel is 64 rows by one record. Its tile with three tokens keeps twelve vectors of integer sums
//! and twelve of float sums in registers; integer sums are scaled and flushed after every block.
//! Weights come from memory once: while one panel is used, the next is asked for, a few lines per
//! block, because a burst would fill the line buffers and then leave memory idle.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use super::activations::{Chunk, TILE};
use super::format::record_bytes;
use super::lanes::{Lanes, ROWS, VECTOR, Work};
use super::output::Output;
use super::recipe::{BLOCK, BLOCKS, Kind, QUADS, RECORD, Recipe, unrolled};

/// Groups of rows in a panel.
pub(super) const GROUPS: usize = 4;
/// Rows of a panel.
pub(super) const PANEL_ROWS: usize = GROUPS * ROWS;
/// Tiles whose float sums stay in the second-level cache beside their activations.
pub(super) const MAX_TILES: usize = 171;
/// Float sums of a tile.
pub(super) const TOTALS: usize = TILE * GROUPS * ROWS;
const LINE: usize = 64;

/// Expanded weights of 64 rows by a record.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Panel {
    quanta: [[[[u8; VECTOR]; GROUPS]; QUADS]; BLOCKS],
    /// The scales of all units, and behind them their minima. In one array: with two, the compiler puts the
    /// sums on the stack between blocks.
    factors: [[[f32; ROWS]; GROUPS]; 4 * BLOCKS],
}

/// Where the minimum of a unit lies among the factors.
const fn minimum_at<K: Kind>(unit: usize) -> usize {
    BLOCKS * K::UNITS + unit
}

thread_local! {
    static PANEL: Cell<Option<Box<Panel>>> = const { Cell::new(None) };
}

/// Calls `body` with a panel of unspecified content.
pub(super) fn with_panel(body: impl FnOnce(&mut Panel)) {
    let mut panel = PANEL.take().unwrap_or_else(|| {
        Box::new(Panel {
            quanta: [[[[0; VECTOR]; GROUPS]; QUADS]; BLOCKS],
            factors: [[[0.0; ROWS]; GROUPS]; 4 * BLOCKS],
        })
    });
    body(&mut panel);
    PANEL.set(Some(panel));
}

/// The products of 64 rows with a range of tiles.
pub(super) struct Many<'a, R> {
    pub(super) recipe: PhantomData<R>,
    pub(super) weights: &'a [u8],
    pub(super) group_bytes: usize,
    /// The first group of the rows.
    pub(super) first_group: usize,
    pub(super) depth: usize,
    /// The tiles of each record, one after the other.
    pub(super) tokens: &'a [Chunk<TILE>],
    /// Tiles of a record.
    pub(super) tiles: usize,
    pub(super) range: Range<usize>,
    pub(super) panel: &'a mut Panel,
    /// Float sums, [`TOTALS`] per tile of the range.
    pub(super) totals: &'a mut [f32],
    pub(super) output: &'a Output<'a>,
}

impl<R: Recipe> Many<'_, R> {
    fn record_at(&self, group: usize, record: usize) -> usize {
        group * self.group_bytes + record * record_bytes::<R>(BLOCKS)
    }

    #[inline(always)]
    fn expand<L: Lanes>(&mut self, l: L, record: usize, blocks: usize) {
        for place in 0..GROUPS {
            let start = self.record_at(self.first_group + place, record);
            let Some(bytes) = self.weights.get(start..start + record_bytes::<R>(blocks)) else {
                self.panel.factors.iter_mut().for_each(|groups| groups[place] = [0.0; ROWS]);
                continue;
            };
            if unrolled::<L, R>() && blocks == BLOCKS {
                let bytes = &bytes[..record_bytes::<R>(BLOCKS)];
                expand::<L, R>(l, bytes, 0, self.panel, place);
                expand::<L, R>(l, bytes, 1, self.panel, place);
                expand::<L, R>(l, bytes, 2, self.panel, place);
                expand::<L, R>(l, bytes, 3, self.panel, place);
                expand::<L, R>(l, bytes, 4, self.panel, place);
                expand::<L, R>(l, bytes, 5, self.panel, place);
                expand::<L, R>(l, bytes, 6, self.panel, place);
                expand::<L, R>(l, bytes, 7, self.panel, place);
            } else {
                for block in 0..blocks {
                    expand::<L, R>(l, bytes, block, self.panel, place);
                }
            }
        }
    }

    /// Where the next panel lies, and how many lines of each of its groups to ask for per block.
    fn next(&self, record: usize, records: usize) -> ([*const u8; GROUPS], usize) {
        let mut next = [self.weights.as_ptr(); GROUPS];
        for (place, next) in next.iter_mut().enumerate() {
            let group = self.first_group + place;
            let start = if record + 1 < records {
                self.record_at(group, record + 1)
            } else {
                self.record_at(group + GROUPS, 0)
            };
            *next = next.wrapping_add(start);
        }
        let lines = record_bytes::<R>(BLOCKS) / LINE;
        (next, lines.div_ceil(self.range.len().max(1) * BLOCKS))
    }

    #[inline(always)]
    fn tile<L: Lanes, const C: usize>(&mut self, l: L, at: &Place, tile: usize) {
        let index = tile - self.range.start;
        let chunk = at.record * self.tiles + tile;
        let asked = index * BLOCKS * at.lines * LINE;
        let lines = if asked < record_bytes::<R>(BLOCKS) { at.lines } else { 0 };
        let mut weights = at.next;
        for weights in &mut weights {
            *weights = weights.wrapping_add(asked);
        }
        let last = at.record + 1 == at.records && self.output.holds(self.first_group, GROUPS);
        l.enter(Tile::<R::Kind, C> {
            kind: PhantomData,
            panel: self.panel,
            chunk: &self.tokens[chunk],
            next_chunk: self.tokens.as_ptr().wrapping_add(chunk + 1).cast(),
            blocks: at.blocks,
            next_weights: weights,
            lines,
            totals: self.totals[index * TOTALS..][..TOTALS].as_chunks_mut().0,
            first: at.record == 0,
            output: last.then_some((self.output, self.first_group, tile * TILE)),
        });
    }
}

/// Where in the depth the work is.
struct Place {
    record: usize,
    records: usize,
    blocks: usize,
    next: [*const u8; GROUPS],
    lines: usize,
}

impl<R: Recipe> Work for Many<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let records = self.depth.div_ceil(RECORD);
        for record in 0..records {
            let blocks = BLOCKS.min((self.depth - record * RECORD) / BLOCK);
            self.expand(l, record, blocks);
            let (next, lines) = self.next(record, records);
            let at = Place { record, records, blocks, next, lines };
            for tile in self.range.clone() {
                match self.output.count - tile * TILE {
                    1 => self.tile::<L, 1>(l, &at, tile),
                    2 => self.tile::<L, 2>(l, &at, tile),
                    _ => self.tile::<L, TILE>(l, &at, tile),
                }
            }
        }
        if !self.output.holds(self.first_group, GROUPS) {
            self.write_part();
        }
    }
}

impl<R> Many<'_, R> {
    /// Writes rows that are no whole panel.
    fn write_part(&self) {
        for (tile, totals) in self.range.clone().zip(self.totals.chunks_exact(TOTALS)) {
            let tokens = TILE.min(self.output.count - tile * TILE);
            let sums = totals.as_chunks::<ROWS>().0;
            for (place, sums) in sums.iter().take(tokens * GROUPS).enumerate() {
                let token = tile * TILE + place / GROUPS;
                self.output.put(self.first_group + place % GROUPS, token, sums);
            }
        }
    }
}

#[inline(always)]
fn expand<L: Lanes, R: Recipe>(l: L, record: &[u8], block: usize, panel: &mut Panel, place: usize) {
    let (header, quanta) = record.split_at(R::HEADER);
    let weights = R::expand(l, quanta, block);
    for (out, weights) in panel.quanta[block].iter_mut().zip(weights) {
        l.store(weights, &mut out[place]);
    }
    for unit in block * R::Kind::UNITS..(block + 1) * R::Kind::UNITS {
        l.put(R::scale(l, header, unit), &mut panel.factors[unit][place]);
        if R::Kind::MINIMA {
            let minimum = R::minimum(l, header, unit);
            l.put(minimum, &mut panel.factors[minimum_at::<R::Kind>(unit)][place]);
        }
    }
}

/// A panel by `C` tokens.
struct Tile<'a, K, const C: usize> {
    kind: PhantomData<K>,
    panel: &'a Panel,
    chunk: &'a Chunk<TILE>,
    next_chunk: *const u8,
    blocks: usize,
    next_weights: [*const u8; GROUPS],
    lines: usize,
    totals: &'a mut [[f32; ROWS]],
    first: bool,
    /// Where the sums go if they are complete: the first group and the first token.
    output: Option<(&'a Output<'a>, usize, usize)>,
}

impl<K: Kind, const C: usize> Work for Tile<'_, K, C> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        if L::GROUPS == GROUPS {
            self.multiply::<L, GROUPS>(l, 0);
        } else {
            for group in 0..GROUPS {
                self.multiply::<L, 1>(l, group);
            }
        }
    }
}

/// Lines of a chunk to ask for per block.
const CHUNK_LINES: usize = size_of::<Chunk<TILE>>().div_ceil(LINE).div_ceil(BLOCKS);

impl<K: Kind, const C: usize> Tile<'_, K, C> {
    #[inline(always)]
    fn multiply<L: Lanes, const R: usize>(&mut self, l: L, group: usize) {
        if let Some((output, first_group, token)) = self.output {
            output.ask_for(l, first_group, token + TILE);
        }
        let mut sums = [[l.float(0.0); C]; R];
        if !K::WIDE && !self.first {
            for c in 0..C {
                for r in 0..R {
                    sums[r][c] = l.floats(&self.totals[c * GROUPS + group + r]);
                }
            }
        }
        for block in 0..self.blocks.min(BLOCKS) {
            if group == 0 {
                self.ask_ahead(l, block);
            }
            for part in 0..K::UNITS {
                self.unit::<L, R>(l, group, (block, part), &mut sums);
            }
        }
        self.finish(l, group, sums);
    }

    #[inline(always)]
    fn ask_ahead<L: Lanes>(&self, l: L, block: usize) {
        for line in 0..CHUNK_LINES {
            l.prefetch(self.next_chunk.wrapping_add((block * CHUNK_LINES + line) * LINE));
        }
        for line in block * self.lines..(block + 1) * self.lines {
            for weights in self.next_weights {
                l.prefetch(weights.wrapping_add(line * LINE));
            }
        }
    }

    /// One flush of integer sums.
    #[inline(always)]
    fn unit<L: Lanes, const R: usize>(
        &self,
        l: L,
        group: usize,
        (block, part): (usize, usize),
        sums: &mut [[L::Floats; C]; R],
    ) {
        let (panel, chunk) = (self.panel, self.chunk);
        let unit = block * K::UNITS + part;
        let quads = QUADS / K::UNITS;
        let mut products = [[l.int(0); C]; R];
        if K::CENTRED {
            for c in 0..C {
                let correction = if K::UNITS == 1 {
                    chunk.corrections[block][c]
                } else {
                    chunk.half_corrections[unit][c]
                };
                for r in 0..R {
                    products[r][c] = l.int(correction);
                }
            }
        }
        for quad in part * quads..(part + 1) * quads {
            let vectors = &panel.quanta[block][quad];
            let mut weights = [l.load(&vectors[group]); R];
            for r in 1..R {
                weights[r] = l.load(&vectors[group + r]);
            }
            for c in 0..C {
                let token = l.quad(&chunk.quads[block][c][quad]);
                for r in 0..R {
                    products[r][c] = l.dot(products[r][c], weights[r], token);
                }
            }
        }
        for r in 0..R {
            let scale = l.floats(&panel.factors[unit][group + r]);
            for c in 0..C {
                let scale =
                    if K::WIDE { scale } else { l.mul(scale, l.float(chunk.scales[block][c])) };
                sums[r][c] = l.mul_add(l.to_floats(products[r][c]), scale, sums[r][c]);
            }
            if K::MINIMA {
                let minimum = l.floats(&panel.factors[minimum_at::<K>(unit)][group + r]);
                for c in 0..C {
                    let of_token =
                        if K::UNITS == 1 { chunk.sums[block][c] } else { chunk.half_sums[unit][c] };
                    sums[r][c] = l.mul_add(minimum, l.float(of_token), sums[r][c]);
                }
            }
        }
    }

    #[inline(always)]
    fn finish<L: Lanes, const R: usize>(&mut self, l: L, group: usize, sums: [[L::Floats; C]; R]) {
        for c in 0..C {
            for r in 0..R {
                let at = c * GROUPS + group + r;
                let mut sum = sums[r][c];
                if K::WIDE {
                    let before = if self.first { l.float(0.0) } else { l.floats(&self.totals[at]) };
                    sum = l.mul_add(sum, l.float(self.chunk.scales[0][c]), before);
                }
                match self.output {
                    None => l.put(sum, &mut self.totals[at]),
                    Some((output, first_group, token)) => {
                        output.put_whole(l, first_group + group + r, token + c, sum);
                    }
                }
            }
        }
    }
}
