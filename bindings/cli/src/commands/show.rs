//! `remuda show`: what a model is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use remuda::{Model, Port, Runtime, Summary};
use serde_json::json;

use super::{RewriteArgs, bytes_text, print_table, show_gguf};
use crate::bundled;
use crate::failure::Failure;

/// Arguments of `remuda show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The model: an ONNX or GGUF file, or `demo` or `digits`, which are inside this program
    model: PathBuf,
    /// Print the graph as text
    #[arg(long)]
    graph: bool,
    /// List every tensor of a GGUF file
    #[arg(long)]
    tensors: bool,
    #[command(flatten)]
    rewrites: RewriteArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows a model.
pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    if !bundled::is_named(&args.model) && show_gguf::run(&args.model, args.tensors, args.json)? {
        return Ok(());
    }
    let runtime = args.rewrites.apply(Runtime::builder()).build()?;
    let model = bundled::load(&runtime, &args.model)?;
    if args.json {
        outln!("{:#}", to_json(&model, args.graph));
    } else if args.graph {
        out!("{}", model.graph_text(false));
    } else {
        print(&model);
    }
    for warning in &model.summary().warnings {
        noteln!("warning: {warning}");
    }
    Ok(())
}

fn type_text(port: &Port) -> String {
    port.ty.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string)
}

fn print(model: &Model) {
    let summary = model.summary();
    let mut rows = Vec::new();
    for (title, ports) in [("input", model.inputs()), ("output", model.outputs())] {
        rows.extend(
            ports.iter().map(|port| vec![title.to_owned(), port.name.clone(), type_text(port)]),
        );
    }
    print_table(&rows);
    let opsets: Vec<_> = summary
        .opsets
        .iter()
        .map(|(domain, version)| {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            format!("{domain} {version}")
        })
        .collect();
    outln!("\nproducer    {}", summary.producer);
    outln!("opsets      {}", opsets.join(", "));
    outln!("parameters  {} ({})", summary.parameters, bytes_text(summary.parameter_bytes));
    let running: usize = summary.running.values().sum();
    outln!("nodes       {} in the file, {running} as rewritten to run", summary.nodes());
    let rewrites = summary.rewrites.iter().map(|(name, count)| format!("{name} {count}"));
    outln!("rewrites    {}\n", rewrites.collect::<Vec<_>>().join(", "));
    print_table(&operator_rows(summary));
}

/// How often each operator stands in the file and in the graph that runs.
fn operator_rows(summary: &Summary) -> Vec<Vec<String>> {
    let names: BTreeSet<_> = summary.operators.keys().chain(summary.running.keys()).collect();
    let cell = |count: Option<&usize>| {
        let text = count.map_or_else(|| "-".to_owned(), ToString::to_string);
        format!("{text:>6}")
    };
    let mut rows = vec![["  file", "  runs", "operator"].map(str::to_owned).to_vec()];
    rows.extend(names.into_iter().map(|name| {
        vec![cell(summary.operators.get(name)), cell(summary.running.get(name)), name.clone()]
    }));
    rows
}

fn to_json(model: &Model, graph: bool) -> serde_json::Value {
    let summary = model.summary();
    let ports = |ports: &[Port]| {
        let port = |port: &Port| json!({ "name": port.name, "type": type_text(port) });
        ports.iter().map(port).collect::<Vec<_>>()
    };
    let mut shown = json!({
        "inputs": ports(model.inputs()),
        "outputs": ports(model.outputs()),
        "producer": summary.producer,
        "opsets": summary.opsets.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "parameters": summary.parameters,
        "parameter_bytes": summary.parameter_bytes,
        "nodes": summary.nodes(),
        "operators": summary.operators,
        "running_operators": summary.running,
        "rewrites": summary.rewrites.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        "warnings": summary.warnings,
    });
    if graph {
        shown["graph"] = model.graph_text(false).into();
    }
    shown
}
