//! What is written is read back, whole and in parts; and what is almost a file never panics.
#![cfg(test)]

use std::io;

use proptest::prelude::*;
use remuda_gguf::{ArrayBuf, Builder, Gguf, PartName, Parts, Value, ValueType, Version};
use remuda_tensor::DType;
use remuda_tensor::dtype::BlockId;

/// A value that owns its parts.
#[derive(Clone, Debug)]
enum Owned {
    Scalar(Value<'static>),
    Text(String),
    Array(ArrayBuf),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Scalar(value) => *value,
            Self::Text(text) => Value::Text(text),
            Self::Array(array) => array.value(),
        }
    }
}

fn scalar(kind: ValueType, bits: u64) -> Value<'static> {
    let bytes = bits.to_le_bytes();
    let [one, two, three, four, ..] = bytes;
    match kind {
        ValueType::U8 => Value::U8(one),
        ValueType::I8 => Value::I8(one.cast_signed()),
        ValueType::U16 => Value::U16(u16::from_le_bytes([one, two])),
        ValueType::I16 => Value::I16(i16::from_le_bytes([one, two])),
        ValueType::U32 => Value::U32(u32::from_le_bytes([one, two, three, four])),
        ValueType::I32 => Value::I32(i32::from_le_bytes([one, two, three, four])),
        ValueType::F32 => Value::F32(f32::from(i16::from_le_bytes([one, two])) / 8.0),
        ValueType::Bool => Value::Bool(bits.is_multiple_of(2)),
        ValueType::U64 => Value::U64(bits),
        ValueType::I64 => Value::I64(bits.cast_signed()),
        ValueType::F64 => Value::F64(f64::from(i32::from_le_bytes([one, two, three, four])) / 16.0),
        ValueType::Text | ValueType::Array => Value::Text("text"),
    }
}

fn kind() -> impl Strategy<Value = ValueType> {
    prop::sample::select(
        ValueType::all().filter(|kind| *kind != ValueType::Array).collect::<Vec<_>>(),
    )
}

fn array() -> impl Strategy<Value = ArrayBuf> {
    (kind(), prop::collection::vec((any::<u64>(), ".{0,8}"), 0..20)).prop_map(|(kind, elements)| {
        let mut array = ArrayBuf::new(kind);
        for (bits, text) in &elements {
            let text_or = |value| if kind == ValueType::Text { Value::Text(text) } else { value };
            array.push(text_or(scalar(kind, *bits))).unwrap();
        }
        array
    })
}

fn nested() -> impl Strategy<Value = ArrayBuf> {
    array().prop_recursive(5, 20, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|arrays| {
            let mut outer = ArrayBuf::new(ValueType::Array);
            arrays.iter().for_each(|array| outer.push(array.value()).unwrap());
            outer
        })
    })
}

fn value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (kind(), any::<u64>()).prop_map(|(kind, bits)| Owned::Scalar(scalar(kind, bits))),
        ".{0,30}".prop_map(Owned::Text),
        nested().prop_map(Owned::Array),
    ]
}

fn dtype() -> impl Strategy<Value = DType> {
    let block = |name| DType::Block(BlockId::by_name(name).unwrap());
    prop::sample::select(vec![
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::I8,
        DType::I64,
        block("q4_0"),
        block("q6_k"),
        block("iq1_m"),
        block("mxfp4"),
    ])
}

#[derive(Clone, Debug)]
struct Tensor {
    shape: Vec<usize>,
    dtype: DType,
}

impl Tensor {
    /// Data that differs from tensor to tensor.
    fn data(&self, name: &str) -> Vec<u8> {
        let bytes = self.dtype.bytes_for(self.shape.iter().product()).unwrap();
        name.bytes().cycle().take(bytes).collect()
    }
}

fn tensor() -> impl Strategy<Value = Tensor> {
    (dtype(), prop::collection::vec(1_usize..5, 0..=4)).prop_map(|(dtype, mut shape)| {
        if let DType::Block(block) = dtype {
            let innermost = shape.pop().unwrap_or(1);
            shape.push(innermost * block.format().elements);
        }
        Tensor { shape, dtype }
    })
}

#[derive(Clone, Debug)]
struct Plan {
    version: Version,
    alignment: Option<u32>,
    entries: Vec<(String, Owned)>,
    tensors: Vec<(String, Tensor)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        any::<bool>(),
        prop::option::of(0_u32..9),
        prop::collection::btree_map("[a-z.]{1,12}", value(), 0..8),
        prop::collection::btree_map("[a-z0-9.]{1,12}", tensor(), 0..6),
    )
        .prop_map(|(two, alignment, entries, tensors)| Plan {
            version: if two { Version::V2 } else { Version::V3 },
            alignment: alignment.map(|power| 1 << power),
            entries: entries.into_iter().collect(),
            tensors: tensors.into_iter().collect(),
        })
}

impl Plan {
    fn builder(&self) -> Builder {
        let mut builder = Builder::with_version(self.version);
        if let Some(alignment) = self.alignment {
            builder.set("general.alignment", Value::U32(alignment)).unwrap();
        }
        for (key, value) in &self.entries {
            builder.set(key, value.value()).unwrap();
        }
        for (name, tensor) in &self.tensors {
            builder.add_tensor(name, &tensor.shape, tensor.dtype).unwrap();
        }
        builder
    }

    fn data(&self, name: &str) -> Vec<u8> {
        let (_, tensor) = self.tensors.iter().find(|(known, _)| known == name).unwrap();
        tensor.data(name)
    }

    fn write(&self, builder: &Builder) -> Vec<u8> {
        let mut file = Vec::new();
        builder.write(&mut file, |name, out| out.write_all(&self.data(name))).unwrap();
        file
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(plan in plan()) {
        let file = plan.write(&plan.builder());
        let gguf = Gguf::parse(&file).unwrap();
        prop_assert_eq!(gguf.version(), if plan.version == Version::V2 { 2 } else { 3 });
        let aligned = usize::from(plan.alignment.is_some());
        prop_assert_eq!(gguf.metadata().entries().len(), plan.entries.len() + aligned);
        for (key, value) in &plan.entries {
            prop_assert_eq!(gguf.metadata().get(key), Some(value.value()));
        }
        prop_assert_eq!(gguf.tensors().len(), plan.tensors.len());
        for (name, tensor) in &plan.tensors {
            let info = gguf.tensor(name).unwrap();
            prop_assert_eq!((&info.shape, info.dtype), (&tensor.shape, tensor.dtype));
            prop_assert!(info.range.start.is_multiple_of(gguf.alignment()));
            prop_assert_eq!(gguf.data(info), plan.data(name));
        }
    }

    #[test]
    fn a_copy_of_a_file_is_the_file(plan in plan()) {
        let file = plan.write(&plan.builder());
        let gguf = Gguf::parse(&file).unwrap();
        let mut copy = Builder::with_version(plan.version);
        copy.copy_metadata(&gguf).unwrap();
        for tensor in gguf.tensors() {
            copy.add_tensor(tensor.name, &tensor.shape, tensor.dtype).unwrap();
        }
        prop_assert_eq!(plan.write(&copy), file);
    }

    #[test]
    fn parts_hold_what_the_whole_holds(plan in plan(), max_bytes in 1_usize..4000) {
        let builders = plan.builder().split(max_bytes).unwrap();
        let files: Vec<_> = builders.iter().map(|builder| plan.write(builder)).collect();
        let parsed: Vec<_> = files.iter().map(|file| Gguf::parse(file).unwrap()).collect();
        prop_assert_eq!(Parts::announced(&parsed[0]).unwrap(), parsed.len());
        let parts = Parts::join(parsed).unwrap();
        for (key, value) in &plan.entries {
            prop_assert_eq!(parts.metadata().get(key), Some(value.value()));
        }
        prop_assert_eq!(parts.tensors().count(), plan.tensors.len());
        for (name, _) in &plan.tensors {
            prop_assert_eq!(parts.data(name).unwrap(), plan.data(name));
        }
        for part in parts.parts().iter().filter(|part| part.tensors().len() > 1) {
            let bytes: usize = part.tensors().iter().map(|tensor| tensor.range.len()).sum();
            prop_assert!(bytes <= max_bytes);
        }
    }

    #[test]
    fn every_prefix_is_refused(plan in plan()) {
        let file = plan.write(&plan.builder());
        let last = Gguf::parse(&file).unwrap().tensors().iter().map(|info| info.range.end).max();
        for end in 0..last.unwrap_or(24).min(2000) {
            prop_assert!(Gguf::parse(&file[..end]).is_err(), "{end} of {}", file.len());
        }
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(plan in plan(), at in any::<prop::sample::Index>(), to: u8) {
        let mut file = plan.write(&plan.builder());
        let at = at.index(file.len());
        file[at] = to;
        if let Ok(gguf) = Gguf::parse(&file) {
            for tensor in gguf.tensors() {
                let bytes = tensor.dtype.bytes_for(tensor.shape.iter().product());
                prop_assert_eq!(Some(gguf.data(tensor).len()), bytes);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"GGUF\x03\x00\x00\x00".to_vec();
        file.extend(bytes);
        let _ = Gguf::parse(&file);
    }
}

#[test]
fn part_names_are_told_from_whole_files() {
    let part = PartName::parse("dir/llama-70b-00002-of-00006.gguf").unwrap();
    assert_eq!((part.prefix, part.number, part.count), ("dir/llama-70b", 2, 6));
    assert_eq!(part.sibling(6), "dir/llama-70b-00006-of-00006.gguf");
    for whole in [
        "llama.gguf",
        "llama-00001-of-00006.safetensors",
        "llama-1-of-6.gguf",
        "llama-00000-of-00006.gguf",
        "llama-00007-of-00006.gguf",
        "llama-0000x-of-00006.gguf",
        "00001-of-00006.gguf",
    ] {
        assert_eq!(PartName::parse(whole), None, "{whole}");
    }
}

#[test]
fn the_vocabulary_stays_in_the_file() {
    let tokens: Vec<String> = (0..150_000).map(|at| format!("token {at}")).collect();
    let array = ArrayBuf::of_texts(tokens.iter().map(String::as_str));
    let mut builder = Builder::new();
    builder.set("tokenizer.ggml.tokens", array.value()).unwrap();
    let mut file = Vec::new();
    builder.write(&mut file, |_, _| Ok(())).unwrap();
    let gguf = Gguf::parse(&file).unwrap();
    let read: remuda_gguf::Array<'_> = gguf.metadata().required("tokenizer.ggml.tokens").unwrap();
    assert_eq!(read.len(), tokens.len());
    let texts = read.texts().unwrap();
    assert!(texts.eq(tokens.iter().map(String::as_str)));
    let last = read.iter().last().unwrap();
    let Value::Text(text) = last else { panic!("{last:?}") };
    assert!(file.as_ptr_range().contains(&text.as_ptr()), "the text is borrowed from the file");
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let refused = |result: Result<(), remuda_gguf::GgufError>, expected: &str| {
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    let mut builder = Builder::new();
    builder.set("a", Value::U8(1)).unwrap();
    refused(
        builder.set("a", Value::U8(2)),
        "metadata key `a`: expected one entry of this name, got a second one",
    );
    refused(
        builder.set("", Value::U8(2)),
        "metadata key ``: expected a key of 1 to 65535 bytes, got 0",
    );
    refused(
        builder.set("general.alignment", Value::U32(24)),
        "metadata key `general.alignment`: expected a power of two of at most 1048576, got 24",
    );
    builder.add_tensor("w", &[2, 32], DType::F16).unwrap();
    refused(
        builder.add_tensor("w", &[1], DType::F32),
        "tensor `w`: expected one entry of this name, got a second one",
    );
    refused(
        builder.add_tensor("u", &[4, 16], DType::Block(BlockId::by_name("q4_0").unwrap())),
        "tensor `u`: expected rows of a multiple of 32 elements for `q4_0`, got 16",
    );
    refused(
        builder.add_tensor("u", &[1], DType::String),
        "tensor `u`: expected a type that GGUF has, got `string`",
    );
    refused(
        builder.write(&mut Vec::new(), |_, out| out.write_all(&[0; 127])),
        "tensor `w`: expected 128 bytes of data, got 127",
    );
    refused(
        builder.write(&mut Vec::new(), |_, _| Err(io::Error::other("the disk is full"))),
        "tensor `w`: expected to write, got an error: the disk is full",
    );
    refused(
        ArrayBuf::new(ValueType::U8).push(Value::Text("1")),
        "metadata entry 0: expected u8, got `string`",
    );
}

#[test]
fn arrays_too_deep_to_be_read_are_not_written() {
    let mut array = ArrayBuf::of_texts(["x"]);
    for _ in 0..8 {
        let mut outer = ArrayBuf::new(ValueType::Array);
        outer.push(array.value()).unwrap();
        array = outer;
    }
    let error = Builder::new().set("deep", array.value()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metadata key `deep`: expected at most 8 levels of nested arrays, got more"
    );
}
