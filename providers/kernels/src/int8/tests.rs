//! Every method against the plain sum, exactly.

use proptest::prelude::*;
use remuda_simd::Isa;

use super::{
    ByteError, ByteMatrix, ByteOffsets, ByteProduct, ByteRhs, Bytes, Dequantize, Output,
    PackedColumns, PackedRows, Per, Requantize,
};
use crate::gemm::tests::Numbers;
use crate::{Context, ThreadPool};

/// Bytes with many extremes, in which a saturating sum would show.
fn bytes(numbers: &mut Numbers, length: usize) -> Vec<u8> {
    let extremes = [0, 255, 127, 128];
    (0..length)
        .map(|_| {
            let [pick, value, ..] = numbers.next().to_le_bytes().map(|b| b ^ 0x5a);
            if pick < 128 { extremes[usize::from(value % 4)] } else { value }
        })
        .collect()
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

/// A matrix of bytes and their values.
struct Side {
    raw: Vec<u8>,
    signed: Option<Vec<i8>>,
}

impl Side {
    fn new(numbers: &mut Numbers, length: usize, is_signed: bool) -> Self {
        let raw = bytes(numbers, length);
        let signed = is_signed.then(|| signed(&raw));
        Self { raw, signed }
    }

    fn bytes(&self) -> Bytes<'_> {
        self.signed.as_ref().map_or(Bytes::U8(&self.raw), |signed| Bytes::I8(signed))
    }

    fn value(&self, index: usize) -> i32 {
        self.signed.as_ref().map_or(i32::from(self.raw[index]), |signed| i32::from(signed[index]))
    }
}

struct Case {
    sizes: [usize; 3],
    a: Side,
    b: Side,
    /// Whether each side is stored transposed.
    transposed: [bool; 2],
    za: Vec<i32>,
    zb: Vec<i32>,
}

impl Case {
    fn new(sizes: [usize; 3], seed: u64) -> Self {
        let mut numbers = Numbers::new(seed);
        let [m, k, n] = sizes;
        let flags = numbers.next();
        let flag = |bit: u32| flags >> bit & 1 == 1;
        let a = Side::new(&mut numbers, m * k, flag(0));
        let b = Side::new(&mut numbers, k * n, flag(1));
        let mut zeros = |count: usize, is_signed: bool, is_zero: bool| {
            let zeros = bytes(&mut numbers, count).into_iter();
            zeros
                .map(|z| match (is_zero, is_signed) {
                    (true, _) => 0,
                    (_, true) => i32::from(z.cast_signed()),
                    (_, false) => i32::from(z),
                })
                .collect()
        };
        let za = zeros(if flag(4) { m } else { 1 }, flag(0), flag(5));
        let zb = zeros(if flag(6) { n } else { 1 }, flag(1), flag(7));
        Self { sizes, a, b, transposed: [flag(2), flag(3)], za, zb }
    }

    fn matrices(&self) -> [ByteMatrix<'_>; 2] {
        let [m, k, n] = self.sizes;
        let strides = |rows, columns, t: bool| if t { [1, rows] } else { [columns, 1] };
        let sides = [(&self.a, [m, k]), (&self.b, [k, n])];
        [0, 1].map(|index| {
            let (side, sizes) = sides[index];
            let strides = strides(sizes[0], sizes[1], self.transposed[index]);
            ByteMatrix::strided(side.bytes(), sizes, strides).unwrap()
        })
    }

    fn expected(&self) -> Vec<i32> {
        let [m, k, n] = self.sizes;
        let at = |row: usize, column: usize, [rows, columns]: [usize; 2], t: bool| {
            if t { column * rows + row } else { row * columns + column }
        };
        let zero = |zeros: &[i32], index: usize| zeros[index.min(zeros.len() - 1)];
        let mut result = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let sum = (0..k).fold(0_i32, |sum, x| {
                    let a = self.a.value(at(i, x, [m, k], self.transposed[0])) - zero(&self.za, i);
                    let b = self.b.value(at(x, j, [k, n], self.transposed[1])) - zero(&self.zb, j);
                    sum.wrapping_add(a * b)
                });
                result.push(sum);
            }
        }
        result
    }

    fn check(&self, threads: usize) {
        let [m, _, n] = self.sizes;
        if m == 0 || n == 0 {
            return;
        }
        let want = self.expected();
        let pool = ThreadPool::new(threads).unwrap();
        let [a, b] = self.matrices();
        fn per(zeros: &[i32], each: usize) -> Per<'_, i32> {
            if zeros.len() == each { Per::Row(zeros) } else { Per::Tensor(zeros[0]) }
        }
        for isa in Isa::available() {
            let context = Context::new(isa, &pool);
            let lhs = PackedRows::new(context, a, &[0], self.b.signed.is_some()).unwrap();
            let packed = PackedColumns::new(context, &b);
            for rhs in [ByteRhs::Packed(&packed), ByteRhs::Source(&b)] {
                let rhs_zero = if self.zb.len() == n {
                    Per::Column(&self.zb[..])
                } else {
                    Per::Tensor(self.zb[0])
                };
                let product = ByteProduct {
                    lhs: &lhs,
                    rows: m,
                    lhs_zero: per(&self.za, m),
                    rhs,
                    rhs_zero,
                    items: &[ByteOffsets::default()],
                };
                let mut out = vec![-1; m * n];
                product.run(context, Output::I32(&mut out), n).unwrap();
                assert!(out == want, "{isa} {rhs:?} {:?}: {out:?} {want:?}", self.sizes);
            }
        }
    }
}

#[test]
fn edge_sizes_are_exact() {
    let edges = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 48, 65];
    let mut seed = 0;
    for m in [1, 2, 3, 5, 6, 7, 8, 9, 17] {
        for n in edges {
            Case::new([m, edges[(m + n) % edges.len()], n], seed).check(1);
            seed += 1;
        }
    }
    Case::new([3, 0, 5], 1).check(1);
    Case::new([0, 5, 5], 1).check(1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn random_sizes_are_exact(
        sizes in (1..40_usize, 1..600_usize, 1..140_usize),
        seed in any::<u64>(),
        threads in 1..5_usize,
    ) {
        Case::new([sizes.0, sizes.1, sizes.2], seed).check(threads);
    }
}

#[test]
fn results_are_scaled_rounded_and_cut() {
    let (m, k, n) = (5, 37, 21);
    let case = Case { za: vec![3], zb: vec![0], ..Case::new([m, k, n], 11) };
    let mut numbers = Numbers::new(3);
    let want = case.expected();
    let scale: Vec<f32> = (0..n).map(|_| numbers.float().abs() * 1e-3).collect();
    let row_scale: Vec<f32> = (0..m).map(|_| numbers.float().abs() * 1e-3).collect();
    let bias: Vec<i32> = (0..n).map(|_| (numbers.float() * 1e5) as i32).collect();
    let pool = ThreadPool::new(2).unwrap();
    let [a, b] = case.matrices();
    for isa in Isa::available() {
        let context = Context::new(isa, &pool);
        let lhs = PackedRows::new(context, a, &[0], case.b.signed.is_some()).unwrap();
        let product = ByteProduct {
            lhs: &lhs,
            rows: m,
            lhs_zero: Per::Tensor(3),
            rhs: ByteRhs::Source(&b),
            rhs_zero: Per::Tensor(0),
            items: &[ByteOffsets::default()],
        };
        let how = Requantize {
            scale: Per::Column(&scale),
            bias: Some(Per::Column(&bias)),
            zero_point: 7,
        };
        let (mut unsigned, mut signed) = (vec![0; m * n], vec![0; m * n]);
        product.run(context, Output::U8(&mut unsigned, how), n).unwrap();
        product.run(context, Output::I8(&mut signed, how), n).unwrap();
        let by_row = Dequantize { scale: Per::Row(&row_scale), bias: Some(Per::Tensor(0.5)) };
        let mut floats = vec![0.0; m * n];
        product.run(context, Output::F32(&mut floats, by_row), n).unwrap();
        for (index, sum) in want.iter().enumerate() {
            let scaled = (sum + bias[index % n]) as f32 * scale[index % n];
            let value = scaled.round_ties_even() + 7.0;
            assert_eq!(f32::from(unsigned[index]), value.clamp(0.0, 255.0), "{isa} {index}");
            assert_eq!(f32::from(signed[index]), value.clamp(-128.0, 127.0), "{isa} {index}");
            assert_eq!(floats[index], *sum as f32 * row_scale[index / n] + 0.5, "{isa} {index}");
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_errors() {
    let pool = ThreadPool::single();
    let context = Context::new(Isa::best(), &pool);
    let bytes = [0_u8; 12];
    let matrix = |rows, columns| ByteMatrix::new(Bytes::U8(&bytes), rows, columns);
    assert!(matches!(matrix(4, 4), Err(ByteError::TooShort { .. })));
    let rhs = matrix(4, 3).unwrap();
    let run = |lhs: &PackedRows, rows: usize, out: &mut [i32], out_row: usize| {
        let product = ByteProduct {
            lhs,
            rows,
            lhs_zero: Per::Tensor(0),
            rhs: ByteRhs::Source(&rhs),
            rhs_zero: Per::Tensor(0),
            items: &[ByteOffsets::default()],
        };
        product.run(context, Output::I32(out), out_row)
    };
    let lhs = PackedRows::new(context, matrix(3, 4).unwrap(), &[0], false).unwrap();
    assert_eq!(run(&lhs, 3, &mut [0; 9], 3), Ok(()));
    assert_eq!(run(&lhs, 3, &mut [0; 9], 2), Err(ByteError::Overlap));
    assert!(matches!(run(&lhs, 3, &mut [0; 8], 3), Err(ByteError::TooShort { .. })));
    assert!(matches!(run(&lhs, 4, &mut [0; 12], 3), Err(ByteError::TooShort { .. })));
    let wrong = PackedRows::new(context, matrix(3, 4).unwrap(), &[0], true).unwrap();
    assert_eq!(run(&wrong, 3, &mut [0; 9], 3), Err(ByteError::Signedness { signed: false }));
    let short = PackedRows::new(context, matrix(4, 3).unwrap(), &[0], false).unwrap();
    assert_eq!(run(&short, 4, &mut [0; 12], 3), Err(ByteError::Depth { expected: 3, got: 4 }));
    assert!(PackedRows::new(context, matrix(3, 4).unwrap(), &[1], false).is_err());
}
