//! Attention of several sequences to caches that are kept in pages, in any format.
//!
//! A cache hands over 64 positions at a time, widened to f32, its keys transposed in blocks of
//! sixteen positions; so a page may lie anywhere and hold anything. What the positions of a sequence
//! contribute is summed part by part, and the parts are joined in order. Where a part ends does not
//! depend on how many queries, sequences or threads there are, so neither does the result, bit for
//! bit.

mod bytes;
mod joined;
mod pages;
#[cfg(test)]
mod tests;
mod tiles;

use std::ops::Range;

use remuda_simd::{Isa, Kernel, Simd, math};

use super::streamed::weigh;
use crate::pool::Shared;
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

pub use bytes::{BytePages, Bytes, put_byte_key, put_byte_value};
pub use pages::{PageSizes, Pages, put_key, put_value};

use joined::{Record, join};
use tiles::Weights;

/// Positions that a cache hands over together.
pub const POSITIONS: usize = 64;
/// Positions whose keys lie side by side.
pub const SIDE_BY_SIDE: usize = 16;
/// Positions of a part.
const PART: usize = 1024;
/// The most query rows of a task.
const MAX_ROWS: usize = 48;

/// The cached keys and values of a sequence.
pub trait Cache: Sync {
    /// Writes the keys of [`POSITIONS`] positions from `first` on, a multiple of that, as blocks of
    /// [`SIDE_BY_SIDE`] positions: `[block][element][position]`. What it writes for positions that
    /// the sequence does not have is ignored.
    fn keys(&self, isa: Isa, head: usize, first: usize, out: &mut [f32]);

    /// Writes `count` values from position `first` on, one after the other.
    fn values(&self, isa: Isa, head: usize, first: usize, count: usize, out: &mut [f32]);
}

/// What is added to the scores of each query head by the distance from the query back to the key. For
/// queries that reach no later position.
#[derive(Clone, Copy)]
pub struct Bias<'a> {
    /// `[head][distance]`, from distance 0 on; the last one is that of all farther keys, too.
    pub values: &'a [f32],
    /// How many distances there are, at least 1.
    pub distances: usize,
}

impl std::fmt::Debug for Bias<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bias({} distances)", self.distances)
    }
}

/// What the sequences of a batch have in common.
#[derive(Debug, Clone, Copy)]
pub struct PagedOptions<'a> {
    /// Query heads, a multiple of the key heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a query or key.
    pub size: usize,
    /// Elements of a value.
    pub value_size: usize,
    /// What a dot product is multiplied with.
    pub scale: f32,
    /// Scores are bent to within plus and minus this.
    pub softcap: Option<f32>,
    /// Whether a query reaches no position after its own.
    pub causal: bool,
    /// How many positions a query reaches up to its own, if not all.
    pub window: Option<usize>,
    /// What is added to scores, if anything.
    pub bias: Option<Bias<'a>>,
}

impl Bias<'_> {
    /// Adds what a head has for the query at position `own` and the keys from `first` on. Keys behind
    /// the query get what its own has: they count for nothing.
    fn add(&self, head: usize, own: usize, first: usize, scores: &mut [f32]) {
        let row = &self.values[head * self.distances..][..self.distances];
        for (key, score) in (first..).zip(scores) {
            *score += row[own.saturating_sub(key).min(self.distances - 1)];
        }
    }
}

/// The queries of a sequence.
#[derive(Clone, Copy)]
pub struct Sequence<'a> {
    /// Keys and values, those of the queries included.
    pub cache: &'a dyn Cache,
    /// Positions in the cache.
    pub keys: usize,
    /// How many queries there are.
    pub queries: usize,
    /// The position of the first one.
    pub first: usize,
}

impl std::fmt::Debug for Sequence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sequence({} keys, queries {} + {})", self.keys, self.first, self.queries)
    }
}

impl PagedOptions<'_> {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// The positions that a query of a sequence reaches.
    fn reach(&self, sequence: &Sequence<'_>, query: usize) -> (usize, usize) {
        let own = sequence.first + query;
        let end = if self.causal { sequence.keys.min(own + 1) } else { sequence.keys };
        let start = self.window.map_or(0, |window| (own + 1).saturating_sub(window));
        (start.min(end), end)
    }

    fn record(&self) -> Record {
        Record { columns: self.value_size }
    }
}

/// A number of rows of one key head of a sequence.
#[derive(Debug, Clone, Copy)]
struct Unit {
    sequence: usize,
    kv_head: usize,
    first_row: usize,
    rows: usize,
    /// Where the queries of the sequence start.
    first_query: usize,
}

/// Attention of all sequences: queries and outputs are `[token][head][element]`, the tokens of the
/// sequences one after the other. A query that reaches nothing gets zeros.
///
/// # Panics
/// When the heads do not divide, or a slice does not fit the sizes.
pub fn paged_attention(
    cx: Context<'_>,
    options: &PagedOptions<'_>,
    sequences: &[Sequence<'_>],
    queries: &[f32],
    out: &mut [f32],
) {
    let PagedOptions { heads, kv_heads, size, value_size, .. } = *options;
    assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "{options:?}");
    assert!(options.bias.is_none_or(|bias| bias.values.len() == heads * bias.distances));
    let tokens: usize = sequences.iter().map(|sequence| sequence.queries).sum();
    assert_eq!(queries.len(), tokens * heads * size, "queries of {tokens} tokens");
    assert_eq!(out.len(), tokens * heads * value_size, "outputs of {tokens} tokens");
    let units = units(options, sequences);
    if units.is_empty() {
        return;
    }
    let longest = sequences.iter().map(|sequence| sequence.keys).max().unwrap_or(0);
    let parts = longest.div_ceil(PART).max(1);
    let job = Job { cx, options, sequences, queries, units: &units, parts };
    let out = Shared::new(out.as_mut_ptr());
    if parts > 1 && units.len() < 4 * cx.pool.size() && cx.pool.size() > 1 {
        job.in_parts(&out);
    } else {
        job.as_wholes(&out);
    }
}

/// Bytes that each thread takes for attention, whatever the number of queries and positions. Few queries to
/// long caches take more: a record for every part of the positions.
#[must_use]
pub fn scratch_bytes(options: &PagedOptions<'_>) -> usize {
    let records = MAX_ROWS * options.record().length();
    (buffer_lengths(options).iter().sum::<usize>() + 2 * records) * size_of::<f32>()
}

/// Attention of some sequences, cut into tasks.
struct Job<'a> {
    cx: Context<'a>,
    options: &'a PagedOptions<'a>,
    sequences: &'a [Sequence<'a>],
    queries: &'a [f32],
    /// The last rows of a causal sequence reach the most keys: tasks start from the end.
    units: &'a [Unit],
    /// Of the positions of the longest sequence.
    parts: usize,
}

impl Job<'_> {
    /// A task for every unit.
    fn as_wholes(&self, out: &Shared<f32>) {
        let length = self.options.record().length();
        self.cx.pool.parallel_for(self.units.len(), Schedule::Dynamic, |task| {
            let unit = &self.units[self.units.len() - 1 - task];
            with_scratch(unit.rows * length, |records| {
                self.run(unit, 0..self.parts, records);
                self.cx.run(Write { options: self.options, unit, records, out });
            });
        });
    }

    /// A task for every part of the positions of every unit.
    fn in_parts(&self, out: &Shared<f32>) {
        let (units, parts, length) = (self.units, self.parts, self.options.record().length());
        let room = units.iter().map(|unit| unit.rows).max().unwrap_or(0) * length;
        with_scratch(units.len() * parts * room, |records| {
            self.cx.pool.parallel_pieces(records, room, Schedule::Dynamic, |task, records| {
                let unit = &units[units.len() - 1 - task / parts];
                let part = task % parts;
                self.run(unit, part..part + 1, &mut records[..unit.rows * length]);
            });
            let records = records.chunks_exact_mut(parts * room);
            for (unit, records) in units.iter().rev().zip(records) {
                let (all, others) = records.split_at_mut(room);
                let all = &mut all[..unit.rows * length];
                for part in others.chunks_exact(room) {
                    let part = &part[..unit.rows * length];
                    self.cx.run(Join { record: self.options.record(), all, part });
                }
                self.cx.run(Write { options: self.options, unit, records: all, out });
            }
        });
    }

    fn run(&self, unit: &Unit, parts: Range<usize>, records: &mut [f32]) {
        let Self { cx, options, sequences, queries, .. } = *self;
        run_task(cx, &Task { options, sequences, queries, unit, parts }, records);
    }
}

fn units(options: &PagedOptions<'_>, sequences: &[Sequence<'_>]) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut first_query = 0;
    for (sequence, of) in sequences.iter().enumerate() {
        let rows = of.queries * options.group();
        for kv_head in 0..options.kv_heads {
            for first_row in (0..rows).step_by(MAX_ROWS) {
                let rows = MAX_ROWS.min(rows - first_row);
                units.push(Unit { sequence, kv_head, first_row, rows, first_query });
            }
        }
        first_query += of.queries;
    }
    units
}

/// Some parts of a unit.
struct Task<'a> {
    options: &'a PagedOptions<'a>,
    sequences: &'a [Sequence<'a>],
    queries: &'a [f32],
    unit: &'a Unit,
    parts: Range<usize>,
}

/// Of queries, keys, values and scores.
fn buffer_lengths(options: &PagedOptions<'_>) -> [usize; 4] {
    let PagedOptions { size, value_size, .. } = *options;
    [MAX_ROWS * size, POSITIONS * size, POSITIONS * value_size, MAX_ROWS * POSITIONS]
}

fn run_task(cx: Context<'_>, task: &Task<'_>, records: &mut [f32]) {
    let lengths = buffer_lengths(task.options);
    with_scratch(lengths.iter().sum::<usize>() + records.len(), |scratch| {
        let (queries, rest) = scratch.split_at_mut(lengths[0]);
        let (keys, rest) = rest.split_at_mut(lengths[1]);
        let (values, rest) = rest.split_at_mut(lengths[2]);
        let (scores, of_part) = rest.split_at_mut(lengths[3]);
        let scores = scores.as_chunks_mut().0;
        let buffers = Buffers { queries, keys, values, scores, of_part };
        cx.run(Walk { isa: cx.isa, task, buffers, records });
    });
}

struct Buffers<'a> {
    /// `[row][element]`, scaled.
    queries: &'a mut [f32],
    keys: &'a mut [f32],
    values: &'a mut [f32],
    /// Of each row with the current positions, then the weights that they become.
    scores: &'a mut [[f32; POSITIONS]],
    /// The records of the current part.
    of_part: &'a mut [f32],
}

struct Walk<'a> {
    isa: Isa,
    task: &'a Task<'a>,
    buffers: Buffers<'a>,
    records: &'a mut [f32],
}

impl Kernel for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Task { options, sequences, unit, ref parts, .. } = *self.task;
        let sequence = &sequences[unit.sequence];
        self.scale_queries();
        options.record().clear(self.records);
        let reach: Vec<_> = (0..unit.rows)
            .map(|row| options.reach(sequence, (unit.first_row + row) / options.group()))
            .collect();
        let low = reach.iter().map(|reach| reach.0).min().unwrap_or(0);
        let high = reach.iter().map(|reach| reach.1).max().unwrap_or(0);
        for part in parts.clone() {
            let (start, end) = (low.max(part * PART), high.min((part + 1) * PART));
            if start >= end {
                continue;
            }
            options.record().clear(self.buffers.of_part);
            for first in (start / POSITIONS * POSITIONS..end).step_by(POSITIONS) {
                self.block(s, first, POSITIONS.min(end - first), &reach);
            }
            join(s, options.record(), self.records, self.buffers.of_part);
        }
    }
}

impl Walk<'_> {
    fn scale_queries(&mut self) {
        let Task { options, queries, unit, .. } = *self.task;
        let group = options.group();
        for (row, out) in
            self.buffers.queries.chunks_exact_mut(options.size).take(unit.rows).enumerate()
        {
            let row = unit.first_row + row;
            let token = unit.first_query + row / group;
            let head = unit.kv_head * group + row % group;
            let query = &queries[(token * options.heads + head) * options.size..];
            for (out, query) in out.iter_mut().zip(query) {
                *out = query * options.scale;
            }
        }
    }

    /// The positions from `first` on.
    #[inline(always)]
    fn block<S: Simd>(&mut self, s: S, first: usize, count: usize, reach: &[(usize, usize)]) {
        let Task { options, sequences, unit, .. } = *self.task;
        let cache = sequences[unit.sequence].cache;
        cache.keys(self.isa, unit.kv_head, first, self.buffers.keys);
        cache.values(self.isa, unit.kv_head, first, count, self.buffers.values);
        let mut scales = [1.0; MAX_ROWS];
        let Buffers { queries, keys, scores, .. } = &mut self.buffers;
        tiles::score(s, queries, keys, options.size, &mut scores[..unit.rows]);
        let length = options.record().length();
        for row in 0..unit.rows {
            let (low, high) = reach[row];
            let low = low.saturating_sub(first).min(count);
            let high = high.saturating_sub(first).min(count).max(low);
            let scores = &mut self.buffers.scores[row];
            if let Some(cap) = options.softcap {
                bend(s, cap, scores);
            }
            if let Some(bias) = options.bias {
                let row = unit.first_row + row;
                let head = unit.kv_head * options.group() + row % options.group();
                let own = sequences[unit.sequence].first + row / options.group();
                bias.add(head, own, first, scores);
            }
            scores[..low].fill(f32::NEG_INFINITY);
            scores[high..].fill(f32::NEG_INFINITY);
            scales[row] = weigh(s, scores, &mut self.buffers.of_part[row * length..][..length]);
        }
        let Buffers { values, scores, of_part, .. } = &mut self.buffers;
        let weights =
            Weights { of_rows: &scores[..unit.rows], scales: &scales[..unit.rows], count };
        tiles::accumulate(s, (of_part, length), weights, (values, options.value_size));
    }
}

#[inline(always)]
fn bend<S: Simd>(s: S, cap: f32, scores: &mut [f32]) {
    crate::rows::update(
        s,
        scores,
        #[inline(always)]
        |x| s.mul(s.splat(cap), math::tanh(s, s.mul(x, s.splat(1.0 / cap)))),
    );
}

/// Adds later positions to the records of a unit.
struct Join<'a> {
    record: Record,
    all: &'a mut [f32],
    part: &'a [f32],
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        join(s, self.record, self.all, self.part);
    }
}

/// Writes the rows of a unit.
struct Write<'a> {
    options: &'a PagedOptions<'a>,
    unit: &'a Unit,
    records: &'a [f32],
    out: &'a Shared<f32>,
}

impl Kernel for Write<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "the rows of a unit do not lie together in the output")]
    fn run<S: Simd>(self, s: S) {
        let Self { options, unit, records, out } = self;
        let (length, group) = (options.record().length(), options.group());
        for (row, record) in records.chunks_exact(length).enumerate() {
            let row = unit.first_row + row;
            let token = unit.first_query + row / group;
            let head = unit.kv_head * group + row % group;
            let start = (token * options.heads + head) * options.value_size;
            let inverse = if record[1] == 0.0 { 0.0 } else { 1.0 / record[1] };
            // SAFETY: token and head are of the batch, whose outputs were counted; a row is of one
            // unit, and a unit is written once.
            let out = unsafe {
                std::slice::from_raw_parts_mut(out.pointer().add(start), options.value_size)
            };
            let values = record[2..].chunks(S::LANES).zip(out.chunks_mut(S::LANES));
            for (values, out) in values {
                s.store_partial(s.mul(s.load_partial(values, 0.0), s.splat(inverse)), out);
            }
        }
    }
}
