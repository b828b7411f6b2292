//! Runs cases in the layout of ONNX's backend suite on the reference kernels.
//!
//! `backend_case FOLDER...`: each folder is a case (`model.onnx` and `test_data_set_*` with
//! `input_*.pb` and `output_*.pb`) or holds cases. Prints one line per case and totals.

mod compare;

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use remuda_ir::{Graph, Node, Tolerance, Val, ValueType};
use remuda_onnx::{ImportError, ImportOptions, Model, import, read_value};
use remuda_tensor::Memory;

struct File(Vec<u8>);

impl Memory for File {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn read(path: &Path) -> Result<Arc<dyn Memory>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Arc::new(File(bytes)))
}

/// Every case in or below these folders.
fn cases(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.join("model.onnx").is_file() {
        found.push(folder.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().for_each(|folder| cases(folder, found));
}

/// The files `<stem>_0.pb`, `<stem>_1.pb`, … of a data set.
fn numbered(set: &Path, stem: &str) -> Vec<PathBuf> {
    let path = |at: usize| set.join(format!("{stem}_{at}.pb"));
    (0..).map(path).take_while(|path| path.is_file()).collect()
}

fn values(paths: &[PathBuf], types: &[Option<ValueType>]) -> Result<Vec<Val>, String> {
    let value = |(at, path): (usize, &PathBuf)| {
        let ty = types.get(at).and_then(Option::as_ref);
        let ty = ty.ok_or_else(|| format!("value {at} has no declared type"))?;
        read_value(read(path)?, ty, &ImportOptions::default())
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    paths.iter().enumerate().map(value).collect()
}

fn kind(error: &ImportError) -> &'static str {
    match error {
        ImportError::Invalid(_) => "invalid",
        ImportError::Unsupported(_) => "unsupported",
        ImportError::Resource(_) => "resource",
        ImportError::Bug(_) => "bug",
    }
}

fn run_case(case: &Path) -> Result<(), String> {
    let model = import(read(&case.join("model.onnx"))?, &ImportOptions::default())
        .map_err(|error| format!("import: {}: {error}", kind(&error)))?;
    let types = |list: &[remuda_onnx::Declaration]| -> Vec<Option<ValueType>> {
        list.iter().map(|declared| declared.ty.clone()).collect()
    };
    let (input_types, output_types) = (types(&model.inputs), types(&model.outputs));
    let mut sets: Vec<PathBuf> = fs::read_dir(case)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    sets.sort();
    if sets.is_empty() {
        return Err("no data".to_owned());
    }
    for set in sets {
        let inputs = values(&numbered(&set, "input"), &input_types)?;
        let wanted = values(&numbered(&set, "output"), &output_types)?;
        check(&model, &inputs, &wanted)?;
    }
    Ok(())
}

fn check(model: &Model, inputs: &[Val], wanted: &[Val]) -> Result<(), String> {
    let got =
        remuda_ops::interpret(&model.graph, inputs).map_err(|error| format!("run: {error}"))?;
    for (at, &id) in model.graph.outputs.iter().enumerate() {
        if let (Some(ty), Some(val)) = (&model.graph.value(id).ty, got.get(at))
            && !remuda_ops::cases::fits(ty, val)
        {
            return Err(format!("inferred: output {at} is inferred `{ty}`, the run gives {val:?}"));
        }
    }
    // One draw of random numbers says nothing of another.
    if draws_random_numbers(&model.graph) {
        return Ok(());
    }
    for (at, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        compare::compare(got, wanted).map_err(|error| format!("result: output {at}: {error}"))?;
    }
    Ok(())
}

fn draws_random_numbers(graph: &Graph) -> bool {
    let random = |node: &Node| {
        let def = remuda_ops::find(&node.op.domain, &node.op.name);
        def.is_some_and(|def| !def.traits.pure || def.tolerance == Tolerance::Shape)
    };
    graph.nodes().any(|(_, node)| random(node))
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("?").to_owned()
}

/// Where a failure happened: what its text starts with.
fn category(reason: &str) -> String {
    let mut words = reason.splitn(3, ": ");
    match (words.next(), words.next()) {
        (Some("import"), Some(family)) => format!("import: {family}"),
        (Some(stage), _) => stage.to_owned(),
        _ => String::new(),
    }
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
fn main() -> ExitCode {
    let mut found = Vec::new();
    std::env::args().skip(1).for_each(|folder| cases(Path::new(&folder), &mut found));
    std::panic::set_hook(Box::new(|_| {}));
    let mut totals: BTreeMap<String, usize> = BTreeMap::new();
    for case in &found {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        let result = catch_unwind(AssertUnwindSafe(|| run_case(case)))
            .unwrap_or_else(|payload| Err(format!("panic: {}", panic_text(&*payload))));
        let entry = match result {
            Ok(()) => {
                println!("PASS {name}");
                "pass".to_owned()
            }
            Err(reason) => {
                println!("FAIL {name}: {reason}");
                category(&reason)
            }
        };
        *totals.entry(entry).or_default() += 1;
    }
    println!("{} cases", found.len());
    for (category, count) in &totals {
        println!("{count:6} {category}");
    }
    let passed = totals.get("pass").copied().unwrap_or(0);
    if passed == found.len() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
