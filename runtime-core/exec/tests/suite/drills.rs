//! Failure drills: devices die at random points of random graphs, and the result is the CPU's.

use std::time::Duration;

use remuda_exec::{Contract, ExecError, RunRequest, Selection, Session, Strictness};
use remuda_ir::{Attrs, Graph, OpName, Val, ValueId};
use remuda_ops::{Random, random_tensor};
use remuda_tensor::{DType, Tensor};

use crate::common::{await_no_leak, cpu, fake, graph, options, run, same, select, typed};

const DRILLS: u64 = 600;
const OPS: [&str; 8] = ["Neg", "Abs", "Relu", "Softmax", "Add", "Sub", "Mul", "MatMul"];

/// A graph of square matrices in which anything may be joined with anything.
fn random_graph(random: &mut Random) -> Graph {
    let mut graph = Graph::new("drill");
    let square = remuda_tensor::TensorType::new(DType::F32, [4usize.into(), 4usize.into()]);
    let mut values: Vec<ValueId> = (0..1 + random.below(2))
        .map(|at| graph.add_input(&format!("x{at}"), Some(square.clone().into())))
        .collect();
    let weight = random_tensor(random, DType::F32, &[4, 4]).expect("a sound drill");
    values.push(graph.add_const("w", weight));
    for at in 0..2 + random.below(14) {
        let op = OPS[random.below(OPS.len())];
        let arity = if matches!(op, "Add" | "Sub" | "Mul" | "MatMul") { 2 } else { 1 };
        let inputs: Vec<ValueId> = (0..arity).map(|_| values[random.below(values.len())]).collect();
        values.push(graph.apply(OpName::onnx(op), &inputs, Attrs::default(), &format!("v{at}")));
    }
    let last = *values.last().expect("a sound drill");
    let other = values[random.below(values.len())];
    graph.outputs = if other == last { vec![last] } else { vec![last, other] };
    typed(graph)
}

fn random_ops(random: &mut Random) -> String {
    let kept = OPS.iter().filter(|_| random.below(4) > 0);
    kept.copied().collect::<Vec<_>>().join(",")
}

fn random_faults(random: &mut Random) -> String {
    let kinds = ["oom", "lost", "refuse", "count", "type", "panic", "error", "lost", "oom"];
    let fault = |random: &mut Random| {
        let kind = if random.below(40) == 0 { "hang" } else { kinds[random.below(kinds.len())] };
        format!("{kind}@{}", 1 + random.below(6))
    };
    (0..1 + random.below(2)).map(|_| fault(random)).collect::<Vec<_>>().join(",")
}

struct Drill {
    graph: Graph,
    fake: Vec<(String, String)>,
    strict: bool,
    wishes: &'static [&'static str],
    inputs: Vec<Val>,
}

impl Drill {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let graph = random_graph(&mut random);
        let mut fake = vec![("devices".to_owned(), "gpu,npu".to_owned())];
        for kind in ["gpu", "npu"] {
            fake.push((format!("{kind}.ops"), random_ops(&mut random)));
            fake.push((format!("{kind}.fail"), random_faults(&mut random)));
            let own = if random.below(3) == 0 { "host" } else { "own" };
            fake.push((format!("{kind}.memory_kind"), own.to_owned()));
            // What takes long runs beside others.
            let scale = if seed.is_multiple_of(2) { 1 } else { 100_000 };
            fake.push((format!("{kind}.cost"), format!("*={}", scale + random.below(2_000))));
        }
        let wishes: [&[&str]; 3] = [&["auto"], &["npu", "gpu"], &["fake"]];
        let inputs = graph.inputs.iter();
        let inputs = inputs.map(|_| {
            random_tensor(&mut random, DType::F32, &[4, 4]).expect("a sound drill").into()
        });
        Self {
            inputs: inputs.collect(),
            graph,
            fake,
            strict: random.below(5) == 0,
            wishes: wishes[random.below(3)],
        }
    }

    /// Runs three times; each must give the CPU's result, or a typed error if failing is allowed.
    fn run(self) -> Result<Outcome, String> {
        let pairs: Vec<(&str, &str)> = self.fake.iter().map(|(k, v)| (&**k, &**v)).collect();
        let fake = fake(&pairs);
        let only_cpu = Selection::new(&["cpu"], &[], cpu()).expect("a sound drill");
        let oracle =
            Session::new(self.graph.clone(), &only_cpu, &options()).expect("a sound drill");
        let want = run(&oracle, &self.inputs).0;
        let mut options = options();
        options.deadline = Some(Duration::from_millis(200));
        if self.strict {
            options.contract = Contract { fallback: Strictness::Error, ..Contract::default() };
        }
        let mut outcome = Outcome::default();
        let session = match Session::new(self.graph, &select(&fake, self.wishes), &options) {
            Ok(session) => session,
            Err(error) => {
                assert!(self.strict, "no session: {error}");
                outcome.errors += 1;
                return Ok(outcome);
            }
        };
        for _ in 0..3 {
            match session.run(&self.inputs, &RunRequest::default()) {
                Ok((got, receipt)) => {
                    assert_eq!(got.len(), want.len());
                    assert!(got.iter().zip(&want).all(|(got, want)| same(got, want)));
                    assert_eq!(receipt.plan, session.plan().id);
                    outcome.failovers += receipt.failovers.len();
                    outcome.runs += 1;
                }
                Err(ExecError::Failed { .. } | ExecError::Plan(_)) if self.strict => {
                    outcome.errors += 1;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        drop(session);
        await_no_leak(&fake, 2);
        Ok(outcome)
    }
}

#[derive(Default)]
struct Outcome {
    runs: usize,
    failovers: usize,
    errors: usize,
}

#[test]
fn whatever_fails_the_result_is_the_cpus() {
    let mut all = Outcome::default();
    for seed in 0..DRILLS {
        let result = std::panic::catch_unwind(|| Drill::new(seed).run());
        let outcome = result.unwrap_or_else(|_| Err("see above".to_owned()));
        let outcome = outcome.unwrap_or_else(|error| panic!("drill {seed} failed: {error}"));
        all.runs += outcome.runs;
        all.failovers += outcome.failovers;
        all.errors += outcome.errors;
    }
    // The drills would prove nothing if nothing failed.
    assert!(
        all.failovers > 180 && all.errors > 30,
        "{} {} {}",
        all.runs,
        all.failovers,
        all.errors
    );
}

const CHAIN: &str = "graph \"g\" {\n  input %x: f32[n]\n  %a = Neg(%x)\n  %b = Exp(%a)\n  %c = Abs(%b)\n  output %c\n}";

fn input() -> Val {
    Tensor::vector(vec![1.0f32, -2.0]).into()
}

#[test]
fn the_receipt_tells_of_a_lost_device_and_the_next_run_of_nothing() {
    let fake = fake(&[("fail", "lost@2")]);
    let session = Session::new(graph(CHAIN), &select(&fake, &["fake"]), &options()).unwrap();
    let before = session.plan().id;
    assert!(run(&session, &[input()]).1.failovers.is_empty());
    let (outputs, receipt) = run(&session, &[input()]);
    let want = remuda_ops::interpret(&graph(CHAIN), &[input()]).unwrap();
    assert_eq!(outputs.len(), want.len());
    let [failover] = &receipt.failovers[..] else { panic!("{receipt:?}") };
    assert_eq!((&*failover.target, failover.code, failover.part), ("fake:gpu", "device-lost", 0));
    assert_eq!(failover.reason, "the device is lost: the fake gpu is gone");
    assert!(failover.plan == receipt.plan && receipt.plan != before);
    assert_eq!(&*receipt.parts[0].target, "cpu");
    let (_, receipt) = run(&session, &[input()]);
    assert!(receipt.failovers.is_empty());
    let plan = session.plan();
    let text = plan.explain(plan.node_named("a").unwrap());
    assert!(text.contains("unavailable") && text.contains("failed: the device is lost"), "{text}");
}

#[test]
fn a_hanging_device_is_left_behind() {
    let fake = fake(&[("fail", "hang@1")]);
    let mut options = options();
    options.deadline = Some(Duration::from_millis(20));
    let session = Session::new(graph(CHAIN), &select(&fake, &["fake"]), &options).unwrap();
    let (_, receipt) = run(&session, &[input()]);
    assert_eq!(receipt.failovers[0].code, "timeout");
    assert_eq!(receipt.failovers[0].reason, "a bug of the provider: it did not end within 20 ms");
}

#[test]
fn a_device_out_of_memory_keeps_less_and_goes_on() {
    let mut random = Random::new(3);
    let mut built = Graph::new("layers");
    let square = remuda_tensor::TensorType::new(DType::F32, [64usize.into(), 64usize.into()]);
    let mut x = built.add_input("x", Some(square.into()));
    for layer in 0..6 {
        let weight = random_tensor(&mut random, DType::F32, &[64, 64]).unwrap();
        let weight = built.add_const(&format!("w{layer}"), weight);
        let op = OpName::onnx("MatMul");
        x = built.apply(op, &[x, weight], Attrs::default(), &format!("y{layer}"));
    }
    built.outputs = vec![x];
    let built = typed(built);
    // The first allocation is the program's, the second the input of the first run.
    let fake = fake(&[("fail", "oom@2"), ("memory", "1000000")]);
    let session = Session::new(built.clone(), &select(&fake, &["fake"]), &options()).unwrap();
    let on_device = |session: &Session| {
        let plan = session.plan();
        (
            plan.providers[0].peak_bytes(),
            plan.classes[0].placements.iter().filter(|p| p.provider.index() == 0).count(),
        )
    };
    let before = on_device(&session);
    let input = Val::from(random_tensor(&mut random, DType::F32, &[64, 64]).unwrap());
    let (outputs, receipt) = run(&session, std::slice::from_ref(&input));
    assert_eq!(receipt.failovers[0].code, "out-of-memory");
    let after = on_device(&session);
    assert!(after.0 < before.0 && after.1 > 0 && after.1 < before.1, "{before:?} {after:?}");
    let only_cpu = Selection::new(&["cpu"], &[], cpu()).unwrap();
    let want = run(&Session::new(built, &only_cpu, &options()).unwrap(), &[input]).0;
    assert!(same(&outputs[0], &want[0]));
}
