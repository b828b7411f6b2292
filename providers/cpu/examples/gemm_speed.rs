//! Times one product of matrices, this crate beside the crates `gemm` and `matrixmultiply`.
//!
//! Reads lines `rows depth columns threads` and answers each with the median nanoseconds of every
//! contender, all interleaved. `ci/bench/gemm_vs_ort.py` talks to it to put ONNX Runtime beside
//! them.
#![expect(
    clippy::print_stdout,
    unsafe_code,
    reason = "a benchmark prints and calls raw interfaces"
)]

use std::io::BufRead;
use std::time::Instant;

use remuda_cpu::gemm::{Matrix, PackedB, Product, Rhs};
use remuda_cpu::{Context, ThreadPool};
use remuda_simd::Isa;

const ROUNDS: usize = 15;
const ROUND_NS: u128 = 4_000_000;

struct Case {
    sizes: [usize; 3],
    a: Vec<f32>,
    b: Vec<f32>,
    packed: PackedB,
    out: Vec<f32>,
}

impl Case {
    fn new(sizes: [usize; 3]) -> Self {
        let [m, k, n] = sizes;
        let a: Vec<_> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
        let b: Vec<_> = (0..k * n).map(|i| (i % 7) as f32 - 3.0).collect();
        let packed = PackedB::new(&Matrix::new(&b, k, n).expect("sizes fit"));
        Self { sizes, a, b, packed, out: vec![0.0; m * n] }
    }

    fn ours(&mut self, context: Context<'_>, is_packed: bool) {
        let [m, k, n] = self.sizes;
        let lhs = Matrix::new(&self.a, m, k).expect("sizes fit");
        let rhs = Matrix::new(&self.b, k, n).expect("sizes fit");
        let rhs = if is_packed { Rhs::Packed(&self.packed) } else { Rhs::Matrix(rhs) };
        Product::new(lhs, rhs).run(context, &mut self.out, n).expect("sizes fit");
    }

    fn gemm_crate(&mut self, threads: usize) {
        let [m, k, n] = self.sizes;
        let parallelism =
            if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
        // SAFETY: the slices hold matrices of these sizes.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                self.out.as_mut_ptr(),
                1,
                n.cast_signed(),
                false,
                self.a.as_ptr(),
                1,
                k.cast_signed(),
                self.b.as_ptr(),
                1,
                n.cast_signed(),
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }

    fn matrixmultiply(&mut self) {
        let [m, k, n] = self.sizes;
        // SAFETY: the slices hold matrices of these sizes.
        unsafe {
            matrixmultiply::sgemm(
                m,
                k,
                n,
                1.0,
                self.a.as_ptr(),
                k.cast_signed(),
                1,
                self.b.as_ptr(),
                n.cast_signed(),
                1,
                0.0,
                self.out.as_mut_ptr(),
                n.cast_signed(),
                1,
            );
        }
    }
}

fn main() {
    let isa = Isa::detect().expect("a valid REMUDA_CPU_ISA");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text on the standard input");
        let numbers: Vec<usize> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [m, k, n, threads] = numbers[..] else { continue };
        let pool = ThreadPool::new(threads).expect("threads");
        let context = Context::new(isa, &pool);
        let mut case = Case::new([m, k, n]);
        let mut contenders: [Contender<'_>; 4] = [
            ("packed", Box::new(|case| case.ours(context, true))),
            ("unpacked", Box::new(|case| case.ours(context, false))),
            ("gemm", Box::new(|case| case.gemm_crate(threads))),
            ("matrixmultiply", Box::new(Case::matrixmultiply)),
        ];
        let times = medians(&mut case, &mut contenders);
        let gflops = 2.0 * (m * k * n) as f64 / times[0];
        let cells: Vec<_> = contenders
            .iter()
            .zip(&times)
            .map(|((name, _), time)| format!("{name}={time:.0}"))
            .collect();
        println!("{m} {k} {n} {threads} {} gflops={gflops:.1}", cells.join(" "));
    }
}

type Contender<'a> = (&'static str, Box<dyn FnMut(&mut Case) + 'a>);

/// Median time per call of each contender, one round of each in turn.
fn medians(case: &mut Case, contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let mut rounds = vec![Vec::new(); contenders.len()];
    for round in 0..=ROUNDS {
        for (times, (_, run)) in rounds.iter_mut().zip(contenders.iter_mut()) {
            let (start, mut calls) = (Instant::now(), 0);
            while calls < 3 || start.elapsed().as_nanos() < ROUND_NS {
                run(case);
                calls += 1;
            }
            if round > 0 {
                times.push(start.elapsed().as_nanos() as f64 / f64::from(calls));
            }
        }
    }
    rounds
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect()
}
