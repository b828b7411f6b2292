//! Every geometry against a plain loop in f64.

use proptest::prelude::*;
use remuda_simd::Isa;

use super::{AXES, AxisSpec, Conv, ConvError};
use crate::gemm::tests::{Numbers, activated};
use crate::gemm::{Activation, Epilogue, GemmError, Residual};
use crate::int8::{ByteMatrix, Bytes, Output, PackedRows, Per};
use crate::{Context, ThreadPool};

#[derive(Debug, Clone)]
struct Case {
    batch: usize,
    channels: [usize; 2],
    groups: usize,
    specs: Vec<AxisSpec>,
}

/// The definition, element by element; the slices are `[input, weights, bias, residual]`.
fn plain(
    case: &Case,
    [input, weights, bias, residual]: [&[f32]; 4],
    activation: Activation,
) -> Vec<f64> {
    let mut axes = [AxisSpec { input: 1, kernel: 1, stride: 1, dilation: 1, pads: [0, 0] }; AXES];
    axes[AXES - case.specs.len()..].copy_from_slice(&case.specs);
    let output = axes.map(|a| {
        (a.input + a.pads[0] + a.pads[1] - (a.kernel - 1) * a.dilation - 1) / a.stride + 1
    });
    let [c_in, c_out] = case.channels.map(|channels| channels / case.groups);
    let cube = |[d, h, w]: [usize; AXES]| {
        (0..d).flat_map(move |d| (0..h).flat_map(move |h| (0..w).map(move |w| [d, h, w])))
    };
    let mut result = Vec::new();
    for image in 0..case.batch {
        for channel in 0..case.channels[1] {
            for place in cube(output) {
                let mut sum = 0.0;
                for c in 0..c_in {
                    let plane = image * case.channels[0] + channel / c_out * c_in + c;
                    for (tap, at) in cube(axes.map(|a| a.kernel)).enumerate() {
                        let source: Option<Vec<usize>> = (0..AXES)
                            .map(|i| {
                                let a = axes[i];
                                (place[i] * a.stride + at[i] * a.dilation)
                                    .checked_sub(a.pads[0])
                                    .filter(|&x| x < a.input)
                            })
                            .collect();
                        let Some(source) = source else { continue };
                        let index =
                            source.iter().zip(axes).fold(plane, |i, (x, a)| i * a.input + x);
                        let taps: usize = axes.iter().map(|a| a.kernel).product();
                        let weight = weights[(channel * c_in + c) * taps + tap];
                        sum += f64::from(input[index]) * f64::from(weight);
                    }
                }
                sum += f64::from(bias[channel]) + f64::from(residual[result.len()]);
                result.push(activated(activation, sum));
            }
        }
    }
    result
}

fn run_case(case: &Case, seed: u64, threads: usize) {
    let mut numbers = Numbers::new(seed);
    let conv = Conv::new(case.batch, case.channels, case.groups, &case.specs).unwrap();
    let volume: usize = case.specs.iter().map(|a| a.input).product();
    let taps: usize = case.specs.iter().map(|a| a.kernel).product();
    let input = numbers.floats(case.batch * case.channels[0] * volume);
    let weights = numbers.floats(case.channels[1] * case.channels[0] / case.groups * taps);
    let bias = numbers.floats(case.channels[1]);
    let residual = numbers.floats(conv.output_len());
    let activation = [Activation::None, Activation::Relu, Activation::HardSwish]
        [usize::from(seed & 1 == 1) + usize::from(seed & 2 == 2)];
    let want = plain(case, [&input, &weights, &bias, &residual], activation);
    let epilogue = Epilogue {
        row_bias: Some(&bias),
        residual: Some(Residual { data: &residual, after_activation: false }),
        activation,
        ..Epilogue::default()
    };
    let pool = ThreadPool::new(threads).unwrap();
    for isa in Isa::available() {
        let mut out = vec![f32::NAN; conv.output_len()];
        conv.run(Context::new(isa, &pool), &input, &weights, epilogue, &mut out).unwrap();
        assert_eq!(out.len(), want.len());
        for (index, (got, want)) in out.iter().zip(&want).enumerate() {
            let close = (f64::from(*got) - want).abs() <= 2e-5 * (1.0 + want.abs());
            assert!(close, "{isa} {case:?}: element {index} is {got}, expected {want}");
        }
    }
}

/// The same convolution in exact integers: the definition in f64 of values around their zero points
/// is exact, padding being zero there.
fn run_quantized_case(case: &Case, seed: u64, threads: usize) {
    let mut numbers = Numbers::new(seed);
    let conv = Conv::new(case.batch, case.channels, case.groups, &case.specs).unwrap();
    let volume: usize = case.specs.iter().map(|a| a.input).product();
    let depth =
        case.channels[0] / case.groups * case.specs.iter().map(|a| a.kernel).product::<usize>();
    let mut bytes =
        |count: usize| -> Vec<u8> { (0..count).map(|_| numbers.next().to_le_bytes()[5]).collect() };
    let input = bytes(case.batch * case.channels[0] * volume);
    let weights = bytes(case.channels[1] * depth);
    let zeros = bytes(case.channels[1]);
    let weights_i8: Vec<_> = weights.iter().map(|byte| byte.cast_signed()).collect();
    let zeros: Vec<_> = zeros.iter().map(|zero| i32::from(zero.cast_signed())).collect();
    let input_zero = 131;
    let centred: Vec<_> = input.iter().map(|&x| f32::from(x) - input_zero as f32).collect();
    let centred_weights: Vec<_> = weights_i8
        .iter()
        .enumerate()
        .map(|(index, &w)| f32::from(w) - zeros[index / depth] as f32)
        .collect();
    let (bias, residual) = (vec![0.0; case.channels[1]], vec![0.0; conv.output_len()]);
    let want = plain(case, [&centred, &centred_weights, &bias, &residual], Activation::None);
    let pool = ThreadPool::new(threads).unwrap();
    for isa in Isa::available() {
        let context = Context::new(isa, &pool);
        let matrix = ByteMatrix::new(Bytes::I8(&weights_i8), case.channels[1], depth).unwrap();
        let rows = PackedRows::new(context, matrix, &[0], false).unwrap();
        let mut out = vec![-1; conv.output_len()];
        conv.run_quantized(
            context,
            (Bytes::U8(&input), input_zero),
            (&rows, Per::Row(&zeros)),
            Output::I32(&mut out),
        )
        .unwrap();
        for (index, (got, want)) in out.iter().zip(&want).enumerate() {
            assert_eq!(f64::from(*got), *want, "{isa} {case:?}: element {index}");
        }
    }
}

fn axis() -> impl Strategy<Value = AxisSpec> {
    (1..24_usize, 1..5_usize, 1..4_usize, 1..4_usize, 0..4_usize, 0..4_usize).prop_map(
        |(input, kernel, stride, dilation, before, after)| {
            let span = (kernel - 1) * dilation + 1;
            let missing = span.saturating_sub(input + before + after);
            AxisSpec { input: input + missing, kernel, stride, dilation, pads: [before, after] }
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let specs = prop_oneof![
        prop::collection::vec(axis(), 1),
        prop::collection::vec(axis(), 2),
        prop::collection::vec(axis(), 3),
    ];
    (1..3_usize, 1..4_usize, 1..5_usize, 1..12_usize, specs).prop_map(
        |(batch, groups, c_in, c_out, mut specs)| {
            if specs.len() == 3 {
                specs[0].input =
                    specs[0].input.min(6).max((specs[0].kernel - 1) * specs[0].dilation + 1);
                specs[1].input =
                    specs[1].input.min(9).max((specs[1].kernel - 1) * specs[1].dilation + 1);
            }
            Case { batch, channels: [groups * c_in, groups * c_out], groups, specs }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn random_geometries_match_the_definition(case in case(), seed in any::<u64>(), threads in 1..4_usize) {
        run_case(&case, seed, threads);
        run_quantized_case(&case, seed, threads);
    }

    #[test]
    fn random_depthwise_geometries_match_the_definition(
        specs in prop::collection::vec(axis(), 2),
        channels in 1..6_usize,
        seed in any::<u64>(),
    ) {
        run_case(&Case { batch: 2, channels: [channels; 2], groups: channels, specs }, seed, 2);
    }
}

fn square(input: usize, kernel: usize, stride: usize, pad: usize) -> Vec<AxisSpec> {
    vec![AxisSpec { input, kernel, stride, dilation: 1, pads: [pad; 2] }; 2]
}

#[test]
fn layers_of_real_networks_match_the_definition() {
    let layer = |channels, groups, specs| Case { batch: 1, channels, groups, specs };
    run_case(&layer([3, 16], 1, square(33, 7, 2, 3)), 0, 2);
    run_case(&layer([64, 64], 1, square(14, 3, 1, 1)), 1, 2);
    run_case(&layer([64, 32], 1, square(14, 1, 1, 0)), 2, 2);
    run_case(&layer([64, 40], 1, square(15, 1, 2, 0)), 3, 2);
    run_case(&layer([100, 20], 1, square(7, 3, 1, 1)), 4, 2);
    run_case(&layer([24, 24], 24, square(28, 5, 2, 2)), 5, 2);
    run_case(&layer([32, 64], 8, square(9, 3, 1, 1)), 6, 2);
    run_case(&layer([8, 16], 8, square(9, 3, 1, 1)), 7, 2);
}

#[test]
fn a_batch_larger_than_the_image_budget_is_done_in_parts() {
    run_case(&Case { batch: 3, channels: [40, 2], groups: 1, specs: square(256, 1, 1, 1) }, 9, 2);
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let fails =
        |channels, groups, specs: &[AxisSpec]| Conv::new(1, channels, groups, specs).unwrap_err();
    assert!(matches!(fails([3, 4], 2, &square(8, 3, 1, 1)), ConvError::Groups { .. }));
    assert_eq!(fails([2, 2], 1, &square(2, 3, 1, 0)), ConvError::Axis { axis: 0 });
    assert_eq!(fails([2, 2], 1, &square(2, 3, 0, 1)), ConvError::Axis { axis: 0 });
    assert_eq!(fails([2, 2], 1, &[]), ConvError::Rank { got: 0 });
    assert_eq!(fails([2, 2], 1, &square(usize::MAX / 2, 1, 1, 0)), ConvError::TooLarge);
    let conv = Conv::new(1, [2, 2], 1, &square(4, 3, 1, 1)).unwrap();
    let pool = ThreadPool::single();
    let context = Context::new(Isa::best(), &pool);
    let error = conv.run(context, &[0.0; 31], &[0.0; 36], Epilogue::default(), &mut [0.0; 32]);
    let short = GemmError::TooShort { what: "input", needed: Some(32), got: 31 };
    assert_eq!(error, Err(ConvError::Product(short)));
}

#[test]
fn images_beyond_memory_are_refused() {
    let pool = ThreadPool::single();
    let context = Context::new(Isa::best(), &pool);
    let far = 1 << 46;
    let spec = AxisSpec { input: 2, kernel: 2, stride: 1, dilation: far, pads: [far, 0] };
    for channels in [1, 2] {
        let conv = Conv::new(1, [channels; 2], 1, &[spec]).unwrap();
        let weights = vec![1.0; channels * channels * 2];
        let mut out = vec![0.0; conv.output_len()];
        let input = vec![1.0; 2 * channels];
        let error = conv.run(context, &input, &weights, Epilogue::default(), &mut out);
        assert!(matches!(error, Err(ConvError::Memory(_))), "{error:?}");
    }
    let far = usize::MAX / 2;
    for (stride, dilation, pads) in [(1, far, [0; 2]), (far, 1, [far; 2]), (1, 1, [far + 1; 2])] {
        let spec = AxisSpec { input: 2, kernel: 2, stride, dilation, pads };
        assert_eq!(
            Conv::new(1, [1, 1], 1, &[spec]).unwrap_err(),
            ConvError::Axis { axis: 0 },
            "{spec:?}"
        );
    }
}
