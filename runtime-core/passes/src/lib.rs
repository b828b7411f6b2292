//! Rewrites of graphs: folding what is constant, dropping what does nothing, fusing what belongs
//! together.
//!
//! A rule is one file under `rules/` with its text cases beside it; [`RULES`] is the list. A rule
//! looks at one node and either changes the graph around it or says no. Rules run over all nodes until
//! none of them finds anything more; every change removes a node or replaces nodes by fewer, so that
//! ends. Order does not change results, only speed, and each rule can be switched off by name.
#![forbid(unsafe_code)]

mod pattern;
mod rules;

pub use rules::RULES;

use remuda_base::Set;
use remuda_ir::{Attr, Graph, NodeId, OpError, infer_graph};
use remuda_ops::Ops;

/// A rewrite.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name: `fold_…`, `drop_…`, `fuse_…`.
    pub name: &'static str,
    /// Looks at a node and changes the graph if it applies; true if it did.
    pub apply: fn(&mut Graph, NodeId) -> bool,
    /// Graphs before and after, as text: see [`check`].
    pub cases: &'static str,
}

/// Which rules run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Rules that are switched off, by name.
    pub off: Set<String>,
}

/// Rewrites a typed graph until no rule finds anything more. How often each rule applied.
///
/// # Errors
/// When the rewritten graph cannot be typed, which is a bug of a rule.
pub fn optimize(
    graph: &mut Graph,
    options: &Options,
) -> Result<Vec<(&'static str, usize)>, OpError> {
    let rules: Vec<&Rule> =
        RULES.iter().copied().filter(|rule| !options.off.contains(rule.name)).collect();
    let mut counts: Vec<(&'static str, usize)> = rules.iter().map(|rule| (rule.name, 0)).collect();
    for _ in 0..MAX_ROUNDS {
        let changes = sweep(graph, &rules, &mut counts);
        drop_dead(graph);
        if changes == 0 {
            break;
        }
        infer_graph(graph, &Ops).map_err(|error| error.at("after rewriting"))?;
    }
    optimize_bodies(graph, options)?;
    counts.retain(|(_, count)| *count > 0);
    Ok(counts)
}

/// Rounds after which a graph is left as it is: real ones need three or four.
const MAX_ROUNDS: usize = 32;

fn sweep(graph: &mut Graph, rules: &[&Rule], counts: &mut [(&'static str, usize)]) -> usize {
    let mut changes = 0;
    for id in graph.order().to_vec() {
        for (rule, (_, count)) in rules.iter().zip(counts.iter_mut()) {
            if graph.node(id).is_some() && (rule.apply)(graph, id) {
                *count += 1;
                changes += 1;
            }
        }
    }
    changes
}

/// Takes out nodes whose outputs nobody uses.
fn drop_dead(graph: &mut Graph) {
    let mut used: Vec<bool> = vec![false; graph.value_count()];
    graph.outputs.iter().for_each(|output| used[output.index()] = true);
    for id in graph.order().iter().rev().copied().collect::<Vec<_>>() {
        let Some(node) = graph.node(id) else { continue };
        if node.outputs.iter().flatten().any(|output| used[output.index()]) {
            node.uses().for_each(|value| used[value.index()] = true);
        } else {
            graph.remove(id);
        }
    }
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
    let read = |text: &str| -> Result<Graph, String> {
        let mut graph =
            remuda_ir::text::parse(text).map_err(|error| format!("{place}: {error}"))?;
        remuda_ir::verify(&graph, &Ops).map_err(|error| format!("{place}: {error}"))?;
        infer_graph(&mut graph, &Ops).map_err(|error| format!("{place}: {error}"))?;
        Ok(graph)
    };
    let mut got = read(before)?;
    sweep(&mut got, &[rule], &mut [(rule.name, 0)]);
    drop_dead(&mut got);
    let got = tidy(read(&remuda_ir::text::print(&got))?);
    let want = tidy(read(after)?);
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
    use super::{Options, RULES, check, optimize};
    use remuda_ir::{infer_graph, text};
    use remuda_ops::Ops;

    #[test]
    fn every_rule_passes_its_cases_and_has_some() {
        let failures: Vec<String> = RULES.iter().flat_map(|rule| check(rule)).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        for rule in RULES {
            assert!(rule.cases.contains("\n=>\n"), "`{}` has no cases", rule.name);
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

    #[test]
    fn a_rule_can_be_switched_off() {
        let source = "graph \"g\" {\n  input %x: f32[n]\n  %y = Identity(%x)\n  %z = Abs(%y)\n  output %z\n}";
        for (off, nodes) in [(vec![], 1), (vec!["drop_identity".to_owned()], 2)] {
            let mut graph = text::parse(source).unwrap();
            infer_graph(&mut graph, &Ops).unwrap();
            optimize(&mut graph, &Options { off: off.into_iter().collect() }).unwrap();
            assert_eq!(graph.nodes().count(), nodes);
        }
    }
}
