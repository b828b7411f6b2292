//! Every element type in every place it may be written, and tensors that do not fit themselves.

use std::sync::Arc;

use remuda_ir::{Val, ValueType};
use remuda_onnx::{ImportOptions, read_value};
use remuda_tensor::{DType, Tensor, TensorType};

use crate::pb::{
    File, NODE, OUTPUT, Pb, SPARSE, graph, import_model, info, model, node, refusal, tensor,
};

fn read(message: Pb) -> Result<Tensor, String> {
    let ty = ValueType::Tensor(TensorType::unranked(DType::F32));
    match read_value(Arc::new(File(message.0)), &ty, &ImportOptions::default()) {
        Ok(Val::Tensor(tensor)) => Ok(tensor),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The number, dtype and raw bytes of two elements, their field and its integers.
type Written = (i64, DType, &'static [u8], u64, &'static [i64]);

const INTEGERS: &[Written] = &[
    (2, DType::U8, &[1, 255], 5, &[1, 255]),
    (3, DType::I8, &[1, 255], 5, &[1, -1]),
    (4, DType::U16, &[1, 0, 255, 255], 5, &[1, 65535]),
    (5, DType::I16, &[1, 0, 255, 255], 5, &[1, -1]),
    (6, DType::I32, &[1, 0, 0, 0, 254, 255, 255, 255], 5, &[1, -2]),
    (7, DType::I64, &[1, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255, 255, 255, 255, 255], 7, &[1, -2]),
    (9, DType::Bool, &[1, 0], 5, &[1, 0]),
    (10, DType::F16, &[0, 0x3c, 0, 0xbc], 5, &[0x3c00, 0xbc00]),
    (12, DType::U32, &[1, 0, 0, 0, 255, 255, 255, 255], 11, &[1, 0xffff_ffff]),
    (
        13,
        DType::U64,
        &[1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
        11,
        &[1, -1],
    ),
    (16, DType::BF16, &[0x80, 0x3f, 0x80, 0xbf], 5, &[0x3f80, 0xbf80]),
    (17, DType::F8E4M3FN, &[0x38, 0xb8], 5, &[0x38, 0xb8]),
    (18, DType::F8E4M3FNUZ, &[0x38, 0xb8], 5, &[0x38, 0xb8]),
    (19, DType::F8E5M2, &[0x38, 0xb8], 5, &[0x38, 0xb8]),
    (20, DType::F8E5M2FNUZ, &[0x38, 0xb8], 5, &[0x38, 0xb8]),
    (21, DType::U4, &[0xf1], 5, &[0xf1]),
    (22, DType::I4, &[0xf1], 5, &[0xf1]),
    (23, DType::F4E2M1, &[0xf1], 5, &[0xf1]),
    (24, DType::F8E8M0, &[127, 128], 5, &[127, 128]),
    (25, DType::U2, &[0b1101], 5, &[0b1101]),
    (26, DType::I2, &[0b1101], 5, &[0b1101]),
    (27, DType::F6E2M3, &[0x48, 0x0f], 5, &[0x08, 0x3d]),
    (28, DType::F6E3M2, &[0x48, 0x0f], 5, &[0x08, 0x3d]),
];

#[test]
fn raw_and_typed_elements_are_the_same() {
    for &(number, dtype, bytes, field, values) in INTEGERS {
        let expected = Tensor::from_bytes(dtype, [2], bytes).unwrap();
        assert_eq!(read(tensor("t", number, &[2]).bytes(9, bytes)).unwrap(), expected);
        assert_eq!(read(tensor("t", number, &[2]).packed(field, values)).unwrap(), expected);
        let unpacked = values
            .iter()
            .fold(tensor("t", number, &[2]), |tensor, &value| tensor.int(field, value));
        assert_eq!(read(unpacked).unwrap(), expected, "{dtype}");
    }
}

#[test]
fn floats_and_complex_numbers_are_read_from_their_fields() {
    let single: Vec<u8> = [1.5f32, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let double: Vec<u8> = [1.5f64, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let cases = [
        (1, DType::F32, 2, 4, &single),
        (14, DType::C64, 1, 4, &single),
        (11, DType::F64, 2, 10, &double),
        (15, DType::C128, 1, 10, &double),
    ];
    for (number, dtype, count, field, bytes) in cases {
        let empty = tensor("t", number, &[if count == 2 { 2 } else { 1 }]);
        let expected = Tensor::from_bytes(dtype, [count], bytes).unwrap();
        assert_eq!(read(empty.clone().bytes(9, bytes)).unwrap(), expected);
        assert_eq!(read(empty.bytes(field, bytes)).unwrap(), expected);
    }
    let unpacked = tensor("t", 1, &[2]).float(4, 1.5).float(4, -2.5);
    assert_eq!(read(unpacked).unwrap(), Tensor::vector(vec![1.5f32, -2.5]));
}

#[test]
fn texts_are_read() {
    let texts = tensor("t", 8, &[2]).bytes(6, "one").bytes(6, "zwölf");
    let expected = Tensor::from_strings([2], vec!["one".into(), "zwölf".into()]).unwrap();
    assert_eq!(read(texts).unwrap(), expected);
    let broken = tensor("t", 8, &[1]).bytes(6, b"\xff");
    assert_eq!(
        read(broken).unwrap_err(),
        "tensor `t`, byte 10 (TensorProto): the text in field 6 is not UTF-8"
    );
    assert_eq!(
        read(tensor("t", 8, &[1]).bytes(9, "raw")).unwrap_err(),
        "tensor `t`: texts cannot be stored as raw bytes"
    );
}

#[test]
fn scalars_and_empty_tensors_need_no_more_than_they_hold() {
    assert_eq!(read(tensor("t", 7, &[]).int(7, -3)).unwrap(), Tensor::scalar(-3i64));
    assert_eq!(read(tensor("t", 1, &[0, 3])).unwrap().dims(), [0, 3]);
    assert_eq!(read(tensor("t", 1, &[0]).bytes(9, b"")).unwrap().len(), 0);
}

#[test]
fn tensors_that_do_not_fit_their_dimensions_are_refused() {
    let error = |message| read(message).unwrap_err();
    assert_eq!(
        error(tensor("w", 1, &[2, 3]).bytes(9, [0; 20])),
        "tensor `w`: dimensions [2, 3] of `f32` need 24 bytes, got 20"
    );
    assert_eq!(
        error(tensor("w", 7, &[3]).packed(7, &[1, 2])),
        "tensor `w`: dimensions [3] expected 3 elements of type `i64`, got 2"
    );
    assert_eq!(
        error(tensor("w", 7, &[1]).packed(7, &[1, 2, 3, 4])),
        "tensor `w`: it holds more elements than its dimensions say"
    );
    assert_eq!(
        error(tensor("w", 8, &[2]).bytes(6, "one")),
        "tensor `w`: dimensions [2] expected 2 elements of type `string`, got 1"
    );
    assert_eq!(
        error(tensor("w", 9, &[2]).bytes(9, [1, 2])),
        "tensor `w`: byte 1 of a `bool` tensor is 2, expected 0 or 1"
    );
    assert_eq!(
        error(tensor("w", 3, &[1]).int(5, 300)),
        "tensor `w`: an element is 300, which `i8` does not hold"
    );
    assert_eq!(
        error(tensor("w", 1, &[1]).bytes(4, [0; 3])),
        "tensor `w`, byte 10 (TensorProto): field 4 is cut off"
    );
}

#[test]
fn absurd_dimensions_are_refused() {
    let error = |message| read(message).unwrap_err();
    let huge = 1 << 62;
    assert_eq!(
        error(tensor("w", 1, &[huge, huge])),
        "tensor `w`: dimensions [4611686018427387904, 4611686018427387904] of `f32` need more bytes than can be addressed"
    );
    assert_eq!(
        error(tensor("w", 1, &[huge])),
        "tensor `w`: dimensions [4611686018427387904] of `f32` need more bytes than can be addressed"
    );
    assert_eq!(
        error(tensor("w", 1, &[0, huge, huge])),
        "tensor `w`: dimensions [0, 4611686018427387904, 4611686018427387904] of `f32` need more bytes than can be addressed"
    );
    assert_eq!(error(tensor("w", 1, &[-1])), "tensor `w`: dimensions [-1] are no sizes");
    assert_eq!(
        error(tensor("w", 1, &[1 << 40])),
        "tensor `w`: decoding it needs 4398046511104 bytes, 4294967296 of 4294967296 are left"
    );
    assert_eq!(error(tensor("w", 1, &[1; 65])), "tensor `w`: 65 dimensions, expected at most 64");
}

#[test]
fn unknown_element_types_are_refused() {
    let error = |number| read(tensor("w", number, &[1])).unwrap_err();
    assert_eq!(error(0), "tensor `w`: the element type is undefined");
    assert_eq!(error(99), "tensor `w`: unknown element type 99");
    assert_eq!(error(1 << 40), "TensorProto: field 2 holds 1099511627776, expected 32 bits");
}

fn sparse(indices: &Pb) -> Pb {
    let values = tensor("w", 7, &[2]).packed(7, &[5, 6]);
    let sparse = Pb::new().add(1, &values).add(2, indices).packed(3, &[2, 2]);
    let identity = node("Identity", &["w"], &["z"], &[]);
    model(&graph(&[(SPARSE, sparse), (NODE, identity), (OUTPUT, info("z", 7, &["2", "2"]))]))
}

#[test]
fn sparse_initializers_become_dense() {
    let expected = Tensor::from_vec([2, 2], vec![0i64, 5, 0, 6]).unwrap();
    let linear = tensor("", 7, &[2]).packed(7, &[1, 3]);
    let coordinates = tensor("", 7, &[2, 2]).packed(7, &[0, 1, 1, 1]);
    for indices in [linear, coordinates] {
        let model = import_model(&sparse(&indices));
        let weight = model.graph.find_value("w").unwrap();
        assert_eq!(model.graph.value(weight).constant(), Some(&expected));
    }
}

#[test]
fn sparse_indices_outside_are_refused() {
    let start = "invalid: graph `main`, sparse tensor `w`: ";
    let outside = format!("{start}an index is outside of dimensions [2, 2]");
    assert_eq!(refusal(&sparse(&tensor("", 7, &[2]).packed(7, &[1, 4]))), outside);
    assert_eq!(refusal(&sparse(&tensor("", 7, &[2, 2]).packed(7, &[0, 1, -1, 1]))), outside);
    assert_eq!(
        refusal(&sparse(&tensor("", 7, &[1]).packed(7, &[1]))),
        format!("{start}indices expected dimensions [2] or [2, 2], got [1]")
    );
}

#[test]
fn aligned_weights_stay_in_the_file() {
    let mut bytes = tensor("w", 2, &[64]).bytes(9, [7; 64]).0;
    let at = bytes.len() - 64;
    bytes.shrink_to_fit();
    let file = Arc::new(File(bytes));
    let start = file.0.as_ptr();
    let ty = ValueType::Tensor(TensorType::unranked(DType::U8));
    let value = read_value(file, &ty, &ImportOptions::default()).unwrap();
    let held = value.tensor().unwrap().bytes().unwrap().as_ptr();
    assert_eq!(held, start.wrapping_add(at), "nothing was copied");
}
