use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use remuda_ir::{OpError, Val, infer_graph, text, verify};
use remuda_kernels::ThreadPool;
use remuda_ops::Ops;
use remuda_simd::Isa;
use remuda_tensor::{DType, Memory, Tensor};

use super::{Program, RunOptions, Settings};

fn settings(fast: bool) -> Settings {
    Settings {
        pool: Arc::new(ThreadPool::single()),
        isa: Isa::best(),
        fast,
        packs: true,
        kept: None,
    }
}

fn program(source: &str, fast: bool) -> Program {
    let mut graph = text::parse(source).unwrap();
    verify(&graph, &Ops).unwrap();
    infer_graph(&mut graph, &Ops).unwrap();
    Program::new(&graph, &settings(fast)).unwrap()
}

fn run(program: &Program, inputs: &[Tensor]) -> Vec<Tensor> {
    let inputs = inputs.iter().cloned().map(Val::from).collect();
    let outputs = program.run(inputs, &RunOptions::default()).unwrap();
    outputs.into_iter().map(|val| val.tensor().unwrap().clone()).collect()
}

const CHAIN: &str = r#"graph "chain" {
  input %x: f32[n]
  const %w: f32[1] = x0000003f
  %a = Abs(%x)
  %b = Add(%a, %w)
  %c = Add(%b, %b)
  %d = Softmax(%c) {axis = 0}
  output %c, %d
}"#;

#[test]
fn fast_and_reference_kernels_agree_and_inputs_are_left_alone() {
    let x = Tensor::vector(vec![-1.0f32, 2.0, -3.0]);
    let (fast, slow) = (program(CHAIN, true), program(CHAIN, false));
    for _ in 0..3 {
        let (a, b) = (run(&fast, std::slice::from_ref(&x)), run(&slow, std::slice::from_ref(&x)));
        assert_eq!(a[0].to_vec::<f32>().unwrap(), [3.0, 5.0, 7.0]);
        assert_eq!(a[0], b[0]);
        assert_eq!(x.to_vec::<f32>().unwrap(), [-1.0, 2.0, -3.0]);
    }
}

#[test]
fn what_was_a_large_result_is_one_again_when_it_is_let_go() {
    let program =
        program("graph \"g\" {\n  input %x: f32[n]\n  %y = Neg(%x)\n  output %y\n}", true);
    let made = |value: f32| {
        let x = Tensor::vector(vec![value; 1 << 15]);
        let y = run(&program, &[x]).remove(0);
        assert_eq!(y.to_vec::<f32>().unwrap(), vec![-value; 1 << 15]);
        y
    };
    let address = |tensor: &Tensor| tensor.bytes().unwrap().as_ptr().addr();
    let (first, held) = (made(1.0), made(2.0));
    let place = address(&first);
    assert_ne!(place, address(&held), "one that is held is let alone");
    drop(first);
    assert_eq!(address(&made(3.0)), place);
    assert_eq!(held.to_vec::<f32>().unwrap()[0], -2.0);
}

#[test]
fn bodies_see_captured_values() {
    let source = r#"graph "g" {
      input %c: bool[]
      input %x: f32[n]
      %y = If(%c) {else_branch = graph "e" {
        capture %x: f32[n]
        %r = Abs(%x)
        output %r
      } (%x), then_branch = graph "t" {
        capture %x: f32[n]
        %r = Add(%x, %x)
        output %r
      } (%x)}
      output %y
    }"#;
    let program = program(source, true);
    let x = Tensor::vector(vec![-1.0f32]);
    let then = run(&program, &[Tensor::scalar(true), x.clone()]);
    assert_eq!(then[0].to_vec::<f32>().unwrap(), [-2.0]);
    let other = run(&program, &[Tensor::scalar(false), x]);
    assert_eq!(other[0].to_vec::<f32>().unwrap(), [1.0]);
}

#[test]
fn a_cancelled_run_ends_with_that_error() {
    let cancel = AtomicBool::new(true);
    let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
    let result = program(CHAIN, true).run(vec![Tensor::vector(vec![1.0f32]).into()], &options);
    assert_eq!(result, Err(OpError::Cancelled));
}

#[test]
fn one_program_serves_many_threads() {
    let program = program(CHAIN, true);
    std::thread::scope(|scope| {
        for seed in 0..8u8 {
            let program = &program;
            scope.spawn(move || {
                let x = Tensor::vector(vec![f32::from(seed); 1000]);
                for _ in 0..20 {
                    let outputs = run(program, std::slice::from_ref(&x));
                    let want = (f32::from(seed) + 0.5) * 2.0;
                    assert!(outputs[0].to_vec::<f32>().unwrap().iter().all(|&value| value == want));
                }
            });
        }
    });
}

/// Bytes at an odd address that count how often they are looked at, and how many were given back.
struct Weights {
    bytes: Vec<u8>,
    reads: AtomicUsize,
    discarded: AtomicUsize,
}

impl Memory for Weights {
    fn bytes(&self) -> &[u8] {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.bytes[1..]
    }

    fn discard(&self, range: std::ops::Range<usize>) {
        self.discarded.fetch_add(range.len(), Ordering::Relaxed);
    }
}

fn weights(values: &[f32]) -> Arc<Weights> {
    let bytes = [0u8].into_iter().chain(values.iter().flat_map(|value| value.to_le_bytes()));
    let (reads, discarded) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Arc::new(Weights { bytes: bytes.collect(), reads, discarded })
}

#[test]
fn weights_are_read_at_the_first_run_and_given_back() {
    let source = r#"graph "g" {
      input %x: f32[n, 2]
      const %w: f32[2, 2] = x00000000000000000000000000000000
      const %v: f32[2, 2] = x00000000000000000000000000000000
      const %one: f32[2, 2] = x0000803f0000803f0000803f0000803f
      const %rows: i64[1] = x0100000000000000
      %t = Transpose(%w) {perm = ints[1, 0]}
      %u = Add(%t, %one)
      %a = MatMul(%x, %u)
      %b = MatMul(%a, %v)
      %c = Gather(%v, %rows)
      %d = Add(%b, %c)
      output %d
    }"#;
    let mut graph = text::parse(source).unwrap();
    let memories = [weights(&[1.0, 2.0, 3.0, 4.0]), weights(&[1.0, 0.0, 0.5, -1.0])];
    for (name, memory) in ["w", "v"].into_iter().zip(&memories) {
        let id = graph.find_value(name).unwrap();
        let memory: Arc<dyn Memory> = Arc::clone(memory) as _;
        graph.set_const(id, Tensor::over_memory(DType::F32, [2, 2], memory).unwrap());
    }
    infer_graph(&mut graph, &Ops).unwrap();
    let x = Tensor::from_vec([1, 2], vec![1.0f32, 10.0]).unwrap();
    for fast in [true, false] {
        let before = memories.each_ref().map(|memory| memory.reads.load(Ordering::Relaxed));
        let program = Program::new(&graph, &settings(fast)).unwrap();
        let after = memories.each_ref().map(|memory| memory.reads.load(Ordering::Relaxed));
        assert_eq!(before, after, "compiling reads nothing");
        for _ in 0..2 {
            // x * (w' + 1) = [32, 54]; * v = [59, -54]; + [0.5, -1].
            let made = run(&program, std::slice::from_ref(&x));
            assert_eq!(made[0].to_vec::<f32>().unwrap(), [59.5, -55.0]);
        }
        for memory in &memories {
            assert!(memory.discarded.swap(0, Ordering::Relaxed) >= 16, "fast: {fast}");
        }
    }
}

#[test]
fn a_constant_that_is_also_an_output_keeps_its_elements() {
    let source = r#"graph "g" {
      input %x: f32[n, 1]
      const %w: f32[1, 1] = x00000040
      %y = MatMul(%x, %w)
      output %y, %w
    }"#;
    let made = run(&program(source, true), &[Tensor::from_vec([1, 1], vec![3.0f32]).unwrap()]);
    let values: Vec<_> = made.iter().map(|tensor| tensor.to_vec::<f32>().unwrap()).collect();
    assert_eq!(values, [[6.0], [2.0]]);
}

#[test]
fn products_read_transposed_operands_where_they_lie() {
    let source = r#"graph "g" {
      input %q: f32[2, 3, 4, 5]
      input %k: f32[2, 6, 4, 5]
      input %w: f32[4, 7]
      input %two: f32[2]
      %heads = Transpose(%q) {perm = ints[0, 2, 1, 3]}
      %keys = Transpose(%k) {perm = ints[0, 2, 3, 1]}
      %scores = MatMul(%heads, %keys)
      %turned = Transpose(%q) {perm = ints[1, 3, 0, 2]}
      %unfolded = MatMul(%turned, %w)
      %wide = Transpose(%w)
      %spread = MatMul(%wide, %q)
      %reversed = Transpose(%k) {perm = ints[3, 2, 1, 0]}
      %vector = MatMul(%reversed, %two)
      output %scores, %unfolded, %spread, %vector
    }"#;
    let (fast, slow) = (program(source, true), program(source, false));
    let counted = |dims: &[usize]| {
        let count = dims.iter().product::<usize>();
        Tensor::from_vec(dims, (0..count).map(|at| (at * 7 % 11) as f32 - 5.0).collect()).unwrap()
    };
    let inputs = [&[2, 3, 4, 5][..], &[2, 6, 4, 5], &[4, 7], &[2]].map(counted);
    for _ in 0..2 {
        assert_eq!(run(&fast, &inputs), run(&slow, &inputs));
    }
}

#[test]
fn products_of_16_bit_floats_have_fast_kernels() {
    for dtype in ["f16", "bf16"] {
        let source = format!(
            r#"graph "halves" {{
              input %x: {dtype}[1, 3, 8, 8]
              input %w: {dtype}[4, 3, 3, 3]
              input %m: {dtype}[6, 5]
              input %b: {dtype}[120, 5]
              %image = Conv(%x, %w)
              %rows = MatMul(%image, %m)
              %flat = Flatten(%rows)
              %out = Gemm(%flat, %b)
              output %out
            }}"#
        );
        assert_eq!(program(&source, true).coverage(), (3, 4), "only `Flatten` has none");
    }
}

const SHAPES: &str = r#"graph "g" {
  input %x: f32[n, 4]
  const %two: i64[1] = x0200000000000000
  const %minus: i64[1] = xffffffffffffffff
  %y = Abs(%x)
  %rows = Shape(%y) {end = 1, start = 0}
  %half = Mul(%rows, %two)
  %to = Concat(%half, %minus) {axis = 0}
  %z = Reshape(%y, %to)
  output %z, %half
}"#;

#[test]
fn what_follows_from_sizes_is_computed_once_for_each_of_them() {
    let program = program(SHAPES, true);
    let steps = |rows: usize| {
        let seen = std::sync::Mutex::new(Vec::new());
        let report = |time: &crate::StepTime| seen.lock().unwrap().push(time.op.clone());
        let profile = crate::Profile::new(&report);
        let options = RunOptions { profile: Some(profile), ..RunOptions::default() };
        let x = Tensor::from_vec([rows, 4], vec![-1.0f32; rows * 4]).unwrap();
        let made = program.run(vec![x.into()], &options).unwrap();
        assert_eq!(made[0].tensor().unwrap().dims(), [2 * rows, 2]);
        let counted = i64::try_from(2 * rows).unwrap();
        assert_eq!(made[1].tensor().unwrap().to_i64_vec().unwrap(), [counted]);
        seen.into_inner().unwrap()
    };
    let all = ["Abs", "Shape", "Mul", "Concat", "Reshape"];
    assert_eq!(steps(3), all);
    assert_eq!(steps(3), ["Abs", "Reshape"]);
    assert_eq!(steps(5), all);
    assert_eq!(steps(3), ["Abs", "Reshape"]);
}

#[test]
fn only_sizes_that_inputs_tell_by_themselves_count() {
    let source = r#"graph "g" {
      input %sum: f32[a + b]
      input %x: f32[a]
      %own = Shape(%x)
      %both = Shape(%sum)
      output %own, %both
    }"#;
    let mut typed = text::parse(source).unwrap();
    infer_graph(&mut typed, &Ops).unwrap();
    let fixed = vec![false; typed.value_count()];
    let of_sizes = super::sizes::values_of_sizes(&typed, &fixed);
    let of = |name: &str| of_sizes[typed.find_value(name).unwrap().index()];
    assert_eq!((of("own"), of("both")), (true, false));
}

#[test]
fn shapes_that_depend_on_data_are_not_remembered() {
    let source = r#"graph "g" {
      input %x: f32[n]
      %places = NonZero(%x)
      %count = Size(%places)
      output %count
    }"#;
    let program = program(source, true);
    for (x, want) in [([1.0f32, 0.0], 1), ([1.0, 2.0], 2), ([0.0, 0.0], 0)] {
        let made = run(&program, &[Tensor::vector(x.to_vec())]);
        assert_eq!(made[0].to_i64_vec().unwrap(), [want]);
    }
}

#[test]
fn a_value_that_nobody_else_needs_is_written_over() {
    let source = r#"graph "g" {
      input %x: f32[2, 3]
      input %row: f32[3]
      %a = Abs(%x)
      %b = Neg(%a)
      %c = Sub(%row, %b)
      %d = Mul(%c, %c)
      %e = Add(%d, %b)
      output %e
    }"#;
    let program = program(source, true);
    let x = Tensor::from_vec([2, 3], vec![1.0f32, -2.0, 3.0, -4.0, 5.0, -6.0]).unwrap();
    let row = Tensor::vector(vec![1.0f32, 2.0, 3.0]);
    for _ in 0..2 {
        let made = run(&program, &[x.clone(), row.clone()]);
        // (row + |x|)^2 - |x|
        assert_eq!(made[0].to_vec::<f32>().unwrap(), [3.0, 14.0, 33.0, 21.0, 44.0, 75.0]);
        assert_eq!(x.to_vec::<f32>().unwrap()[1], -2.0);
        assert_eq!(row.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
    }
}

#[test]
fn a_chain_takes_no_more_memory_than_its_result() {
    let source = r#"graph "g" {
      input %x: f32[n]
      input %y: f32[n]
      %a = Add(%x, %y)
      %b = Exp(%a)
      %c = Sub(%x, %b)
      %d = Sigmoid(%c)
      output %d
    }"#;
    let program = program(source, true);
    let x = Tensor::vector(vec![0.5f32; 1000]);
    let made = run(&program, &[x.clone(), x]);
    assert!((made[0].to_vec::<f32>().unwrap()[999] - 0.098_13).abs() < 1e-4);
    assert_eq!(program.lock_arenas()[0].held_bytes(), 0, "the result is where the sum was");
}
