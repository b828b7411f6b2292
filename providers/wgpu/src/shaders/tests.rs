//! Every kernel is checked as text, and run where there is an adapter: against the reference kernels of the
//! operators, or sums written out.

#![expect(
    clippy::cast_possible_truncation,
    reason = "what is compared are floats, and sizes are small"
)]

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use remuda_sdk::ir::{Attr, Node, OpName, Tolerance, Val};
use remuda_sdk::tensor::{Element, Tensor, bf16, f16};

use super::*;
use crate::gpu::Gpu;

mod attention;
mod blocks;
mod images;
mod lines;
mod moves;
mod pointwise;
mod products;

/// Elements as they lie on the device.
#[derive(Clone, Debug)]
enum Data {
    F32(Vec<f32>),
    F16(Vec<f32>),
    BF16(Vec<f32>),
    I32(Vec<i32>),
    Bool(Vec<bool>),
    Words(Vec<u32>),
    Bytes(Vec<u8>),
}

/// Words of pairs, the last filled up.
fn paired(halves: impl Iterator<Item = u16>) -> Vec<u8> {
    let mut bytes: Vec<u8> = halves.flat_map(u16::to_le_bytes).collect();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

impl Data {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self {
            Self::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Words(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Bool(values) => {
                values.iter().flat_map(|&value| u32::from(value).to_le_bytes()).collect()
            }
            Self::F16(values) => paired(values.iter().map(|&value| f16::from_f32(value).to_bits())),
            Self::BF16(values) => {
                paired(values.iter().map(|&value| bf16::from_f32(value).to_bits()))
            }
            Self::Bytes(values) => values.clone(),
        };
        bytes.resize(bytes.len().next_multiple_of(4).max(4), 0);
        bytes
    }
}

/// What naga says of a kernel, and of what its launch says to it.
fn check(dispatch: &Dispatch) {
    let source = &dispatch.kernel.source;
    let left = source.contains("{{") || source.contains("}}");
    assert!(!left, "a name is not filled in:\n{source}");
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{}\n{source}", error.emit_to_string(source)));
    let flags = naga::valid::ValidationFlags::all();
    let mut validator = naga::valid::Validator::new(flags, naga::valid::Capabilities::empty());
    if let Err(error) = validator.validate(&module) {
        panic!("{}\n{source}", error.emit_to_string(source));
    }
    assert!(dispatch.launch.groups.iter().all(|&count| count <= 65_535));
}

/// The device of all tests; it is said where there is none.
fn device() -> Option<Arc<Gpu>> {
    static DEVICE: OnceLock<Option<Arc<Gpu>>> = OnceLock::new();
    let device = DEVICE.get_or_init(Gpu::first);
    if device.is_none() {
        let _ = writeln!(std::io::stderr(), "no adapter: kernels are checked, not run");
    }
    device.clone()
}

/// Runs a kernel: the words of the outputs, which were `before`. None where there is no adapter.
fn run_over(dispatch: &Dispatch, inputs: &[Data], before: &[Data]) -> Option<Vec<Vec<u32>>> {
    check(dispatch);
    assert_eq!((dispatch.kernel.inputs, dispatch.kernel.outputs), (inputs.len(), before.len()));
    let device = device()?;
    let inputs: Vec<Vec<u8>> = inputs.iter().map(Data::bytes).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let sizes: Vec<usize> = before.iter().map(|data| data.bytes().len()).collect();
    let outputs = device.compute(dispatch, &inputs, &sizes).unwrap();
    let words = |bytes: Vec<u8>| -> Vec<u32> {
        bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    Some(outputs.into_iter().map(words).collect())
}

/// As [`run_over`], of one output of so many words.
fn run(dispatch: &Dispatch, inputs: &[Data], count: usize) -> Option<Vec<u32>> {
    if dispatch.launch.groups.contains(&0) {
        check(dispatch);
        return Some(vec![0; count]);
    }
    let mut outputs = run_over(dispatch, inputs, &[Data::Words(vec![0; count])])?;
    let mut output = outputs.swap_remove(0);
    output.truncate(count);
    Some(output)
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

fn ints(words: &[u32]) -> Vec<i32> {
    words.iter().map(|word| word.cast_signed()).collect()
}

/// Numbers that look like chance, between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn tensor<T: Element>(dims: &[usize], values: &[T]) -> Tensor {
    Tensor::from_vec(dims, values.to_vec()).unwrap()
}

/// What the reference kernel of an operator gives first.
fn reference(op: OpName, attrs: &[(&str, Attr)], inputs: &[Tensor]) -> Tensor {
    let mut node = Node::new(op, Vec::new(), vec![None]);
    for (name, value) in attrs {
        node.attrs.set(name, value.clone());
    }
    let inputs: Vec<Option<Val>> =
        inputs.iter().map(|input| Some(Val::from(input.clone()))).collect();
    let outputs = remuda_ops::evaluate(&node, &inputs).unwrap();
    outputs[0].tensor().unwrap().clone()
}

/// Whether numbers are what the reference kernel gives, but for so many times the bounds.
fn expect_close(what: &str, got: &[f32], want: &Tensor, scale: f32) {
    let got = tensor(want.dims(), got);
    let compared =
        remuda_ops::cases::compare(Tolerance::Float(scale), &got.into(), &want.clone().into());
    if let Err(why) = compared {
        panic!("{what}: {}", why.chars().take(300).collect::<String>());
    }
}

/// Numbers that are no ordinary ones among some that are.
fn odd_numbers() -> Vec<f32> {
    let mut values = vec![
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        88.0,
        -88.0,
        104.5,
        -104.5,
        9.3,
        -20.0,
        1e-5,
        1e10,
    ];
    values.extend(numbers(200, 3).into_iter().map(|x| x * 12.0));
    values.extend(numbers(100, 4));
    values
}
