//! Errors over all of f32, sampled densely, against f64.

use super::*;
use crate::{Isa, Kernel};

/// A function under test, a vector at a time.
trait Function: Copy {
    fn vector<S: Simd>(self, s: S, x: S::F32) -> S::F32;
}

struct Map<'a, F> {
    function: F,
    values: &'a mut [f32],
}

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for chunk in self.values.chunks_exact_mut(S::LANES) {
            s.store(self.function.vector(s, s.load(chunk)), chunk);
        }
    }
}

/// Every 1009th f32 of every sign and exponent, and the values around which functions change.
fn samples() -> Vec<f32> {
    const SPECIAL: [f32; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        88.722_84,
        -103.972_08,
    ];
    let mut all: Vec<f32> = (0..=u32::MAX).step_by(1009).map(f32::from_bits).collect();
    all.extend((-120_000..120_000).map(|i| i as f32 * 1e-3));
    all.extend(SPECIAL);
    all.resize(all.len().next_multiple_of(crate::MAX_LANES), 1.0);
    all
}

/// The distance from `x` to the next f32.
fn ulp(x: f64) -> f64 {
    let exponent = x.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (exponent - 23.0).exp2()
}

/// How far a result may be off.
#[derive(Clone, Copy)]
enum Bound {
    Ulp(f64),
    /// In ulp, where the distance is above the second number.
    UlpOr(f64, f64),
    Absolute(f64),
    /// Times the greater of 1 and the argument.
    OfArgument(f64),
}

fn error(bound: Bound, x: f32, got: f32, exact: f64) -> (f64, f64) {
    let distance = (f64::from(got) - exact).abs();
    match bound {
        Bound::Ulp(limit) => (distance / ulp(exact), limit),
        Bound::UlpOr(limit, tiny) if distance < tiny => (0.0, limit),
        Bound::UlpOr(limit, _) => (distance / ulp(exact), limit),
        Bound::Absolute(limit) => (distance, limit),
        Bound::OfArgument(limit) => (distance / f64::from(x).abs().max(1.0), limit),
    }
}

fn check<F: Function>(name: &str, function: F, exact: fn(f64) -> f64, bound: Bound) {
    let samples = samples();
    for isa in Isa::available() {
        let mut values = samples.clone();
        isa.run(Map { function, values: &mut values });
        let mut worst = (0.0, 0.0, 0.0);
        for (&x, &got) in samples.iter().zip(&values) {
            let want = exact(f64::from(x));
            let rounded = want as f32;
            if rounded.is_nan() || rounded.is_infinite() || got.is_infinite() || rounded == 0.0 {
                let close = got.is_infinite() != rounded.is_infinite() && want.abs() > 3.4e38;
                let tiny = got.abs() <= f32::from_bits(2) && rounded == 0.0;
                let absolute = !matches!(bound, Bound::Ulp(_)) && rounded == 0.0;
                let same = got == rounded || (got.is_nan() && rounded.is_nan());
                assert!(
                    same || close || tiny || absolute,
                    "{isa}: {name}({x}) is {got}, not {want}"
                );
                if x == 0.0 && want == 0.0 {
                    let sign = got.is_sign_negative() == want.is_sign_negative();
                    assert!(sign, "{isa}: {name}({x}) is {got}");
                }
                continue;
            }
            let (error, _) = error(bound, x, got, want);
            if error.is_nan() || error > worst.0 {
                worst = (error, x, got);
            }
        }
        let (_, limit) = error(bound, 1.0, 1.0, 1.0);
        let (off, x, got) = worst;
        println!("{isa}: {name} is off by {off} at {x}");
        let want = exact(f64::from(x));
        assert!(off <= limit, "{isa}: {name}({x}) is {got}, not {want}: off by {off}");
    }
}

macro_rules! function {
    ($test:ident, $bound:expr, $vector:expr, $exact:expr) => {
        #[test]
        fn $test() {
            #[derive(Clone, Copy)]
            struct This;
            impl Function for This {
                #[inline(always)]
                fn vector<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
                    $vector(s, x)
                }
            }
            check(stringify!($test), This, $exact, $bound);
        }
    };
}

function!(exp_is_accurate, Bound::Ulp(2.0), exp, f64::exp);
function!(exp_of_non_positive_is_accurate, Bound::Ulp(2.0), flushed, |x| {
    let value = (-x.abs()).exp();
    if value < f64::from(f32::MIN_POSITIVE) { 0.0 } else { value }
});
function!(exp_m1_is_accurate, Bound::Ulp(2.5), exp_m1, f64::exp_m1);
function!(log_is_accurate, Bound::Ulp(1.5), log, f64::ln);
function!(tanh_is_accurate, Bound::Ulp(3.0), tanh, f64::tanh);
function!(sigmoid_is_accurate, Bound::UlpOr(3.0, 1.2e-38), sigmoid, exact_sigmoid);
function!(silu_is_accurate, Bound::UlpOr(4.0, 2e-36), silu, |x| vanishing(x, exact_sigmoid));
function!(erf_is_accurate, Bound::Ulp(4.0), erf, libm::erf);
function!(gelu_is_accurate, Bound::OfArgument(1e-7), gelu, |x| {
    vanishing(x, |x| libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0)
});
function!(gelu_tanh_is_accurate, Bound::OfArgument(1e-6), gelu_tanh, |x| {
    vanishing(x, |x| {
        exact_sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x))
    })
});
function!(softplus_is_accurate, Bound::UlpOr(4.0, 1.2e-38), softplus, exact_softplus);
function!(mish_is_accurate, Bound::UlpOr(5.0, 2e-36), mish, |x| vanishing(x, |x| exact_softplus(
    x
)
.tanh()));
function!(softsign_is_accurate, Bound::Ulp(2.0), softsign, |x| {
    if x.abs() > 3.5e38 { f64::NAN } else { x / (1.0 + x.abs()) }
});
function!(sin_is_accurate, Bound::Absolute(1.2e-7), sin, f64::sin);
function!(cos_is_accurate, Bound::Absolute(1.2e-7), cos, f64::cos);
function!(reciprocal_is_accurate, Bound::Ulp(0.5001), reciprocal, f64::recip);
function!(reciprocal_sqrt_is_accurate, Bound::Ulp(1.5), reciprocal_sqrt, |x| 1.0 / x.sqrt());
function!(elu_is_accurate, Bound::Ulp(3.0), |s, x| elu(s, x, 1.0), |x| {
    if x > 0.0 { x } else { x.exp_m1() }
});

/// [`exp_non_positive`], and zero for every result that it may flush.
#[inline(always)]
fn flushed<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let value = exp_non_positive(s, s.neg(s.abs(x)));
    s.select(s.lt(value, s.splat(f32::MIN_POSITIVE)), s.zero(), value)
}

fn exact_sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

fn exact_softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 }
}

/// `x` times its gate, with the limit at minus infinity.
fn vanishing(x: f64, gate: impl Fn(f64) -> f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x * gate(x) }
}
