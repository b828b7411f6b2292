//! Windows and discrete Fourier transforms.

use std::f64::consts::PI;

use remuda_ir::{InferCtx, Inferred, KernelCtx, OpError, Val};
use remuda_tensor::{DType, Dim, Tensor};

use super::array::Array;
use super::dtypes::dtype_attr;
use super::scalar_i64;

/// The shape rule of a window.
pub(crate) fn infer_window(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = dtype_attr(ctx.attrs(), "output_datatype")?.unwrap_or(DType::F32);
    let size = ctx.content(0).and_then(|content| content.first().cloned());
    Ok(vec![Inferred::tensor(dtype, [size.unwrap_or(Dim::Unknown)])])
}

/// A size that is the one element of an input.
pub(crate) fn size_input(tensor: &Tensor, name: &str) -> Result<usize, OpError> {
    let size = scalar_i64(tensor)?;
    usize::try_from(size)
        .map_err(|_| OpError::Invalid(format!("`{name}` expected a size, got {size}")))
}

/// The window `a - b cos(t) + c cos(2t)`, where `t` goes around once.
pub(crate) fn cosine_window(ctx: &KernelCtx<'_>, [a, b, c]: [f64; 3]) -> Result<Vec<Val>, OpError> {
    let dtype = dtype_attr(ctx.attrs(), "output_datatype")?.unwrap_or(DType::F32);
    let size = size_input(ctx.tensor(0)?, "size")?;
    let periodic = ctx.attrs().bool_or("periodic", true)?;
    let around = if periodic { size } else { size.saturating_sub(1) } as f64;
    let mut window = Array::filled([size], 0.0)?;
    for (at, value) in window.values.iter_mut().enumerate() {
        let t = if around > 0.0 { 2.0 * PI * at as f64 / around } else { 0.0 };
        *value = a - b * t.cos() + c * (2.0 * t).cos();
    }
    Ok(vec![window.to_numbers(dtype)?.into()])
}

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Complex {
    pub(crate) re: f64,
    pub(crate) im: f64,
}

impl Complex {
    fn turn(numerator: f64, denominator: f64) -> Self {
        let (im, re) = (2.0 * PI * numerator / denominator).sin_cos();
        Self { re, im }
    }

    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }
}

/// The discrete Fourier transform of any length; the inverse one is not divided by the length.
pub(crate) fn transform(values: &mut Vec<Complex>, inverse: bool) {
    if inverse {
        values.iter_mut().for_each(|value| *value = value.conjugate());
    }
    match values.len() {
        0 | 1 => {}
        length if length.is_power_of_two() => transform_power(values),
        _ => *values = transform_any(values),
    }
    if inverse {
        values.iter_mut().for_each(|value| *value = value.conjugate());
    }
}

/// Cooley and Tukey's transform of a power of two.
fn transform_power(values: &mut [Complex]) {
    let length = values.len();
    let bits = length.trailing_zeros();
    for at in 0..length {
        let other = at.reverse_bits() >> (usize::BITS - bits);
        if at < other {
            values.swap(at, other);
        }
    }
    let turns: Vec<Complex> =
        (0..length / 2).map(|at| Complex::turn(-(at as f64), length as f64)).collect();
    let mut half = 1;
    while half < length {
        let step = length / (2 * half);
        for block in values.chunks_exact_mut(2 * half) {
            let (front, back) = block.split_at_mut(half);
            for (at, (a, b)) in front.iter_mut().zip(back).enumerate() {
                let turned = b.times(turns[at * step]);
                *b = Complex { re: a.re - turned.re, im: a.im - turned.im };
                *a = Complex { re: a.re + turned.re, im: a.im + turned.im };
            }
        }
        half *= 2;
    }
}

/// Bluestein's transform of any length: a convolution with a chirp, through powers of two.
fn transform_any(values: &[Complex]) -> Vec<Complex> {
    let length = values.len();
    let padded = (2 * length).next_power_of_two();
    // The square is reduced first, so that the angle stays exact.
    let chirp = |at: usize| {
        let square = (at as u128 * at as u128) % (2 * length as u128);
        Complex::turn(-(square as f64), 2.0 * length as f64)
    };
    let chirps: Vec<Complex> = (0..length).map(chirp).collect();
    let mut a = vec![Complex::default(); padded];
    let mut b = vec![Complex::default(); padded];
    for at in 0..length {
        a[at] = values[at].times(chirps[at]);
        b[at] = chirps[at].conjugate();
        b[(padded - at) % padded] = chirps[at].conjugate();
    }
    transform_power(&mut a);
    transform_power(&mut b);
    // The inverse of a power of two by the forward transform of conjugates.
    let mut product: Vec<Complex> =
        a.iter().zip(&b).map(|(a, b)| a.times(*b).conjugate()).collect();
    transform_power(&mut product);
    let scale = 1.0 / padded as f64;
    let scaled = |value: Complex| Complex { re: value.re * scale, im: -value.im * scale };
    (0..length).map(|at| scaled(product[at]).times(chirps[at])).collect()
}
