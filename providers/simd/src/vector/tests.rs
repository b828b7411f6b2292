//! Every operation of every token against plain scalar Rust, lane by lane.

use half::{bf16, f16};

use super::{Element, Kernel, MAX_LANES, Simd};
use crate::Isa;

const VALUES: [f32; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    -0.5,
    3.7,
    -3.7,
    1e-40,
    -1e-40,
    1e-7,
    65504.0,
    7e4,
    1e30,
    -1e30,
    f32::MAX,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    127.4,
    -128.6,
];

type Lanes = [f32; MAX_LANES];

/// Applies one operation to a whole array, vector by vector.
struct Apply<'a> {
    a: &'a Lanes,
    b: &'a Lanes,
    op: Op,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    MulAdd,
    NegMulAdd,
    Min,
    Max,
    MinOrNan,
    MaxOrNan,
    Sqrt,
    Round,
    Floor,
    Ceil,
    Trunc,
    Neg,
    Abs,
    WithSignOf,
    SelectLt,
    SelectLe,
    SelectEq,
    SelectNotLt,
    SelectNan,
    SelectMasks,
    ThroughI32,
    TruncI32,
    ThroughF16,
    ThroughBf16,
    MulPow2,
}

const OPS: [Op; 29] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::MulAdd,
    Op::NegMulAdd,
    Op::Min,
    Op::Max,
    Op::MinOrNan,
    Op::MaxOrNan,
    Op::Sqrt,
    Op::Round,
    Op::Floor,
    Op::Ceil,
    Op::Trunc,
    Op::Neg,
    Op::Abs,
    Op::WithSignOf,
    Op::SelectLt,
    Op::SelectLe,
    Op::SelectEq,
    Op::SelectNotLt,
    Op::SelectNan,
    Op::SelectMasks,
    Op::ThroughI32,
    Op::TruncI32,
    Op::ThroughF16,
    Op::ThroughBf16,
    Op::MulPow2,
];

fn through<S: Simd, T: Element>(s: S, a: S::F32) -> S::F32 {
    let mut memory = [T::default(); MAX_LANES];
    T::store(s, a, &mut memory);
    T::load(s, &memory)
}

fn apply<S: Simd>(s: S, op: Op, a: S::F32, b: S::F32) -> S::F32 {
    let half = s.splat(0.5);
    match op {
        Op::Add => s.add(a, b),
        Op::Sub => s.sub(a, b),
        Op::Mul => s.mul(a, b),
        Op::Div => s.div(a, b),
        Op::MulAdd => s.mul_add(a, b, half),
        Op::NegMulAdd => s.neg_mul_add(a, b, half),
        Op::Min => s.min(a, b),
        Op::Max => s.max(a, b),
        Op::MinOrNan => s.min_or_nan(a, b),
        Op::MaxOrNan => s.max_or_nan(a, b),
        Op::Sqrt => s.sqrt(a),
        Op::Round => s.round(a),
        Op::Floor => s.floor(a),
        Op::Ceil => s.ceil(a),
        Op::Trunc => s.trunc(a),
        Op::Neg => s.neg(a),
        Op::Abs => s.abs(a),
        Op::WithSignOf => s.with_sign_of(half, a),
        Op::SelectLt => s.select(s.lt(a, b), a, half),
        Op::SelectLe => s.select(s.le(a, b), a, half),
        Op::SelectEq => s.select(s.eq(a, b), a, half),
        Op::SelectNotLt => s.select(s.not_lt(a, b), a, half),
        Op::SelectNan => s.select(s.is_nan(a), half, b),
        Op::SelectMasks => {
            let both = s.and_mask(s.lt(a, b), s.lt(a, half));
            s.select(s.or_mask(both, s.not_mask(s.le(a, half))), a, half)
        }
        Op::ThroughI32 => s.to_f32(s.to_i32(a)),
        Op::TruncI32 => s.to_f32(s.trunc_to_i32(a)),
        Op::ThroughF16 => through::<S, f16>(s, a),
        Op::ThroughBf16 => through::<S, bf16>(s, a),
        Op::MulPow2 => s.mul_pow2(a, s.splat(-3.0)),
    }
}

fn scalar(op: Op, a: f32, b: f32) -> f32 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::MulAdd => a.mul_add(b, 0.5),
        Op::NegMulAdd => (-a).mul_add(b, 0.5),
        Op::Min => [b, a][usize::from(a < b)],
        Op::Max => [b, a][usize::from(a > b)],
        Op::MinOrNan if a.is_nan() || b.is_nan() => f32::NAN,
        Op::MaxOrNan if a.is_nan() || b.is_nan() => f32::NAN,
        Op::MinOrNan => [b, a][usize::from(a < b)],
        Op::MaxOrNan => [b, a][usize::from(a > b)],
        Op::Sqrt => a.sqrt(),
        Op::Round => a.round_ties_even(),
        Op::Floor => a.floor(),
        Op::Ceil => a.ceil(),
        Op::Trunc => a.trunc(),
        Op::Neg => -a,
        Op::Abs => a.abs(),
        Op::WithSignOf => 0.5_f32.copysign(a),
        Op::SelectLt => [0.5, a][usize::from(a < b)],
        Op::SelectLe => [0.5, a][usize::from(a <= b)],
        Op::SelectEq => [0.5, a][usize::from(a == b)],
        Op::SelectNotLt => [a, 0.5][usize::from(a < b)],
        Op::SelectNan => [b, 0.5][usize::from(a.is_nan())],
        Op::SelectMasks => [0.5, a][usize::from((a < b && a < 0.5) || a > 0.5 || a.is_nan())],
        Op::ThroughI32 => a.round_ties_even() as i32 as f32,
        Op::TruncI32 => a as i32 as f32,
        Op::ThroughF16 => f16::from_f32(a).to_f32(),
        Op::ThroughBf16 => bf16::from_f32(a).to_f32(),
        Op::MulPow2 => a / 8.0,
    }
}

impl Kernel for Apply<'_> {
    type Output = Lanes;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Lanes {
        let mut out = [0.0; MAX_LANES];
        for at in (0..MAX_LANES).step_by(S::LANES) {
            let value = apply(s, self.op, s.load(&self.a[at..]), s.load(&self.b[at..]));
            s.store(value, &mut out[at..]);
        }
        out
    }
}

/// Equal in bits, or both NaN; products may have one rounding or two.
fn agree(op: Op, got: f32, expected: f32, a: f32, b: f32) -> bool {
    let twice = match op {
        Op::MulAdd => a * b + 0.5,
        Op::NegMulAdd => -a * b + 0.5,
        _ => expected,
    };
    let same = |other: f32| got.to_bits() == other.to_bits() || (got.is_nan() && other.is_nan());
    same(expected) || same(twice)
}

#[test]
fn every_operation_agrees_with_scalar_rust_on_every_pair_of_interesting_values() {
    for isa in Isa::available() {
        for (first, &value) in VALUES.iter().enumerate() {
            let a: Lanes = std::array::from_fn(|lane| VALUES[(first + lane) % VALUES.len()]);
            for op in OPS {
                let fits = |x: f32| x.abs() < 1e9;
                let b = [value; MAX_LANES];
                let got = isa.run(Apply { a: &a, b: &b, op });
                for lane in 0..MAX_LANES {
                    if matches!(op, Op::ThroughI32 | Op::TruncI32) && !fits(a[lane]) {
                        continue;
                    }
                    let expected = scalar(op, a[lane], value);
                    assert!(
                        agree(op, got[lane], expected, a[lane], value),
                        "{isa}: {op:?}({}, {value}) is {}, expected {expected}",
                        a[lane],
                        got[lane]
                    );
                }
            }
        }
    }
}

struct Partial<T> {
    src: Vec<T>,
}

impl<T: Element> Kernel for Partial<T> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let count = self.src.len().min(S::LANES);
        let mut all = vec![0.0; S::LANES];
        let value = T::load_partial(s, &self.src[..count], -7.0);
        s.store(value, &mut all);
        let mut stored = vec![T::default(); count];
        T::store_partial(s, value, &mut stored);
        (all, stored.into_iter().map(T::to_f32).collect())
    }
}

fn partial_access_is_exact<T: Element>() {
    for isa in Isa::available() {
        for count in 0..=MAX_LANES {
            let values: Vec<f32> = (0..count).map(|i| i as f32 - 3.0).collect();
            let src = values.iter().map(|&x| T::from_f32(x)).collect();
            let (all, stored) = isa.run(Partial::<T> { src });
            assert_eq!(stored, values[..stored.len()], "{isa}");
            assert_eq!(all[..stored.len()], stored, "{isa}");
            assert!(all[stored.len()..].iter().all(|&x| x == -7.0), "{isa}");
        }
    }
}

#[test]
fn partial_loads_fill_and_partial_stores_write_no_more_than_asked() {
    partial_access_is_exact::<f32>();
    partial_access_is_exact::<f16>();
    partial_access_is_exact::<bf16>();
}

struct Integers<'a>(&'a [i32; MAX_LANES], i32);

impl Kernel for Integers<'_> {
    type Output = Vec<i32>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<i32> {
        let mut all = Vec::new();
        let b = s.splat_i32(self.1);
        for chunk in self.0.chunks_exact(S::LANES) {
            let a = s.load_i32(chunk);
            let (mut narrow, mut unsigned) = ([0_i8; MAX_LANES], [0_u8; MAX_LANES]);
            s.store_i8(a, &mut narrow);
            s.store_u8(a, &mut unsigned);
            let results = [
                s.add_i32(a, b),
                s.sub_i32(a, b),
                s.mul_i32(a, b),
                s.min_i32(a, b),
                s.max_i32(a, b),
                s.and_i32(a, b),
                s.or_i32(a, b),
                s.xor_i32(a, b),
                s.shl::<5>(a),
                s.shr::<5>(a),
                s.shr_logical::<5>(a),
                s.select_i32(s.eq_i32(a, b), a, s.splat_i32(9)),
                s.select_i32(s.gt_i32(a, b), a, s.splat_i32(9)),
                s.load_i8(&narrow),
                s.load_u8(&unsigned),
                s.bits(s.of_bits(a)),
            ];
            let mut memory = [[0; MAX_LANES]; 16];
            for (result, row) in results.into_iter().zip(&mut memory) {
                s.store_i32(result, row);
            }
            all.extend((0..S::LANES).flat_map(|lane| memory.map(|row| row[lane])));
        }
        all
    }
}

#[test]
fn integer_operations_agree_with_scalar_rust() {
    let values =
        [0, 1, -1, 5, 127, 128, -128, -129, 255, 256, 1 << 20, i32::MAX, i32::MIN, 77, -5, 3];
    for (isa, &b) in
        Isa::available().into_iter().flat_map(|isa| values.iter().map(move |b| (isa, b)))
    {
        let expected: Vec<i32> = values
            .iter()
            .flat_map(|&a: &i32| {
                let pick = |truth: bool| if truth { a } else { 9 };
                [
                    a.wrapping_add(b),
                    a.wrapping_sub(b),
                    a.wrapping_mul(b),
                    a.min(b),
                    a.max(b),
                    a & b,
                    a | b,
                    a ^ b,
                    a << 5,
                    a >> 5,
                    (a.cast_unsigned() >> 5).cast_signed(),
                    pick(a == b),
                    pick(a > b),
                    a.clamp(-128, 127),
                    a.clamp(0, 255),
                    a,
                ]
            })
            .collect();
        assert_eq!(isa.run(Integers(&values, b)), expected, "{isa}, b = {b}");
    }
}

struct Reduce<'a>(&'a [f32]);

impl Kernel for Reduce<'_> {
    type Output = (f32, f32, f32, bool);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let a = s.load(self.0);
        let any = s.any(s.lt(a, s.splat(-1.0)));
        (s.reduce_add(a), s.reduce_max(a), s.reduce_min(a), any)
    }
}

#[test]
fn reductions_cover_every_lane() {
    for isa in Isa::available() {
        for lane in 0..4 {
            let mut values = [1.0; MAX_LANES];
            values[lane] = -2.0;
            let lanes = isa.run(Reduce(&[1.0; MAX_LANES])).0;
            assert_eq!(isa.run(Reduce(&values)), (lanes - 3.0, 1.0, -2.0, true), "{isa}");
            values[lane] = 5.0;
            assert_eq!(isa.run(Reduce(&values)), (lanes + 4.0, 5.0, 1.0, false), "{isa}");
        }
    }
}

struct Columns;

impl Kernel for Columns {
    type Output = (usize, Vec<f32>);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let row = |row: usize| {
            let lanes: Lanes = std::array::from_fn(|lane| (row * 100 + lane) as f32);
            s.load(&lanes)
        };
        let mut dst = vec![-1.0; 7 * S::LANES];
        s.store_columns([row(0), row(1), row(2), row(3)], &mut dst, 7);
        (S::LANES, dst)
    }
}

#[test]
fn rows_stored_as_columns_are_transposed() {
    for isa in Isa::available() {
        let (lanes, dst) = isa.run(Columns);
        for (at, &got) in dst.iter().enumerate() {
            let (lane, row) = (at / 7, at % 7);
            let expected = if row < 4 { (row * 100 + lane) as f32 } else { -1.0 };
            assert_eq!(got, expected, "{isa}: lane {lane} of {lanes}, row {row}");
        }
    }
}
