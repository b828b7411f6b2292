//! What language models need of the provider, compared with the reference kernels over many steps:
//! caches that sequences share, and products with weights in every block format.

use std::sync::Arc;

use remuda_cpu::{PagedCache, Program, RunOptions, Settings};
use remuda_ir::{Graph, StateRef, StateType, Val, ValueType, infer_graph, text};
use remuda_kernels::ThreadPool;
use remuda_kernels::block::{Format, Grain};
use remuda_ops::cases::compare;
use remuda_ops::{Ops, PlainState, Random, interpret_with};
use remuda_simd::Isa;
use remuda_tensor::{DType, Tensor, quant};

fn typed(source: &str) -> Graph {
    let mut graph = text::parse(source).expect("the graph parses");
    infer_graph(&mut graph, &Ops).expect("the graph types");
    graph
}

fn settings(isa: Isa) -> Settings {
    Settings {
        pool: Arc::new(ThreadPool::new(2).expect("threads")),
        isa,
        fast: true,
        packs: true,
        kept: None,
    }
}

fn floats(random: &mut Random, dims: &[usize]) -> Tensor {
    remuda_ops::random_tensor(random, DType::F32, dims).expect("a random tensor")
}

/// A graph of one attention, and the type of its cache.
fn attention(dtype: &str, window: Option<usize>) -> (Graph, StateType) {
    let window = window.map_or(String::new(), |window| format!(", {window}"));
    let op = "CachedAttention(%q, %k, %v, %kv, %s, %p)";
    graph_of(&format!("kv_cache({dtype}, 2, 32, 64{window})"), ["t", "s: i64[t]", "p: i64[t]"], op)
}

/// A graph of one node over this cache, with keys of so many rows and lists that say whose they are.
fn graph_of(cache: &str, [rows, first, second]: [&str; 3], node: &str) -> (Graph, StateType) {
    let source = format!(
        "graph \"attention\" {{\n\
         input %q: f32[t, 256]\ninput %k: f32[{rows}, 64]\ninput %v: f32[{rows}, 128]\n\
         input %{first}\ninput %{second}\n\
         state %kv: {cache}\n\
         %y = remuda::{node} {{num_heads = 8}}\n\
         output %y\n}}"
    );
    let graph = typed(&source);
    let ty = graph.values().find_map(|(_, value)| match &value.ty {
        Some(ValueType::State(ty)) => Some(ty.clone()),
        _ => None,
    });
    (graph, ty.expect("a state"))
}

struct Both {
    graph: Graph,
    program: Program,
    fast: StateRef,
    plain: StateRef,
    random: Random,
}

impl Both {
    fn new(dtype: &str, window: Option<usize>, isa: Isa) -> Self {
        let (graph, ty) = attention(dtype, window);
        let program = Program::new(&graph, &settings(isa)).expect("a program");
        assert_eq!(program.coverage(), (1, 1), "the fast kernel is taken");
        let fast = PagedCache::shared(&ty, 4, 600).expect("a cache");
        let plain = PlainState::shared(&ty).expect("a cache");
        Self { graph, program, fast, plain, random: Random::new(7) }
    }

    /// A step of tokens of these sequences, on both; the results agree.
    fn step(&mut self, sequences: &[u32]) {
        let length = |at: u32| self.plain.length(at).expect("a length").try_into();
        let mut lengths: [i64; 4] = [0, 1, 2, 3].map(|at| length(at).expect("a short sequence"));
        let positions: Vec<i64> = sequences
            .iter()
            .map(|&sequence| {
                lengths[sequence as usize] += 1;
                lengths[sequence as usize] - 1
            })
            .collect();
        let tokens = sequences.len();
        let mut inputs: Vec<Val> = [256, 64, 128]
            .map(|features| floats(&mut self.random, &[tokens, features]).into())
            .to_vec();
        inputs.push(Tensor::vector(sequences.iter().map(|&s| i64::from(s)).collect()).into());
        inputs.push(Tensor::vector(positions).into());
        let want = interpret_with(&self.graph, &inputs, std::slice::from_ref(&self.plain));
        let options =
            RunOptions { states: std::slice::from_ref(&self.fast), ..RunOptions::default() };
        let got = self.program.run(inputs, &options).expect("a run");
        let def = remuda_ops::find("remuda", "CachedAttention").expect("the operator");
        compare(def.tolerance, &got[0], &want.expect("a run")[0]).expect("the same result");
    }

    fn both(&self, change: impl Fn(&StateRef)) {
        change(&self.fast);
        change(&self.plain);
    }
}

#[test]
fn steps_of_many_sequences_agree_with_the_reference() {
    for (dtype, window) in [
        ("f32", None),
        ("f16", None),
        ("bf16", None),
        ("q8_0", None),
        ("q4_0", None),
        ("f32", Some(40)),
        ("q8_0", Some(7)),
    ] {
        for isa in Isa::available() {
            let mut both = Both::new(dtype, window, isa);
            both.step(&[vec![0; 50], vec![1; 3]].concat());
            both.step(&[0, 1, 0, 2, 1]);
            both.both(|state| state.copy(0, 3, 52).expect("a copy"));
            both.step(&[[3; 20], [0; 20]].concat());
            both.both(|state| state.truncate(0, 70).expect("a cut"));
            both.both(|state| state.truncate(1, 0).expect("an end"));
            both.step(&[0, 1, 2, 3, 3, 1]);
            for _ in 0..40 {
                both.step(&[3, 0]);
            }
        }
    }
}

/// Inputs as a run takes them: random rows of these dimensions, lists of numbers behind them.
fn given(random: &mut Random, rows: &[[usize; 2]], lists: &[&[i64]]) -> Vec<Val> {
    let mut inputs: Vec<Val> = rows.iter().map(|dims| floats(random, dims).into()).collect();
    inputs.extend(lists.iter().map(|list| Val::from(Tensor::vector(list.to_vec()))));
    inputs
}

/// What the fast kernel and the reference give over these steps, which agree.
fn agree(cache: &str, (rows, node): ([&str; 3], &str), steps: &[Vec<Val>]) {
    for isa in Isa::available() {
        let (graph, ty) = graph_of(cache, rows, node);
        let program = Program::new(&graph, &settings(isa)).expect("a program");
        assert_eq!(program.coverage(), (1, 1), "the fast kernel is taken");
        let fast = PagedCache::shared(&ty, 3, 600).expect("a cache");
        let plain = PlainState::shared(&ty).expect("a cache");
        let def = remuda_ops::find("remuda", node.split('(').next().unwrap_or_default());
        let tolerance = def.expect("the operator").tolerance;
        for inputs in steps {
            let want = interpret_with(&graph, inputs, std::slice::from_ref(&plain));
            let states = std::slice::from_ref(&fast);
            let options = RunOptions { states, ..RunOptions::default() };
            let got = program.run(inputs.clone(), &options).expect("a run");
            compare(tolerance, &got[0], &want.expect("a run")[0]).expect("the same result");
        }
    }
}

#[test]
fn scores_with_a_bias_agree_with_the_reference() {
    let rows = ["t", "s: i64[t]", "p: i64[t]\ninput %b: f32[8, n]"];
    let node = "CachedAttention(%q, %k, %v, %kv, %s, %p, %b)";
    for (cache, distances) in [
        ("kv_cache(f32, 2, 32, 64)", 129),
        ("kv_cache(f16, 2, 32, 64)", 1),
        ("kv_cache(f32, 2, 32, 64, 40)", 20),
        ("kv_cache(q8_0, 2, 32, 64)", 70),
    ] {
        let mut random = Random::new(3);
        let mut step = |sequences: &[i64], positions: &[i64]| {
            let tokens = sequences.len();
            let rows = [[tokens, 256], [tokens, 64], [tokens, 128]];
            let mut inputs = given(&mut random, &rows, &[sequences, positions]);
            inputs.push(floats(&mut random, &[8, distances]).into());
            inputs
        };
        let long: Vec<i64> = (0..200).collect();
        let steps = [
            step(&[1; 200], &long),
            step(&[1, 0, 1], &[200, 0, 201]),
            step(&[0, 0, 2, 1], &[1, 2, 0, 202]),
        ];
        agree(cache, (rows, node), &steps);
    }
}

#[test]
fn looking_at_what_was_encoded_agrees_with_the_reference() {
    let rows = ["e", "s: i64[t]", "ks: i64[e]\ninput %kp: i64[e]"];
    let node = "CrossAttention(%q, %k, %v, %kv, %s, %ks, %kp)";
    for dtype in ["f32", "f16", "bf16", "q8_0", "q4_0"] {
        let mut random = Random::new(5);
        let mut step = |sequences: &[i64], whose: i64, encoded: i64| {
            let (tokens, count) = (sequences.len(), usize::try_from(encoded).expect("a count"));
            let rows = [[tokens, 256], [count, 64], [count, 128]];
            let positions: Vec<i64> = (0..encoded).collect();
            given(&mut random, &rows, &[sequences, &vec![whose; count], &positions])
        };
        let steps = [
            step(&[0], 0, 70),
            step(&[0, 0, 2, 0], 1, 1),
            step(&[1, 0, 1], 0, 0),
            step(&[2; 60], 2, 131),
            step(&[], 0, 0),
            step(&[0, 1, 2], 0, 0),
        ];
        agree(&format!("kv_cache({dtype}, 2, 32, 64)"), (rows, node), &steps);
    }
}

#[test]
fn a_sequence_moves_between_providers_in_the_neutral_form() {
    for dtype in ["f32", "f16", "q8_0"] {
        let isa = Isa::detect().expect("an instruction set");
        let mut both = Both::new(dtype, None, isa);
        both.step(&[0; 45]);
        let mut moved = Vec::new();
        both.fast.export(0, 0..45, &mut |row| moved.extend_from_slice(row)).expect("an export");
        both.both(|state| state.append(2, &moved).expect("an import"));
        both.step(&[2, 2, 0, 2]);
    }
}

#[test]
fn a_failed_run_leaves_the_states_as_they_were() {
    let (graph, ty) = attention("f32", None);
    let program =
        Program::new(&graph, &settings(Isa::detect().expect("instructions"))).expect("a program");
    let cache = PagedCache::shared(&ty, 1, 32).expect("a cache");
    let run = |positions: Vec<i64>| {
        let tokens = positions.len();
        let zeros =
            |features| Val::from(Tensor::zeros(DType::F32, [tokens, features]).expect("zeros"));
        let mut inputs = [256, 64, 128].map(zeros).to_vec();
        inputs.push(Tensor::vector(vec![0i64; tokens]).into());
        inputs.push(Tensor::vector(positions).into());
        let options = RunOptions { states: std::slice::from_ref(&cache), ..RunOptions::default() };
        program.run(inputs, &options).map_err(|error| error.to_string())
    };
    run((0..10).collect()).expect("a run");
    let error = run((10..200).collect()).expect_err("the cache is full");
    assert!(error.contains("the cache is full"), "{error}");
    assert_eq!(cache.length(0).expect("a length"), 10);
    let error = run(vec![11]).expect_err("a gap");
    assert!(error.contains("position 11 in sequence 0, expected 10"), "{error}");
    let error = program.run(Vec::new(), &RunOptions::default()).expect_err("no states");
    assert!(error.to_string().contains("expected 1 states"), "{error}");
}

/// Weights of a block format from bytes that look random, with scales that are small and finite.
fn blocks(format: &quant::BlockFormat, rows: usize, columns: usize) -> Tensor {
    let mut random = Random::new(u64::from(format.ggml_type) + 1);
    let dtype = DType::from_name(format.name).expect("a dtype");
    let count = rows * columns / format.elements;
    let mut bytes = Vec::with_capacity(count * format.bytes);
    while bytes.len() < count * format.bytes {
        let mut byte = || u8::try_from(random.below(64)).expect("a small number");
        let mut block: Vec<u8> = (0..format.bytes).map(|_| byte()).collect();
        let mut values = vec![0.0; format.elements];
        (format.dequantize)(&block, &mut values);
        if !values.iter().all(|value| value.is_finite() && value.abs() < 1e4) {
            block.fill(17);
        }
        bytes.extend(block);
    }
    Tensor::from_bytes(dtype, [rows, columns], &bytes).expect("weights")
}

/// How many values share a scale where a format's products take activations as bytes; none where
/// they take them as they are.
fn activation_block(format: &quant::BlockFormat) -> Option<usize> {
    match Format::of_ggml_type(format.ggml_type)?.grain() {
        Grain::Block => Some(32),
        Grain::Record => Some(256),
        Grain::Float => None,
    }
}

/// What a product may be and how far from it a result may lie, given a row of activations.
///
/// Every activation is rounded to a multiple of its block's step, the greatest of the block divided
/// by 127, so that it is off by half a step at most, or by a step over the root of 12 on average:
/// the roundings of different activations have nothing to do with each other.
struct Expected {
    sum: f64,
    most: f64,
    variance: f64,
}

impl Expected {
    fn new(x: &[f32], weights: &[f32], block: Option<usize>) -> Self {
        let pairs = || x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
        // Sums in single precision.
        let size: f64 = pairs().map(f64::abs).sum();
        let mut expected = Self { sum: pairs().sum(), most: 1e-6 * size, variance: 0.0 };
        let Some(block) = block else { return expected };
        for (x, weights) in x.chunks(block).zip(weights.chunks(block)) {
            let greatest = x.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
            let step = f64::from(greatest) / 127.0;
            let weights = || weights.iter().map(|&w| f64::from(w));
            // The quotient itself is rounded to single precision before it is to a whole number.
            expected.most += 0.500_01 * step * weights().map(f64::abs).sum::<f64>();
            expected.variance += step * step / 12.0 * weights().map(|w| w * w).sum::<f64>();
        }
        expected
    }
}

/// Checks products of `tokens` rows with `outputs` rows of weights.
fn check_products(
    format: &quant::BlockFormat,
    [tokens, outputs, depth]: [usize; 3],
    isa: Isa,
    is_constant: bool,
) {
    let weight = blocks(format, outputs, depth);
    let weights = weight.to_f32_vec().expect("floats");
    let mut graph = typed(&format!(
        "graph \"linear\" {{ input %x: f32[n, {depth}] input %w: {}[{outputs}, {depth}] \
         %y = remuda::Linear(%x, %w) output %y }}",
        format.name
    ));
    let mut inputs = vec![floats(&mut Random::new(3), &[tokens, depth])];
    if is_constant {
        let id = graph.inputs.pop().expect("weights");
        graph.set_const(id, weight);
    } else {
        inputs.push(weight);
    }
    let block = activation_block(format).filter(|_| is_constant);
    let program = Program::new(&graph, &settings(isa)).expect("a program");
    assert_eq!(program.coverage(), (1, 1), "the fast kernel is taken");
    let x = inputs[0].to_f32_vec().expect("floats");
    let inputs = inputs.into_iter().map(Val::from).collect();
    let got = program.run(inputs, &RunOptions::default()).expect("a run");
    let got = got[0].tensor().expect("a tensor").to_f32_vec().expect("floats");
    assert_eq!(got.len(), tokens * outputs);
    let (mut square, mut variance) = (0.0, 0.0);
    for (at, got) in got.into_iter().enumerate() {
        let (token, output) = (at / outputs, at % outputs);
        let (x, w) = (&x[token * depth..][..depth], &weights[output * depth..][..depth]);
        let expected = Expected::new(x, w, block);
        let off = (f64::from(got) - expected.sum).abs();
        assert!(
            off <= expected.most,
            "{} of {tokens} x {outputs} x {depth} on {isa}: {got}, not {}",
            format.name,
            expected.sum
        );
        square += off * off;
        variance += expected.variance;
    }
    // A few outputs share the roundings of a token, so that chance leaves room for a third.
    let many = block.is_some() && tokens * outputs > 1000;
    assert!(!many || square <= 1.3 * 1.3 * variance, "{} on {isa}: {square}", format.name);
}

#[test]
fn products_with_every_block_format_are_within_the_rounding_of_activations() {
    for format in quant::ALL {
        for isa in Isa::available() {
            for sizes in [[1, 70, 512], [3, 16, 256], [8, 65, 768], [33, 70, 512]] {
                check_products(format, sizes, isa, true);
            }
            if format.elements == 32 {
                check_products(format, [5, 3, 96], isa, true);
            }
            check_products(format, [2, 19, 512], isa, false);
        }
    }
}

#[test]
fn products_share_rows_and_keep_them_apart() {
    let mut graph = typed(
        "graph \"shared\" { input %x: f32[n, 64] input %a: q8_0[40, 64] \
         input %c: f32[64, 40] input %b: f32[40, 64] \
         %p = remuda::Linear(%x, %a) %q = remuda::Linear(%x, %b) \
         %r = remuda::Linear(%p, %c) %s = remuda::Linear(%x, %a) %t = Add(%q, %s) \
         output %r output %t }",
    );
    let format = quant::by_name("q8_0").expect("the format");
    let mut random = Random::new(5);
    let (b, c) = (floats(&mut random, &[40, 64]), floats(&mut random, &[64, 40]));
    let separate = |x: &Tensor, w: &Tensor| {
        let mut graph = typed(&format!(
            "graph \"one\" {{ input %x: f32[n, {0}] input %w: {1}[{2}, {0}] \
             %y = remuda::Linear(%x, %w) output %y }}",
            w.dims()[1],
            w.dtype(),
            w.dims()[0]
        ));
        let id = graph.inputs.pop().expect("weights");
        graph.set_const(id, w.clone());
        let settings = settings(Isa::detect().expect("instructions"));
        let program = Program::new(&graph, &settings).expect("a program");
        let out = program.run(vec![x.clone().into()], &RunOptions::default()).expect("a run");
        out[0].tensor().expect("a tensor").clone()
    };
    let a = blocks(format, 40, 64);
    let weights = [a.clone(), c.clone(), b.clone()];
    let ids = graph.inputs.split_off(1);
    ids.into_iter().zip(weights).for_each(|(id, weight)| {
        graph.set_const(id, weight);
    });
    let settings = settings(Isa::detect().expect("instructions"));
    let program = Program::new(&graph, &settings).expect("a program");
    for tokens in [1, 7, 1] {
        let x = floats(&mut random, &[tokens, 64]);
        let got = program.run(vec![x.clone().into()], &RunOptions::default()).expect("a run");
        let p = separate(&x, &a);
        assert_eq!(got[0], separate(&p, &c).into());
        let sums = separate(&x, &b).to_f32_vec().expect("floats");
        let sums = sums.iter().zip(p.to_f32_vec().expect("floats")).map(|(b, a)| b + a);
        let got = got[1].tensor().expect("a tensor").to_f32_vec().expect("floats");
        assert_eq!(got, sums.collect::<Vec<_>>());
    }
}

#[test]
fn rows_of_every_block_format_are_gathered() {
    for format in quant::ALL {
        let mut graph = typed(&format!(
            "graph \"gather\" {{ input %i: i64[n] input %w: {}[9, 256] \
             %y = Gather(%w, %i) output %y }}",
            format.name
        ));
        let id = graph.inputs.pop().expect("weights");
        graph.set_const(id, blocks(format, 9, 256));
        let program =
            Program::new(&graph, &settings(Isa::detect().expect("instructions"))).expect("program");
        assert_eq!(program.coverage(), (1, 1), "the fast kernel is taken");
        let indices: Val = Tensor::vector(vec![8i64, 0, -2, 8]).into();
        let want = interpret_with(&graph, std::slice::from_ref(&indices), &[]).expect("a run");
        let got = program.run(vec![indices], &RunOptions::default()).expect("a run");
        assert_eq!(got, want, "{}", format.name);
        let far: Val = Tensor::vector(vec![9i64]).into();
        assert!(program.run(vec![far], &RunOptions::default()).is_err());
    }
}
