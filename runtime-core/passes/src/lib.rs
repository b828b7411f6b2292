//! Rewrites of graphs: folding what is constant, dropping what does nothing, fusing what belongs
//! together.
//!
//! A rule is one file under `rules/` with its text cases beside it; [`RULES`] is the list. A rule
//! looks at one node and either changes the graph around it or says no. Rules run over all nodes until
//! none of them finds anything more; every change removes a node or replaces nodes by fewer, so that
//! ends. Order does not change results, only speed, and each rule can be switched off by name.
#![forbid(unsafe_code)]

mod options;
mod pattern;
mod quantized;
mod rewriter;
mod rules;

pub use options::{Options, UnknownRule};
pub use rewriter::Rewriter;
pub use rules::RULES;

use remuda_base::Set;
use remuda_ir::{Attr, Graph, Inference, NodeId, OpError};
use remuda_ops::Ops;

/// A rewrite.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name: `fold_…`, `drop_…`, `fuse_…`.
    pub name: &'static str,
    /// Looks at a node and changes the graph if it applies; true if it did.
    pub apply: fn(&mut Rewriter<'_>, NodeId) -> bool,
    /// Graphs before and after, as text: see [`check`].
    pub cases: &'static str,
}

/// Rewrites a typed graph until no rule finds anything more. How often each rule applied.
///
/// # Errors
/// When the rewritten graph cannot be typed, which is a bug of a rule.
pub fn optimize(
    graph: &mut Graph,
    options: &Options,
) -> Result<Vec<(&'static str, usize)>, OpError> {
    let rules = options.rules();
    let mut counts: Vec<(&'static str, usize)> = rules.iter().map(|rule| (rule.name, 0)).collect();
    // The graph has its types already; without contents less is known, that is all.
    let mut known = Inference::of(graph, &Ops).unwrap_or_default();
    for _ in 0..MAX_ROUNDS {
        let Sweep { changes, .. } = sweep(graph, &known, &rules, &mut counts);
        drop_dead(graph);
        debug_assert_eq!(remuda_ir::verify(graph, &Ops), Ok(()), "a rule broke the graph");
        if changes == 0 {
            break;
        }
        known = Inference::of(graph, &Ops).map_err(|error| error.at("after rewriting"))?;
    }
    optimize_bodies(graph, options)?;
    counts.retain(|(_, count)| *count > 0);
    Ok(counts)
}

/// Rounds after which a graph is left as it is: real ones need three or four.
const MAX_ROUNDS: usize = 32;

/// What a pass over the nodes did.
struct Sweep {
    changes: usize,
    /// How many uses of values were looked at on top of what rules look at around their nodes.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests see that it grows with the graph alone")
    )]
    work: usize,
}

fn sweep(
    graph: &mut Graph,
    known: &Inference,
    rules: &[&Rule],
    counts: &mut [(&'static str, usize)],
) -> Sweep {
    let mut changes = 0;
    let order = graph.order().to_vec();
    let mut rewriter = Rewriter::new(graph, known);
    for id in order {
        for (rule, (_, count)) in rules.iter().zip(counts.iter_mut()) {
            if rewriter.node(id).is_some() && (rule.apply)(&mut rewriter, id) {
                rewriter.bury();
                *count += 1;
                changes += 1;
            }
        }
    }
    Sweep { changes, work: rewriter.finish() }
}

/// Takes out nodes whose outputs nobody uses.
fn drop_dead(graph: &mut Graph) {
    let mut used: Vec<bool> = vec![false; graph.value_count()];
    graph.outputs.iter().for_each(|output| used[output.index()] = true);
    let mut dead = Set::new();
    for &id in graph.order().iter().rev() {
        let Some(node) = graph.node(id) else { continue };
        if node.outputs.iter().flatten().any(|output| used[output.index()]) {
            node.uses().for_each(|value| used[value.index()] = true);
        } else {
            dead.insert(id);
        }
    }
    graph.retain(|id| !dead.contains(&id));
}

fn optimize_bodies(graph: &mut Graph, options: &Options) -> Result<(), OpError> {
    for id in graph.order().to_vec() {
        let Some(node) = graph.node_mut(id) else { continue };
        for attr in node.attrs.0.values_mut() {
            if let Attr::Graph(body) = attr {
                optimize(&mut body.graph, options)?;
            }
        }
    }
    Ok(())
}

/// Runs the cases of a rule: pairs of graphs with a line `=>` between and `---` behind. What fails, in
/// words. The graph after must be what the rule alone makes of the graph before, dead nodes dropped.
#[must_use]
pub fn check(rule: &Rule) -> Vec<String> {
    let cases = rule.cases.split("\n---\n").map(str::trim).filter(|case| !case.is_empty());
    let failures: Vec<String> =
        cases.enumerate().filter_map(|(at, case)| check_case(rule, at + 1, case).err()).collect();
    failures
}

fn check_case(rule: &Rule, number: usize, case: &str) -> Result<(), String> {
    let place = format!("rule `{}`, case {number}", rule.name);
    let (before, after) =
        case.split_once("\n=>\n").ok_or_else(|| format!("{place}: no line `=>`"))?;
    let read = |text: &str| -> Result<(Graph, Inference), String> {
        let mut graph =
            remuda_ir::text::parse(text).map_err(|error| format!("{place}: {error}"))?;
        remuda_ir::verify(&graph, &Ops).map_err(|error| format!("{place}: {error}"))?;
        let known = Inference::of(&mut graph, &Ops).map_err(|error| format!("{place}: {error}"))?;
        Ok((graph, known))
    };
    let (mut got, known) = read(before)?;
    sweep(&mut got, &known, &[rule], &mut [(rule.name, 0)]);
    drop_dead(&mut got);
    let got = tidy(read(&remuda_ir::text::print(&got))?.0);
    let want = tidy(read(after)?.0);
    if got == want { Ok(()) } else { Err(format!("{place}: expected\n{want}\ngot\n{got}")) }
}

/// The text of a graph without constants that nothing uses and with values named by their place, so
/// that names that rules make up do not matter.
fn tidy(graph: Graph) -> String {
    let mut graph = graph;
    let mut used: Vec<bool> = vec![false; graph.value_count()];
    graph.outputs.iter().for_each(|output| used[output.index()] = true);
    let uses: Vec<_> =
        graph.nodes().flat_map(|(_, node)| node.uses().collect::<Vec<_>>()).collect();
    uses.iter().for_each(|value| used[value.index()] = true);
    let nodes: Vec<_> =
        graph.nodes().flat_map(|(_, node)| node.outputs.iter().flatten().copied()).collect();
    for (number, id) in nodes.into_iter().enumerate() {
        graph.rename(id, &format!("value{number}"));
    }
    let unused: Vec<_> = graph
        .values()
        .filter(|(id, value)| value.constant().is_some() && !used[id.index()])
        .map(|(id, _)| id)
        .collect();
    unused.into_iter().for_each(|id| graph.set_def(id, remuda_ir::Def::Nothing));
    let constants: Vec<_> =
        graph.values().filter(|(_, value)| value.constant().is_some()).map(|(id, _)| id).collect();
    for (number, id) in constants.into_iter().enumerate() {
        graph.rename(id, &format!("const{number}"));
    }
    remuda_ir::text::print(&graph)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Options, RULES, check, optimize, sweep};
    use remuda_ir::{Inference, Tolerance, Val, infer_graph, text};
    use remuda_ops::cases::compare;
    use remuda_ops::{Ops, Random, interpret, random_tensor};
    use remuda_tensor::Dim;

    #[test]
    fn every_rule_passes_its_cases_and_has_some() {
        let failures: Vec<String> = RULES.iter().flat_map(|rule| check(rule)).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        for rule in RULES {
            assert!(rule.cases.contains("\n=>\n"), "`{}` has no cases", rule.name);
        }
    }

    /// Random inputs of a graph, each of whose symbols, and what is not known, is a small size.
    fn inputs(graph: &remuda_ir::Graph, random: &mut Random) -> Vec<Val> {
        let size = |name: &str| Some(Dim::Known(2 + name.bytes().map(i64::from).sum::<i64>() % 3));
        let tensor = |id: &remuda_ir::ValueId| {
            let ty = graph.value(*id).ty.as_ref().unwrap().as_tensor().unwrap();
            let dims = ty.dims.as_ref().unwrap().iter();
            let dims: Vec<usize> =
                dims.map(|dim| dim.substitute(&size).as_usize().unwrap_or(2)).collect();
            random_tensor(random, ty.dtype, &dims).unwrap().into()
        };
        graph.inputs.iter().map(tensor).collect()
    }

    #[test]
    fn rewritten_graphs_compute_the_same() {
        for rule in RULES {
            let mut compared = 0;
            for case in rule.cases.split("\n---\n") {
                let (before, after) = case.split_once("\n=>\n").unwrap();
                let [before, after] = [before, after].map(|text| text::parse(text).unwrap());
                let inputs = inputs(&before, &mut Random::new(7));
                // Some sizes do not fit what a graph does with them.
                let Ok(want) = interpret(&before, &inputs) else { continue };
                let got = interpret(&after, &inputs).unwrap();
                for (got, want) in got.iter().zip(&want) {
                    let same = compare(Tolerance::Float(20.0), got, want);
                    let step = compare(Tolerance::OneStep(1.0), got, want);
                    same.or(step).unwrap_or_else(|error| panic!("`{}`: {error}", rule.name));
                    compared += 1;
                }
            }
            assert!(compared > 0, "`{}` was not tried", rule.name);
        }
    }

    #[test]
    fn rules_are_sorted_and_every_file_is_listed() {
        assert!(RULES.is_sorted_by_key(|rule| rule.name));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                assert!(RULES.iter().any(|rule| rule.name == name), "`{name}` is in no list");
            }
        }
    }

    /// A chain of `length` nodes that rules change in every way, around one constant that all share.
    fn chain(length: usize) -> remuda_ir::Graph {
        let mut source = String::from(
            "graph \"chain\" {\n  input %x0: f32[n]\n  const %half: f32[1] = x0000003f\n",
        );
        for at in 0..length / 4 {
            let (x, next) = (4 * at, 4 * at + 4);
            let _ = writeln!(source, "  %a{x} = Identity(%x{x})\n  %s{x} = Sigmoid(%a{x})");
            let _ = writeln!(source, "  %w{x} = Mul(%a{x}, %s{x})\n  %x{next} = Add(%w{x}, %half)");
        }
        let _ = writeln!(source, "  output %x{}\n}}", length / 4 * 4);
        text::parse(&source).unwrap()
    }

    #[test]
    fn the_work_of_a_sweep_grows_with_the_graph_and_not_with_its_square() {
        let work = |length: usize| {
            let mut graph = chain(length);
            let known = Inference::of(&mut graph, &Ops).unwrap();
            let mut counts: Vec<_> = RULES.iter().map(|rule| (rule.name, 0)).collect();
            let done = sweep(&mut graph, &known, RULES, &mut counts);
            assert_eq!(done.changes, length / 2, "every identity and every swish");
            assert_eq!(graph.nodes().count(), length / 2);
            done.work
        };
        let (small, large) = (work(2_000), work(20_000));
        assert!(large <= 10 * small, "{small} for 2,000 nodes, {large} for 20,000");
        assert!(large <= 6 * 20_000, "{large} uses looked at");
    }

    #[test]
    fn a_rule_can_be_switched_off() {
        let source = "graph \"g\" {\n  input %x: f32[n]\n  %y = Identity(%x)\n  %z = Abs(%y)\n  output %z\n}";
        let off = Options::default().without("drop_identity").unwrap();
        for (options, nodes) in [(Options::default(), 1), (off, 2), (Options::none(), 2)] {
            let mut graph = text::parse(source).unwrap();
            infer_graph(&mut graph, &Ops).unwrap();
            optimize(&mut graph, &options).unwrap();
            assert_eq!(graph.nodes().count(), nodes);
        }
    }
}
