//! Cases of operators as text, one per line:
//!
//! ```text
//! run {axis = 0} : f32[2] 1 2, _, i64[] 1 -> f32[2] 1 2      inputs -> outputs
//! infer : f32[batch, n], i64[1] -1 -> f32[batch*n]           types (an input with elements is a constant)
//! error : f32[2] 1 2, f32[3] 1 2 3 -> the whole message
//! gen : f32[a, b], f32[b]                                    random elements; letters are random sizes
//! # a comment
//! ```
//!
//! Attributes are written as in the text form of graphs; `_` is an input or output that is left out.
//! A sequence is `seq{f32[1] 1 | f32[2] 2 3}`, an optional `some{f32[1] 1}` or `none{f32[..]}`. A state
//! is its type, `kv_cache(f16, 2, 64, 64)`, and empty.
//! `reference` runs all of them; every other provider runs `run` and `gen` and is compared with it.

mod compare;
mod trial;
mod values;

pub use compare::compare;
pub use trial::{Tally, Trial, agree, try_all};

use remuda_ir::{Graph, OpDef, Presence, Val, ValueType, infer_graph, text, verify};
use remuda_tensor::Dim;

use crate::interpret::infer_outputs;
use crate::{Ops, Random, interpret};
use values::{Given, parse_givens, split_outside};

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The line of the case file, from 1.
    pub line: usize,
    /// The operator alone in a graph.
    pub graph: Graph,
    /// What is to be checked.
    pub check: Check,
}

/// What is to be checked.
#[derive(Debug, Clone)]
pub enum Check {
    /// These inputs give these outputs.
    Run(Vec<Val>, Vec<Option<Val>>),
    /// The inferred types of the outputs.
    Infer(Vec<Option<ValueType>>),
    /// These inputs are refused with this message.
    Error(Vec<Val>, String),
    /// These random inputs run; every provider gives what the reference gives.
    Generated(Vec<Val>),
}

/// The cases of an operator.
///
/// # Errors
/// When a line is not in the form above; the message names it.
pub fn parse(def: &OpDef) -> Result<Vec<Case>, String> {
    let lines = def.cases.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            parse_line(def, number, line)
                .map_err(|error| format!("{}: {error}", place(def, number)))
        })
        .collect()
}

fn place(def: &OpDef, line: usize) -> String {
    format!("cases of `{}`, line {line}", def.name)
}

fn parse_line(def: &OpDef, number: usize, line: &str) -> Result<Case, String> {
    let (kind, rest) = line
        .split_once([' ', ':', '{'])
        .map(|(kind, _)| (kind, &line[kind.len()..]))
        .ok_or("no kind")?;
    let rest = rest.trim_start();
    let (attrs, rest) =
        if rest.starts_with('{') { rest.split_at(values::closing(rest)? + 1) } else { ("", rest) };
    let body = rest.trim_start().strip_prefix(':').ok_or("expected `:` after the attributes")?;
    let (inputs, right) = match kind {
        "error" => body.split_once(" -> ").ok_or("expected ` -> message`")?,
        _ => values::split_arrow(body),
    };
    let mut random = Random::new(number as u64 * 7919);
    let inputs = parse_givens(inputs, (kind == "gen").then_some(&mut random))?;
    let outputs = if kind == "error" { Vec::new() } else { split_outside(right, ',') };
    let expected =
        if kind == "error" || kind == "gen" { Vec::new() } else { parse_givens(right, None)? };
    let required =
        def.outputs.iter().filter(|output| output.presence == Presence::Required).count();
    let given = if expected.is_empty() { outputs.len() } else { expected.len() };
    let count = if given == 0 { required.max(1) } else { given };
    let present: Vec<bool> =
        (0..count).map(|at| expected.get(at).is_none_or(Option::is_some)).collect();
    let graph = build(def, attrs, &inputs, &present, kind == "infer")?;
    let vals = || inputs.iter().flatten().filter_map(|given| given.val.clone()).collect::<Vec<_>>();
    let check = match kind {
        "run" => Check::Run(
            vals(),
            expected.into_iter().map(|given| given.and_then(|given| given.val)).collect(),
        ),
        "infer" => {
            Check::Infer(expected.into_iter().map(|given| given.map(|given| given.ty)).collect())
        }
        "error" => Check::Error(vals(), right.trim().to_owned()),
        "gen" => Check::Generated(vals()),
        other => return Err(format!("unknown kind `{other}`")),
    };
    Ok(Case { line: number, graph, check })
}

/// A graph of this one operator. With `fold`, inputs that have elements are constants.
fn build(
    def: &OpDef,
    attrs: &str,
    inputs: &[Option<Given>],
    outputs: &[bool],
    fold: bool,
) -> Result<Graph, String> {
    let domain = if def.domain.is_empty() { String::new() } else { format!("{}::", def.domain) };
    let args: Vec<String> = (0..inputs.len())
        .map(|at| if inputs[at].is_some() { format!("%i{at}") } else { "_".into() })
        .collect();
    let outs: Vec<String> = outputs
        .iter()
        .enumerate()
        .map(|(at, there)| if *there { format!("%o{at}") } else { "_".into() })
        .collect();
    let wanted: Vec<&str> = outs.iter().map(String::as_str).filter(|out| *out != "_").collect();
    let mut source = "graph \"case\" {\n".to_owned();
    for (at, given) in inputs.iter().enumerate() {
        if let Some(given) = given {
            let word = if matches!(given.ty, ValueType::State(_)) { "state" } else { "input" };
            source += &format!("{word} %i{at}: {}\n", given.ty);
        }
    }
    let outs = outs.join(", ");
    source += &format!(
        "{outs} = {domain}{}({}) {attrs}\noutput {}\n}}",
        def.name,
        args.join(", "),
        wanted.join(", ")
    );
    let mut graph = text::parse(&source).map_err(|error| format!("{error} in\n{source}"))?;
    if fold {
        for (at, given) in inputs.iter().enumerate() {
            let Some(Val::Tensor(tensor)) = given.as_ref().and_then(|given| given.val.clone())
            else {
                continue;
            };
            let Some(id) = graph.find_value(&format!("i{at}")) else { continue };
            graph.inputs.retain(|&input| input != id);
            graph.set_const(id, tensor);
        }
    }
    Ok(graph)
}

/// Runs every case of an operator on its reference kernel and shape rule. What fails, in words.
#[must_use]
pub fn check(def: &OpDef) -> Vec<String> {
    match parse(def) {
        Ok(cases) if cases.is_empty() => vec![format!("`{}` has no cases", def.name)],
        Ok(cases) => cases
            .iter()
            .filter_map(|case| {
                check_case(def, case)
                    .err()
                    .map(|error| format!("{}: {error}", place(def, case.line)))
            })
            .collect(),
        Err(error) => vec![error],
    }
}

fn check_case(def: &OpDef, case: &Case) -> Result<(), String> {
    match &case.check {
        Check::Run(inputs, want) => {
            let got = checked_run(&case.graph, inputs)?;
            let want: Vec<&Val> = want.iter().flatten().collect();
            if got.len() != want.len() {
                return Err(format!("expected {} outputs, got {}", want.len(), got.len()));
            }
            got.iter().zip(want).try_for_each(|(got, want)| compare(def.tolerance, got, want))
        }
        Check::Generated(inputs) => checked_run(&case.graph, inputs).map(|_| ()),
        Check::Infer(want) => {
            let got = infer_outputs(&case.graph).map_err(|error| error.to_string())?;
            let show = |types: &[Option<ValueType>]| {
                types.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            };
            let (got, want) = (show(&got), show(want));
            if got == want { Ok(()) } else { Err(format!("expected {want}, inferred {got}")) }
        }
        Check::Error(inputs, want) => match checked_run(&case.graph, inputs) {
            Ok(got) => Err(format!("expected the error `{want}`, got {got:?}")),
            Err(got) => {
                // What is in front of the operator's own words: the graph and the node.
                let got = got
                    .split_once(&format!("node `{}`: ", def_label(def)))
                    .map_or(got.as_str(), |(_, tail)| tail);
                if got == want {
                    Ok(())
                } else {
                    Err(format!("expected the error `{want}`, got `{got}`"))
                }
            }
        },
    }
}

fn def_label(def: &OpDef) -> String {
    if def.domain.is_empty() {
        def.name.to_owned()
    } else {
        format!("{}::{}", def.domain, def.name)
    }
}

/// Verifies, infers and runs; checks that what was inferred is true of the results.
fn checked_run(graph: &Graph, inputs: &[Val]) -> Result<Vec<Val>, String> {
    let mut typed = graph.clone();
    verify(&typed, &Ops).map_err(|error| error.to_string())?;
    infer_graph(&mut typed, &Ops).map_err(|error| error.to_string())?;
    let outputs = interpret(graph, inputs).map_err(|error| error.to_string())?;
    for (&id, val) in typed.outputs.iter().zip(&outputs) {
        let Some(ty) = &typed.value(id).ty else {
            return Err("an output has no inferred type".into());
        };
        if !fits(ty, val) {
            return Err(format!("inferred `{ty}`, the kernel gives {val:?}"));
        }
    }
    Ok(outputs)
}

/// Whether a value is of a type.
#[must_use]
pub fn fits(ty: &ValueType, val: &Val) -> bool {
    match (ty, val) {
        (ValueType::Tensor(ty), Val::Tensor(tensor)) => {
            let dim_fits =
                |(want, &got): (&Dim, &usize)| want.as_i64().is_none_or(|want| want == got as i64);
            ty.dtype == tensor.dtype()
                && ty.dims.as_ref().is_none_or(|dims| {
                    dims.len() == tensor.rank() && dims.iter().zip(tensor.dims()).all(dim_fits)
                })
        }
        (ValueType::Sequence(item), Val::Sequence(items)) => {
            items.iter().all(|val| fits(item, val))
        }
        (ValueType::Optional(item), Val::Optional(val)) => {
            val.as_ref().is_none_or(|val| fits(item, val))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, parse};
    use remuda_ir::OpDef;

    fn with_cases(cases: &'static str) -> OpDef {
        let abs = crate::find("", "Abs").unwrap();
        OpDef { cases, upgrades: &[], ..*abs }
    }

    #[test]
    fn a_wrong_expectation_fails() {
        assert_eq!(check(&with_cases("run : f32[1] -1 -> f32[1] 2")).len(), 1);
        assert_eq!(check(&with_cases("run : f32[1] -1 -> f32[1, 1] 1")).len(), 1);
        assert_eq!(check(&with_cases("infer : f32[n] -> f32[m]")).len(), 1);
        assert_eq!(check(&with_cases("error : f32[1] 1 -> no")).len(), 1);
        assert_eq!(check(&with_cases("run : f32[1] -1 -> f32[1] 1")), Vec::<String>::new());
        assert_eq!(check(&with_cases("")), ["`Abs` has no cases"]);
    }

    #[test]
    fn a_malformed_line_is_named() {
        let error = parse(&with_cases("\nrun f32[1] 1")).unwrap_err();
        assert_eq!(error, "cases of `Abs`, line 2: expected `:` after the attributes");
    }
}
