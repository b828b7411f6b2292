//! What can be made of many numbers, and the vector loops for it.

use remuda_simd::{Kernel, Simd, math};

use crate::context::Picoseconds;
use crate::rows::{always, fold};

/// What the reduced elements become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The greatest; NaN if there is one.
    Max,
    /// The smallest; NaN if there is one.
    Min,
    /// Their product.
    Product,
    /// The sum of absolute values.
    L1,
    /// The square root of the sum of squares.
    L2,
    /// The sum of squares.
    SumOfSquares,
    /// The logarithm of the sum.
    LogSum,
    /// The logarithm of the sum of exponentials.
    LogSumExp,
}

impl Reduction {
    /// What an empty set gives, before [`Self::finish`].
    pub(super) const fn start(self) -> f32 {
        match self {
            Self::Max => f32::NEG_INFINITY,
            Self::Min => f32::INFINITY,
            Self::Product => 1.0,
            _ => 0.0,
        }
    }

    /// Whether the greatest element is taken away first, so that no exponential overflows.
    pub(super) const fn needs_centre(self) -> bool {
        matches!(self, Self::LogSumExp)
    }

    pub(super) const fn cost(self) -> Picoseconds {
        if self.needs_centre() { Picoseconds(400) } else { super::COST }
    }

    /// Two partial results as one.
    pub(super) fn join(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Max if a.is_nan() || b.is_nan() => f32::NAN,
            Self::Min if a.is_nan() || b.is_nan() => f32::NAN,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
            Self::Product => a * b,
            _ => a + b,
        }
    }

    /// The result for `count` elements.
    pub(super) fn finish(self, value: f32, count: f32) -> f32 {
        match self {
            Self::Mean => value / count,
            Self::L2 => value.sqrt(),
            Self::LogSum | Self::LogSumExp => value.ln(),
            _ => value,
        }
    }

    pub(super) fn finish_with(self, value: f32, centre: f32, count: f32) -> f32 {
        self.finish(value, count) + if self.needs_centre() { centre } else { 0.0 }
    }
}

/// One step: the value so far and the next element.
#[inline(always)]
fn step<S: Simd>(s: S, kind: Reduction, value: S::F32, x: S::F32, centre: S::F32) -> S::F32 {
    match kind {
        Reduction::Max => s.max_or_nan(value, x),
        Reduction::Min => s.min_or_nan(value, x),
        Reduction::Product => s.mul(value, x),
        Reduction::L1 => s.add(value, s.abs(x)),
        Reduction::L2 | Reduction::SumOfSquares => s.mul_add(x, x, value),
        Reduction::LogSumExp => s.add(value, math::exp(s, s.sub(x, centre))),
        Reduction::Sum | Reduction::Mean | Reduction::LogSum => s.add(value, x),
    }
}

/// Folds a row to one number.
pub(super) struct Row<'a> {
    pub(super) kind: Reduction,
    pub(super) centre: f32,
    pub(super) row: &'a [f32],
}

impl Kernel for Row<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        fold_one(s, self.kind, self.centre, self.row)
    }
}

/// Folds rows that lie one after the other, each to one number.
pub(super) struct Rows<'a> {
    pub(super) kind: Reduction,
    pub(super) length: usize,
    pub(super) src: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (row, out) in self.src.chunks_exact(self.length).zip(self.out) {
            let value = fold_one(s, self.kind, 0.0, row);
            *out = self.kind.finish(value, self.length as f32);
        }
    }
}

#[inline(always)]
fn fold_one<S: Simd>(s: S, kind: Reduction, centre: f32, row: &[f32]) -> f32 {
    macro_rules! folded {
        ($kind:expr, $fill:expr) => {{
            let centre = s.splat(centre);
            let next = always(
                #[inline(always)]
                |value: S::F32, x: S::F32| step(s, $kind, value, x, centre),
            );
            let join = always(
                #[inline(always)]
                |a: S::F32, b: S::F32| join_vectors(s, $kind, a, b),
            );
            let lanes = fold(s, row, ($kind.start(), $fill), next, join);
            across(s, $kind, lanes)
        }};
    }
    match kind {
        Reduction::Max => folded!(Reduction::Max, f32::NEG_INFINITY),
        Reduction::Min => folded!(Reduction::Min, f32::INFINITY),
        Reduction::Product => folded!(Reduction::Product, 1.0),
        Reduction::L1 => folded!(Reduction::L1, 0.0),
        Reduction::L2 | Reduction::SumOfSquares => folded!(Reduction::SumOfSquares, 0.0),
        Reduction::LogSumExp => folded!(Reduction::LogSumExp, f32::NEG_INFINITY),
        Reduction::Sum | Reduction::Mean | Reduction::LogSum => folded!(Reduction::Sum, 0.0),
    }
}

#[inline(always)]
fn join_vectors<S: Simd>(s: S, kind: Reduction, a: S::F32, b: S::F32) -> S::F32 {
    match kind {
        Reduction::Max => s.max_or_nan(a, b),
        Reduction::Min => s.min_or_nan(a, b),
        Reduction::Product => s.mul(a, b),
        _ => s.add(a, b),
    }
}

/// The lanes of a vector as one number.
#[inline(always)]
fn across<S: Simd>(s: S, kind: Reduction, lanes: S::F32) -> f32 {
    match kind {
        Reduction::Max | Reduction::Min if s.any(s.is_nan(lanes)) => f32::NAN,
        Reduction::Max => s.reduce_max(lanes),
        Reduction::Min => s.reduce_min(lanes),
        Reduction::Product => {
            let mut values = [1.0; remuda_simd::MAX_LANES];
            s.store(lanes, &mut values);
            values.iter().product()
        }
        _ => s.reduce_add(lanes),
    }
}

/// Folds a row into a row of partial results, element by element.
pub(super) struct Accumulate<'a> {
    pub(super) kind: Reduction,
    pub(super) sums: &'a mut [f32],
    pub(super) centre: &'a [f32],
    pub(super) row: &'a [f32],
}

impl Kernel for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        macro_rules! accumulate {
            ($kind:expr) => {{
                let sums = self.sums.chunks_mut(S::LANES).zip(self.row.chunks(S::LANES));
                for (at, (sum, x)) in sums.enumerate() {
                    let (value, x) = if x.len() == S::LANES {
                        (s.load(sum), s.load(x))
                    } else {
                        (s.load_partial(sum, 0.0), s.load_partial(x, 0.0))
                    };
                    let centre = match $kind {
                        Reduction::LogSumExp => {
                            s.load_partial(&self.centre[at * S::LANES..][..sum.len()], 0.0)
                        }
                        _ => s.zero(),
                    };
                    s.store_partial(step(s, $kind, value, x, centre), sum);
                }
            }};
        }
        match self.kind {
            Reduction::Max => accumulate!(Reduction::Max),
            Reduction::Min => accumulate!(Reduction::Min),
            Reduction::Product => accumulate!(Reduction::Product),
            Reduction::L1 => accumulate!(Reduction::L1),
            Reduction::L2 | Reduction::SumOfSquares => accumulate!(Reduction::SumOfSquares),
            Reduction::LogSumExp => accumulate!(Reduction::LogSumExp),
            Reduction::Sum | Reduction::Mean | Reduction::LogSum => accumulate!(Reduction::Sum),
        }
    }
}
