//! States across the table of the linked CPU provider.

use remuda_host::{Failure, Program, Provider, RunOptions, State, Table};
use remuda_ir::{StateType, Val, infer_graph, text};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_tensor::{DType, Tensor};

const GRAPH: &str = r#"graph "attention" {
  input %q: f32[t, 2]
  input %k: f32[t, 1]
  input %v: f32[t, 1]
  input %s: i64[t]
  input %p: i64[t]
  state %kv: kv_cache(f32, 1, 1, 1)
  %y = remuda::CachedAttention(%q, %k, %v, %kv, %s, %p) {num_heads = 2}
  output %y
}"#;

fn provider() -> Provider {
    let table = Table::linked(remuda_cpu::table()).expect("a good table");
    Provider::open(table, 1, &[]).expect("the CPU opens")
}

fn ty() -> StateType {
    StateType { dtype: DType::F32, heads: 1, key_dim: 1, value_dim: 1, window: None }
}

fn program(provider: &Provider) -> Program {
    let mut graph = text::parse(GRAPH).expect("a graph");
    infer_graph(&mut graph, &Ops).expect("types");
    provider.compile(0, graph, NEWEST_OPSET).expect("a program")
}

/// A token of zeros for the query and key, so that the result is the mean of the values.
fn step(program: &Program, state: &State, at: [i64; 2], value: f32) -> Result<f32, Failure> {
    let floats = |values: Vec<f32>| -> Val {
        let columns = values.len();
        Tensor::from_vec([1, columns], values).expect("a row").into()
    };
    let [sequence, position] = at.map(|number| Val::from(Tensor::vector(vec![number])));
    let inputs = [floats(vec![0.0; 2]), floats(vec![0.0]), floats(vec![value]), sequence, position];
    let options = RunOptions { states: &[state], ..RunOptions::default() };
    let outputs = program.run(&inputs, &options)?;
    Ok(outputs[0].tensor().expect("a tensor").to_vec::<f32>().expect("floats")[0])
}

#[test]
fn sequences_grow_are_copied_cut_and_moved() {
    let provider = provider();
    let program = program(&provider);
    let mut state = provider.create_state(0, &ty(), 3, 100).expect("a state");
    assert_eq!(step(&program, &state, [0, 0], 1.0).expect("a run"), 1.0);
    assert_eq!(step(&program, &state, [0, 1], 3.0).expect("a run"), 2.0);
    state.copy(0, 1, 1).expect("a copy");
    assert_eq!(step(&program, &state, [1, 1], 9.0).expect("a run"), 5.0);
    assert_eq!(step(&program, &state, [0, 2], 5.0).expect("a run"), 3.0);
    state.truncate(0, 2).expect("a cut");
    assert_eq!(state.length(0).expect("a length"), 2);
    let positions = state.export(0, 0..2).expect("an export");
    assert_eq!(positions, [0.0, 1.0, 0.0, 3.0]);
    state.import(2, &positions).expect("an import");
    assert_eq!(step(&program, &state, [2, 2], 8.0).expect("a run"), 4.0);
}

#[test]
fn what_a_state_takes_is_known_before_it_is_made() {
    let bytes = provider().state_bytes(0, &ty(), 4, 1000).expect("a size");
    // 1000 positions in whole pages of 32, one page more per sequence, a key and a value of 4 bytes.
    assert_eq!(bytes, (32 + 4) * 32 * 2 * 4);
    let blocks = StateType { dtype: DType::from_name("q4_0").expect("a dtype"), ..ty() };
    let error = provider().state_bytes(0, &blocks, 1, 1).expect_err("no whole block");
    assert!(matches!(error, Failure::Unsupported { .. }), "{error}");
}

#[test]
fn failures_leave_states_as_they_were_and_strangers_are_refused() {
    let provider = provider();
    let program = program(&provider);
    let mut state = provider.create_state(0, &ty(), 1, 10).expect("a state");
    step(&program, &state, [0, 0], 1.0).expect("a run");
    assert!(matches!(step(&program, &state, [0, 5], 1.0), Err(Failure::Invalid(_))));
    assert!(matches!(step(&program, &state, [7, 0], 1.0), Err(Failure::Invalid(_))));
    assert!(matches!(state.truncate(0, 9), Err(Failure::Invalid(_))));
    assert!(matches!(state.import(0, &[1.0]), Err(Failure::Invalid(_))));
    assert!(state.export(0, 0..9).is_err());
    assert_eq!(state.length(0).expect("a length"), 1);
    let other = self::provider().create_state(0, &ty(), 1, 10).expect("a state");
    let error = step(&program, &other, [0, 0], 1.0).expect_err("another provider");
    assert_eq!(error, Failure::Invalid("a state was made by another provider".into()));
    assert!(program.run(&[], &RunOptions::default()).is_err());
}
