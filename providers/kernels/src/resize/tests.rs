//! Scaling against the definition of interpolation, and against figures of the ONNX reference.

use half::f16;
use remuda_simd::Element;

use super::*;
use crate::context::testing::{assert_close, everywhere, noise};

const PLAIN: Sampling = Sampling {
    filter: Filter::Linear,
    coordinates: Coordinates::HalfPixel,
    exclude_outside: false,
    antialias: false,
};

fn line(sampling: Sampling, src: &[f32], output: usize, scale: f64) -> Vec<f32> {
    let pool = crate::ThreadPool::single();
    let cx = Context::new(remuda_simd::Isa::best(), &pool);
    let taps = sampling.taps(src.len(), output, scale).unwrap();
    let mut out = vec![0.0; output];
    resize(cx, &[Some(taps)], src, &[src.len()], &mut out);
    out
}

fn assert_line(sampling: Sampling, src: &[f32], scale: f64, expected: &[f64]) {
    let got = line(sampling, src, expected.len(), scale);
    assert_close(&got, expected, 1e-6, 1.0, &format!("{sampling:?}"));
}

#[test]
fn coordinates_and_filters_agree_with_the_onnx_reference() {
    let src = [1.0, 2.0, 3.0, 4.0];
    assert_line(PLAIN, &src, 2.0, &[1.0, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.0]);
    let corners = Sampling { coordinates: Coordinates::AlignCorners, ..PLAIN };
    let step = 3.0 / 7.0;
    let expected: Vec<f64> = (0..8).map(|at| 1.0 + step * f64::from(at)).collect();
    assert_line(corners, &src, 2.0, &expected);
    let asymmetric = Sampling { coordinates: Coordinates::Asymmetric, ..PLAIN };
    assert_line(asymmetric, &src, 2.0, &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.0]);
    assert_line(PLAIN, &src, 0.6, &[4.0 / 3.0, 3.0]);
    let pytorch = Sampling { coordinates: Coordinates::PytorchHalfPixel, ..PLAIN };
    assert_line(pytorch, &src, 0.25, &[1.0]);
}

#[test]
fn nearest_rounds_as_it_is_told() {
    let src = [10.0, 11.0, 12.0];
    for (rounding, expected) in [
        (Rounding::PreferFloor, [10.0, 10.0, 11.0, 11.0, 12.0, 12.0]),
        (Rounding::PreferCeil, [10.0, 11.0, 11.0, 12.0, 12.0, 12.0]),
        (Rounding::Floor, [10.0, 10.0, 11.0, 11.0, 12.0, 12.0]),
        (Rounding::Ceil, [10.0, 11.0, 11.0, 12.0, 12.0, 12.0]),
    ] {
        let filter = Filter::Nearest(rounding);
        let sampling = Sampling { filter, coordinates: Coordinates::Asymmetric, ..PLAIN };
        assert_line(sampling, &src, 2.0, &expected);
    }
}

#[test]
fn weights_sum_to_one_and_a_line_stays_a_line() {
    let src: Vec<f32> = (0..40_u8).map(f32::from).collect();
    let filters = [Filter::Linear, Filter::Cubic(-0.75), Filter::Cubic(-0.5)];
    for filter in filters {
        for antialias in [false, true] {
            for exclude_outside in [false, true] {
                for (output, scale) in [(100, 2.5), (20, 0.5), (13, 0.325), (40, 1.0)] {
                    let sampling = Sampling { filter, antialias, exclude_outside, ..PLAIN };
                    let taps = sampling.taps(40, output, scale).unwrap();
                    for at in 0..output {
                        let sum: f32 = taps.of(at).iter().map(|tap| tap.1).sum();
                        assert!((sum - 1.0).abs() < 1e-5, "{sampling:?} at {at}: {sum}");
                    }
                    let straight = filter != Filter::Cubic(-0.75) && !antialias;
                    let got = line(sampling, &src, output, scale);
                    for at in (0..output).filter(|_| straight) {
                        let x = (at as f64 + 0.5) / scale - 0.5;
                        let margin = 3.0 / scale.min(1.0);
                        if x > margin && x < 39.0 - margin {
                            assert!((f64::from(got[at]) - x).abs() < 1e-4, "{sampling:?} at {at}");
                        }
                    }
                }
            }
        }
    }
}

fn agrees<T: Element>(tolerance: f64) {
    let shape = [2, 5, 7, 33];
    let src: Vec<T> = noise(shape.iter().product(), 6).into_iter().map(T::from_f32).collect();
    let cubic = Sampling { filter: Filter::Cubic(-0.75), ..PLAIN };
    let axes = [
        None,
        Some(PLAIN.taps(5, 9, 1.8).unwrap()),
        Some(cubic.taps(7, 3, 0.43).unwrap()),
        Some(PLAIN.taps(33, 50, 1.52).unwrap()),
    ];
    let mut expected = Vec::new();
    let [_, Some(a), Some(b), Some(c)] = &axes else { unreachable!() };
    for at in 0..2 * 9 * 3 * 50 {
        let (n, y, x, w) = (at / 1350, at / 150 % 9, at / 50 % 3, at % 50);
        let mut sum = 0.0;
        for (i, p) in a.of(y) {
            for (j, q) in b.of(x) {
                for (k, r) in c.of(w) {
                    let value = src[((n * 5 + i) * 7 + j) * 33 + k].to_f32();
                    sum += f64::from(value) * f64::from(*p) * f64::from(*q) * f64::from(*r);
                }
            }
        }
        expected.push(sum);
    }
    everywhere(|cx| {
        let mut out = vec![T::default(); expected.len()];
        resize(cx, &axes, &src, &shape, &mut out);
        let got: Vec<f32> = out.into_iter().map(T::to_f32).collect();
        assert_close(&got, &expected, tolerance, 1.0, "three axes");
    });
}

#[test]
fn several_axes_are_scaled_one_after_the_other() {
    agrees::<f32>(1e-6);
    agrees::<f16>(4.0 / 2048.0);
}
