//! Key/value caches: what is put in comes out, sequences are apart, refusals change nothing, and
//! attention over them agrees with the reference.

use std::ffi::c_void;

use remuda_host::{Failure, RunOptions, State};
use remuda_ir::{StateRef, StateType, Tolerance, Val};
use remuda_ops::cases::agree;
use remuda_ops::{PlainState, Random, interpret_with, random_tensor};
use remuda_tensor::{DType, Tensor};

use super::raw::{Instance, ended};
use crate::bench::{Bed, Bench, Refused, Verdict, claimed, told, typed};

const SEQUENCES: u32 = 4;
const CAPACITY: u64 = 128;
/// What attention is tried with: its name, and the type of its state.
const ATTENTION: &str = r#"graph "attention" {
  input %q: f32[t, 16]
  input %k: f32[t, 8]
  input %v: f32[t, 8]
  input %s: i64[t]
  input %p: i64[t]
  state %kv: kv_cache(f32, 2, 4, 4)
  %y = remuda::CachedAttention(%q, %k, %v, %kv, %s, %p) {num_heads = 4}
  output %y
}"#;

fn ty() -> StateType {
    StateType { dtype: DType::F32, heads: 2, key_dim: 4, value_dim: 4, window: None }
}

fn make(bed: &Bed, ty: &StateType) -> Result<State, Refused> {
    match bed.provider.create_state(bed.device.index, ty, SEQUENCES, CAPACITY) {
        Ok(state) => Ok(state),
        Err(Failure::Unsupported { text, .. }) => Err(Refused::NotTaken(text)),
        Err(failure) => Err(format!("it makes no state: {failure}").into()),
    }
}

/// Numbers that every float format holds, different for each seed.
fn positions(count: usize, seed: usize) -> Vec<f32> {
    let numbers = 0..count * ty().position_len();
    numbers.map(|at| ((at * 5 + seed * 11) % 61) as f32 - 30.0).collect()
}

fn expect(state: &State, sequence: u32, want: &[f32]) -> Result<(), String> {
    let length = (want.len() / ty().position_len()) as u64;
    let got = state.length(sequence).map_err(told("it does not tell a length"))?;
    if got != length {
        return Err(format!("sequence {sequence} has {got} positions, expected {length}"));
    }
    let got = state.export(sequence, 0..length).map_err(told("it does not give out positions"))?;
    if got == want { Ok(()) } else { Err(format!("sequence {sequence} came back changed")) }
}

/// What is put in comes out, in one piece and in several.
pub(super) fn round_trip(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let mut state = make(&bed, &ty())?;
        expect(&state, 0, &[])?;
        let all = positions(70, 1);
        let size = ty().position_len();
        for (start, end) in [(0, 1), (1, 33), (33, 70)] {
            state
                .import(0, &all[start * size..end * size])
                .map_err(told("it takes no positions"))?;
        }
        expect(&state, 0, &all)?;
        let middle = state.export(0, 30..41).map_err(told("it does not give out positions"))?;
        if middle != all[30 * size..41 * size] {
            return Err("positions 30 to 41 came back changed".to_owned().into());
        }
        let half = StateType { dtype: DType::F16, ..ty() };
        let Ok(mut state) = make(&bed, &half) else { return Ok(()) };
        state.import(1, &all).map_err(told("it takes no positions as f16"))?;
        Ok(expect(&state, 1, &all)?)
    })
}

/// Copies of sequences, and sequences that are cut, leave others alone.
pub(super) fn copy_and_truncate(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let mut state = make(&bed, &ty())?;
        let (first, more) = (positions(20, 2), positions(5, 3));
        let size = ty().position_len();
        let failed = told("a sequence cannot be changed");
        state.import(0, &first).map_err(&failed)?;
        state.copy(0, 1, 12).map_err(&failed)?;
        expect(&state, 1, &first[..12 * size])?;
        state.import(1, &more).map_err(&failed)?;
        expect(&state, 0, &first)?;
        state.truncate(0, 7).map_err(&failed)?;
        expect(&state, 0, &first[..7 * size])?;
        let copied = [&first[..12 * size], &more].concat();
        expect(&state, 1, &copied)?;
        state.truncate(1, 0).map_err(&failed)?;
        expect(&state, 1, &[])?;
        state.import(1, &more).map_err(&failed)?;
        expect(&state, 1, &more)?;
        Ok(expect(&state, 0, &first[..7 * size])?)
    })
}

/// Two states know nothing of each other.
pub(super) fn apart(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let (mut one, mut two) = (make(&bed, &ty())?, make(&bed, &ty())?);
        let failed = told("it takes no positions");
        one.import(0, &positions(9, 4)).map_err(&failed)?;
        expect(&two, 0, &[])?;
        two.import(0, &positions(3, 5)).map_err(&failed)?;
        expect(&one, 0, &positions(9, 4))?;
        drop(one);
        Ok(expect(&two, 0, &positions(3, 5))?)
    })
}

/// What cannot be is refused, and changes nothing.
pub(super) fn refusals(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let mut state = make(&bed, &ty())?;
        let there = positions(6, 6);
        state.import(0, &there).map_err(told("it takes no positions"))?;
        let accepted = [
            ("cuts 6 positions to 9", state.truncate(0, 9).is_ok()),
            ("copies 9 positions of 6", state.copy(0, 1, 9).is_ok()),
            ("gives out position 9 of 6", state.export(0, 5..10).is_ok()),
            ("takes half of a position", state.import(0, &there[..3]).is_ok()),
        ];
        if let Some((what, _)) = accepted.iter().find(|(_, accepted)| *accepted) {
            return Err(format!("it {what}").into());
        }
        expect(&state, 1, &[])?;
        Ok(expect(&state, 0, &there)?)
    })
}

/// What a state takes is told before it is made, and more positions take more.
pub(super) fn size(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        make(&bed, &ty())?;
        let bytes = |capacity| {
            let bytes = bed.provider.state_bytes(device, &ty(), SEQUENCES, capacity);
            bytes.map_err(told("it does not tell what a state takes"))
        };
        let (small, large) = (bytes(1 << 10)?, bytes(1 << 20)?);
        let least = (1u64 << 20) * ty().position_len() as u64;
        if large <= small || large < least {
            let text =
                format!("a state of 2^10 positions takes {small} bytes, one of 2^20 {large}");
            return Err(text.into());
        }
        Ok(())
    })
}

/// One step of attention: for each token its sequence and position.
fn step(random: &mut Random, tokens: &[(i64, i64)]) -> Result<Vec<Val>, String> {
    let mut inputs = Vec::new();
    for width in [16, 8, 8] {
        let tensor = random_tensor(random, DType::F32, &[tokens.len(), width]);
        inputs.push(tensor.map_err(|error| error.to_string())?.into());
    }
    inputs.push(Tensor::vector(tokens.iter().map(|token| token.0).collect::<Vec<_>>()).into());
    inputs.push(Tensor::vector(tokens.iter().map(|token| token.1).collect::<Vec<_>>()).into());
    Ok(inputs)
}

/// Attention over a state agrees with the reference, over several sequences in one run; a run that
/// fails leaves the state as it was.
pub(super) fn attention(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let bed = bench.device(device)?;
        let graph = typed(ATTENTION)?;
        if !bed.takes(&graph)? {
            let text = "it does not take attention over a state";
            return Err(Refused::NotTaken(text.to_owned()));
        }
        let state = make(&bed, &ty()).map_err(|refused| match refused {
            Refused::NotTaken(text) => {
                Refused::Failed(format!("it takes attention over a state, and makes none: {text}"))
            }
            failed => failed,
        })?;
        let program = bed.compile_claimed(&graph)?;
        let plain = PlainState::shared(&ty()).map_err(|error| error.to_string())?;
        let mut random = Random::new(11);
        let steps: [&[(i64, i64)]; 4] = [
            &[(0, 0), (0, 1), (0, 2)],
            &[(1, 0), (0, 3), (2, 0)],
            &[(0, 4)],
            &[(2, 1), (2, 2), (1, 1), (0, 5)],
        ];
        for tokens in steps {
            let inputs = step(&mut random, tokens)?;
            attend(&bed, &program, &state, &plain, &graph, &inputs)?;
        }
        let gap = step(&mut random, &[(0, 40)])?;
        let options = RunOptions { states: &[&state], ..RunOptions::default() };
        if bed.run(&program, &gap, &options).is_ok() {
            return Err("it runs a token at position 40 of a sequence of 6".to_owned().into());
        }
        for sequence in 0..3 {
            same_state(&state, &plain, sequence)?;
        }
        Ok(())
    })
}

fn attend(
    bed: &Bed,
    program: &remuda_host::Program,
    state: &State,
    plain: &StateRef,
    graph: &remuda_ir::Graph,
    inputs: &[Val],
) -> Result<(), String> {
    let options = RunOptions { states: &[state], ..RunOptions::default() };
    let got = bed.run(program, inputs, &options).map_err(told("a step fails"))?;
    let want = interpret_with(graph, inputs, std::slice::from_ref(plain));
    let want = want.map_err(|error| error.to_string())?;
    agree(Tolerance::Float(4.0), &got, &want)
}

fn same_state(state: &State, plain: &StateRef, sequence: u32) -> Result<(), String> {
    let length = plain.length(sequence).map_err(|error| error.to_string())?;
    let mut want = Vec::new();
    let read = &mut |position: &[f32]| want.extend_from_slice(position);
    plain.export(sequence, 0..length, read).map_err(|error| error.to_string())?;
    expect(state, sequence, &want)
}

/// A host that wants no more of an export is heard.
pub(super) fn stopped_export(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        make(&bench.device(device)?, &ty())?;
        let instance = Instance::open(bench)?;
        let table = instance.table;
        let none = || Refused::NotTaken("it keeps no states".to_owned());
        let (Some(create), Some(import), Some(export), Some(free)) =
            (table.create_state, table.import_state, table.export_state, table.free_state)
        else {
            return Err(none());
        };
        let desc = remuda_abi::StateDesc {
            struct_size: size_of::<remuda_abi::StateDesc>(),
            dtype: remuda_abi::dtype::F32,
            heads: 2,
            key_dim: 4,
            value_dim: 4,
            sequences: SEQUENCES,
            reserved: 0,
            capacity: CAPACITY,
            window: 0,
        };
        let bytes: Vec<u8> = positions(8, 1).iter().flat_map(|value| value.to_le_bytes()).collect();
        let (mut handle, mut calls) = (std::ptr::null_mut(), 0u32);
        // SAFETY: everything lives during the calls; the state is freed once.
        let ends = unsafe {
            ended(create(instance.handle, device, &raw const desc, &raw mut handle))
                .and_then(|()| ended(import(handle, 0, 8, bytes.as_ptr(), bytes.len())))
                .map(|()| ended(export(handle, 0, 0, 8, (&raw mut calls).cast(), stop)))
        };
        // SAFETY: as above.
        unsafe { free(handle) };
        ends.map_err(told("it makes no state"))?.err();
        if calls == 1 {
            return Ok(());
        }
        Err(format!("told to stop, it went on for {calls} pieces").into())
    })
}

unsafe extern "C" fn stop(context: *mut c_void, _: *const u8, _: usize) -> u32 {
    // SAFETY: the context is the count of calls.
    unsafe { *context.cast::<u32>() += 1 };
    1
}
