//! `remuda show`: what a model is.

use std::path::PathBuf;

use remuda::{Model, Port, Runtime};
use serde_json::json;

use super::{bytes_text, print_table};
use crate::bundled;
use crate::failure::Failure;

/// Arguments of `remuda show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The model: an ONNX file, or `digits` for the one inside this program
    model: PathBuf,
    /// Print the graph as text
    #[arg(long)]
    graph: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows a model.
pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    let runtime = Runtime::builder().build()?;
    let model = bundled::load(&runtime, &args.model)?;
    if args.json {
        println!("{:#}", to_json(&model, args.graph));
    } else if args.graph {
        print!("{}", model.graph_text(false));
    } else {
        print(&model);
    }
    for warning in &model.summary().warnings {
        eprintln!("warning: {warning}");
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
    println!("\nproducer    {}", summary.producer);
    println!("opsets      {}", opsets.join(", "));
    println!("parameters  {} ({})", summary.parameters, bytes_text(summary.parameter_bytes));
    println!("nodes       {}\n", summary.nodes());
    let rows: Vec<_> = summary
        .operators
        .iter()
        .map(|(name, count)| vec![format!("{count:>6}"), name.clone()])
        .collect();
    print_table(&rows);
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
        "warnings": summary.warnings,
    });
    if graph {
        shown["graph"] = model.graph_text(false).into();
    }
    shown
}
