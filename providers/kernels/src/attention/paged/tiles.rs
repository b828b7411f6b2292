//! The two products of attention with a block of positions: queries times keys, and weights times
//! values. Sums stay in registers; their order does not depend on the size of a tile.

use std::array::from_fn;

use remuda_simd::Simd;

use super::{POSITIONS, SIDE_BY_SIDE};

/// The scores of all rows of `queries`, `size` elements each; `keys` are blocks of positions side by
/// side.
#[inline(always)]
pub(super) fn score<S: Simd>(
    s: S,
    queries: &[f32],
    keys: &[f32],
    size: usize,
    scores: &mut [[f32; POSITIONS]],
) {
    let rows = scores.len();
    let mut row = 0;
    while row < rows {
        let queries = &queries[row * size..];
        let scores = &mut scores[row..];
        row += match rows - row {
            6.. => score_rows::<S, 6>(s, queries, keys, size, scores),
            4.. => score_rows::<S, 4>(s, queries, keys, size, scores),
            2.. => score_rows::<S, 2>(s, queries, keys, size, scores),
            _ => score_rows::<S, 1>(s, queries, keys, size, scores),
        };
    }
}

/// Scores of `R` rows: as many positions at once as the registers hold sums of. Gives back `R`.
#[inline(always)]
fn score_rows<S: Simd, const R: usize>(
    s: S,
    queries: &[f32],
    keys: &[f32],
    size: usize,
    scores: &mut [[f32; POSITIONS]],
) -> usize {
    match S::LANES {
        SIDE_BY_SIDE => score_tiles::<S, R, 4>(s, queries, keys, size, scores),
        8 => score_tiles::<S, R, 2>(s, queries, keys, size, scores),
        _ => score_tiles::<S, R, 4>(s, queries, keys, size, scores),
    }
    R
}

#[inline(always)]
fn score_tiles<S: Simd, const R: usize, const V: usize>(
    s: S,
    queries: &[f32],
    keys: &[f32],
    size: usize,
    scores: &mut [[f32; POSITIONS]],
) {
    let queries: [&[f32]; R] = from_fn(|r| &queries[r * size..][..size]);
    for first in (0..POSITIONS).step_by(V * S::LANES) {
        let keys: [&[[f32; SIDE_BY_SIDE]]; V] = from_fn(|v| {
            let block = (first + v * S::LANES) / SIDE_BY_SIDE;
            &keys.as_chunks().0[block * size..][..size]
        });
        let mut sums = [[s.zero(); V]; R];
        for element in 0..size {
            let mut vectors = [s.zero(); V];
            for v in 0..V {
                vectors[v] = s.load(&keys[v][element][v * S::LANES % SIDE_BY_SIDE..]);
            }
            for r in 0..R {
                let query = s.splat(queries[r][element]);
                for v in 0..V {
                    sums[r][v] = s.mul_add(query, vectors[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                s.store(sums[r][v], &mut scores[r][first + v * S::LANES..]);
            }
        }
    }
}

/// Weights of rows for the positions of a block, and what the rows' sums so far are scaled with.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) of_rows: &'a [[f32; POSITIONS]],
    pub(super) scales: &'a [f32],
    /// Positions that there are.
    pub(super) count: usize,
}

impl<'a> Weights<'a> {
    fn from(self, row: usize) -> Self {
        Self { of_rows: &self.of_rows[row..], scales: &self.scales[row..], ..self }
    }
}

/// Adds the weighted rows of `values`, `size` elements each, to the sums of rows: the last elements
/// of records of `length`.
#[inline(always)]
pub(super) fn accumulate<S: Simd>(
    s: S,
    (sums, length): (&mut [f32], usize),
    weights: Weights<'_>,
    (values, size): (&[f32], usize),
) {
    let rows = weights.of_rows.len();
    let mut row = 0;
    while row < rows {
        let sums = (&mut sums[row * length..], length);
        let weights = weights.from(row);
        row += match rows - row {
            6.. => accumulate_rows::<S, 6>(s, sums, weights, (values, size)),
            4.. => accumulate_rows::<S, 4>(s, sums, weights, (values, size)),
            2.. => accumulate_rows::<S, 2>(s, sums, weights, (values, size)),
            _ => accumulate_rows::<S, 1>(s, sums, weights, (values, size)),
        };
    }
}

/// As [`accumulate`] for `R` rows. Gives back `R`.
#[inline(always)]
fn accumulate_rows<S: Simd, const R: usize>(
    s: S,
    (sums, length): (&mut [f32], usize),
    weights: Weights<'_>,
    (values, size): (&[f32], usize),
) -> usize {
    let mut column = 0;
    if S::LANES == SIDE_BY_SIDE {
        while column + 4 * S::LANES <= size {
            accumulate_tile::<S, R, 4>(s, (sums, length), weights, (values, size), column);
            column += 4 * S::LANES;
        }
    }
    while column + 2 * S::LANES <= size {
        accumulate_tile::<S, R, 2>(s, (sums, length), weights, (values, size), column);
        column += 2 * S::LANES;
    }
    while column < size {
        accumulate_tile::<S, R, 1>(s, (sums, length), weights, (values, size), column);
        column += S::LANES;
    }
    R
}

/// The columns from `column` on, `V` vectors of them or a last one that is not whole.
#[inline(always)]
fn accumulate_tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    (sums, length): (&mut [f32], usize),
    weights: Weights<'_>,
    (values, size): (&[f32], usize),
    column: usize,
) {
    let width = (V * S::LANES).min(size - column);
    let whole = width == V * S::LANES;
    let of_rows: [&[f32]; R] = from_fn(|r| &weights.of_rows[r][..weights.count]);
    let first = length - size + column;
    let mut tile = [[s.zero(); V]; R];
    for r in 0..R {
        let held = load::<S, V>(s, &sums[r * length + first..][..width], whole);
        for v in 0..V {
            tile[r][v] = s.mul(held[v], s.splat(weights.scales[r]));
        }
    }
    for key in 0..weights.count {
        let vectors = load::<S, V>(s, &values[key * size + column..][..width], whole);
        for r in 0..R {
            let weight = s.splat(of_rows[r][key]);
            for v in 0..V {
                tile[r][v] = s.mul_add(weight, vectors[v], tile[r][v]);
            }
        }
    }
    for r in 0..R {
        let row = &mut sums[r * length + first..][..width];
        for v in 0..V {
            if whole {
                s.store(tile[r][v], &mut row[v * S::LANES..]);
            } else {
                s.store_partial(tile[r][v], &mut row[v * S::LANES..]);
            }
        }
    }
}

/// Vectors of a row; one that is not `whole` is filled up with zeros.
#[inline(always)]
fn load<S: Simd, const V: usize>(s: S, row: &[f32], whole: bool) -> [S::F32; V] {
    let mut vectors = [s.zero(); V];
    if whole {
        let row = &row[..V * S::LANES];
        for v in 0..V {
            vectors[v] = s.load(&row[v * S::LANES..]);
        }
    } else {
        vectors[0] = s.load_partial(row, 0.0);
    }
    vectors
}
