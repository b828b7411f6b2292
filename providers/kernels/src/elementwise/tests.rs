//! Elementwise kernels against plain f64 loops, on every instruction set and thread count.

#![expect(clippy::cast_possible_truncation, reason = "test data")]

use half::{bf16, f16};
use proptest::prelude::*;
use remuda_simd::{Element, Isa};

use super::numbers::{self, zip};
use super::{Binary, Step, Unary, View, binary, chain, chain_in_place, unary};
use crate::context::testing::{assert_close, everywhere, noise};
use crate::{Context, ThreadPool};

type Exact = fn(f64) -> f64;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn unary_functions() -> Vec<(Unary, Exact)> {
    vec![
        (Unary::Identity, |x| x),
        (Unary::Neg, |x| -x),
        (Unary::Abs, f64::abs),
        (Unary::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        (Unary::Floor, f64::floor),
        (Unary::Ceil, f64::ceil),
        (Unary::Round, f64::round_ties_even),
        (Unary::Square, |x| x * x),
        (Unary::Affine(2.0, 0.25), |x| 2.0 * x + 0.25),
        (Unary::Reciprocal, |x| 1.0 / x),
        (Unary::Exp, f64::exp),
        (Unary::Sin, f64::sin),
        (Unary::Cos, f64::cos),
        (Unary::Tanh, f64::tanh),
        (Unary::Sigmoid, sigmoid),
        (Unary::Erf, libm::erf),
        (Unary::Relu, |x| x.max(0.0)),
        (Unary::Gelu, |x| x / 2.0 * (1.0 + libm::erf(x / 2_f64.sqrt()))),
        (Unary::GeluTanh, |x| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / 2.0 * (1.0 + inner.tanh())
        }),
        (Unary::Swish(1.0), |x| x * sigmoid(x)),
        (Unary::Swish(1.5), |x| x * sigmoid(1.5 * x)),
        (Unary::Softplus, |x| x.exp().ln_1p()),
        (Unary::Softsign, |x| x / (1.0 + x.abs())),
        (Unary::Mish, |x| x * x.exp().ln_1p().tanh()),
        (Unary::HardSwish, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        (Unary::HardSigmoid(0.25, 0.5), |x| (0.25 * x + 0.5).clamp(0.0, 1.0)),
        (Unary::Elu(1.5), |x| if x > 0.0 { x } else { 1.5 * x.exp_m1() }),
        (Unary::Selu(1.5, 2.0), |x| 2.0 * if x > 0.0 { x } else { 1.5 * x.exp_m1() }),
        (Unary::Celu(2.0), |x| if x > 0.0 { x } else { 2.0 * (x / 2.0).exp_m1() }),
        (Unary::LeakyRelu(0.25), |x| if x < 0.0 { 0.25 * x } else { x }),
        (Unary::ThresholdedRelu(0.5), |x| if x > 0.5 { x } else { 0.0 }),
        (Unary::Shrink(0.5, 0.25), |x| match x {
            _ if x < -0.5 => x + 0.25,
            _ if x > 0.5 => x - 0.25,
            _ => 0.0,
        }),
        (Unary::Clip(-0.5, 0.75), |x| x.clamp(-0.5, 0.75)),
        (Unary::Each(f32::tan), f64::tan),
    ]
}

#[test]
fn every_unary_function_agrees_with_f64_at_odd_lengths() {
    everywhere(|cx| {
        for length in [0, 1, 17, 1000, 70_001] {
            let x: Vec<f32> = noise(length, 7).into_iter().map(|x| 4.0 * x).collect();
            for (op, exact) in unary_functions() {
                let mut y = vec![f32::NAN; length];
                unary(cx, op, &x, &mut y);
                let expected: Vec<f64> = x.iter().map(|&x| exact(f64::from(x))).collect();
                assert_close(&y, &expected, 1e-6, 0.5, &format!("{op:?} on {}", cx.isa));
            }
        }
    });
}

#[test]
fn functions_of_positive_numbers_agree_with_f64() {
    let functions: [(Unary, Exact); 3] = [
        (Unary::Sqrt, f64::sqrt),
        (Unary::Log, f64::ln),
        (Unary::ReciprocalSqrt, |x| 1.0 / x.sqrt()),
    ];
    everywhere(|cx| {
        let x: Vec<f32> = noise(999, 3).into_iter().map(|x| x + 1.001).collect();
        for (op, exact) in functions {
            let mut y = vec![0.0; x.len()];
            unary(cx, op, &x, &mut y);
            let expected: Vec<f64> = x.iter().map(|&x| exact(f64::from(x))).collect();
            assert_close(&y, &expected, 1e-6, 1e-3, &format!("{op:?}"));
        }
    });
}

#[test]
fn special_values_are_those_of_ieee_754() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let cases: [(Unary, [f32; 5]); 10] = [
        (Unary::Relu, [0.0, inf, 0.0, nan, -0.0]),
        (Unary::Clip(-1.0, 2.0), [-1.0, 2.0, 0.0, nan, -0.0]),
        (Unary::Sign, [-1.0, 1.0, 0.0, nan, -0.0]),
        (Unary::Exp, [0.0, inf, 1.0, nan, 1.0]),
        (Unary::Log, [nan, inf, -inf, nan, -inf]),
        (Unary::Sqrt, [nan, inf, 0.0, nan, -0.0]),
        (Unary::Tanh, [-1.0, 1.0, 0.0, nan, -0.0]),
        (Unary::Gelu, [0.0, inf, 0.0, nan, -0.0]),
        (Unary::Sigmoid, [0.0, 1.0, 0.5, nan, 0.5]),
        (Unary::Reciprocal, [-0.0, 0.0, inf, nan, -inf]),
    ];
    everywhere(|cx| {
        for (op, expected) in cases {
            let mut y = [7.0; 5];
            unary(cx, op, &[-inf, inf, 0.0, nan, -0.0], &mut y);
            for (got, expected) in y.into_iter().zip(expected) {
                let same = got == expected || (got.is_nan() && expected.is_nan());
                let sign = op_keeps_zero_sign(op, got, expected);
                assert!(same && sign, "{op:?} on {}: {y:?}, expected {expected}", cx.isa);
            }
        }
    });
}

fn op_keeps_zero_sign(op: Unary, got: f32, expected: f32) -> bool {
    let odd = matches!(op, Unary::Tanh | Unary::Sqrt | Unary::Sign | Unary::Reciprocal);
    !odd || got.is_nan() || got.is_sign_negative() == expected.is_sign_negative()
}

fn exact_binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Pow => a.powf(b),
        Binary::PRelu => [a, a * b][usize::from(a < 0.0)],
    }
}

/// The element of an operand for each element of the output, by the definition of broadcasting.
fn broadcast<T: Copy>(data: &[T], shape: &[usize], out: &[usize]) -> Vec<T> {
    let count = out.iter().product();
    let at = |linear: usize| {
        let (mut rest, mut offset, mut stride) = (linear, 0, 1);
        for (axis, &size) in out.iter().enumerate().rev() {
            let index = rest % size;
            rest /= size;
            if let Some(own) = (axis + shape.len()).checked_sub(out.len()) {
                offset += if shape[own] == 1 { 0 } else { index * stride };
                stride *= shape[own];
            }
        }
        data[offset]
    };
    (0..count).map(at).collect()
}

const OPS: [Binary; 8] = [
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Min,
    Binary::Max,
    Binary::Pow,
    Binary::PRelu,
];

/// An output shape, and one operand shape that broadcasts to it.
fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, Vec<usize>)> {
    let axis = prop_oneof![1_usize..6, Just(33), Just(150)];
    proptest::collection::vec((axis, any::<bool>(), any::<bool>()), 0..4)
        .prop_flat_map(|axes| {
            let rank = axes.len();
            (Just(axes), 0..=rank, 0..=rank)
        })
        .prop_map(|(axes, skip_a, skip_b)| {
            let out: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
            let pick = |full: bool, size: usize| if full { size } else { 1 };
            let a = axes.iter().map(|axis| pick(axis.1, axis.0)).skip(skip_a).collect();
            let b = axes.iter().map(|axis| pick(axis.2, axis.0)).skip(skip_b).collect();
            (out, a, b)
        })
        .prop_filter("small", |(out, ..)| out.iter().product::<usize>() < 200_000)
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn binary_functions_broadcast_like_their_definition(
        (out, a_shape, b_shape) in shapes(), op in 0..OPS.len(), threads in 1_usize..=4,
    ) {
        let op = OPS[op];
        let pool = ThreadPool::new(threads).unwrap();
        let a: Vec<f32> = noise(count(&a_shape), 1).into_iter().map(|x| x + 1.5).collect();
        let b: Vec<f32> = noise(count(&b_shape), 2).into_iter().map(|x| x + 1.5).collect();
        let (wide_a, wide_b) = (broadcast(&a, &a_shape, &out), broadcast(&b, &b_shape, &out));
        let exact = |(&a, &b)| exact_binary(op, f64::from(a), f64::from(b));
        let expected: Vec<f64> = wide_a.iter().zip(&wide_b).map(exact).collect();
        for isa in Isa::available() {
            let cx = Context::new(isa, &pool);
            let mut got = vec![f32::NAN; expected.len()];
            binary(cx, op, View::new(&a, &a_shape), View::new(&b, &b_shape), &mut got, &out);
            assert_close(&got, &expected, 1e-6, 0.1, &format!("{op:?} {a_shape:?} {b_shape:?}"));
        }
        let integers = |values: &[f32]| values.iter().map(|&x| (x * 99.0) as i32).collect::<Vec<_>>();
        let (a, b) = (integers(&a), integers(&b));
        let cx = Context::new(Isa::best(), &pool);
        let mut got = vec![0; expected.len()];
        zip(cx, View::new(&a, &a_shape), View::new(&b, &b_shape), &mut got, &out, |a, b| a * 3 - b);
        let wide = broadcast(&a, &a_shape, &out).into_iter().zip(broadcast(&b, &b_shape, &out));
        prop_assert_eq!(got, wide.map(|(a, b)| a * 3 - b).collect::<Vec<_>>());
    }

    #[test]
    fn selection_broadcasts_like_its_definition(
        (out, a_shape, b_shape) in shapes(), threads in 1_usize..=4,
    ) {
        let pool = ThreadPool::new(threads).unwrap();
        let cx = Context::new(Isa::best(), &pool);
        let condition: Vec<u8> = (0..count(&b_shape)).map(|i| u8::from(i % 3 == 0)).collect();
        let a: Vec<u16> = (0..count(&a_shape)).map(|i| i as u16).collect();
        let mut got = vec![0; count(&out)];
        let views = (View::new(&a, &a_shape), View::new(&[65535_u16], &[]));
        numbers::select(cx, View::new(&condition, &b_shape), views, &mut got, &out);
        let truth = broadcast(&condition, &b_shape, &out);
        let wide = broadcast(&a, &a_shape, &out).into_iter().zip(truth);
        let expected: Vec<u16> = wide.map(|(a, t)| if t == 1 { a } else { 65535 }).collect();
        prop_assert_eq!(got, expected);
    }
}

fn chain_agrees<T: Element>(tolerance: f64) {
    everywhere(|cx| {
        let (rows, columns) = (37, 131);
        let (shape, row, column) = ([rows, columns], [columns], [rows, 1]);
        let of = |values: Vec<f32>| values.into_iter().map(T::from_f32).collect::<Vec<T>>();
        let x = of(noise(rows * columns, 1));
        let bias = of(noise(columns, 2));
        let scale = of(noise(rows, 3));
        let full = of(noise(rows * columns, 4));
        let steps = [
            Step::Right(Binary::Add, View::new(&bias, &row)),
            Step::Unary(Unary::Gelu),
            Step::Left(Binary::Sub, View::new(&scale, &column)),
            Step::Right(Binary::Mul, View::new(&full, &shape)),
            Step::Unary(Unary::Tanh),
        ];
        let mut got = vec![T::default(); rows * columns];
        chain(cx, View::new(&x, &shape), &steps, &mut got, &shape);
        let expected: Vec<f64> = (0..rows * columns)
            .map(|at| {
                let get = |values: &[T], at: usize| f64::from(values[at].to_f32());
                let sum = get(&x, at) + get(&bias, at % columns);
                let gelu = sum / 2.0 * (1.0 + libm::erf(sum / 2_f64.sqrt()));
                ((get(&scale, at / columns) - gelu) * get(&full, at)).tanh()
            })
            .collect();
        let got: Vec<f32> = got.into_iter().map(T::to_f32).collect();
        assert_close(&got, &expected, tolerance, 1.0, "chain");
    });
}

#[test]
fn a_chain_rounds_once_to_its_storage_type() {
    chain_agrees::<f32>(1e-6);
    chain_agrees::<f16>(0.5 / 2048.0 + 1e-6);
    chain_agrees::<bf16>(0.5 / 256.0 + 1e-6);
}

#[test]
fn a_strided_view_is_read_in_its_own_order() {
    everywhere(|cx| {
        let data: Vec<f32> = (0..12).map(|x| x as f32).collect();
        let mut got = [0.0; 12];
        let transposed = View::strided(&data, &[4, 3], &[1, 4]);
        chain(cx, transposed, &[], &mut got, &[4, 3]);
        assert_eq!(got, [0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0]);
    });
}

fn in_place_agrees<T: Element + PartialEq + std::fmt::Debug>() {
    let shape = [3, 700];
    let narrow = |seed: u64, count: usize| -> Vec<T> {
        noise(count, seed).into_iter().map(T::from_f32).collect()
    };
    let (values, row, whole) = (narrow(1, 2100), narrow(2, 700), narrow(3, 2100));
    let steps = [
        Step::Unary(Unary::Tanh),
        Step::Right(Binary::Sub, View::new(&row, &[700])),
        Step::Left(Binary::Sub, View::new(&whole, &shape)),
    ];
    everywhere(|cx| {
        for steps in [&steps[..], &steps[..1], &steps[1..2], &steps[2..]] {
            let mut apart = vec![T::default(); values.len()];
            chain(cx, View::new(&values, &shape), steps, &mut apart, &shape);
            let mut over = values.clone();
            chain_in_place(cx, steps, &mut over, &shape);
            assert_eq!(over, apart);
        }
    });
}

#[test]
fn chains_give_the_same_in_the_place_of_their_input() {
    in_place_agrees::<f32>();
    in_place_agrees::<f16>();
    in_place_agrees::<bf16>();
}
