//! Caches of what was encoded beside those of tokens: cutting, copying, ending and losing sequences.

use std::cell::RefCell;

use remuda_base::Map;
use remuda_exec::{
    ExecError, Options, RunRequest, Selection, Session, ShapeClass, StateOptions, States,
};
use remuda_host::StepTime;
use remuda_ir::Val;
use remuda_tensor::Tensor;

use crate::common::{cpu, fake, graph, options, select};

const WIDTH: usize = 8;

const SOURCE: &str = "graph \"crossing\" {
  input %q: f32[tokens, 8]
  input %s: i64[tokens]
  input %p: i64[tokens]
  input %k: f32[encoded, 8]
  input %ks: i64[encoded]
  input %kp: i64[encoded]
  state %own: kv_cache(f32, 2, 4, 4)
  state %read: kv_cache(f32, 2, 4, 4)
  %r = Relu(%k)
  %n = Neg(%r)
  %h = Neg(%n)
  %x = remuda::CachedAttention(%q, %q, %q, %own, %s, %p) {num_heads = 2}
  %y = remuda::CrossAttention(%x, %h, %k, %read, %s, %ks, %kp) {num_heads = 2}
  output %y
}";

fn with_room(mirror: bool) -> Options {
    let states = StateOptions { sequences: 3, capacities: vec![192; 2], mirror };
    Options { states, ..options() }
}

fn on_cpu() -> Session {
    let only_cpu = Selection::new(&["cpu"], &[], cpu()).expect("a sound test");
    Session::new(graph(SOURCE), &only_cpu, &with_room(false)).expect("a sound test")
}

/// Rows that differ, by a number for each.
fn rows(numbers: &[u16]) -> Val {
    let row = |&number: &u16| {
        (0..8u16).map(move |at| f32::from((number * 37 + at * 11) % 29) / 10.0 - 1.4)
    };
    let values: Vec<f32> = numbers.iter().flat_map(row).collect();
    Tensor::from_vec([numbers.len(), WIDTH], values).expect("a sound test").into()
}

/// What a sequence is given: rows that are encoded, and rows of tokens that follow `start` others.
struct Given<'a> {
    sequence: u32,
    start: i64,
    tokens: &'a [u16],
    encoded: &'a [u16],
}

fn step(session: &Session, states: &mut States, given: &Given<'_>) -> Result<Vec<f32>, ExecError> {
    profiled(session, states, given, &|_| ())
}

/// The same; `note` is told of every node that ran.
fn profiled(
    session: &Session,
    states: &mut States,
    given: &Given<'_>,
    note: &dyn Fn(StepTime),
) -> Result<Vec<f32>, ExecError> {
    let list = |numbers: Vec<i64>| Val::from(Tensor::vector(numbers));
    let of = |count: usize| list(vec![i64::from(given.sequence); count]);
    let (tokens, encoded) = (given.tokens.len(), given.encoded.len());
    let inputs = [
        rows(given.tokens),
        of(tokens),
        list((given.start..).take(tokens).collect()),
        rows(given.encoded),
        of(encoded),
        list((0..).take(encoded).collect()),
    ];
    let request = RunRequest { profile: Some(note), ..RunRequest::default() };
    let (outputs, _) = session.step(states, &inputs, &request)?;
    let output = outputs[0].tensor().expect("a tensor").to_f32_vec().expect("floats");
    Ok(output[(tokens - 1) * WIDTH..].to_vec())
}

/// What the last of these tokens gets in a session of its own.
fn alone(tokens: &[u16], encoded: &[u16]) -> Vec<f32> {
    let session = on_cpu();
    let mut states = session.states().expect("a sound test");
    let given = Given { sequence: 0, start: 0, tokens, encoded };
    step(&session, &mut states, &given).expect("a sound test")
}

fn close(got: &[f32], want: &[f32]) {
    let near = got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-5);
    assert!(near && got.len() == want.len(), "{got:?} instead of {want:?}");
}

fn cut_copy_and_end(session: &Session) {
    let mut states = session.states().expect("a sound test");
    let encoded = [5, 6, 7, 8];
    let run = |states: &mut States, given: Given<'_>| {
        let got = step(session, states, &given).expect("a sound test");
        (got, states.length(given.sequence))
    };
    let first = Given { sequence: 0, start: 0, tokens: &[1, 2, 3], encoded: &encoded };
    let (got, length) = run(&mut states, first);
    close(&got, &alone(&[1, 2, 3], &encoded));
    assert_eq!(length, 3, "what was encoded is no token");
    assert_eq!(states.cut(0, 1).expect("a sound test"), 1);
    let (got, _) = run(&mut states, Given { sequence: 0, start: 1, tokens: &[9], encoded: &[] });
    close(&got, &alone(&[1, 9], &encoded));
    assert_eq!(states.copy(0, 2, 1).expect("a sound test"), 1);
    let (got, _) = run(&mut states, Given { sequence: 2, start: 1, tokens: &[4], encoded: &[] });
    close(&got, &alone(&[1, 4], &encoded));
    assert_eq!(states.cut(2, 7).expect("a sound test"), 0, "a sequence has no more than it has");
    assert_eq!(states.cut(0, 0).expect("a sound test"), 0);
    for sequence in [0, 2] {
        let given = Given { sequence, start: 0, tokens: &[3], encoded: &[8, 2] };
        let (got, _) = run(&mut states, given);
        close(&got, &alone(&[3], &[8, 2]));
    }
}

#[test]
fn what_was_encoded_stays_until_its_sequence_ends() {
    cut_copy_and_end(&on_cpu());
}

fn on_two(fault: &str, mirror: bool) -> (remuda_host::Provider, Session) {
    let fake = fake(&[("devices", "gpu,npu"), ("npu.fail", fault)]);
    let mut options = with_room(mirror);
    for (node, target) in [("x", "fake:gpu"), ("y", "fake:npu")] {
        options.pins.push((node.to_owned(), target.to_owned()));
    }
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options);
    (fake, session.expect("a sound test"))
}

#[test]
fn devices_that_fail_leave_what_was_encoded_to_others() {
    for at in 1..6 {
        let (_fake, session) = on_two(&format!("error@{at}"), false);
        cut_copy_and_end(&session);
        let (_fake, session) = on_two(&format!("lost@{at}"), true);
        cut_copy_and_end(&session);
    }
}

#[test]
fn what_was_encoded_and_lost_is_told() {
    let (_fake, session) = on_two("lost@2", false);
    let mut states = session.states().expect("a sound test");
    let first = Given { sequence: 0, start: 0, tokens: &[1], encoded: &[5, 6] };
    step(&session, &mut states, &first).expect("a sound test");
    let second = Given { sequence: 0, start: 1, tokens: &[2], encoded: &[] };
    let lost = step(&session, &mut states, &second).unwrap_err();
    assert!(matches!(lost, ExecError::StatesLost { .. }), "{lost}");
    assert_eq!(states.length(0), 0);
    let again = Given { sequence: 0, start: 0, tokens: &[1, 2], encoded: &[5, 6] };
    close(&step(&session, &mut states, &again).expect("a sound test"), &alone(&[1, 2], &[5, 6]));
}

#[test]
fn devices_are_not_asked_for_what_has_no_elements() {
    let fake = fake(&[("devices", "gpu")]);
    let class = |name: &str, encoded, up_to: Option<usize>| ShapeClass {
        name: name.to_owned(),
        runs: 1,
        sizes: Map::from([("tokens".to_owned(), 4), ("encoded".to_owned(), encoded)]),
        up_to: up_to.map(|most| ("encoded".to_owned(), most)).into_iter().collect(),
    };
    let mut options = with_room(false);
    options.classes = vec![class("decode", 0, Some(0)), class("encode", 64, None)];
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options);
    let session = session.expect("a sound test");
    let plan = session.plan();
    let of_cpu = |class: usize| {
        let parts = plan.classes[class].parts.iter();
        let cpu = parts.filter(|part| plan.providers[part.provider.index()].name == "cpu");
        cpu.map(|part| part.nodes.len()).sum::<usize>()
    };
    assert_eq!((of_cpu(0), of_cpu(1)), (3, 0), "{plan:?}");
    cut_copy_and_end(&session);
    // Nor is the CPU, which would hold the weights for it.
    let (mut states, ran) = (session.states().expect("a sound test"), RefCell::new(Vec::new()));
    let note = |step: StepTime| ran.borrow_mut().push(step.op);
    for (start, encoded) in [(0, &[5, 6][..]), (1, &[])] {
        let given = Given { sequence: 0, start, tokens: &[1], encoded };
        profiled(&session, &mut states, &given, &note).expect("a sound test");
    }
    let often = |op: &str| ran.borrow().iter().filter(|ran| *ran == op).count();
    assert_eq!((often("Relu"), often("Neg")), (1, 2), "with the prompt alone");
}
