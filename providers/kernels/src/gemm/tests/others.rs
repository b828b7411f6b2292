//! Other element types: 16-bit floats on the right, f64 on both sides.

use half::{bf16, f16};
use remuda_simd::Isa;

use super::{Numbers, assert_close, expected};
use crate::gemm::{HalfFloat, Matrix, PackedHalf, Product, Rhs, multiply_f64};
use crate::{Context, ThreadPool};

fn check_half<T: HalfFloat>(narrow: impl Fn(f32) -> T) {
    let pool = ThreadPool::new(2).unwrap();
    for (m, k, n) in
        [(1, 100, 130), (2, 33, 70), (3, 64, 17), (4, 700, 50), (5, 9, 16), (20, 600, 90)]
    {
        let mut numbers = Numbers::new((m * k * n) as u64);
        let lhs = numbers.floats(m * k);
        let rhs: Vec<_> = numbers.floats(k * n).into_iter().map(&narrow).collect();
        let wide: Vec<_> = rhs.iter().map(|value| value.widen()).collect();
        let lhs = Matrix::new(&lhs, m, k).unwrap();
        for strides in [[n, 1], [1, k]] {
            let matrix = Matrix::strided(&rhs, [k, n], strides).unwrap();
            let wide = Matrix::strided(&wide, [k, n], strides).unwrap();
            for isa in Isa::available() {
                let packed = PackedHalf::new(isa, &matrix);
                for right in [Rhs::Source(&matrix), Rhs::Source(&packed)] {
                    let product = Product::new(lhs, right);
                    let mut out = vec![f32::NAN; m * n];
                    product.run(Context::new(isa, &pool), &mut out, n).unwrap();
                    let what = format!("{isa} {m} {k} {n}");
                    assert_close(&out, &expected(&product, wide, &[]), k, &what);
                }
            }
        }
    }
}

#[test]
fn half_floats_are_used_exactly() {
    check_half(f16::from_f32);
    check_half(bf16::from_f32);
}

#[test]
fn doubles_match_the_plain_loop() {
    let (m, k, n) = (37, 19, 23);
    let mut numbers = Numbers::new(8);
    let mut doubles = |count: usize| -> Vec<f64> {
        (0..count).map(|_| f64::from(numbers.float()) + 1e-9 * f64::from(numbers.float())).collect()
    };
    let (a, b, before) = (doubles(m * k), doubles(k * n), doubles(m * n));
    for threads in 1..=3 {
        let pool = ThreadPool::new(threads).unwrap();
        let context = Context::new(Isa::best(), &pool);
        for (strides, beta) in [([n, 1], 0.0), ([1, k], 0.5)] {
            let lhs = Matrix::new(&a, m, k).unwrap();
            let rhs = Matrix::strided(&b, [k, n], strides).unwrap();
            let mut out = if beta == 0.0 { vec![f64::NAN; m * n] } else { before.clone() };
            multiply_f64(context, lhs, rhs, [2.0, beta], &mut out).unwrap();
            for (index, got) in out.iter().enumerate() {
                let (i, j) = (index / n, index % n);
                let sum: f64 =
                    (0..k).map(|x| a[i * k + x] * b[x * strides[0] + j * strides[1]]).sum();
                let kept = if beta == 0.0 { 0.0 } else { beta * before[index] };
                assert!((got - (2.0 * sum + kept)).abs() < 1e-13, "{index} {got}");
            }
        }
    }
}
