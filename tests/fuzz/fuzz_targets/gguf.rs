//! Bytes as a GGUF file: refused with a message, or read to the last value, and written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_gguf::{Builder, Gguf, Parts, Value, Version};

/// Copies pad every tensor: with a larger alignment a small file would become a large one.
const LARGEST_COPIED_ALIGNMENT: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    match Gguf::parse(bytes) {
        Ok(gguf) => {
            for entry in gguf.metadata().entries() {
                walk(&entry.value);
            }
            check_tensors(&gguf);
            if gguf.alignment() <= LARGEST_COPIED_ALIGNMENT {
                check_copy(&gguf);
            }
            let _ = Parts::join(vec![gguf]);
        }
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            assert!(error.offset.is_none_or(|offset| offset <= bytes.len()));
        }
    }
});

/// Reads every element; arrays must hold as many as they say.
fn walk(value: &Value<'_>) {
    let Value::Array(array) = value else { return };
    assert_eq!(array.iter().count(), array.len());
    for element in array.iter() {
        assert_eq!(element.kind(), array.kind());
        walk(&element);
    }
}

fn check_tensors(gguf: &Gguf<'_>) {
    for tensor in gguf.tensors() {
        let elements = tensor.shape.iter().product();
        assert_eq!(Some(gguf.data(tensor).len()), tensor.dtype.bytes_for(elements));
        assert!(tensor.range.start.is_multiple_of(gguf.alignment()));
        assert_eq!(gguf.tensor(tensor.name), Ok(tensor));
    }
}

/// Whether two values are equal; any NaN equals any other.
fn same(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left.as_float(), right.as_float()) {
        (Some(left), Some(right)) => left == right || left.is_nan() && right.is_nan(),
        _ => left == right,
    }
}

/// What was read can be written, and says the same.
fn check_copy(gguf: &Gguf<'_>) {
    let version = if gguf.version() == 2 { Version::V2 } else { Version::V3 };
    let mut builder = Builder::with_version(version);
    builder.copy_metadata(gguf).unwrap();
    for tensor in gguf.tensors() {
        builder.add_tensor(tensor.name, &tensor.shape, tensor.dtype).unwrap();
    }
    let mut file = Vec::new();
    let data = |name: &str, out: &mut dyn std::io::Write| {
        out.write_all(gguf.data(gguf.tensor(name).unwrap()))
    };
    builder.write(&mut file, data).unwrap();
    let copy = Gguf::parse(&file).unwrap();
    let entries = copy.metadata().entries().iter().zip(gguf.metadata().entries());
    for (copied, entry) in entries {
        assert_eq!(copied.key, entry.key);
        assert!(same(&copied.value, &entry.value), "{copied:?} is not {entry:?}");
    }
    for (copied, tensor) in copy.tensors().iter().zip(gguf.tensors()) {
        assert_eq!((copied.name, &copied.shape), (tensor.name, &tensor.shape));
        assert_eq!(copy.data(copied), gguf.data(tensor));
    }
}
