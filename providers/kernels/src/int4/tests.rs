//! Products with four-bit weights against plain f64.

use remuda_simd::Isa;

use super::{Int4Error, Int4Weights, PackedInt4, ZeroPoints};
use crate::gemm::tests::Numbers;
use crate::gemm::{Activation, Epilogue, Matrix, Product, Rhs};
use crate::{Context, ThreadPool};

struct Case {
    sizes: [usize; 3],
    block: usize,
    values: Vec<u8>,
    scales: Vec<f32>,
    packed_zeros: Vec<u8>,
    float_zeros: Vec<f32>,
    lhs: Vec<f32>,
}

impl Case {
    fn new(sizes: [usize; 3], block: usize) -> Self {
        let [m, k, n] = sizes;
        let blocks = k.div_ceil(block);
        let mut numbers = Numbers::new((m * 31 + k * 7 + n) as u64);
        let bytes = |numbers: &mut Numbers, count: usize| -> Vec<u8> {
            (0..count).map(|_| numbers.next().to_le_bytes()[3]).collect()
        };
        Self {
            sizes,
            block,
            values: bytes(&mut numbers, n * blocks * block / 2),
            scales: numbers.floats(n * blocks),
            packed_zeros: bytes(&mut numbers, n * blocks.div_ceil(2)),
            float_zeros: numbers.floats(n * blocks),
            lhs: numbers.floats(m * k),
        }
    }

    fn weights<'a>(&'a self, zero_points: ZeroPoints<'a>) -> Int4Weights<'a> {
        let [_, rows, columns] = self.sizes;
        let Self { block, values, scales, .. } = self;
        Int4Weights { rows, columns, block: *block, values, scales, zero_points }
    }

    /// The value of an element by the definition of the format.
    fn weight(&self, zero_points: ZeroPoints<'_>, k: usize, column: usize) -> f64 {
        let blocks = self.sizes[1].div_ceil(self.block);
        let byte = self.values[(column * blocks * self.block + k) / 2];
        let value = if k.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        let block = k / self.block;
        let zero = match zero_points {
            ZeroPoints::Middle => 8.0,
            ZeroPoints::Floats(zeros) => f64::from(zeros[column * blocks + block]),
            ZeroPoints::Packed(zeros) => {
                let pair = zeros[column * blocks.div_ceil(2) + block / 2];
                f64::from(if block.is_multiple_of(2) { pair & 15 } else { pair >> 4 })
            }
        };
        (f64::from(value) - zero) * f64::from(self.scales[column * blocks + block])
    }

    fn check(&self, zero_points: ZeroPoints<'_>, threads: usize) {
        let [m, k, n] = self.sizes;
        let pool = ThreadPool::new(threads).unwrap();
        let bias = Numbers::new(9).floats(n);
        let epilogue = Epilogue {
            column_bias: Some(&bias),
            activation: Activation::Relu,
            ..Epilogue::default()
        };
        for isa in Isa::available() {
            let packed = PackedInt4::new(isa, &self.weights(zero_points)).unwrap();
            let lhs = Matrix::new(&self.lhs, m, k).unwrap();
            let product = Product { epilogue, ..Product::new(lhs, Rhs::Source(&packed)) };
            let mut out = vec![f32::NAN; m * n];
            product.run(Context::new(isa, &pool), &mut out, n).unwrap();
            for row in 0..m {
                for column in 0..n {
                    let terms = (0..k).map(|x| {
                        f64::from(self.lhs[row * k + x]) * self.weight(zero_points, x, column)
                    });
                    let (sum, size) =
                        terms.fold((0.0, 16.0), |(sum, size), t| (sum + t, size + t.abs()));
                    let want = (sum + f64::from(bias[column])).max(0.0);
                    let got = f64::from(out[row * n + column]);
                    // The sum of a block is taken before its zero point: up to 16 times larger.
                    let bound = size * 16.0 * f64::from(f32::EPSILON) * (k as f64).sqrt();
                    let what = format!("{isa} {:?} {}", self.sizes, self.block);
                    assert!((got - want).abs() <= bound, "{what} {row} {column}: {got} {want}");
                }
            }
        }
    }
}

#[test]
fn products_match_the_definition_of_the_format() {
    for block in [16, 32, 64, 128, 256] {
        for (m, k, n) in [(1, 256, 80), (2, 300, 33), (3, 64, 16), (4, 520, 50), (9, 257, 70)] {
            let case = Case::new([m, k, n], block);
            case.check(ZeroPoints::Middle, 1);
            case.check(ZeroPoints::Packed(&case.packed_zeros), 2);
            case.check(ZeroPoints::Floats(&case.float_zeros), 3);
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_errors() {
    let case = Case::new([1, 64, 16], 32);
    let weights = case.weights(ZeroPoints::Middle);
    let fails = |weights: Int4Weights<'_>| PackedInt4::new(Isa::best(), &weights).unwrap_err();
    assert_eq!(fails(Int4Weights { block: 24, ..weights }), Int4Error::Block { got: 24 });
    assert_eq!(
        fails(Int4Weights { columns: 17, ..weights }).to_string(),
        "expected 544 elements of values, got 512"
    );
    let zero_points = ZeroPoints::Packed(&case.packed_zeros[1..]);
    assert!(matches!(fails(Int4Weights { zero_points, ..weights }), Int4Error::Length { .. }));
    let columns = usize::MAX / 4;
    assert_eq!(fails(Int4Weights { columns, ..weights }), Int4Error::TooLarge);
}
