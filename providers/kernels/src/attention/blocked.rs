//! Attention of many query rows to one key head, with a query row per lane.
//!
//! A task takes as many query rows as fit the vectors of a tile, transposes them once, and walks the
//! keys in blocks. Keys and values are read as they lie in memory, element by element, each
//! multiplied with vectors of rows; greatest scores and sums of weights are vectors too, so nothing
//! is ever added across lanes. All that a task holds stays in the first-level cache.

use remuda_simd::{Element, Kernel, Simd, math};

use super::mask::{Mask, MaskView};
use super::rows::SharedRows;
use super::{Problem, Sizes};
use crate::scratch::with_scratch;
use crate::{Context, Schedule};

/// Keys, or columns of values, per tile.
const TILE: usize = 6;
/// Keys per block.
const KEYS: usize = 8 * TILE;
/// The most query rows of a task.
const MAX_ROWS: usize = 64;

pub(super) fn attention<Q: Element, K: Element>(
    cx: Context<'_>,
    problem: &Problem<'_, Q, K>,
    out: &SharedRows<'_, Q>,
) {
    let sizes = &problem.sizes;
    let lanes = cx.run(TaskRows);
    let parts = sizes.rows().div_ceil(lanes);
    let heads = sizes.batches * sizes.kv_heads;
    cx.pool.parallel_for(heads * parts, Schedule::Dynamic, |task| {
        // The last queries see the most keys of a causal attention: they go first.
        let (head, part) = (task / parts, parts - 1 - task % parts);
        let first = part * lanes;
        let place = Place {
            batch: head / sizes.kv_heads,
            kv_head: head % sizes.kv_heads,
            first,
            count: lanes.min(sizes.rows() - first),
        };
        let lengths = Lengths::new::<K>(sizes, lanes);
        with_scratch(lengths.total(), |scratch| {
            let buffers = lengths.split(scratch);
            cx.run(Task { problem, place, buffers, out });
        });
    });
}

/// How many query rows a task of the instruction set takes.
struct TaskRows;

impl Kernel for TaskRows {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        if S::LANES == 16 { 4 * S::LANES } else { 2 * S::LANES }
    }
}

/// Which query rows a task computes.
#[derive(Debug, Clone, Copy)]
struct Place {
    batch: usize,
    kv_head: usize,
    first: usize,
    count: usize,
}

/// The sizes of a task's working memory.
struct Lengths {
    queries: usize,
    scores: usize,
    sums: usize,
    rows: usize,
    wide: usize,
}

struct Buffers<'a> {
    /// Element, row.
    queries: &'a mut [f32],
    /// Key, row.
    scores: &'a mut [f32],
    /// Column, row.
    sums: &'a mut [f32],
    /// Row, column: results before they are written out.
    rows: &'a mut [f32],
    /// Keys or values of a block in f32, where they are not that.
    wide: &'a mut [f32],
}

impl Lengths {
    fn new<K: Element>(sizes: &Sizes, lanes: usize) -> Self {
        let widest = sizes.size.max(sizes.value_size).next_multiple_of(16);
        Self {
            queries: widest * lanes,
            scores: KEYS * lanes,
            sums: sizes.value_size.next_multiple_of(4) * lanes,
            rows: lanes * widest,
            wide: if K::as_f32(&[]).is_some() { 0 } else { KEYS * widest },
        }
    }

    const fn total(&self) -> usize {
        self.queries + self.scores + self.sums + self.rows + self.wide
    }

    fn split(self, scratch: &mut [f32]) -> Buffers<'_> {
        let (queries, rest) = scratch.split_at_mut(self.queries);
        let (scores, rest) = rest.split_at_mut(self.scores);
        let (sums, rest) = rest.split_at_mut(self.sums);
        let (rows, wide) = rest.split_at_mut(self.rows);
        Buffers { queries, scores, sums, rows, wide }
    }
}

/// The softmax of every row so far, and which keys the row reaches.
struct Running {
    max: [f32; MAX_ROWS],
    sum: [f32; MAX_ROWS],
    low: [f32; MAX_ROWS],
    high: [f32; MAX_ROWS],
}

struct Task<'a, Q, K> {
    problem: &'a Problem<'a, Q, K>,
    place: Place,
    buffers: Buffers<'a>,
    out: &'a SharedRows<'a, Q>,
}

impl<Q: Element, K: Element> Kernel for Task<'_, Q, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if S::LANES == 16 { self.walk::<S, 4>(s) } else { self.walk::<S, 2>(s) }
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

    #[inline(always)]
    fn walk<S: Simd, const V: usize>(mut self, s: S) {
        let lanes = V * S::LANES;
        self.transpose_queries(s, lanes);
        self.buffers.sums.fill(0.0);
        let (mut running, range) = self.start();
        for first in (range.0 / KEYS * KEYS..range.1).step_by(KEYS) {
            let count = KEYS.min(range.1 - first);
            self.score::<S, V>(s, first, count);
            self.mask(s, first, count, lanes, &running);
            let scale = weigh::<S, V>(s, &mut self.buffers.scores[..count * lanes], &mut running);
            self.sum::<S, V>(s, first, count, &scale);
        }
        self.write(s, lanes, &running);
    }

    /// The state before the first key, and the keys that any row reaches.
    fn start(&self) -> (Running, (usize, usize)) {
        let Problem { sizes, options, .. } = self.problem;
        let mut running = Running {
            max: [f32::NEG_INFINITY; MAX_ROWS],
            sum: [0.0; MAX_ROWS],
            low: [0.0; MAX_ROWS],
            high: [f32::INFINITY; MAX_ROWS],
        };
        let mut range = (usize::MAX, 0);
        for row in 0..self.place.count {
            let (batch, _, query) = self.query_of(row);
            let (low, high) = options.reach(sizes, batch, query);
            (running.low[row], running.high[row]) = (low as f32, high as f32);
            range = (range.0.min(low), range.1.max(high));
        }
        (running, (range.0.min(range.1), range.1))
    }

    /// Writes the queries as columns, scaled; lanes without a query stay zero.
    #[inline(always)]
    fn transpose_queries<S: Simd>(&mut self, s: S, lanes: usize) {
        let Problem { sizes, inputs, options } = self.problem;
        let scale = s.splat(options.scale);
        self.buffers.queries.fill(0.0);
        for row in (0..self.place.count).step_by(4) {
            let sources: [&[Q]; 4] = std::array::from_fn(|index| {
                let (batch, head, query) = self.query_of((row + index).min(self.place.count - 1));
                inputs.query.row(batch, head, query, sizes.size)
            });
            for element in (0..sizes.size).step_by(S::LANES) {
                let end = sizes.size.min(element + S::LANES);
                let mut rows = [s.zero(); 4];
                for (index, (to, source)) in rows.iter_mut().zip(sources).enumerate() {
                    if row + index < self.place.count {
                        *to = s.mul(load(s, &source[element..end]), scale);
                    }
                }
                s.store_columns(rows, &mut self.buffers.queries[element * lanes + row..], lanes);
            }
        }
    }

    /// `scores[key][row]` for a block of keys.
    #[inline(always)]
    fn score<S: Simd, const V: usize>(&mut self, s: S, first: usize, count: usize) {
        let Problem { sizes, inputs, .. } = self.problem;
        let Place { batch, kv_head, .. } = self.place;
        let size = sizes.size;
        let source = crate::rows::always(
            #[inline(always)]
            |key: usize| inputs.key.row(batch, kv_head, first + key, size),
        );
        let Buffers { queries, scores, wide, .. } = &mut self.buffers;
        let wide = widen_block(s, wide, count, size, source);
        let key = crate::rows::always(
            #[inline(always)]
            |key: usize| match K::as_f32(source(key)) {
                Some(row) => row,
                None => &wide[key * size..][..size],
            },
        );
        let lanes = V * S::LANES;
        let queries = &queries[..size * lanes];
        let mut tiles = scores[..count * lanes].chunks_exact_mut(TILE * lanes);
        let mut at = 0;
        for tile in &mut tiles {
            let keys: [&[f32]; TILE] = std::array::from_fn(|index| key(at + index));
            score_tile::<S, V, TILE>(s, queries, keys, tile);
            at += TILE;
        }
        for tile in tiles.into_remainder().chunks_exact_mut(lanes) {
            score_tile::<S, V, 1>(s, queries, [key(at)], tile);
            at += 1;
        }
    }

    /// Bends the scores and takes away what may not be seen.
    #[inline(always)]
    fn mask<S: Simd>(&mut self, s: S, first: usize, count: usize, lanes: usize, running: &Running) {
        let options = &self.problem.options;
        let scores = &mut self.buffers.scores[..count * lanes];
        if let Some(cap) = options.softcap {
            let (inverse, cap) = (s.splat(1.0 / cap), s.splat(cap));
            crate::rows::update(
                s,
                scores,
                #[inline(always)]
                |x| s.mul(cap, math::tanh(s, s.mul(x, inverse))),
            );
        }
        let rows = ..self.place.count;
        let all_reach = running.low[rows].iter().all(|&low| low <= first as f32)
            && running.high[rows].iter().all(|&high| high >= (first + count) as f32);
        if !all_reach {
            limit(s, scores, lanes, first, running);
        }
        match options.mask {
            Mask::None => {}
            Mask::Additive(mask) => {
                self.apply(mask, first, lanes, count, |score, summand| *score += summand);
            }
            Mask::Allowed(mask) => self.apply(mask, first, lanes, count, |score, allowed| {
                if allowed == 0 {
                    *score = f32::NEG_INFINITY;
                }
            }),
        }
    }

    #[inline(always)]
    fn apply<M: Copy>(
        &mut self,
        mask: MaskView<'_, M>,
        first: usize,
        lanes: usize,
        count: usize,
        f: impl Fn(&mut f32, M),
    ) {
        let [_, head_stride, query_stride, key_stride] = mask.strides;
        let same_for_all = head_stride == 0 && query_stride == 0;
        for row in 0..if same_for_all { 1 } else { self.place.count } {
            let (batch, head, query) = self.query_of(row);
            let cells = &mask.data[mask.start(batch, head, query, first)..];
            let scores = self.buffers.scores[..count * lanes].chunks_exact_mut(lanes);
            for (key, scores) in scores.enumerate() {
                let cell = cells[key * key_stride];
                if same_for_all {
                    scores.iter_mut().for_each(|score| f(score, cell));
                } else {
                    f(&mut scores[row], cell);
                }
            }
        }
    }

    /// `sums[column][row] = scale[row] sums[column][row] + weights times values`.
    #[inline(always)]
    fn sum<S: Simd, const V: usize>(
        &mut self,
        s: S,
        first: usize,
        count: usize,
        scale: &[S::F32; V],
    ) {
        let Problem { sizes, inputs, .. } = self.problem;
        let Place { batch, kv_head, .. } = self.place;
        let size = sizes.value_size;
        let source = crate::rows::always(
            #[inline(always)]
            |key: usize| inputs.value.row(batch, kv_head, first + key, size),
        );
        let Buffers { scores, sums, wide, .. } = &mut self.buffers;
        let wide = widen_block(s, wide, count, size, source);
        let value = crate::rows::always(
            #[inline(always)]
            |key: usize| match K::as_f32(source(key)) {
                Some(row) => row,
                None => &wide[key * size..][..size],
            },
        );
        let lanes = V * S::LANES;
        let weights = &scores[..count * lanes];
        let mut tiles = sums[..size * lanes].chunks_exact_mut(TILE * lanes);
        let mut column = 0;
        for tile in &mut tiles {
            sum_tile::<S, V, TILE>(
                s,
                weights,
                scale,
                tile,
                #[inline(always)]
                |key| &value(key)[column..column + TILE],
            );
            column += TILE;
        }
        let mut pairs = tiles.into_remainder().chunks_exact_mut(2 * lanes);
        for tile in &mut pairs {
            sum_tile::<S, V, 2>(
                s,
                weights,
                scale,
                tile,
                #[inline(always)]
                |key| &value(key)[column..column + 2],
            );
            column += 2;
        }
        for tile in pairs.into_remainder().chunks_exact_mut(lanes) {
            sum_tile::<S, V, 1>(
                s,
                weights,
                scale,
                tile,
                #[inline(always)]
                |key| &value(key)[column..=column],
            );
        }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "each query row belongs to one task")]
    fn write<S: Simd>(&mut self, s: S, lanes: usize, running: &Running) {
        let size = self.problem.sizes.value_size;
        let stride = size.next_multiple_of(16);
        let mut inverse = [0.0; MAX_ROWS];
        for (inverse, &sum) in inverse.iter_mut().zip(&running.sum) {
            *inverse = if sum == 0.0 { 0.0 } else { 1.0 / sum };
        }
        let Buffers { sums, rows, .. } = &mut self.buffers;
        for (four, sums) in sums.chunks_exact(4 * lanes).enumerate() {
            for row in (0..lanes).step_by(S::LANES) {
                let scale = s.load(&inverse[row..]);
                let mut columns = [s.zero(); 4];
                for (index, column) in columns.iter_mut().enumerate() {
                    *column = s.mul(s.load(&sums[index * lanes + row..]), scale);
                }
                s.store_columns(columns, &mut rows[row * stride + 4 * four..], stride);
            }
        }
        for row in 0..self.place.count {
            let (batch, head, query) = self.query_of(row);
            // SAFETY: tasks have different rows, and the row is dropped before the next is taken.
            let out = unsafe { self.out.row(batch, head, query) };
            let from = &self.buffers.rows[row * stride..][..size];
            for (to, from) in out.chunks_mut(S::LANES).zip(from.chunks(S::LANES)) {
                Q::store_partial(s, s.load_partial(from, 0.0), to);
            }
        }
    }
}

#[inline(always)]
fn load<S: Simd, T: Element>(s: S, chunk: &[T]) -> S::F32 {
    if chunk.len() == S::LANES { T::load(s, chunk) } else { T::load_partial(s, chunk, 0.0) }
}

/// The rows of a block in f32, one after the other, if they are not f32 already.
#[inline(always)]
fn widen_block<'a, 'b, S: Simd, T: Element>(
    s: S,
    wide: &'b mut [f32],
    count: usize,
    size: usize,
    source: impl Fn(usize) -> &'a [T],
) -> &'b [f32] {
    if T::as_f32(&[]).is_none() {
        for (key, to) in wide.chunks_exact_mut(size).enumerate().take(count) {
            widen(s, source(key), to);
        }
    }
    wide
}

#[inline(always)]
pub(super) fn widen<S: Simd, T: Element>(s: S, src: &[T], dst: &mut [f32]) {
    for (from, to) in src.chunks(S::LANES).zip(dst.chunks_mut(S::LANES)) {
        s.store_partial(load(s, from), to);
    }
}

/// Hides the keys that a row does not reach.
#[inline(always)]
fn limit<S: Simd>(s: S, scores: &mut [f32], lanes: usize, first: usize, running: &Running) {
    let hidden = s.splat(f32::NEG_INFINITY);
    for (key, scores) in scores.chunks_exact_mut(lanes).enumerate() {
        let at = s.splat((first + key) as f32);
        for (vector, chunk) in scores.chunks_exact_mut(S::LANES).enumerate() {
            let low = s.load(&running.low[vector * S::LANES..]);
            let high = s.load(&running.high[vector * S::LANES..]);
            let seen = s.and_mask(s.ge(at, low), s.lt(at, high));
            s.store(s.select(seen, s.load(chunk), hidden), chunk);
        }
    }
}

/// `scores[key][row] = sum over elements of keys[key][element] queries[element][row]`.
#[inline(always)]
fn score_tile<S: Simd, const V: usize, const N: usize>(
    s: S,
    queries: &[f32],
    keys: [&[f32]; N],
    scores: &mut [f32],
) {
    let lanes = V * S::LANES;
    let size = queries.len() / lanes;
    let keys = keys.map(|key| &key[..size]);
    let mut sums = [[s.zero(); V]; N];
    for element in 0..size {
        let vectors = load_vectors::<S, V>(s, &queries[element * lanes..]);
        for (sums, key) in sums.iter_mut().zip(keys) {
            let x = s.splat(key[element]);
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = s.mul_add(x, vector, *sum);
            }
        }
    }
    for (sums, to) in sums.into_iter().zip(scores.chunks_exact_mut(lanes)) {
        store_vectors(s, sums, to);
    }
}

#[inline(always)]
fn store_vectors<S: Simd, const V: usize>(s: S, vectors: [S::F32; V], row: &mut [f32]) {
    let row = &mut row[..V * S::LANES];
    for (index, vector) in vectors.into_iter().enumerate() {
        s.store(vector, &mut row[index * S::LANES..]);
    }
}

#[inline(always)]
fn load_vectors<S: Simd, const V: usize>(s: S, row: &[f32]) -> [S::F32; V] {
    // A row of known length: otherwise the loop would be compiled to a call that copies memory.
    let row = &row[..V * S::LANES];
    let mut vectors = [s.zero(); V];
    for (index, vector) in vectors.iter_mut().enumerate() {
        *vector = s.load(&row[index * S::LANES..]);
    }
    vectors
}

/// Turns scores into weights relative to the greatest score of their row so far, and gives back what
/// the sums so far are to be scaled with.
#[inline(always)]
fn weigh<S: Simd, const V: usize>(s: S, scores: &mut [f32], running: &mut Running) -> [S::F32; V] {
    let lanes = V * S::LANES;
    let before = load_vectors::<S, V>(s, &running.max);
    let mut max = before;
    for scores in scores.chunks_exact(lanes) {
        for (max, score) in max.iter_mut().zip(load_vectors::<S, V>(s, scores)) {
            *max = s.max(*max, score);
        }
    }
    let mut sums = [s.zero(); V];
    let mut scale = [s.zero(); V];
    let mut offsets = [s.zero(); V];
    for vector in 0..V {
        let none = s.eq(max[vector], s.splat(f32::NEG_INFINITY));
        offsets[vector] = s.select(none, s.zero(), max[vector]);
        scale[vector] = math::exp_non_positive(s, s.sub(before[vector], offsets[vector]));
    }
    for scores in scores.chunks_exact_mut(lanes) {
        let scores = &mut scores[..V * S::LANES];
        for vector in 0..V {
            let cell = &mut scores[vector * S::LANES..][..S::LANES];
            let weight = math::exp_non_positive(s, s.sub(s.load(cell), offsets[vector]));
            s.store(weight, cell);
            sums[vector] = s.add(sums[vector], weight);
        }
    }
    for vector in 0..V {
        let at = vector * S::LANES;
        let total = s.mul_add(s.load(&running.sum[at..]), scale[vector], sums[vector]);
        s.store(total, &mut running.sum[at..]);
        s.store(max[vector], &mut running.max[at..]);
    }
    scale
}

/// Adds the weighted values of `N` columns to their sums.
#[inline(always)]
fn sum_tile<'a, S: Simd, const V: usize, const N: usize>(
    s: S,
    weights: &[f32],
    scale: &[S::F32; V],
    sums: &mut [f32],
    values: impl Fn(usize) -> &'a [f32],
) {
    let lanes = V * S::LANES;
    let mut tile = [[s.zero(); V]; N];
    for (tile, row) in tile.iter_mut().zip(sums.chunks_exact(lanes)) {
        let held = load_vectors::<S, V>(s, row);
        for ((sum, held), scale) in tile.iter_mut().zip(held).zip(scale) {
            *sum = s.mul(held, *scale);
        }
    }
    for (key, weights) in weights.chunks_exact(lanes).enumerate() {
        let vectors = load_vectors::<S, V>(s, weights);
        let values = values(key);
        for (column, tile) in tile.iter_mut().enumerate() {
            let value = s.splat(values[column]);
            for (sum, vector) in tile.iter_mut().zip(vectors) {
                *sum = s.mul_add(value, vector, *sum);
            }
        }
    }
    for (tile, row) in tile.into_iter().zip(sums.chunks_exact_mut(lanes)) {
        store_vectors(s, tile, row);
    }
}
