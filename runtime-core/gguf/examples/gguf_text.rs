//! Files as lines of text, and copies of files, for comparison with other implementations:
//! `gguf_text dump FILE…` (several files are the parts of one model), `gguf_text copy FILE OUT
//! VERSION`, `gguf_text split FILE PREFIX MAX_BYTES`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use remuda_gguf::{Builder, Gguf, GgufError, PartName, Parts, Value, Version};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    let hint = error.downcast_ref::<GgufError>().map_or("", GgufError::hint);
    let _ = writeln!(std::io::stderr(), "error: {error}\nhint: {hint}");
    ExitCode::FAILURE
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["dump", paths @ ..] => dump(paths),
        ["copy", from, to, version] => copy(from, to, version),
        ["split", from, prefix, max_bytes] => split(from, prefix, max_bytes.parse()?),
        _ => {
            Err("expected `dump FILE…`, `copy FILE OUT VERSION` or `split FILE PREFIX BYTES`"
                .into())
        }
    }
}

fn dump(paths: &[&str]) -> Outcome<()> {
    let files = paths.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let parsed = files.iter().map(|file| Gguf::parse(file)).collect::<Result<Vec<_>, _>>()?;
    let model = Parts::join(parsed)?;
    let mut text = String::new();
    for entry in model.metadata().entries() {
        writeln!(text, "key\t{}\t{}", entry.key.escape_default(), shown(&entry.value))?;
    }
    for (part, tensor) in model.tensors() {
        let bytes = model.data(tensor.name)?;
        let name = tensor.name.escape_default();
        writeln!(
            text,
            "tensor\t{name}\t{part}\t{}\t{:?}\t{}",
            tensor.dtype,
            tensor.shape,
            hex(bytes)
        )?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value with its type; floats by their bits, texts by their bytes.
fn shown(value: &Value<'_>) -> String {
    let text = match value {
        Value::F32(number) => format!("{:08x}", number.to_bits()),
        Value::F64(number) => format!("{:016x}", number.to_bits()),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::Text(text) => hex(text.as_bytes()),
        Value::Array(array) => {
            let elements: Vec<_> = array.iter().map(|element| shown(&element)).collect();
            format!("[{}]", elements.join(","))
        }
        _ => value.as_integer().map(|number| number.to_string()).unwrap_or_default(),
    };
    format!("{}:{text}", value.kind())
}

fn rebuilt(source: &Gguf<'_>, version: Version) -> Outcome<Builder> {
    let mut builder = Builder::with_version(version);
    builder.copy_metadata(source)?;
    for tensor in source.tensors() {
        builder.add_tensor(tensor.name, &tensor.shape, tensor.dtype)?;
    }
    Ok(builder)
}

fn write(builder: &Builder, source: &Gguf<'_>, path: &str) -> Outcome<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    builder.write(&mut out, |name, out| {
        let tensor = source.tensor(name).map_err(std::io::Error::other)?;
        out.write_all(source.data(tensor))
    })?;
    Ok(out.flush()?)
}

fn copy(from: &str, to: &str, version: &str) -> Outcome<()> {
    let bytes = std::fs::read(from)?;
    let source = Gguf::parse(&bytes)?;
    let version = if version == "2" { Version::V2 } else { Version::V3 };
    write(&rebuilt(&source, version)?, &source, to)
}

fn split(from: &str, prefix: &str, max_bytes: usize) -> Outcome<()> {
    let bytes = std::fs::read(from)?;
    let source = Gguf::parse(&bytes)?;
    let parts = rebuilt(&source, Version::V3)?.split(max_bytes)?;
    let name = PartName { prefix, number: 1, count: parts.len() };
    for (number, part) in (1..).zip(&parts) {
        write(part, &source, &name.sibling(number))?;
    }
    Ok(())
}
