//! Reductions against plain f64 loops, over every choice of axes.

use half::bf16;
use remuda_simd::Element;

use super::*;
use crate::context::testing::{assert_close, everywhere, noise};

const KINDS: [Reduction; 10] = [
    Reduction::Sum,
    Reduction::Mean,
    Reduction::Max,
    Reduction::Min,
    Reduction::Product,
    Reduction::L1,
    Reduction::L2,
    Reduction::SumOfSquares,
    Reduction::LogSum,
    Reduction::LogSumExp,
];

fn exact(kind: Reduction, values: &[f64]) -> f64 {
    let sum = |f: fn(f64) -> f64| values.iter().map(|&x| f(x)).sum::<f64>();
    match kind {
        Reduction::Sum => sum(|x| x),
        Reduction::Mean => sum(|x| x) / values.len() as f64,
        Reduction::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Reduction::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Reduction::Product => values.iter().product(),
        Reduction::L1 => sum(f64::abs),
        Reduction::L2 => sum(|x| x * x).sqrt(),
        Reduction::SumOfSquares => sum(|x| x * x),
        Reduction::LogSum => sum(|x| x).ln(),
        Reduction::LogSumExp => sum(f64::exp).ln(),
    }
}

/// The elements that each output is made of, by the definition of a reduction.
fn groups<T: Element>(src: &[T], shape: &[usize], reduced: &[bool]) -> Vec<Vec<f64>> {
    let kept = shape.iter().zip(reduced).filter(|axis| !axis.1).map(|axis| axis.0).product();
    let mut groups = vec![Vec::new(); kept];
    for (linear, value) in src.iter().enumerate() {
        let (mut rest, mut group, mut stride) = (linear, 0, 1);
        for (&size, &reduced) in shape.iter().zip(reduced).rev() {
            if !reduced {
                group += rest % size * stride;
                stride *= size;
            }
            rest /= size;
        }
        groups[group].push(f64::from(value.to_f32()));
    }
    groups
}

fn agrees<T: Element>(tolerance: f64) {
    let shapes: [&[usize]; 6] = [&[], &[1], &[517], &[40, 131], &[3, 1, 50, 7], &[5, 9, 4, 33]];
    everywhere(|cx| {
        for shape in shapes {
            let count = shape.iter().product();
            let src: Vec<T> = noise(count, 3).iter().map(|x| T::from_f32(1.5 + x / 2.0)).collect();
            for axes in 0..1_usize << shape.len() {
                let reduced: Vec<bool> =
                    (0..shape.len()).map(|axis| axes >> axis & 1 == 1).collect();
                let groups = groups(&src, shape, &reduced);
                for kind in KINDS {
                    let deep = groups[0].len() > 60;
                    if kind == Reduction::Product && deep {
                        continue;
                    }
                    let mut out = vec![T::default(); groups.len()];
                    reduce(cx, kind, &src, &mut out, shape, &reduced);
                    let expected: Vec<f64> =
                        groups.iter().map(|group| exact(kind, group)).collect();
                    let out: Vec<f32> = out.into_iter().map(T::to_f32).collect();
                    let what = format!("{kind:?} {shape:?} {reduced:?} on {}", cx.isa);
                    assert_close(&out, &expected, tolerance, 1.0, &what);
                }
            }
        }
    });
}

#[test]
fn every_reduction_over_every_choice_of_axes_agrees_with_f64() {
    agrees::<f32>(6e-6);
}

#[test]
fn narrow_floats_are_accumulated_in_f32() {
    agrees::<bf16>(1.0 / 256.0);
}

#[test]
fn nan_is_extreme_and_empty_sets_have_neutral_results() {
    everywhere(|cx| {
        for at in [0, 5, 70] {
            let mut src = noise(100, 1);
            src[at] = f32::NAN;
            for kind in [Reduction::Max, Reduction::Min, Reduction::LogSumExp] {
                for shape in [[100, 1], [1, 100]] {
                    let mut out = [0.0];
                    reduce(cx, kind, &src, &mut out, &shape, &[true, true]);
                    assert!(out[0].is_nan(), "{kind:?} with NaN at {at}");
                }
            }
        }
        let mut out = [7.0; 3];
        reduce::<f32>(cx, Reduction::Sum, &[], &mut out, &[3, 0], &[false, true]);
        assert_eq!(out, [0.0; 3]);
        reduce::<f32>(cx, Reduction::Max, &[], &mut out, &[3, 0], &[false, true]);
        assert_eq!(out, [f32::NEG_INFINITY; 3]);
        let mut out = [0.0];
        let infinite = [f32::NEG_INFINITY; 20];
        reduce(cx, Reduction::LogSumExp, &infinite, &mut out, &[20], &[true]);
        assert_eq!(out, [f32::NEG_INFINITY]);
    });
}

#[test]
fn positions_of_extremes_follow_their_definition() {
    everywhere(|cx| {
        for shape in [[3, 200, 1], [4, 7, 33], [1, 1, 5]] {
            let count = shape.iter().product();
            let coarse = |x: &f32| (x * 20.0).round();
            let src: Vec<f32> = noise(count, 9).iter().map(coarse).collect();
            for axis in 0..3 {
                let inner: usize = shape[axis + 1..].iter().product();
                for extreme in [Extreme::Max, Extreme::Min] {
                    for ties in [Ties::First, Ties::Last] {
                        let mut out = vec![-1; count / shape[axis]];
                        position_of_extreme(cx, (extreme, ties), &src, &mut out, &shape, axis);
                        for (at, &got) in out.iter().enumerate() {
                            let base = at / inner * inner * shape[axis] + at % inner;
                            let row = src[base..].iter().step_by(inner).take(shape[axis]);
                            let row: Vec<f32> = row.copied().collect();
                            let best = row.iter().copied().reduce(match extreme {
                                Extreme::Max => f32::max,
                                Extreme::Min => f32::min,
                            });
                            let is_best = |&x: &f32| Some(x) == best;
                            let expected = match ties {
                                Ties::First => row.iter().position(is_best),
                                Ties::Last => row.iter().rposition(is_best),
                            };
                            assert_eq!(Some(got), expected.map(|at| at.cast_signed() as i64));
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn the_first_nan_is_the_extreme() {
    everywhere(|cx| {
        let src = [1.0, f32::NAN, 3.0, f32::NAN];
        let mut out = [0];
        position_of_extreme(cx, (Extreme::Max, Ties::First), &src, &mut out, &[4], 0);
        assert_eq!(out, [1]);
        position_of_extreme(cx, (Extreme::Min, Ties::Last), &src, &mut out, &[4], 0);
        assert_eq!(out, [3]);
    });
}
