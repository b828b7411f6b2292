//! Every path against a plain loop in f64.

mod batches;
mod others;
mod products;

use remuda_simd::Isa;

use super::{Activation, Epilogue, Matrix, PackedB, Product, Rhs};
use crate::{Context, ThreadPool};

/// A small generator, so that a failing case is known by its numbers alone.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In `-1..1`.
    pub(crate) fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    pub(crate) fn floats(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.float()).collect()
    }
}

/// `activation(alpha * A*B + beta * C + biases + residual)` of the whole output, and for each
/// element the sum of magnitudes that bounds its rounding error.
pub(super) fn expected(product: &Product<'_>, rhs: Matrix<'_>, before: &[f32]) -> Vec<(f64, f64)> {
    let lhs = product.lhs;
    let mut result = Vec::new();
    for row in 0..lhs.rows {
        for column in 0..rhs.columns {
            let terms = (0..lhs.columns).map(|k| {
                let a = lhs.data[row * lhs.row_stride + k * lhs.column_stride];
                let b = rhs.data[k * rhs.row_stride + column * rhs.column_stride];
                f64::from(a) * f64::from(b)
            });
            let (mut sum, mut size) =
                terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
            let epilogue = &product.epilogue;
            sum *= f64::from(epilogue.alpha);
            size *= f64::from(epilogue.alpha.abs());
            let index = row * rhs.columns + column;
            let mut add = |value: f32| {
                sum += f64::from(value);
                size += f64::from(value.abs());
            };
            if epilogue.beta != 0.0 {
                add(epilogue.beta * before[index]);
            }
            add(epilogue.column_bias.map_or(0.0, |bias| bias[column]));
            add(epilogue.row_bias.map_or(0.0, |bias| bias[row]));
            let residual = epilogue.residual.map(|r| (r.data[index], r.after_activation));
            add(residual.filter(|r| !r.1).map_or(0.0, |r| r.0));
            sum = activated(epilogue.activation, sum);
            sum += f64::from(residual.filter(|r| r.1).map_or(0.0, |r| r.0));
            result.push((sum, size + 1.0));
        }
    }
    result
}

/// The definition of each activation, in f64.
pub(crate) fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => {
            if x.is_nan() {
                x
            } else {
                x.max(0.0)
            }
        }
        Activation::Clip { low, high } => x.clamp(f64::from(low), f64::from(high)),
        Activation::LeakyRelu { alpha } => {
            if x < 0.0 {
                f64::from(alpha) * x
            } else {
                x
            }
        }
        Activation::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Swish { alpha } => x / (1.0 + (-f64::from(alpha) * x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
    }
}

/// The error function by its series, which converges everywhere and is exact enough below 4.
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 4.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..120 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

pub(super) fn assert_close(got: &[f32], expected: &[(f64, f64)], depth: usize, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let unit = f64::from(f32::EPSILON) * (depth as f64 + 8.0);
    for (index, (&got, &(value, size))) in got.iter().zip(expected).enumerate() {
        let got = f64::from(got);
        let same = got == value || got.is_nan() && value.is_nan();
        assert!(
            same || (got - value).abs() <= unit * size,
            "{what}: element {index} is {got}, expected {value}"
        );
    }
}

/// Runs a product of row-major operands in every way that it can run and compares each.
pub(super) fn check(
    isa: Isa,
    pool: &ThreadPool,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    epilogue: Epilogue<'_>,
) {
    let packed = PackedB::new(&rhs);
    let before: Vec<_> = Numbers::new(7).floats(lhs.rows * rhs.columns);
    for right in [Rhs::Matrix(rhs), Rhs::Packed(&packed), Rhs::Source(&rhs)] {
        let product = Product { epilogue, ..Product::new(lhs, right) };
        let mut out = before.clone();
        if epilogue.beta == 0.0 {
            out.fill(f32::NAN);
        }
        product.run(Context::new(isa, pool), &mut out, rhs.columns).unwrap();
        let what = format!("{isa}, {} threads, {lhs:.0?} * {right:?}", pool.size());
        let what = what.split("data").next().unwrap_or("").to_owned()
            + &format!("{}x{}x{} {right:?}", lhs.rows, lhs.columns, rhs.columns);
        assert_close(&out, &expected(&product, rhs, &before), lhs.columns, &what);
    }
}
