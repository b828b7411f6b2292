//! Safetensors: the length of a JSON header, the header with a range of bytes for each tensor, data.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda_mapped::MappedFile;
use remuda_tensor::{DType, Memory, Tensor};
use serde_json::Value;

use super::{bad, read_json};
use crate::ModelError;
use crate::file::Slice;

/// No header is longer: the format's own limit.
const MAX_HEADER_BYTES: usize = 100 << 20;
const MAX_DIMENSIONS: usize = 8;

/// The files that hold a folder's weights.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let index = folder.join("model.safetensors.index.json");
    if !index.exists() {
        return Ok(vec![folder.join("model.safetensors")]);
    }
    let list = read_json(&index)?;
    let map = list.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| bad(&index, "expected an object `weight_map`"))?;
    let mut names: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    // The names come from a stranger: they lead nowhere else.
    let plain = |name: &str| Path::new(name).components().count() == 1 && !name.starts_with('.');
    match names.iter().find(|name| !plain(name)) {
        Some(name) => Err(bad(&index, format!("expected names of files, got `{name}`"))),
        None => Ok(names.into_iter().map(|name| folder.join(name)).collect()),
    }
}

/// Maps a file: those of its tensors that are wanted by their names. Others may be of any type.
pub(super) fn open(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Tensor)>, ModelError> {
    let mapped = MappedFile::open(path)
        .map_err(|source| ModelError::File { path: path.to_owned(), source })?;
    let file: Arc<dyn Memory> = Arc::new(mapped);
    parse(&file, wanted).map_err(|problem| bad(path, problem))
}

fn parse(
    file: &Arc<dyn Memory>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Tensor)>, String> {
    let bytes = file.bytes();
    let (length, rest) =
        bytes.split_first_chunk::<8>().ok_or("expected at least 8 bytes".to_owned())?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let most = rest.len().min(MAX_HEADER_BYTES);
    if length > most {
        return Err(format!("expected a header of at most {most} bytes, got {length}"));
    }
    let (header, data) = rest.split_at(length);
    let header: Value = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let header = header.as_object().ok_or("expected an object as header".to_owned())?;
    let start = bytes.len() - data.len();
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__" && wanted(name));
    let tensors = tensors.map(|(name, entry)| {
        let tensor = tensor(file, entry, (start, data.len()));
        let tensor = tensor.map_err(|problem| format!("`{name}`: {problem}"))?;
        Ok((name.clone(), tensor))
    });
    tensors.collect()
}

fn tensor(
    file: &Arc<dyn Memory>,
    entry: &Value,
    (start, len): (usize, usize),
) -> Result<Tensor, String> {
    let dtype = match entry.get("dtype").and_then(Value::as_str) {
        Some("F32") => DType::F32,
        Some("F16") => DType::F16,
        Some("BF16") => DType::BF16,
        other => {
            let got = other.unwrap_or("nothing").chars().take(20).collect::<String>();
            return Err(format!("expected the dtype F32, F16 or BF16, got {got}"));
        }
    };
    let numbers = |key: &str| -> Result<Vec<usize>, String> {
        let list = entry.get(key).and_then(Value::as_array);
        let number = |value: &Value| value.as_u64().and_then(|value| usize::try_from(value).ok());
        let list = list.and_then(|list| list.iter().map(number).collect::<Option<Vec<_>>>());
        let list = list.filter(|list| list.len() <= MAX_DIMENSIONS);
        list.ok_or_else(|| format!("expected a short list of sizes `{key}`"))
    };
    let shape = numbers("shape")?;
    let range = match numbers("data_offsets")?[..] {
        [from, to] if from <= to && to <= len => Range { start: start + from, end: start + to },
        _ => return Err(format!("expected a range within {len} bytes of data")),
    };
    let memory = Slice { file: Arc::clone(file), range };
    Tensor::from_memory(dtype, shape, Arc::new(memory)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remuda_tensor::Memory;

    use super::parse;

    struct Bytes(Vec<u8>);

    impl Memory for Bytes {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    fn file(header: &str, data: &[u8]) -> Arc<dyn Memory> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        Arc::new(Bytes(bytes))
    }

    #[test]
    fn tensors_are_read_wherever_they_lie() {
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},"b":{"dtype":"BF16","shape":[1,1],"data_offsets":[0,2]}}"#;
        let data = [[0x80, 0x3f].as_slice(), &1.5f32.to_le_bytes(), &(-2f32).to_le_bytes()];
        let mut tensors = parse(&file(header, &data.concat()), |_| true).unwrap();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(tensors[0].1.to_f32_vec().unwrap(), [1.5, -2.0]);
        assert_eq!(tensors[1].1.dims(), [1, 1]);
        assert_eq!(tensors[1].1.to_f32_vec().unwrap(), [1.0]);
        let mask = header.replace("BF16", "BOOL");
        let data = file(&mask, &data.concat());
        assert_eq!(parse(&data, |name| name == "a").unwrap().len(), 1);
        assert!(parse(&data, |_| true).is_err());
    }

    #[test]
    fn what_is_broken_is_refused() {
        let entry = |entry: &str| format!("{{\"a\":{entry}}}");
        let good = r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
        let cases = [
            (good.replace("F32", "F64"), "expected the dtype F32, F16 or BF16, got F64"),
            (good.replace("[2]", "[3]"), "bytes"),
            (good.replace("[2]", "[4611686018427387904,4611686018427387904]"), ""),
            (good.replace("0,8", "8,0"), "expected a range within 8 bytes of data"),
            (good.replace("0,8", "0,9"), "expected a range within 8 bytes of data"),
            (good.replace("[2]", "[-2]"), "expected a short list of sizes `shape`"),
            (good.replace("[0,8]", "\"no\""), "expected a short list of sizes `data_offsets`"),
        ];
        for (text, want) in cases {
            let error = parse(&file(&entry(&text), &[0; 8]), |_| true).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        assert!(parse(&file("[]", &[]), |_| true).unwrap_err().contains("an object as header"));
        for bytes in [vec![255; 12], vec![1]] {
            let broken: Arc<dyn Memory> = Arc::new(Bytes(bytes));
            assert!(parse(&broken, |_| true).is_err());
        }
    }
}
