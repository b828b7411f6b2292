//! Normalisations against plain f64 loops.

use half::f16;
use remuda_simd::Element;

use super::*;
use crate::context::testing::{assert_close, everywhere, noise};

fn row_exact(kind: RowNorm, row: &[f64], scale: &[f32], bias: Option<&[f32]>) -> Vec<f64> {
    let count = row.len() as f64;
    let (mean, epsilon) = match kind {
        RowNorm::Layer(epsilon) => (row.iter().sum::<f64>() / count, epsilon),
        RowNorm::Rms(epsilon) => (0.0, epsilon),
    };
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
    let value = |(at, x): (usize, &f64)| {
        (x - mean) * factor * f64::from(scale[at]) + bias.map_or(0.0, |bias| f64::from(bias[at]))
    };
    row.iter().enumerate().map(value).collect()
}

fn of<T: Element>(values: Vec<f32>) -> Vec<T> {
    values.into_iter().map(T::from_f32).collect()
}

fn wide<T: Element>(values: &[T]) -> Vec<f32> {
    values.iter().map(|value| value.to_f32()).collect()
}

const KINDS: [RowNorm; 2] = [RowNorm::Layer(1e-5), RowNorm::Rms(1e-6)];

fn rows_agree<T: Element>(tolerance: f64) {
    everywhere(|cx| {
        for (rows, length) in [(1, 1), (5, 3), (7, 64), (33, 130), (64, 771)] {
            let src = of::<T>(noise(rows * length, 1).into_iter().map(|x| x + 3.0).collect());
            let (scale, bias) = (noise(length, 2), noise(length, 3));
            for kind in KINDS {
                for bias in [None, Some(&bias[..])] {
                    let mut out = vec![T::default(); src.len()];
                    norm(cx, kind, Affine { scale: &scale, bias }, &src, &mut out);
                    let src: Vec<f64> = wide(&src).into_iter().map(f64::from).collect();
                    let rows = src.chunks(length);
                    let expected: Vec<f64> =
                        rows.flat_map(|row| row_exact(kind, row, &scale, bias)).collect();
                    assert_close(
                        &wide(&out),
                        &expected,
                        tolerance,
                        1.0,
                        &format!("{kind:?} {length}"),
                    );
                }
            }
        }
    });
}

#[test]
fn rows_are_normalised_like_in_f64() {
    rows_agree::<f32>(4e-6);
    rows_agree::<f16>(0.5 / 1024.0);
}

fn residual_agrees<T: Element>(tolerance: f64) {
    everywhere(|cx| {
        let (rows, length) = (21, 301);
        let (src, residual) = (of::<T>(noise(rows * length, 1)), of::<T>(noise(rows * length, 2)));
        let (scale, offset, bias) = (noise(length, 3), noise(length, 4), noise(length, 5));
        let affine = Affine { scale: &scale, bias: Some(&offset) };
        for kind in KINDS {
            for bias in [None, Some(&bias[..])] {
                let mut sums = vec![T::default(); src.len()];
                let mut out = sums.clone();
                add_and_norm(cx, (kind, affine), (&src, &residual), bias, &mut sums, &mut out);
                let terms = wide(&src).into_iter().zip(wide(&residual)).enumerate();
                let exact: Vec<f64> = terms
                    .map(|(at, (a, b))| {
                        let bias = bias.map_or(0.0, |bias| bias[at % length]);
                        f64::from(a) + f64::from(b) + f64::from(bias)
                    })
                    .collect();
                assert_close(&wide(&sums), &exact, tolerance, 1.0, "sums");
                let rows = exact.chunks(length);
                let expected: Vec<f64> =
                    rows.flat_map(|row| row_exact(kind, row, &scale, affine.bias)).collect();
                assert_close(&wide(&out), &expected, tolerance, 1.0, "normalised");
            }
        }
    });
}

#[test]
fn residual_and_norm_are_one_kernel_with_the_same_result() {
    residual_agrees::<f32>(4e-6);
    residual_agrees::<f16>(0.5 / 1024.0);
}

#[test]
fn groups_are_normalised_like_in_f64() {
    everywhere(|cx| {
        for (images, channels, groups, spatial) in [(2, 6, 3, 25), (1, 4, 4, 1003), (3, 5, 1, 1)] {
            let src: Vec<f32> =
                noise(images * channels * spatial, 1).into_iter().map(|x| x + 2.0).collect();
            let (scale, bias) = (noise(channels, 2), noise(channels, 3));
            let affine = ChannelAffine { scale: &scale, bias: &bias };
            let mut out = vec![0.0; src.len()];
            group_norm(cx, (groups, 1e-3), affine, spatial, &src, &mut out);
            let length = channels / groups * spatial;
            let wide: Vec<f64> = src.iter().map(|&x| f64::from(x)).collect();
            let plain = wide
                .chunks(length)
                .flat_map(|row| row_exact(RowNorm::Layer(1e-3), row, &vec![1.0; length], None));
            let channel = |at: usize| at / spatial % channels;
            let affine = |(at, x): (usize, f64)| {
                x * f64::from(scale[channel(at)]) + f64::from(bias[channel(at)])
            };
            let expected: Vec<f64> = plain.enumerate().map(affine).collect();
            assert_close(&out, &expected, 4e-6, 1.0, &format!("{channels}/{groups} x {spatial}"));
        }
    });
}

#[test]
fn batches_are_normalised_by_the_given_statistics() {
    everywhere(|cx| {
        for (images, channels, spatial) in [(2, 3, 1), (2, 7, 49), (1, 64, 500)] {
            let src = noise(images * channels * spatial, 1);
            let (scale, bias, mean) = (noise(channels, 2), noise(channels, 3), noise(channels, 4));
            let variance: Vec<f32> = noise(channels, 5).into_iter().map(|x| x * x + 0.1).collect();
            let affine = ChannelAffine { scale: &scale, bias: &bias };
            let mut out = vec![0.0; src.len()];
            batch_norm(cx, (&mean, &variance, 1e-5), affine, spatial, &src, &mut out);
            let value = |(at, &x): (usize, &f32)| {
                let c = at / spatial % channels;
                let off = f64::from(x) - f64::from(mean[c]);
                off / (f64::from(variance[c]) + 1e-5).sqrt() * f64::from(scale[c])
                    + f64::from(bias[c])
            };
            let expected: Vec<f64> = src.iter().enumerate().map(value).collect();
            assert_close(&out, &expected, 2e-6, 1.0, &format!("{channels} x {spatial}"));
        }
    });
}
