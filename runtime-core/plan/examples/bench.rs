//! Prints how long planning takes on large graphs: `cargo run --release -p remuda-plan --example
//! bench [nodes]`. Not a test: times depend on the machine.
#![expect(clippy::print_stdout, reason = "the point of the program")]
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

use std::time::Instant;

use remuda_plan::{
    Answer, Code, Cost, Node, NodeId, Options, Plan, PlanError, Planner, Problem, Provider,
    ProviderId, Tensor, show_ns,
};

const NAMES: [&str; 4] = ["npu", "gpu", "igpu", "cpu"];
const RUNS: usize = 5;

fn main() -> Result<(), PlanError> {
    let count = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(2_000);
    report("transformer, equal layers", &transformer(count, true))?;
    report("transformer, layers not marked", &transformer(count, false))?;
    report("transformer, tight budgets", &tight(transformer(count, true)))?;
    report("random, nothing repeats", &random(count))?;
    report("random, tight budgets", &tight(random(count)))
}

fn report(name: &str, problem: &Problem) -> Result<(), PlanError> {
    let fresh = timed(|| Planner::new(problem.clone(), Options::default())?.plan(None))?;
    // As when it comes from a file: the question is made, the plan read, checked and used.
    let text = fresh.1.to_json();
    let cached = timed(|| {
        let stored = Plan::from_json(&text).ok();
        Planner::new(problem.clone(), Options::default())?.plan(stored.as_ref())
    })?;
    let (nodes, parts) = (problem.nodes.len(), fresh.1.classes[0].parts.len());
    let cost = show_ns(fresh.1.cost_ns);
    let origin = fresh.1.origin.as_str();
    let (plan_ms, cached_ms) = (fresh.0, cached.0);
    println!(
        "{name:32} {nodes:5} nodes {parts:4} parts {cost:>8} ({origin}): plan {plan_ms:.1} ms, \
         cached {cached_ms:.2} ms"
    );
    Ok(())
}

/// Milliseconds this thread has run: by the kernel's count where there is one, so that a busy machine
/// does not disturb it, else by the clock.
fn now_ms(start: Instant) -> f64 {
    let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = ran.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    ran.map_or_else(|| start.elapsed().as_secs_f64() * 1e3, |ns| ns / 1e6)
}

/// The fastest of some runs, in milliseconds, and the last result.
fn timed(work: impl Fn() -> Result<Plan, PlanError>) -> Result<(f64, Plan), PlanError> {
    let start = Instant::now();
    let mut times = Vec::new();
    let mut result = work()?;
    for _ in 0..RUNS {
        let before = now_ms(start);
        result = work()?;
        times.push(now_ms(start) - before);
    }
    let best = times.into_iter().fold(f64::INFINITY, f64::min);
    Ok((best, result))
}

fn machine() -> Problem {
    let mut problem = Problem::default();
    let launches = [60_000.0, 8_000.0, 12_000.0, 500.0];
    for (at, (name, launch)) in NAMES.into_iter().zip(launches).enumerate() {
        problem.add_provider(Provider {
            name: name.into(),
            launch: Cost::measured(launch),
            memory: [2, 1, 0, 0][at],
            streams: at == 1,
            workspace_bytes: 1 << 20,
            ..Default::default()
        });
    }
    for a in 0..4 {
        for b in 0..a {
            let latency = Cost::measured(10_000.0);
            problem.link_both(a.into(), b.into(), latency, 12.0);
        }
    }
    (problem.home, problem.fallback) = (ProviderId(3), Some(ProviderId(3)));
    problem
}

fn answers(op: usize, work_ns: f64, refused: [bool; 3]) -> Vec<Vec<Answer>> {
    let speed = [25.0, 40.0, 6.0, 1.0];
    let overhead = [2_000.0, 3_000.0, 2_000.0, 300.0];
    let row = (0..4).map(|provider| {
        if provider < 3 && refused[provider] {
            return Answer::no(Code::OpUnsupported, format!("no kernel for operator {op}"));
        }
        Answer::yes(Cost::modelled(overhead[provider] + work_ns / speed[provider]))
    });
    vec![row.collect()]
}

/// Layers of twenty nodes; the eighth of each is only on the CPU and the integrated GPU.
fn transformer(count: usize, marked: bool) -> Problem {
    let mut problem = machine();
    for at in 0..count {
        let (layer, place) = (at / 20, at % 20);
        let heavy = place % 5 == 1;
        let work = if heavy { 2_000_000.0 } else { 30_000.0 };
        let weight = problem.add_weight(format!("w{at}"), if heavy { 8 << 20 } else { 1 << 12 });
        problem.add_node(Node {
            name: format!("blk.{layer}/{place}"),
            op: format!("op{place}"),
            answers: answers(place, work, [place % 3 == 0, place == 8, false]),
            weights: vec![weight],
            ..Default::default()
        });
    }
    let mut tensors: Vec<Vec<NodeId>> = vec![Vec::new(); count];
    for at in 1..count {
        tensors[at - 1].push(at.into());
        match at % 20 {
            9 => tensors[at - 9].push(at.into()),
            0 => tensors[at - 11].push(at.into()),
            _ => {}
        }
    }
    connect(&mut problem, tensors, |_| 64 << 10);
    if marked {
        problem.mark_blocks();
    }
    problem
}

fn random(count: usize) -> Problem {
    let mut problem = machine();
    let mut state = 12_345u64;
    let mut roll = move |bound: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for at in 0..count {
        let weight = problem.add_weight(format!("w{at}"), roll(4 << 20));
        let refused = [roll(4) == 0, roll(6) == 0, roll(8) == 0];
        problem.add_node(Node {
            name: format!("n{at}"),
            op: "op".into(),
            answers: answers(at, roll(400_000) as f64, refused),
            weights: vec![weight],
            ..Default::default()
        });
    }
    let mut tensors: Vec<Vec<NodeId>> = vec![Vec::new(); count];
    for at in 1..count as u64 {
        for _ in 0..=roll(2) {
            let from = at.saturating_sub(1 + roll(12));
            tensors[from as usize].push((at as usize).into());
        }
    }
    connect(&mut problem, tensors, |at| 1 << (10 + at % 9));
    problem
}

fn connect(problem: &mut Problem, readers: Vec<Vec<NodeId>>, bytes: impl Fn(usize) -> u64) {
    for (at, consumers) in readers.into_iter().enumerate() {
        problem.add_tensor(Tensor {
            name: format!("t{at}"),
            producer: Some(at.into()),
            output: consumers.is_empty(),
            consumers,
            bytes: vec![bytes(at)],
        });
    }
    problem.add_tensor(Tensor {
        name: "input".into(),
        consumers: vec![NodeId(0)],
        bytes: vec![64 << 10],
        ..Default::default()
    });
}

/// A third of the weights fits each accelerator.
fn tight(mut problem: Problem) -> Problem {
    let weights: u64 = problem.weights.iter().map(|weight| weight.bytes).sum();
    for provider in &mut problem.providers[..3] {
        provider.budget_bytes = Some(weights / 3 + (8 << 20));
    }
    problem
}
