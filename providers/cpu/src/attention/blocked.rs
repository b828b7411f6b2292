//! Attention of many query rows to one key head, in blocks that stay in the first-level cache.
//!
//! A task takes a run of query rows and walks the keys in blocks. Per block, keys are transposed
//! into a panel so that vectors run across keys; groups of [`ROWS`] query rows then get their scores,
//! the weights, and the weighted sum of the values, each from registers.

use remuda_simd::{Element, Kernel, Simd, math};

use super::rows::SharedRows;
use super::{Problem, Sizes};
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

/// Query rows per tile.
const ROWS: usize = 6;
/// Keys per block.
const KEYS: usize = 64;
/// Query rows per task, so that the work on a panel outweighs making it.
const TASK_ROWS: usize = 32 * ROWS;
/// Columns of values are padded to a multiple of this.
const COLUMNS: usize = 64;

pub(super) fn attention<Q: Element, K: Element>(
    cx: Context<'_>,
    problem: &Problem<'_, Q, K>,
    out: &SharedRows<'_, Q>,
) {
    let sizes = &problem.sizes;
    let rows = sizes.rows();
    let heads = sizes.batches * sizes.kv_heads;
    let wanted = (2 * cx.pool.size()).div_ceil(heads);
    let task_rows = rows.div_ceil(wanted).next_multiple_of(ROWS).min(TASK_ROWS);
    let parts = rows.div_ceil(task_rows);
    cx.pool.parallel_for(heads * parts, Schedule::Dynamic, |task| {
        // The last queries see the most keys of a causal attention: they go first.
        let (head, part) = (task / parts, parts - 1 - task % parts);
        let first = part * task_rows;
        let place = Place {
            batch: head / sizes.kv_heads,
            kv_head: head % sizes.kv_heads,
            first,
            count: task_rows.min(rows - first),
        };
        let buffers = Lengths::new(sizes, place.count);
        with_scratch(buffers.total(), |scratch| {
            let buffers = buffers.split(scratch);
            cx.run(Task { problem, place, buffers, out });
        });
    });
}

/// Which query rows a task computes.
#[derive(Debug, Clone, Copy)]
struct Place {
    batch: usize,
    kv_head: usize,
    first: usize,
    count: usize,
}

/// The working memory of a task.
struct Lengths {
    queries: usize,
    keys: usize,
    values: usize,
    sums: usize,
}

struct Buffers<'a> {
    /// Per tile of rows: element, row.
    queries: &'a mut [f32],
    /// Element, key.
    keys: &'a mut [f32],
    /// Key, column.
    values: &'a mut [f32],
    /// Row, column.
    sums: &'a mut [f32],
}

impl Lengths {
    fn new(sizes: &Sizes, rows: usize) -> Self {
        let rows = rows.next_multiple_of(ROWS);
        let columns = sizes.value_size.next_multiple_of(COLUMNS);
        Self {
            queries: rows * sizes.size,
            keys: sizes.size * KEYS,
            values: KEYS * columns,
            sums: rows * columns,
        }
    }

    fn total(&self) -> usize {
        self.queries.next_multiple_of(16) + self.keys + self.values + self.sums
    }

    fn split(self, scratch: &mut [f32]) -> Buffers<'_> {
        let (queries, rest) = scratch.split_at_mut(self.queries.next_multiple_of(16));
        let (keys, rest) = rest.split_at_mut(self.keys);
        let (values, sums) = rest.split_at_mut(self.values);
        Buffers { queries: &mut queries[..self.queries], keys, values, sums }
    }
}

struct Task<'a, Q, K> {
    problem: &'a Problem<'a, Q, K>,
    place: Place,
    buffers: Buffers<'a>,
    out: &'a SharedRows<'a, Q>,
}

/// The state of the softmax of a row.
#[derive(Debug, Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
    low: usize,
    high: usize,
}

impl<Q: Element, K: Element> Kernel for Task<'_, Q, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.pack_queries();
        self.buffers.values.fill(0.0);
        self.buffers.sums.fill(0.0);
        let mut running = self.start();
        let low = running.iter().map(|row| row.low).min().unwrap_or(0);
        let high = running.iter().map(|row| row.high).max().unwrap_or(0);
        for first in (low / KEYS * KEYS..high).step_by(KEYS) {
            self.pack_keys_and_values(s, first);
            for tile in 0..running.len() / ROWS {
                let states = &mut running[tile * ROWS..][..ROWS];
                let reached = |row: &Running| row.low < first + KEYS && first < row.high;
                if states.iter().any(reached) {
                    self.tile(s, tile, first, states);
                }
            }
        }
        self.write(s, &running);
    }
}

impl<Q: Element, K: Element> Task<'_, Q, K> {
    /// The batch entry, head and query of a row.
    #[inline(always)]
    fn query_of(&self, row: usize) -> (usize, usize, usize) {
        let group = self.problem.sizes.group();
        let row = self.place.first + row;
        (self.place.batch, self.place.kv_head * group + row % group, row / group)
    }

    fn start(&self) -> Vec<Running> {
        let Problem { sizes, options, .. } = self.problem;
        let state = |row: usize| {
            let (batch, _, query) = self.query_of(row);
            let (low, high) =
                if row < self.place.count { options.reach(sizes, batch, query) } else { (0, 0) };
            Running { max: f32::NEG_INFINITY, sum: 0.0, low, high }
        };
        (0..self.place.count.next_multiple_of(ROWS)).map(state).collect()
    }

    #[inline(always)]
    fn pack_queries(&mut self) {
        let Problem { sizes, inputs, options } = self.problem;
        let size = sizes.size;
        self.buffers.queries.fill(0.0);
        for row in 0..self.place.count {
            let (batch, head, query) = self.query_of(row);
            let src = inputs.query.row(batch, head, query, size);
            let tile = &mut self.buffers.queries[row / ROWS * ROWS * size..][..ROWS * size];
            for (to, from) in tile.chunks_exact_mut(ROWS).zip(src) {
                to[row % ROWS] = from.to_f32() * options.scale;
            }
        }
    }

    #[inline(always)]
    fn pack_keys_and_values<S: Simd>(&mut self, s: S, first: usize) {
        let Problem { sizes, inputs, .. } = self.problem;
        let columns = sizes.value_size.next_multiple_of(COLUMNS);
        let count = KEYS.min(sizes.keys - first);
        let Place { batch, kv_head, .. } = self.place;
        for (key, to) in self.buffers.values.chunks_exact_mut(columns).enumerate().take(count) {
            let row = inputs.value.row(batch, kv_head, first + key, sizes.value_size);
            widen(s, row, &mut to[..sizes.value_size]);
        }
        self.buffers.values[count * columns..].fill(0.0);
        transpose_keys(
            self.buffers.keys,
            count,
            #[inline(always)]
            |key| inputs.key.row(batch, kv_head, first + key, sizes.size),
        );
    }

    /// Scores, weights and sums of one tile of rows for one block of keys.
    #[inline(always)]
    fn tile<S: Simd>(&mut self, s: S, tile: usize, first: usize, states: &mut [Running]) {
        let Problem { sizes, options, .. } = self.problem;
        let queries = &self.buffers.queries[tile * ROWS * sizes.size..][..ROWS * sizes.size];
        let mut scores = [[0.0; KEYS]; ROWS];
        if S::LANES == 16 {
            score_tile::<S, 4>(s, queries, self.buffers.keys, &mut scores);
        } else {
            score_tile::<S, 2>(s, queries, self.buffers.keys, &mut scores);
        }
        let mut scales = [0.0; ROWS];
        for (index, state) in states.iter_mut().enumerate() {
            let place = self.query_of(tile * ROWS + index);
            let (low, high) = (state.low, state.high);
            if low < high {
                options.finish_scores(s, place, first, (low, high), &mut scores[index]);
                scales[index] = weigh(s, &mut scores[index], state);
            } else {
                scores[index].fill(0.0);
            }
        }
        let columns = sizes.value_size.next_multiple_of(COLUMNS);
        let sums = &mut self.buffers.sums[tile * ROWS * columns..][..ROWS * columns];
        if S::LANES == 16 {
            sum_tile::<S, 4>(s, &scores, self.buffers.values, sums, &scales, columns);
        } else {
            sum_tile::<S, 2>(s, &scores, self.buffers.values, sums, &scales, columns);
        }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "each query row belongs to one task")]
    fn write<S: Simd>(&self, s: S, running: &[Running]) {
        let value_size = self.problem.sizes.value_size;
        let columns = value_size.next_multiple_of(COLUMNS);
        let sums = self.buffers.sums.chunks_exact(columns).zip(running).take(self.place.count);
        for (row, (sums, state)) in sums.enumerate() {
            let (batch, head, query) = self.query_of(row);
            // SAFETY: tasks have different rows, and the row is dropped before the next is taken.
            let out = unsafe { self.out.row(batch, head, query) };
            let scale =
                s.splat(if state.sum > 0.0 || state.sum.is_nan() { 1.0 / state.sum } else { 0.0 });
            for (to, from) in out.chunks_mut(S::LANES).zip(sums.chunks_exact(S::LANES)) {
                Q::store_partial(s, s.mul(s.load(from), scale), to);
            }
        }
    }
}

#[inline(always)]
pub(super) fn widen<S: Simd, T: Element>(s: S, src: &[T], dst: &mut [f32]) {
    let whole = src.len() - src.len() % S::LANES;
    let (src, src_tail) = src.split_at(whole);
    let (dst, dst_tail) = dst.split_at_mut(whole);
    for (from, to) in src.chunks_exact(S::LANES).zip(dst.chunks_exact_mut(S::LANES)) {
        s.store(T::load(s, from), to);
    }
    if !src_tail.is_empty() {
        s.store_partial(T::load_partial(s, src_tail, 0.0), dst_tail);
    }
}

/// Writes `count` rows as columns of a panel of [`KEYS`] columns; the other columns become zero.
#[inline(always)]
fn transpose_keys<'a, T: Element>(panel: &mut [f32], count: usize, row: impl Fn(usize) -> &'a [T]) {
    const SIDE: usize = 8;
    for first in (0..KEYS).step_by(SIDE) {
        if first + SIDE > count {
            for line in panel.chunks_exact_mut(KEYS) {
                line[first..first + SIDE].fill(0.0);
            }
            for key in first..count {
                for (line, x) in panel.chunks_exact_mut(KEYS).zip(row(key)) {
                    line[key] = x.to_f32();
                }
            }
            continue;
        }
        let rows: [&[T]; SIDE] = std::array::from_fn(|key| row(first + key));
        for (at, line) in panel.chunks_exact_mut(KEYS).enumerate() {
            let to = &mut line[first..first + SIDE];
            for (to, row) in to.iter_mut().zip(rows) {
                *to = row[at].to_f32();
            }
        }
    }
}

/// `scores[row][key] = sum over elements of queries[element][row] keys[element][key]`.
#[inline(always)]
fn score_tile<S: Simd, const VECTORS: usize>(
    s: S,
    queries: &[f32],
    keys: &[f32],
    scores: &mut [[f32; KEYS]; ROWS],
) {
    for column in (0..KEYS).step_by(VECTORS * S::LANES) {
        let mut sums = [[s.zero(); VECTORS]; ROWS];
        for (query, line) in queries.chunks_exact(ROWS).zip(keys.chunks_exact(KEYS)) {
            let line = &line[column..column + VECTORS * S::LANES];
            let mut vectors = [s.zero(); VECTORS];
            for (vector, chunk) in vectors.iter_mut().zip(line.chunks_exact(S::LANES)) {
                *vector = s.load(chunk);
            }
            for (sums, &x) in sums.iter_mut().zip(query) {
                let x = s.splat(x);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = s.mul_add(x, vector, *sum);
                }
            }
        }
        for (sums, scores) in sums.into_iter().zip(&mut *scores) {
            let to = &mut scores[column..column + VECTORS * S::LANES];
            for (sum, chunk) in sums.into_iter().zip(to.chunks_exact_mut(S::LANES)) {
                s.store(sum, chunk);
            }
        }
    }
}

/// Turns scores into weights relative to the greatest score so far, and gives back what the sums so
/// far are to be scaled with.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32; KEYS], state: &mut Running) -> f32 {
    let max = crate::rows::max(s, scores).max(state.max);
    if max == f32::NEG_INFINITY && !scores.iter().any(|score| score.is_nan()) {
        scores.fill(0.0);
        return 1.0;
    }
    let offset = s.splat(max);
    let mut sum = s.zero();
    for chunk in scores.chunks_exact_mut(S::LANES) {
        let weight = math::exp_non_positive(s, s.sub(s.load(chunk), offset));
        s.store(weight, chunk);
        sum = s.add(sum, weight);
    }
    let scale = (state.max - max).exp();
    state.sum = state.sum * scale + s.reduce_add(sum);
    state.max = max;
    scale
}

/// `sums[row] = scale[row] sums[row] + sum over keys of weights[row][key] values[key]`.
#[inline(always)]
fn sum_tile<S: Simd, const VECTORS: usize>(
    s: S,
    weights: &[[f32; KEYS]; ROWS],
    values: &[f32],
    sums: &mut [f32],
    scales: &[f32; ROWS],
    columns: usize,
) {
    let width = VECTORS * S::LANES;
    for column in (0..columns).step_by(width) {
        let mut tile = [[s.zero(); VECTORS]; ROWS];
        for ((tile, row), &scale) in tile.iter_mut().zip(sums.chunks_exact(columns)).zip(scales) {
            let row = row[column..column + width].chunks_exact(S::LANES);
            for (sum, chunk) in tile.iter_mut().zip(row) {
                *sum = s.mul(s.load(chunk), s.splat(scale));
            }
        }
        for (key, line) in values.chunks_exact(columns).enumerate().take(KEYS) {
            let line = &line[column..column + width];
            let mut vectors = [s.zero(); VECTORS];
            for (vector, chunk) in vectors.iter_mut().zip(line.chunks_exact(S::LANES)) {
                *vector = s.load(chunk);
            }
            for (tile, weights) in tile.iter_mut().zip(weights) {
                let weight = s.splat(weights[key]);
                for (sum, vector) in tile.iter_mut().zip(vectors) {
                    *sum = s.mul_add(weight, vector, *sum);
                }
            }
        }
        for (tile, row) in tile.into_iter().zip(sums.chunks_exact_mut(columns)) {
            let row = row[column..column + width].chunks_exact_mut(S::LANES);
            for (sum, chunk) in tile.into_iter().zip(row) {
                s.store(sum, chunk);
            }
        }
    }
}
