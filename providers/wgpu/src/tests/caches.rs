//! Caches, compared with the reference over steps of many sequences.

use remuda_host::{Failure, Program, Provider, RunOptions, State};
use remuda_ops::cases::compare;
use remuda_ops::{NEWEST_OPSET, PlainState, interpret_with};
use remuda_sdk::ir::{Graph, StateRef, StateType, Val, ValueType};
use remuda_sdk::tensor::Tensor;

use super::{numbers, provider, typed};

/// A graph of one attention, and the type of its cache.
fn attention(dtype: &str, window: Option<usize>) -> (Graph, StateType) {
    let window = window.map_or(String::new(), |window| format!(", {window}"));
    let source = format!(
        "graph \"attention\" {{\n\
         input %q: f32[t, 256]\ninput %k: f32[t, 64]\ninput %v: f32[t, 128]\n\
         input %s: i64[t]\ninput %p: i64[t]\n\
         state %kv: kv_cache({dtype}, 2, 32, 64{window})\n\
         %y = remuda::CachedAttention(%q, %k, %v, %kv, %s, %p) {{num_heads = 8}}\n\
         output %y\n}}"
    );
    let graph = typed(&source);
    let ty = graph.values().find_map(|(_, value)| match &value.ty {
        Some(ValueType::State(ty)) => Some(ty.clone()),
        _ => None,
    });
    (graph, ty.expect("a state"))
}

/// The same cache twice: on the device, and as plain as can be.
struct Both {
    graph: Graph,
    program: Program,
    fast: State,
    plain: StateRef,
    /// How far results may be apart: what keys and values are rounded to.
    bound: f32,
    seed: u32,
}

impl Both {
    fn new(provider: &Provider, dtype: &str, window: Option<usize>) -> Self {
        let (graph, ty) = attention(dtype, window);
        let program = provider.compile(0, graph.clone(), NEWEST_OPSET).expect("a program");
        let fast = provider.create_state(0, &ty, 4, 600).expect("a cache");
        let plain = PlainState::shared(&ty).expect("a cache");
        let bound = 1e-5;
        Self { graph, program, fast, plain, bound, seed: 7 }
    }

    fn run(&self, inputs: &[Val]) -> Result<Vec<Val>, Failure> {
        let options = RunOptions { states: &[&self.fast], ..RunOptions::default() };
        self.program.run(inputs, &options)
    }

    fn inputs(&mut self, sequences: &[u32]) -> Vec<Val> {
        let length = |at: u32| i64::try_from(self.plain.length(at).expect("a length")).unwrap();
        let mut lengths = [0, 1, 2, 3].map(length);
        let mut positions = Vec::new();
        for &sequence in sequences {
            positions.push(lengths[sequence as usize]);
            lengths[sequence as usize] += 1;
        }
        let tokens = sequences.len();
        let mut inputs = Vec::new();
        for features in [256, 64, 128] {
            self.seed += 1;
            let values = numbers(tokens * features, self.seed);
            inputs.push(Val::from(Tensor::from_vec([tokens, features], values).unwrap()));
        }
        inputs.push(Tensor::vector(sequences.iter().map(|&s| i64::from(s)).collect()).into());
        inputs.push(Tensor::vector(positions).into());
        inputs
    }

    /// A step of tokens of these sequences, on both; the results agree.
    fn step(&mut self, sequences: &[u32]) {
        let inputs = self.inputs(sequences);
        let want = interpret_with(&self.graph, &inputs, std::slice::from_ref(&self.plain));
        let want = want.expect("a run")[0].tensor().unwrap().to_f32_vec().unwrap();
        let got = self.run(&inputs).expect("a run")[0].tensor().unwrap().to_f32_vec().unwrap();
        let gaps = got.iter().zip(&want).map(|(got, want)| (got - want).abs());
        let gap = gaps.fold(0.0, f32::max);
        assert!(gap <= self.bound && got.iter().all(|value| value.is_finite()), "{gap}");
    }

    fn lengths(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|at| self.fast.length(at).expect("a length"))
    }
}

#[test]
fn steps_of_many_sequences_agree_with_the_reference() {
    let Some(provider) = provider() else { return };
    for (dtype, window) in [
        ("f32", None),
        ("f16", None),
        ("bf16", None),
        ("q8_0", None),
        ("f32", Some(40)),
        ("f16", Some(7)),
        ("q8_0", Some(9)),
    ] {
        let mut both = Both::new(&provider, dtype, window);
        both.step(&[vec![0; 50], vec![1; 3]].concat());
        both.step(&[0, 1, 0, 2, 1]);
        both.plain.copy(0, 3, 52).expect("a copy");
        both.fast.copy(0, 3, 52).expect("a copy");
        both.step(&[[3; 20], [0; 20]].concat());
        both.plain.truncate(0, 70).expect("a cut");
        both.fast.truncate(0, 70).expect("a cut");
        both.plain.truncate(1, 0).expect("an end");
        both.fast.truncate(1, 0).expect("an end");
        both.step(&[0, 1, 2, 3, 3, 1]);
        for _ in 0..40 {
            both.step(&[3, 0]);
        }
    }
}

#[test]
fn a_sequence_moves_in_the_neutral_form() {
    let Some(provider) = provider() else { return };
    for dtype in ["f32", "f16", "q8_0"] {
        let mut both = Both::new(&provider, dtype, None);
        both.step(&[0; 45]);
        let moved = both.fast.export(0, 0..45).expect("an export");
        both.fast.import(2, &moved).expect("an import");
        both.plain.append(2, &moved).expect("an import");
        both.step(&[2, 2, 0, 2]);
        let again = both.fast.export(2, 0..45).expect("an export");
        let (again, moved) = (Tensor::vector(again).into(), Tensor::vector(moved).into());
        let tolerance = remuda_ops::find("remuda", "CachedAttention").unwrap().tolerance;
        compare(tolerance, &again, &moved).expect("the same numbers");
    }
}

#[test]
fn a_failed_step_leaves_the_cache_as_it_was() {
    let Some(provider) = provider() else { return };
    let mut both = Both::new(&provider, "f32", None);
    both.step(&[0, 0, 1]);
    let before = both.lengths();
    let mut wrong = both.inputs(&[0, 0]);
    wrong[4] = Tensor::vector(vec![2i64, 9]).into();
    assert!(matches!(both.run(&wrong), Err(Failure::Invalid(_))));
    assert_eq!(both.lengths(), before);
    let full = both.inputs(&[2; 598]);
    assert!(matches!(both.run(&full), Err(Failure::OutOfMemory { .. })));
    assert_eq!(both.lengths(), before);
    both.step(&[0, 1, 2]);
}
