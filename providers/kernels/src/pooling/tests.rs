//! Pooling against its definition, element by element.

use half::f16;
use proptest::prelude::*;
use remuda_simd::{Element, Isa};

use super::*;
use crate::ThreadPool;
use crate::context::testing::{assert_close, noise};

fn exact(kind: Pooling, axes: &[PoolAxis; 3], image: &[f64], at: [usize; 3]) -> f64 {
    let (mut values, mut padded) = (Vec::new(), 0);
    let taps = axes.map(|axis| axis.kernel);
    for tap in 0..taps.iter().product() {
        let tap = [tap / (taps[1] * taps[2]), tap / taps[2] % taps[1], tap % taps[2]];
        let place: [usize; 3] = std::array::from_fn(|axis| {
            at[axis] * axes[axis].stride + tap[axis] * axes[axis].dilation
        });
        let bounds = |axis: usize| axes[axis].pad_before + axes[axis].input;
        padded += usize::from((0..3).all(|axis| place[axis] < bounds(axis) + axes[axis].pad_after));
        if (0..3).all(|axis| place[axis] >= axes[axis].pad_before && place[axis] < bounds(axis)) {
            let [z, y, x] = std::array::from_fn(|axis| place[axis] - axes[axis].pad_before);
            values.push(image[(z * axes[1].input + y) * axes[2].input + x]);
        }
    }
    match kind {
        Pooling::Max => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
        Pooling::Average => values.iter().sum::<f64>() / values.len() as f64,
        Pooling::AverageWithPadding => values.iter().sum::<f64>() / padded as f64,
    }
}

/// An axis whose windows all touch the image, with or without a last, incomplete one.
fn axis() -> impl Strategy<Value = PoolAxis> {
    (1_usize..40, 1_usize..4, 1_usize..4, 1_usize..3, any::<bool>()).prop_flat_map(
        |(input, kernel, stride, dilation, ceil)| {
            let reach = (kernel - 1) * dilation;
            (0..=reach.min(input - 1) / 2 + reach % 2, 0..=reach / 2).prop_map(
                move |(pad_before, pad_after)| {
                    let free = (input + pad_before + pad_after).saturating_sub(reach + 1);
                    let extra = usize::from(ceil && !free.is_multiple_of(stride));
                    let mut output = free / stride + 1 + extra;
                    if (output - 1) * stride >= input + pad_before {
                        output -= 1;
                    }
                    PoolAxis { input, output, kernel, stride, dilation, pad_before, pad_after }
                },
            )
        },
    )
}

fn agrees<T: Element>(cx: Context<'_>, kind: Pooling, axes: &[PoolAxis], tolerance: f64) {
    let three = window::three(axes);
    let planes = 3;
    let input: usize = three.iter().map(|axis| axis.input).product();
    let outputs = three.map(|axis| axis.output);
    let output: usize = outputs.iter().product();
    let src: Vec<T> = noise(planes * input, 8).into_iter().map(T::from_f32).collect();
    let wide: Vec<f64> = src.iter().map(|x| f64::from(x.to_f32())).collect();
    let mut out = vec![T::default(); planes * output];
    pool(cx, kind, axes, planes, &src, &mut out).unwrap();
    let expected: Vec<f64> = (0..planes * output)
        .map(|at| {
            let (plane, at) = (at / output, at % output);
            let at =
                [at / (outputs[1] * outputs[2]), at / outputs[2] % outputs[1], at % outputs[2]];
            exact(kind, &three, &wide[plane * input..][..input], at)
        })
        .collect();
    let out: Vec<f32> = out.into_iter().map(T::to_f32).collect();
    let defined: Vec<usize> = (0..out.len()).filter(|&at| expected[at].is_finite()).collect();
    let got: Vec<f32> = defined.iter().map(|&at| out[at]).collect();
    let expected: Vec<f64> = defined.iter().map(|&at| expected[at]).collect();
    assert_close(&got, &expected, tolerance, 1.0, &format!("{kind:?} {axes:?} on {}", cx.isa));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn windows_of_one_to_three_axes_agree_with_their_definition(
        axes in proptest::collection::vec(axis(), 1..=3)
            .prop_filter("small", |axes| axes.iter().map(|axis| axis.input).product::<usize>() < 9000),
        threads in 1_usize..=4,
    ) {
        let pool = ThreadPool::new(threads).unwrap();
        for isa in Isa::available() {
            for kind in [Pooling::Max, Pooling::Average, Pooling::AverageWithPadding] {
                agrees::<f32>(Context::new(isa, &pool), kind, &axes, 1e-6);
                agrees::<f16>(Context::new(isa, &pool), kind, &axes, 1.0 / 2048.0);
            }
        }
    }
}

#[test]
fn a_global_window_is_the_whole_axis_and_nan_is_the_greatest() {
    let pool_of_one = ThreadPool::single();
    let cx = Context::new(Isa::best(), &pool_of_one);
    let axes = [PoolAxis::global(7), PoolAxis::global(9)];
    agrees::<f32>(cx, Pooling::Average, &axes, 1e-6);
    let mut src = [1.0; 63];
    src[40] = f32::NAN;
    let mut out = [0.0];
    pool(cx, Pooling::Max, &axes, 1, &src, &mut out).unwrap();
    assert!(out[0].is_nan());
}

#[test]
fn padding_beyond_memory_is_refused() {
    let pool_of_one = ThreadPool::single();
    let cx = Context::new(Isa::best(), &pool_of_one);
    let far = 1 << 30;
    let axis = PoolAxis { pad_before: far, pad_after: far, kernel: far, ..PoolAxis::global(1) };
    let axis = PoolAxis { output: 2, stride: far, ..axis };
    assert!(pool(cx, Pooling::Average, &[axis; 2], 1, &[1.0_f32], &mut [0.0; 4]).is_err());
}
