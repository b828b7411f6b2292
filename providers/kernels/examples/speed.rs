//! Times single products and convolutions, this crate beside the crates `gemm` and
//! `matrixmultiply`.
//!
//! Reads lines `matmul rows depth columns threads`, the same with `int8` (u8 by i8 to i32) or `int4`
//! (blocks of 32), or `conv channels outputs size kernel stride pad groups threads` and answers each, and each `again`
//! after it, with nanoseconds per call of every contender, one short round each. `speed.py` asks
//! again and again, with rounds of ONNX Runtime in between, and prints the medians.
#![expect(
    clippy::print_stdout,
    unsafe_code,
    reason = "a benchmark prints and calls raw interfaces"
)]

use std::time::Instant;

use remuda_kernels::conv::{AxisSpec, Conv};
use remuda_kernels::gemm::{Activation, Epilogue, Matrix, PackedB, Product, Rhs};
use remuda_kernels::int4::{Int4Weights, PackedInt4, ZeroPoints};
use remuda_kernels::int8::{
    ByteMatrix, ByteOffsets, ByteProduct, ByteRhs, Bytes, Output, PackedColumns, PackedRows, Per,
};
use remuda_kernels::{Context, ThreadPool};
use remuda_simd::Isa;

const ROUND_NS: u128 = 5_000_000;

/// A way to compute a case, and its name.
type Contender<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn main() {
    let isa = Isa::detect().expect("a valid REMUDA_CPU_ISA");
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).expect("text on the standard input") > 0 {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let numbers: Vec<usize> = words.filter_map(|number| number.parse().ok()).collect();
        let threads = numbers.last().copied().unwrap_or(1);
        let pool = ThreadPool::new(threads).expect("threads");
        let context = Context::new(isa, &pool);
        match (kind, &numbers[..]) {
            ("matmul", &[m, k, n, _]) => matmul(context, [m, k, n]),
            ("int8", &[m, k, n, _]) => int8(context, [m, k, n]),
            ("int4", &[m, k, n, _]) => int4(context, [m, k, n]),
            ("conv", &[c, o, size, kernel, stride, pad, groups, _]) => {
                let axis = AxisSpec { input: size, kernel, stride, dilation: 1, pads: [pad; 2] };
                convolution(context, [c, o], groups, axis);
            }
            _ => println!("unknown"),
        }
        line.clear();
    }
}

fn matmul(context: Context<'_>, [m, k, n]: [usize; 3]) {
    let a: Vec<_> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
    let b: Vec<_> = (0..k * n).map(|i| (i % 7) as f32 - 3.0).collect();
    let lhs = Matrix::new(&a, m, k).expect("sizes fit");
    let rhs = Matrix::new(&b, k, n).expect("sizes fit");
    let packed = PackedB::new(&rhs);
    let [mut ours, mut unpacked, mut theirs, mut others] = [(); 4].map(|()| vec![0.0; m * n]);
    let run = |rhs: Rhs<'_>, out: &mut [f32]| {
        Product::new(lhs, rhs).run(context, out, n).expect("sizes fit");
    };
    let threads = context.pool.size();
    let mut contenders: Vec<Contender<'_>> = vec![
        ("ours", Box::new(|| run(Rhs::Packed(&packed), &mut ours))),
        ("unpacked", Box::new(|| run(Rhs::Matrix(rhs), &mut unpacked))),
        ("gemm", Box::new(|| gemm_crate([m, k, n], &a, &b, &mut theirs, threads))),
        ("matrixmultiply", Box::new(|| matrixmultiply([m, k, n], &a, &b, &mut others))),
    ];
    answer(&mut contenders);
}

fn int8(context: Context<'_>, [m, k, n]: [usize; 3]) {
    let a: Vec<u8> = (0..m * k).map(|i| i.to_le_bytes()[0]).collect();
    let b: Vec<i8> = (0..k * n).map(|i| i.to_le_bytes()[0].cast_signed()).collect();
    let lhs = ByteMatrix::new(Bytes::U8(&a), m, k).expect("sizes fit");
    let rhs = ByteMatrix::new(Bytes::I8(&b), k, n).expect("sizes fit");
    let packed = PackedColumns::new(context, &rhs);
    let mut out = vec![0; m * n];
    let run = || {
        let product = ByteProduct {
            lhs: &PackedRows::new(context, lhs, &[0], true).expect("sizes fit"),
            rows: m,
            lhs_zero: Per::Tensor(128),
            rhs: ByteRhs::Packed(&packed),
            rhs_zero: Per::Tensor(0),
            items: &[ByteOffsets::default()],
        };
        product.run(context, Output::I32(&mut out), n).expect("sizes fit");
    };
    answer(&mut [("ours", Box::new(run))]);
}

fn int4(context: Context<'_>, [m, k, n]: [usize; 3]) {
    let block = 32;
    let blocks = k.div_ceil(block);
    let a: Vec<_> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
    let values: Vec<u8> = (0..n * blocks * block / 2).map(|i| i.to_le_bytes()[0]).collect();
    let scales = vec![0.01; n * blocks];
    let weights = Int4Weights {
        rows: k,
        columns: n,
        block,
        values: &values,
        scales: &scales,
        zero_points: ZeroPoints::Middle,
    };
    let packed = PackedInt4::new(context.isa, &weights).expect("sizes fit");
    let lhs = Matrix::new(&a, m, k).expect("sizes fit");
    let mut out = vec![0.0; m * n];
    let run =
        || Product::new(lhs, Rhs::Source(&packed)).run(context, &mut out, n).expect("sizes fit");
    answer(&mut [("ours", Box::new(run))]);
}

fn convolution(context: Context<'_>, channels: [usize; 2], groups: usize, axis: AxisSpec) {
    let [inputs, outputs] = channels;
    let conv = Conv::new(1, channels, groups, &[axis; 2]).expect("sizes fit");
    let image: Vec<_> =
        (0..inputs * axis.input * axis.input).map(|i| (i % 13) as f32 - 6.0).collect();
    let taps = axis.kernel * axis.kernel;
    let weights: Vec<_> =
        (0..outputs * inputs / groups * taps).map(|i| (i % 7) as f32 - 3.0).collect();
    let bias = vec![0.5; outputs];
    let epilogue =
        Epilogue { row_bias: Some(&bias), activation: Activation::Relu, ..Epilogue::default() };
    let mut out = vec![0.0; conv.output_len()];
    answer(&mut [(
        "ours",
        Box::new(|| conv.run(context, &image, &weights, epilogue, &mut out).expect("sizes fit")),
    )]);
}

fn gemm_crate([m, k, n]: [usize; 3], a: &[f32], b: &[f32], out: &mut [f32], threads: usize) {
    let parallelism =
        if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let [m_stride, n_stride] = [k.cast_signed(), n.cast_signed()];
    let (out, a, b) = (out.as_mut_ptr(), a.as_ptr(), b.as_ptr());
    // SAFETY: the slices hold matrices of these sizes.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            n_stride,
            false,
            a,
            1,
            m_stride,
            b,
            1,
            n_stride,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn matrixmultiply([m, k, n]: [usize; 3], a: &[f32], b: &[f32], out: &mut [f32]) {
    let [m_stride, n_stride] = [k.cast_signed(), n.cast_signed()];
    let (out, a, b) = (out.as_mut_ptr(), a.as_ptr(), b.as_ptr());
    // SAFETY: the slices hold matrices of these sizes.
    unsafe {
        matrixmultiply::sgemm(m, k, n, 1.0, a, m_stride, 1, b, n_stride, 1, 0.0, out, n_stride, 1);
    }
}

/// Prints a round, and another one for each `again`; an empty line ends the case.
fn answer(contenders: &mut [Contender<'_>]) {
    loop {
        print_round(contenders);
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        if !read.is_ok_and(|_| line.trim() == "again") {
            return;
        }
    }
}

/// Prints the time per call of each contender in a short round, after a few calls to warm up.
fn print_round(contenders: &mut [Contender<'_>]) {
    let cells: Vec<_> = contenders
        .iter_mut()
        .map(|(name, run)| {
            (0..2).for_each(|_| run());
            let (start, mut calls) = (Instant::now(), 0_u32);
            while calls < 3 || start.elapsed().as_nanos() < ROUND_NS {
                run();
                calls += 1;
            }
            format!("{name}={:.0}", start.elapsed().as_nanos() as f64 / f64::from(calls))
        })
        .collect();
    println!("{}", cells.join(" "));
}
