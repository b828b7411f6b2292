//! Times products with block formats: `block_speed [threads] [format...]` prints, per format, size
//! and number of tokens, the best and the median of several rounds in GOPS (2 M N K / time) and in
//! GB/s of packed weights. Weights rotate over more memory than the caches hold; quantising the
//! activations is part of the time.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Instant;

use remuda_kernels::block::{Activations, Format, Weights, multiply, pack};
use remuda_kernels::{Context, ThreadPool};
use remuda_simd::Isa;

const SIZES: [[usize; 2]; 2] = [[8192, 2048], [2048, 8192]];
const COUNTS: [usize; 5] = [1, 4, 8, 64, 512];
/// Memory that weights rotate over.
const ROTATION: usize = 256 << 20;
const ROUNDS: usize = 9;
const ROUND_NS: u128 = 20_000_000;

fn main() {
    let mut words = std::env::args().skip(1);
    let threads = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let names: Vec<_> = words.map(|word| word.to_lowercase()).collect();
    let isa = Isa::detect().expect("a valid REMUDA_CPU_ISA");
    let pool = ThreadPool::new(threads).expect("threads");
    let cx = Context::new(isa, &pool);
    println!("{isa}, {threads} threads");
    println!("| format | K x N | M | GOPS best | GOPS median | GB/s best | GB/s median |");
    println!("|---|---|---|---|---|---|---|");
    for format in Format::all() {
        let name = format!("{format:?}").to_lowercase();
        if names.is_empty() || names.contains(&name) {
            SIZES.into_iter().for_each(|sizes| time(cx, format, sizes));
        }
    }
}

fn noise(count: usize) -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

fn time(cx: Context<'_>, format: Format, [rows, depth]: [usize; 2]) {
    let source = format.source_bytes(rows, depth).expect("whole blocks");
    let mut bytes: Vec<u8> = noise(source).map(|x| x.to_le_bytes()[3]).collect();
    // Neither infinities nor subnormal floats, which are slow, whatever the format.
    bytes.iter_mut().for_each(|byte| *byte = *byte & 0x1f | 0x20);
    let length = format.packed_bytes(rows, depth).expect("whole blocks");
    let copies = ROTATION.div_ceil(length);
    let aligned = length.next_multiple_of(64);
    let mut memory = vec![0_u8; copies * aligned + 64];
    let start = memory.as_ptr().align_offset(64);
    let (first, others) = memory[start..].split_at_mut(aligned);
    pack(cx, format, [rows, depth], &bytes, &mut first[..length]).expect("sizes fit");
    others.chunks_exact_mut(aligned).for_each(|copy| copy.copy_from_slice(first));
    let memory = &memory[start..];
    for count in COUNTS {
        let tokens: Vec<f32> = noise(count * depth).map(|x| (x >> 40) as f32 / 1e7 - 0.8).collect();
        let mut out = vec![0.0; count * rows];
        let mut activations = Activations::default();
        let mut copy = 0;
        let mut run = || {
            copy = (copy + 1) % copies;
            let bytes = &memory[copy * aligned..][..length];
            let weights = Weights::packed(format, [rows, depth], bytes).expect("sizes fit");
            activations.fill(cx, weights.grain(), depth, &tokens);
            multiply(cx, &weights, &activations, &mut out, rows).expect("sizes fit");
        };
        run();
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&mut run)).collect();
        rounds.sort_by(f64::total_cmp);
        let operations = 2.0 * (count * rows * depth) as f64;
        let (best, median) = (rounds[0], rounds[ROUNDS / 2]);
        println!(
            "| {format:?} | {depth} x {rows} | {count} | {:.0} | {:.0} | {:.1} | {:.1} |",
            operations / best,
            operations / median,
            length as f64 / best,
            length as f64 / median,
        );
    }
}

/// Nanoseconds per call.
fn round(run: &mut impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0_u32);
    while calls < 2 || start.elapsed().as_nanos() < ROUND_NS {
        run();
        calls += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
