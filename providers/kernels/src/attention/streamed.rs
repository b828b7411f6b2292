//! Attention of few query rows: keys and values are read once, as they lie in memory.
//!
//! The keys of a head are cut into parts for the threads. Each part yields, per row, its greatest
//! score, the sum of its weights and the weighted sum of its values; these are joined at the end.

use remuda_simd::{Element, Kernel, Simd, math};

use super::Problem;
use super::rows::SharedRows;
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

/// Keys whose scores are held at a time.
pub(super) const KEYS: usize = 64;
/// No part has fewer keys.
const LEAST_KEYS: usize = 128;
/// Rows whose sums are held in registers together.
const ROWS: usize = 4;

pub(super) fn attention<Q: Element, K: Element>(
    cx: Context<'_>,
    problem: &Problem<'_, Q, K>,
    out: &SharedRows<'_, Q>,
) {
    let sizes = &problem.sizes;
    let heads = sizes.batches * sizes.kv_heads;
    let wanted = (2 * cx.pool.size()).div_ceil(heads);
    let wanted = if cx.pool.size() == 1 { 1 } else { wanted };
    let keys = sizes.keys.div_ceil(wanted).max(LEAST_KEYS).next_multiple_of(KEYS);
    let parts = sizes.keys.div_ceil(keys);
    let record = Record { columns: sizes.value_size };
    let part_length = sizes.rows() * record.length();
    with_scratch(heads * parts * part_length, |partial| {
        cx.pool.parallel_pieces(partial, part_length, Schedule::Dynamic, |task, records| {
            let (head, part) = (task / parts, task % parts);
            let range = (part * keys, sizes.keys.min((part + 1) * keys));
            let place = (head / sizes.kv_heads, head % sizes.kv_heads);
            let mut queries = vec![0.0; sizes.rows() * sizes.size];
            cx.run(Part { problem, place, range, queries: &mut queries, records });
        });
        for (head, parts) in partial.chunks_exact(parts * part_length).enumerate() {
            cx.run(Join { problem, head, parts, out });
        }
    });
}

/// What a part yields per row: greatest score, sum of weights, weighted values.
#[derive(Debug, Clone, Copy)]
struct Record {
    columns: usize,
}

impl Record {
    const fn length(self) -> usize {
        self.columns + 2
    }
}

struct Part<'a, Q, K> {
    problem: &'a Problem<'a, Q, K>,
    place: (usize, usize),
    range: (usize, usize),
    queries: &'a mut [f32],
    records: &'a mut [f32],
}

impl<Q: Element, K: Element> Kernel for Part<'_, Q, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Problem { sizes, inputs, options } = self.problem;
        let (batch, kv_head) = self.place;
        let group = sizes.group();
        let rows = sizes.rows();
        for (row, query) in self.queries.chunks_exact_mut(sizes.size).enumerate() {
            let head = kv_head * group + row % group;
            let src = inputs.query.row(batch, head, row / group, sizes.size);
            super::blocked::widen(s, src, query);
            crate::rows::update(
                s,
                query,
                #[inline(always)]
                |x| s.mul(x, s.splat(options.scale)),
            );
        }
        let length = sizes.value_size + 2;
        for record in self.records.chunks_exact_mut(length) {
            record.fill(0.0);
            record[0] = f32::NEG_INFINITY;
        }
        let reach: Vec<_> = (0..rows).map(|row| options.reach(sizes, batch, row / group)).collect();
        let low = reach.iter().map(|reach| reach.0).min().unwrap_or(0).max(self.range.0);
        let high = reach.iter().map(|reach| reach.1).max().unwrap_or(0).min(self.range.1);
        let mut scores = vec![[0.0; KEYS]; rows];
        for first in (low..high).step_by(KEYS) {
            let count = KEYS.min(high - first);
            for key in 0..count {
                let key_row = inputs.key.row(batch, kv_head, first + key, sizes.size);
                for (scores, query) in scores.iter_mut().zip(self.queries.chunks_exact(sizes.size))
                {
                    scores[key] = dot(s, query, key_row);
                }
            }
            let mut scales = vec![0.0; rows];
            for (row, scores) in scores.iter_mut().enumerate() {
                let place = (batch, kv_head * group + row % group, row / group);
                options.finish_scores(s, place, first, reach[row], &mut scores[..count]);
                let record = &mut self.records[row * length..][..length];
                scales[row] = weigh(s, &mut scores[..count], record);
            }
            let value = crate::rows::always(
                #[inline(always)]
                |key: usize| inputs.value.row(batch, kv_head, first + key, sizes.value_size),
            );
            let tiles = self.records.chunks_mut(ROWS * length).zip(scores.chunks(ROWS));
            for ((records, weights), scales) in tiles.zip(scales.chunks(ROWS)) {
                accumulate(s, records, weights, scales, count, value);
            }
        }
    }
}

#[inline(always)]
fn dot<S: Simd, K: Element>(s: S, query: &[f32], key: &[K]) -> f32 {
    let mut sums = [s.zero(); 4];
    let mut queries = query.chunks_exact(4 * S::LANES);
    let mut keys = key.chunks_exact(4 * S::LANES);
    for (query, key) in (&mut queries).zip(&mut keys) {
        let pairs = query.chunks_exact(S::LANES).zip(key.chunks_exact(S::LANES));
        for (sum, (query, key)) in sums.iter_mut().zip(pairs) {
            *sum = s.mul_add(s.load(query), K::load(s, key), *sum);
        }
    }
    let rest = queries.remainder().chunks(S::LANES).zip(keys.remainder().chunks(S::LANES));
    for (sum, (query, key)) in sums.iter_mut().zip(rest) {
        let (query, key) = if query.len() == S::LANES {
            (s.load(query), K::load(s, key))
        } else {
            (s.load_partial(query, 0.0), K::load_partial(s, key, 0.0))
        };
        *sum = s.mul_add(query, key, *sum);
    }
    s.reduce_add(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}

/// Turns scores into weights relative to the greatest score so far; gives back what the sums so far
/// are to be scaled with.
#[inline(always)]
pub(super) fn weigh<S: Simd>(s: S, scores: &mut [f32], record: &mut [f32]) -> f32 {
    let max = crate::rows::max(s, scores).max(record[0]);
    if max == f32::NEG_INFINITY && !scores.iter().any(|score| score.is_nan()) {
        scores.fill(0.0);
        return 1.0;
    }
    let offset = s.splat(max);
    let mut sum = s.zero();
    for chunk in scores.chunks_mut(S::LANES) {
        let score = s.load_partial(chunk, f32::NEG_INFINITY);
        let weight = math::exp_non_positive(s, s.sub(score, offset));
        s.store_partial(weight, chunk);
        sum = s.add(sum, weight);
    }
    let scale = if max == record[0] { 1.0 } else { (record[0] - max).exp() };
    record[1] = record[1] * scale + s.reduce_add(sum);
    record[0] = max;
    scale
}

/// Adds the weighted values to the sums of up to [`ROWS`] rows.
#[inline(always)]
pub(super) fn accumulate<'a, S: Simd, K: Element>(
    s: S,
    records: &mut [f32],
    weights: &[[f32; KEYS]],
    scales: &[f32],
    count: usize,
    value: impl Fn(usize) -> &'a [K],
) {
    let length = records.len() / scales.len();
    let columns = length - 2;
    for column in (0..columns).step_by(4 * S::LANES) {
        let width = (4 * S::LANES).min(columns - column);
        let mut tile = [[s.zero(); 4]; ROWS];
        for ((tile, record), &scale) in tile.iter_mut().zip(records.chunks(length)).zip(scales) {
            let sums = &record[2 + column..][..width];
            for (sum, chunk) in tile.iter_mut().zip(sums.chunks(S::LANES)) {
                *sum = s.mul(s.load_partial(chunk, 0.0), s.splat(scale));
            }
        }
        for key in 0..count {
            let line = &value(key)[column..column + width];
            let vectors = load_four(s, line);
            for (tile, weights) in tile.iter_mut().zip(weights) {
                let weight = s.splat(weights[key]);
                for (sum, vector) in tile.iter_mut().zip(vectors) {
                    *sum = s.mul_add(weight, vector, *sum);
                }
            }
        }
        for (tile, record) in tile.into_iter().zip(records.chunks_mut(length)) {
            let sums = &mut record[2 + column..][..width];
            for (sum, chunk) in tile.into_iter().zip(sums.chunks_mut(S::LANES)) {
                s.store_partial(sum, chunk);
            }
        }
    }
}

/// Up to four vectors, zero past the end.
#[inline(always)]
fn load_four<S: Simd, K: Element>(s: S, line: &[K]) -> [S::F32; 4] {
    let mut vectors = [s.zero(); 4];
    if line.len() == 4 * S::LANES {
        for (vector, chunk) in vectors.iter_mut().zip(line.chunks_exact(S::LANES)) {
            *vector = K::load(s, chunk);
        }
    } else {
        for (vector, chunk) in vectors.iter_mut().zip(line.chunks(S::LANES)) {
            *vector = K::load_partial(s, chunk, 0.0);
        }
    }
    vectors
}

/// Joins the parts of one key head and writes its rows.
struct Join<'a, Q, K> {
    problem: &'a Problem<'a, Q, K>,
    head: usize,
    parts: &'a [f32],
    out: &'a SharedRows<'a, Q>,
}

impl<Q: Element, K: Element> Kernel for Join<'_, Q, K> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "rows are written one after the other, by the caller alone")]
    fn run<S: Simd>(self, s: S) {
        let sizes = &self.problem.sizes;
        let (batch, kv_head) = (self.head / sizes.kv_heads, self.head % sizes.kv_heads);
        let (group, rows, length) = (sizes.group(), sizes.rows(), sizes.value_size + 2);
        for row in 0..rows {
            let records =
                || self.parts.chunks_exact(rows * length).map(|part| &part[row * length..]);
            let max = records().fold(f32::NEG_INFINITY, |max, record| max.max(record[0]));
            let share = |record: &[f32]| {
                if record[0] == f32::NEG_INFINITY { 0.0 } else { (record[0] - max).exp() }
            };
            let sum: f32 = records().map(|record| record[1] * share(record)).sum();
            let inverse = if sum == 0.0 { 0.0 } else { 1.0 / sum };
            // SAFETY: rows are taken one after the other, and each is dropped before the next.
            let out = unsafe { self.out.row(batch, kv_head * group + row % group, row / group) };
            for (chunk, to) in out.chunks_mut(S::LANES).enumerate() {
                let start = 2 + chunk * S::LANES;
                let mut value = s.zero();
                for record in records() {
                    let sums = s.load_partial(&record[start..start + to.len()], 0.0);
                    value = s.mul_add(sums, s.splat(share(record) * inverse), value);
                }
                Q::store_partial(s, value, to);
            }
        }
    }
}
