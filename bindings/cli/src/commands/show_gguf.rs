//! `remuda show` of a GGUF file: its metadata, tensors and chat template.

use std::collections::BTreeMap;
use std::path::Path;

use remuda::text::gguf::{Entry, Gguf, TensorInfo, Value};
use remuda::text::{Tokenizer, chat_template, open_gguf};
use serde_json::{Value as Json, json};

use super::{bytes_text, print_table};
use crate::failure::Failure;

/// How many elements of an array are shown, and how much of a text.
const SHOWN_ELEMENTS: usize = 6;
const SHOWN_CHARACTERS: usize = 70;
const TEMPLATE: &str = "tokenizer.chat_template";

/// Shows the file at `path` if it is a GGUF file; says whether it is one.
pub(super) fn run(path: &Path, tensors: bool, as_json: bool) -> Result<bool, Failure> {
    if !path.is_file() && !remuda::is_demo(path) {
        return Ok(false);
    }
    let file = open_gguf(path).map_err(|error| Failure::loading(path, error))?;
    if !file.is_gguf() {
        return Ok(false);
    }
    let gguf = file.parse().map_err(|error| Failure::loading(path, error))?;
    if as_json {
        outln!("{:#}", to_json(&gguf));
    } else {
        print(&gguf, tensors);
    }
    Ok(true)
}

fn print(gguf: &Gguf<'_>, tensors: bool) {
    let entries = gguf.metadata().entries();
    let rows: Vec<_> = (entries.iter().filter(|entry| entry.key != TEMPLATE))
        .map(|entry| vec![entry.key.to_owned(), entry.value.kind().to_string(), value_text(entry)])
        .collect();
    print_table(&rows);
    outln!();
    print_types(gguf);
    if tensors {
        outln!();
        print_table(
            &gguf.tensors().iter().map(|tensor| tensor_row(gguf, tensor)).collect::<Vec<_>>(),
        );
    }
    print_template(gguf);
}

/// How many tensors, elements and bytes there are of each type.
fn print_types(gguf: &Gguf<'_>) {
    let mut types: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for tensor in gguf.tensors() {
        let entry = types.entry(tensor.dtype.to_string()).or_default();
        entry.0 += 1;
        entry.1 += gguf.data(tensor).len() as u64;
    }
    let total: u64 = types.values().map(|(_, bytes)| bytes).sum();
    outln!("tensors     {} ({})", gguf.tensors().len(), bytes_text(total));
    for (name, (count, bytes)) in types {
        outln!("  {name:<9} {count:>5}  {}", bytes_text(bytes));
    }
}

fn tensor_row(gguf: &Gguf<'_>, tensor: &TensorInfo<'_>) -> Vec<String> {
    vec![
        tensor.name.to_owned(),
        format!("{:?}", tensor.shape),
        tensor.dtype.to_string(),
        bytes_text(gguf.data(tensor).len() as u64),
    ]
}

/// The template, and what is wrong with it.
fn print_template(gguf: &Gguf<'_>) {
    let Ok(Some(source)) = gguf.metadata().optional::<&str>(TEMPLATE) else { return };
    outln!("\nchat template\n{source}");
    for problem in template_problems(gguf) {
        noteln!("warning: chat template: {problem}");
    }
}

fn template_problems(gguf: &Gguf<'_>) -> Vec<String> {
    let read = Tokenizer::from_gguf(gguf.metadata()).map_err(remuda::Error::from);
    match read.and_then(|tokenizer| chat_template(gguf, &tokenizer)) {
        Ok(Some(template)) => template.probe().findings.iter().map(ToString::to_string).collect(),
        Ok(None) => Vec::new(),
        Err(error) => vec![error.to_string()],
    }
}

fn value_text(entry: &Entry<'_>) -> String {
    match entry.value {
        Value::Array(array) => {
            let first = array.iter().take(SHOWN_ELEMENTS).map(|value| scalar_text(&value));
            let more = if array.len() > SHOWN_ELEMENTS { ", …" } else { "" };
            format!("{} × [{}{more}]", array.len(), first.collect::<Vec<_>>().join(", "))
        }
        ref value => scalar_text(value),
    }
}

fn scalar_text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => {
            let short: String = text.chars().take(SHOWN_CHARACTERS).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("\"{}{more}\"", short.escape_debug())
        }
        Value::Bool(flag) => flag.to_string(),
        Value::Array(array) => format!("{} × {}", array.len(), array.kind()),
        number => match number.as_integer() {
            Some(integer) => integer.to_string(),
            None => number.as_float().map_or_else(String::new, |float| float.to_string()),
        },
    }
}

fn to_json(gguf: &Gguf<'_>) -> Json {
    let metadata: serde_json::Map<String, Json> = (gguf.metadata().entries().iter())
        .map(|entry| (entry.key.to_owned(), value_json(&entry.value)))
        .collect();
    let tensor = |tensor: &TensorInfo<'_>| {
        json!({
            "name": tensor.name,
            "shape": tensor.shape,
            "type": tensor.dtype.to_string(),
            "bytes": gguf.data(tensor).len(),
        })
    };
    json!({
        "metadata": metadata,
        "tensors": gguf.tensors().iter().map(tensor).collect::<Vec<_>>(),
        "warnings": template_problems(gguf),
    })
}

/// Long arrays are described by their type and length.
fn value_json(value: &Value<'_>) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Bool(flag) => json!(flag),
        Value::Array(array) if array.len() > 64 => {
            json!({ "array": array.kind().to_string(), "length": array.len() })
        }
        // Arrays of arrays are described from the second level on.
        Value::Array(array) => array
            .iter()
            .map(|element| match element {
                Value::Array(inner) => {
                    json!({ "array": inner.kind().to_string(), "length": inner.len() })
                }
                ref scalar => value_json(scalar),
            })
            .collect(),
        number => match number.as_integer().and_then(|integer| i64::try_from(integer).ok()) {
            Some(integer) => json!(integer),
            None => json!(number.as_float()),
        },
    }
}
