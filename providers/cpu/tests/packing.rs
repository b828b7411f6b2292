//! Packed weights are kept for the next start, which takes them from the file alone.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use remuda_cache::{Cache, Kind};
use remuda_cpu::{Program, RunOptions, Settings};
use remuda_ir::{Graph, Val, infer_graph, text};
use remuda_kernels::ThreadPool;
use remuda_ops::{Ops, Random, random_tensor};
use remuda_simd::Isa;
use remuda_tensor::{DType, Memory, Tensor, quant};

const ROWS: usize = 300;
const DEPTH: usize = 512;

/// Weights of a file.
struct OfFile {
    bytes: Vec<u8>,
    state: &'static str,
}

impl Memory for OfFile {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn origin(&self, range: Range<usize>) -> Option<String> {
        (!self.state.is_empty()).then(|| format!("{} {range:?}", self.state))
    }
}

fn weights(state: &'static str, sign: f32) -> Tensor {
    let format = quant::by_name("q8_0").expect("the format");
    let values = random_tensor(&mut Random::new(3), DType::F32, &[ROWS, DEPTH]).expect("a tensor");
    let values: Vec<f32> =
        values.to_f32_vec().expect("floats").into_iter().map(|value| sign * value).collect();
    let mut bytes = vec![0; format.bytes_for(values.len()).expect("whole blocks")];
    format.quantize_into(&values, &mut bytes).expect("blocks");
    let memory = Arc::new(OfFile { bytes, state });
    let dtype = DType::from_name("q8_0").expect("the dtype");
    Tensor::from_memory(dtype, [ROWS, DEPTH], memory).expect("a tensor")
}

fn graph(weight: Tensor) -> Graph {
    let source = format!(
        "graph \"linear\" {{ input %x: f32[n, {DEPTH}] input %w: q8_0[{ROWS}, {DEPTH}] \
         %y = remuda::Linear(%x, %w) output %y }}"
    );
    let mut graph = text::parse(&source).expect("the graph parses");
    infer_graph(&mut graph, &Ops).expect("the graph types");
    let id = graph.inputs.pop().expect("weights");
    graph.set_const(id, weight);
    graph
}

fn run(weight: Tensor, kept: Option<&Cache>) -> Vec<f32> {
    let settings = Settings {
        pool: Arc::new(ThreadPool::new(2).expect("threads")),
        isa: Isa::best(),
        fast: true,
        packs: true,
        kept: kept.cloned(),
    };
    let program = Program::new(&graph(weight), &settings).expect("a program");
    let x = random_tensor(&mut Random::new(9), DType::F32, &[3, DEPTH]).expect("a tensor");
    let out = program.run(vec![Val::from(x)], &RunOptions::default()).expect("a run");
    out[0].tensor().expect("a tensor").to_f32_vec().expect("floats")
}

fn cache(name: &str, limit: u64) -> Cache {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    Cache::new(folder, limit)
}

fn packed_entries(cache: &Cache) -> usize {
    cache.list().iter().filter(|entry| entry.kind == Kind::Packed).count()
}

#[test]
fn a_second_start_takes_packed_weights_from_the_cache() {
    let cache = cache("second-start", 1 << 24);
    let plain = run(weights("a", 1.0), None);
    assert_eq!(run(weights("a", 1.0), Some(&cache)), plain);
    assert_eq!(packed_entries(&cache), 1);
    assert_eq!(run(weights("a", 1.0), Some(&cache)), plain);
    assert_eq!(packed_entries(&cache), 1);

    // What is in the file is what runs: swapped for the packed form of other weights, it gives their results.
    let file = cache.folder().join("packed").join(cache.list()[0].key.to_string());
    let others = self::cache("second-start-others", 1 << 24);
    let negative = run(weights("b", -1.0), Some(&others));
    assert_ne!(negative, plain);
    let other = others.folder().join("packed").join(others.list()[0].key.to_string());
    std::fs::copy(other, &file).expect("a copy");
    assert_eq!(run(weights("a", 1.0), Some(&cache)), negative);

    // A damaged one is made anew.
    std::fs::write(&file, b"nothing").expect("a file");
    assert_eq!(run(weights("a", 1.0), Some(&cache)), plain);
    assert_eq!(run(weights("a", 1.0), Some(&cache)), plain);
}

#[test]
fn weights_are_told_apart_by_the_state_of_their_file() {
    let cache = cache("states", 1 << 24);
    let first = run(weights("one", 1.0), Some(&cache));
    assert_ne!(run(weights("two", -1.0), Some(&cache)), first);
    assert_eq!(packed_entries(&cache), 2);
}

#[test]
fn what_is_of_no_file_or_too_large_is_not_kept() {
    let roomy = cache("no-file", 1 << 24);
    let plain = run(weights("", 1.0), Some(&roomy));
    assert_eq!(packed_entries(&roomy), 0);
    let narrow = cache("narrow", 100_000);
    assert_eq!(run(weights("a", 1.0), Some(&narrow)), plain);
    assert_eq!(packed_entries(&narrow), 0);
}
