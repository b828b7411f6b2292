//! Plans as text for people and for programs.

use remuda::placement::{ClassPlan, Instead, Origin, Part, Plan, Trial, show_ns};
use serde_json::json;

use super::measure::Measured;
use crate::commands::{bytes_text, print_table};

/// The longest name of a node that is shown whole.
const LONGEST_NAME: usize = 32;

fn name(plan: &Plan, part: &Part) -> String {
    plan.providers.get(part.provider.index()).map_or_else(String::new, |p| p.name.clone())
}

/// Bytes that are copied because of a part.
fn copied(class: &ClassPlan, part: usize) -> u64 {
    let needed =
        class.transfers.iter().filter(|copy| copy.needed.map(|at| at as usize) == Some(part));
    needed.map(|copy| copy.bytes).sum()
}

fn milliseconds(time: f64) -> String {
    format!("{time:.3} ms")
}

/// The end of a long name, which tells more than its beginning.
fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST_NAME {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length + 1 - LONGEST_NAME).collect();
    format!("\u{2026}{end}")
}

/// Prints who runs what, what that costs, what else was possible, and what it takes of memory.
pub(super) fn print(plan: &Plan, times: &[Measured]) {
    for (at, class) in plan.classes.iter().enumerate() {
        let measured = times.iter().find(|time| time.class == at);
        if !class.name.is_empty() {
            outln!("{} (counts {} times)", class.name, class.runs);
        }
        print_parts(plan, class, measured);
        print_cost(class, measured);
    }
    print_instead(plan);
    outln!(
        "plan {}: {} decides, found by {}\n",
        plan.id,
        if plan.policy.as_str() == "cost" { "cost" } else { "the order of backends" },
        rule(plan.origin)
    );
    let head = ["backend", "weights", "peak", "budget"].map(str::to_owned).to_vec();
    let of_backend = plan.providers.iter().map(|used| {
        let budget = used.budget_bytes.map_or_else(|| "none".to_owned(), bytes_text);
        vec![
            used.name.clone(),
            bytes_text(used.weights_bytes),
            bytes_text(used.peak_bytes()),
            budget,
        ]
    });
    print_table(&std::iter::once(head).chain(of_backend).collect::<Vec<_>>());
}

fn print_parts(plan: &Plan, class: &ClassPlan, measured: Option<&Measured>) {
    let times = measured.map(|measured| &measured.parts).filter(|parts| !parts.is_empty());
    let mut head = vec!["part", "backend", "nodes", "first", "last", "copied in", "predicted"];
    head.extend(times.map(|_| "measured"));
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for (at, part) in class.parts.iter().enumerate() {
        let node = |id: Option<&remuda::placement::NodeId>| {
            id.and_then(|id| plan.nodes.get(id.index()))
                .map_or_else(String::new, |name| short(name))
        };
        let predicted = show_ns(part.compute_ns + part.launch_ns);
        let mut row = vec![
            at.to_string(),
            name(plan, part),
            part.nodes.len().to_string(),
            node(part.nodes.first()),
            node(part.nodes.last()),
            bytes_text(copied(class, at)),
            format!("{predicted} ({})", part.source.as_str()),
        ];
        row.extend(times.map(|times| milliseconds(times.get(at).copied().unwrap_or(0.0))));
        rows.push(row);
    }
    print_table(&rows);
}

fn print_cost(class: &ClassPlan, measured: Option<&Measured>) {
    let cost = class.cost;
    outln!(
        "\npredicted  {} a run: nodes {}, copies {}, launches {}",
        show_ns(cost.total_ns()),
        show_ns(cost.compute_ns),
        show_ns(cost.transfer_ns),
        show_ns(cost.launch_ns)
    );
    if let Some(measured) = measured {
        outln!("measured   {} a run", milliseconds(measured.whole));
    }
    outln!();
}

/// A way to place nodes, for people.
fn rule(origin: Origin) -> &'static str {
    match origin {
        Origin::Fallback => "giving all to the CPU",
        Origin::Single => "giving all it takes to one backend, the rest to the CPU",
        Origin::Priority => "giving each node to the first backend that takes it",
        Origin::PerNode => "giving each node to whom it costs least",
        Origin::Cached => "starting from an earlier plan",
        Origin::Cut => "a minimum cut",
        Origin::Chain => "dividing equal layers",
        Origin::Search => "moving nodes while that helps",
        Origin::Exhaustive => "trying all ways",
    }
}

/// Prints what simple rules would have come to.
fn print_instead(plan: &Plan) {
    if plan.instead.is_empty() || plan.providers.len() < 2 {
        return;
    }
    let count = plan.classes.iter().map(|class| class.parts.len()).sum::<usize>();
    let row = |what: &str, cost: u64, parts: String| vec![what.to_owned(), show_ns(cost), parts];
    let mut rows = vec![["compared by prediction", "cost", "parts"].map(str::to_owned).to_vec()];
    rows.push(row("this plan", plan.cost_ns, count.to_string()));
    let others = plan.instead.iter();
    rows.extend(
        others
            .map(|&Instead { rule: by, cost_ns, parts }| row(rule(by), cost_ns, parts.to_string())),
    );
    print_table(&rows);
    outln!();
}

/// Prints what the first run found out by trying other plans.
pub(super) fn print_trials(trials: &[Trial]) {
    if trials.is_empty() {
        return;
    }
    let ms = |time: std::time::Duration| milliseconds(time.as_secs_f64() * 1e3);
    let remembered = trials.iter().any(|trial| trial.remembered);
    let when =
        if remembered { "tried before by a first run on" } else { "tried by the first run on" };
    let head = [when, "predicted", "measured", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for trial in trials {
        let kept = if trial.kept { "kept" } else { "" };
        rows.extend(trial.classes.iter().map(|class| {
            let what = format!("{} {}", trial.targets.join(", "), class.name);
            let (predicted, measured) = (ms(class.predicted), ms(class.measured));
            vec![what.trim_end().to_owned(), predicted, measured, kept.to_owned()]
        }));
    }
    outln!();
    print_table(&rows);
}

/// Prints the runs of a plan beside those of the one that the order of backends gives.
pub(super) fn print_rival(own: (&Plan, &[Measured]), rival: (&Plan, &[Measured])) {
    let head = ["measured in turns", "parts", "measured"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for (what, (plan, times)) in [("this plan", own), ("the order of backends", rival)] {
        for time in times {
            let Some(class) = plan.classes.get(time.class) else { continue };
            let what = format!("{what} {}", class.name);
            let parts = class.parts.len().to_string();
            rows.push(vec![what.trim_end().to_owned(), parts, milliseconds(time.whole)]);
        }
    }
    outln!();
    print_table(&rows);
}

/// A plan for programs, with the one that the order of backends gives if it was run beside it.
pub(super) fn to_json(
    (plan, times): (&Plan, &[Measured]),
    rival: Option<(&Plan, &[Measured])>,
    (trials, warnings): (&[Trial], &[String]),
) -> serde_json::Value {
    let parts = plan.classes.iter().enumerate().flat_map(|(at, class)| {
        let measured = times.iter().find(move |time| time.class == at);
        class.parts.iter().enumerate().map(move |(at, part)| {
            let nodes: Vec<&str> =
                part.nodes.iter().map(|node| plan.nodes[node.index()].as_str()).collect();
            json!({
                "class": class.name,
                "backend": name(plan, part),
                "nodes": nodes,
                "copied_in_bytes": copied(class, at),
                "predicted_ns": part.compute_ns + part.launch_ns,
                "source": part.source.as_str(),
                "measured_ms": measured.and_then(|measured| measured.parts.get(at)),
            })
        })
    });
    let instead = plan.instead.iter().map(|instead| {
        json!({
            "rule": instead.rule.as_str(),
            "predicted_ns": instead.cost_ns,
            "parts": instead.parts,
        })
    });
    let backends = plan.providers.iter().map(|used| {
        json!({
            "name": used.name,
            "weights_bytes": used.weights_bytes,
            "peak_bytes": used.peak_bytes(),
            "budget_bytes": used.budget_bytes,
        })
    });
    json!({
        "plan": plan.id.to_string(),
        "policy": plan.policy.as_str(),
        "predicted_ns": plan.cost_ns,
        "classes": classes_to_json(plan, times),
        "instead": instead.collect::<Vec<_>>(),
        "parts": parts.collect::<Vec<_>>(),
        "backends": backends.collect::<Vec<_>>(),
        "trials": trials.iter().map(trial_to_json).collect::<Vec<_>>(),
        "priority": rival.map(|(plan, times)| json!({ "classes": classes_to_json(plan, times) })),
        "warnings": warnings,
    })
}

fn trial_to_json(trial: &Trial) -> serde_json::Value {
    let classes = trial.classes.iter().map(|class| {
        json!({
            "name": class.name,
            "runs": class.runs,
            "predicted_ms": class.predicted.as_secs_f64() * 1e3,
            "measured_ms": class.measured.as_secs_f64() * 1e3,
        })
    });
    json!({
        "backends": trial.targets.iter().map(|name| &**name).collect::<Vec<_>>(),
        "plan": trial.plan.to_string(),
        "kept": trial.kept,
        "remembered": trial.remembered,
        "classes": classes.collect::<Vec<_>>(),
    })
}

fn classes_to_json(plan: &Plan, times: &[Measured]) -> serde_json::Value {
    let classes = plan.classes.iter().enumerate().map(|(at, class)| {
        let measured = times.iter().find(|time| time.class == at);
        json!({
            "name": class.name,
            "runs": class.runs,
            "parts": class.parts.len(),
            "predicted_ns": class.cost.total_ns(),
            "measured_ms": measured.map(|measured| measured.whole),
        })
    });
    classes.collect()
}
