//! What a device claims, it runs: the cases of every operator, compared with the reference kernels.
//!
//! Each is run as it stands, with outputs written to places of the host between sentinels, with all
//! inputs but the first as constants of the model, and with sizes that are not known when it is
//! compiled. Inputs must be as they were afterwards.

use remuda_host::{Answer, Operand, Program, Proposal, RunOptions, State};
use remuda_ir::{Def, Graph, OpDef, Val, ValueType, infer_graph, verify};
use remuda_ops::cases::{Case, Check, Trial, parse};
use remuda_ops::{NEWEST_OPSET, Ops, TABLE, find};
use remuda_tensor::storage::AlignedBytes;
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::Outcome;
use crate::bench::{Bed, Bench, Verdict, told};

/// Sequences and positions of the states that cases get.
const SEQUENCES: u32 = 16;
const POSITIONS: u64 = 256;
/// Bytes before and after a place that an output is written to.
const GUARD: usize = 64;
const SENTINEL: u8 = 0xa5;

/// The names of all cases that a provider may be tried with.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    for def in TABLE {
        let cases = parse(def).unwrap_or_default();
        names.extend(
            cases.iter().filter(|case| reaches(def, case)).map(|case| name(def, case.line)),
        );
    }
    names
}

fn name(def: &OpDef, line: usize) -> String {
    let dot = if def.domain.is_empty() { "" } else { "." };
    format!("ops/{}{dot}{}/{line}", def.domain, def.name)
}

/// The operator and the line of a name.
pub(super) fn named(text: &str) -> Option<(&'static OpDef, usize)> {
    let (operator, line) = text.strip_prefix("ops/")?.split_once('/')?;
    let (domain, name) = operator.rsplit_once('.').unwrap_or(("", operator));
    Some((find(domain, name)?, line.parse().ok()?))
}

/// Whether the host lets such a graph through to a provider.
fn reaches(def: &OpDef, case: &Case) -> bool {
    match &case.check {
        Check::Run(..) | Check::Generated(_) => true,
        Check::Error(..) => matches!(Trial::new(def, case), Ok(Some(_))),
        Check::Infer(_) => false,
    }
}

fn has_states(graph: &Graph) -> bool {
    graph.values().any(|(_, value)| value.def == Def::State)
}

/// The same with unknown sizes of all inputs that are tensors; none where their types then fail.
fn with_unknown_sizes(trial: &Trial) -> Option<Trial> {
    let mut graph = trial.graph.clone();
    for id in &trial.graph.inputs {
        if let Some(ValueType::Tensor(ty)) = &trial.graph.value(*id).ty {
            let rank = ty.dims.as_ref()?.len();
            let dims = vec![Dim::Unknown; rank];
            graph.set_type(*id, TensorType::new(ty.dtype, dims).into());
        }
    }
    let made: Vec<_> = graph.nodes().flat_map(|(_, node)| node.outputs.clone()).collect();
    made.into_iter().flatten().for_each(|id| graph.forget_type(id));
    verify(&graph, &Ops).ok()?;
    infer_graph(&mut graph, &Ops).ok()?;
    Some(Trial { graph, ..trial.clone() })
}

/// Runs a line of an operator's cases.
pub(super) fn check(bench: &Bench, device: u32, def: &'static OpDef, line: usize) -> Verdict {
    let cases = bench.cases(def)?;
    let case = cases.iter().find(|case| case.line == line).cloned();
    let case = case.ok_or_else(|| format!("there is no case in line {line}"))?;
    let bed = bench.device(device)?;
    let trial = Trial::new(def, &case)?.ok_or("it is about types alone")?;
    if let Some(reason) = refusal(&bed, &trial.graph)? {
        return Ok(Outcome::NotTaken(reason));
    }
    if trial.want.is_none() {
        return must_refuse(&bed, &trial).map(|()| Outcome::Passed);
    }
    run_claimed(&bed, &trial)?;
    let varied = [
        ("with constants", trial.with_constants()),
        ("with unknown sizes", with_unknown_sizes(&trial)),
    ];
    for (how, trial) in varied {
        let Some(trial) = trial else { continue };
        if refusal(&bed, &trial.graph)?.is_none() {
            run_claimed(&bed, &trial).map_err(|error| format!("{how}: {error}"))?;
        }
    }
    Ok(Outcome::Passed)
}

/// Why the device does not take the one node of a graph; nothing if it does.
fn refusal(bed: &Bed, graph: &Graph) -> Result<Option<String>, String> {
    match bed.ask(graph)?.into_iter().next() {
        Some(Answer::Yes(_) | Answer::If { .. }) => {}
        Some(Answer::No { code, text }) if code.trim().is_empty() || text.trim().is_empty() => {
            return Err(format!(
                "it says no without a reason: code `{code}`, text `{text}`, expected both"
            ));
        }
        Some(Answer::No { code, text }) => return Ok(Some(format!("{code}: {text}"))),
        None => return Err("it gives no answer".to_owned()),
    }
    let export = remuda_host::GraphExport::new(graph.clone(), NEWEST_OPSET);
    match bed.provider.propose(bed.device.index, &export).map_err(told("it fails to propose"))? {
        Proposal::Accepted { .. } => Ok(None),
        Proposal::Refused { code, text, .. } => Err(format!(
            "it says yes to the node, and refuses the region of this node alone: {code}: {text}"
        )),
    }
}

/// What the reference refuses must not give an answer.
fn must_refuse(bed: &Bed, trial: &Trial) -> Result<(), String> {
    let Ok(program) = bed.compile(trial.graph.clone()) else { return Ok(()) };
    let states = states_for(bed, &trial.graph)?;
    let states: Vec<&State> = states.iter().collect();
    let options = RunOptions { states: &states, ..RunOptions::default() };
    match bed.run(&program, &trial.inputs, &options) {
        Ok(got) => Err(format!("expected it to refuse these inputs, it gave {got:?}")),
        Err(_) => Ok(()),
    }
}

fn states_for(bed: &Bed, graph: &Graph) -> Result<Vec<State>, String> {
    let types = graph.values().filter_map(|(_, value)| match (&value.def, &value.ty) {
        (Def::State, Some(ValueType::State(ty))) => Some(ty),
        _ => None,
    });
    let make = |ty| bed.provider.create_state(bed.device.index, ty, SEQUENCES, POSITIONS);
    types.map(make).collect::<Result<_, _>>().map_err(told("it makes no state for it"))
}

fn run_claimed(bed: &Bed, trial: &Trial) -> Result<(), String> {
    let program = bed.compile_claimed(&trial.graph)?;
    // A second run of a program must not see what the first one left behind.
    for _ in 0..2 {
        let states = states_for(bed, &trial.graph)?;
        let states: Vec<&State> = states.iter().collect();
        let options = RunOptions { states: &states, ..RunOptions::default() };
        let got = run_and_watch(bed, &program, trial, &options)?;
        trial.judge(&got)?;
    }
    if has_states(&trial.graph) { Ok(()) } else { run_into_places(bed, &program, trial) }
}

/// Runs, and checks that the inputs are as they were.
fn run_and_watch(
    bed: &Bed,
    program: &Program,
    trial: &Trial,
    options: &RunOptions<'_>,
) -> Result<Vec<Val>, String> {
    let failed = told("it says that it can run it, and does not");
    let before: Vec<Vec<u8>> = trial.inputs.iter().map(content).collect();
    let operands = bed.operands(&trial.inputs).map_err(&failed)?;
    let outputs = program.run_operands(&operands, options).map_err(&failed)?;
    for (at, (operand, before)) in operands.into_iter().zip(before).enumerate() {
        let now = operand.into_host().map_err(told("an input is gone after the run"))?;
        if content(&now) != before {
            return Err(format!("the run changed its input {at}"));
        }
    }
    outputs.into_iter().map(Operand::into_host).collect::<Result<_, _>>().map_err(&failed)
}

/// The bytes of a value.
fn content(val: &Val) -> Vec<u8> {
    match val {
        Val::Tensor(tensor) if tensor.dtype() == DType::String => tensor.texts().concat().into(),
        Val::Tensor(tensor) => tensor.contiguous().bytes().unwrap_or(&[]).to_vec(),
        Val::Sequence(items) => items.iter().flat_map(content).collect(),
        Val::Optional(item) => item.iter().flat_map(|item| content(item)).collect(),
        Val::State(_) => Vec::new(),
    }
}

/// Runs with outputs in places that the host sets, each between sentinels.
fn run_into_places(bed: &Bed, program: &Program, trial: &Trial) -> Result<(), String> {
    let want = trial.want.as_deref().unwrap_or_default();
    let shapes: Option<Vec<(DType, &[usize], usize)>> = want.iter().map(placeable).collect();
    let Some(shapes) = shapes else { return Ok(()) };
    let mut memory: Vec<AlignedBytes> =
        shapes.iter().map(|(_, _, bytes)| AlignedBytes::zeroed(bytes + 2 * GUARD)).collect();
    memory.iter_mut().for_each(|memory| memory.bytes_mut().fill(SENTINEL));
    let mut places: Vec<&mut [u8]> = memory
        .iter_mut()
        .zip(&shapes)
        .map(|(memory, (_, _, bytes))| &mut memory.bytes_mut()[GUARD..GUARD + bytes])
        .collect();
    let operands = bed.operands(&trial.inputs).map_err(told("an input cannot be moved"))?;
    let written = program
        .run_into(&operands, &mut places, &RunOptions::default())
        .map_err(told("it does not write its outputs to places of the host"))?;
    let mut got = Vec::with_capacity(want.len());
    for (at, (memory, (dtype, dims, bytes))) in memory.iter().zip(&shapes).enumerate() {
        let all = memory.bytes();
        let guards = all[..GUARD].iter().chain(&all[GUARD + bytes..]);
        if guards.into_iter().any(|&byte| byte != SENTINEL) {
            return Err(format!("it wrote outside the place of output {at}"));
        }
        if written[at] != *bytes as u64 {
            let text =
                format!("output {at} has {bytes} bytes, it says that it wrote {}", written[at]);
            return Err(text);
        }
        let tensor = Tensor::from_bytes(*dtype, *dims, &all[GUARD..GUARD + bytes]);
        got.push(tensor.map_err(|error| format!("output {at} in its place: {error}"))?.into());
    }
    trial.judge(&got).map_err(|error| format!("in places of the host: {error}"))
}

/// The type and size of a value that can lie in a place.
fn placeable(val: &Val) -> Option<(DType, &[usize], usize)> {
    let Val::Tensor(tensor) = val else { return None };
    let plain = tensor.dtype() != DType::String;
    plain.then(|| (tensor.dtype(), tensor.dims(), tensor.byte_len()))
}
