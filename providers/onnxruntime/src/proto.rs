//! ONNX's messages, written field by field: only those that a model made in memory needs.

use std::ffi::CString;

use remuda_sdk::ir::ValueType;
use remuda_sdk::tensor::{DType, Dim, Tensor, TensorType};

use crate::api::{Port, dtype_number};

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u32 = 0;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.raw_varint(u64::from(field << 3 | kind));
    }

    /// A whole number.
    pub(crate) fn int(&mut self, field: u32, value: i64) {
        self.key(field, VARINT);
        self.raw_varint(value.cast_unsigned());
    }

    /// A 32-bit float.
    pub(crate) fn float(&mut self, field: u32, value: f32) {
        self.key(field, FIXED32);
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, BYTES);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }

    /// A text.
    pub(crate) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A message in this one.
    pub(crate) fn message(&mut self, field: u32, value: &Self) {
        self.bytes(field, &value.0);
    }

    /// The bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A `ModelProto` of these bytes of a graph.
pub(crate) fn model(graph: &Message, opsets: &[(&str, i64)]) -> Vec<u8> {
    // The oldest version that has every type that is handed over.
    const IR_VERSION: i64 = 10;
    let mut model = Message(Vec::with_capacity(graph.len() + 128));
    model.int(1, IR_VERSION);
    model.text(2, "remuda");
    model.message(7, graph);
    for (domain, version) in opsets {
        let mut opset = Message::default();
        opset.text(1, domain);
        opset.int(2, *version);
        model.message(8, &opset);
    }
    model.into_bytes()
}

/// A `TensorProto`.
pub(crate) fn tensor(name: &str, tensor: &Tensor) -> Message {
    let mut message = Message::default();
    for &dim in tensor.dims() {
        message.int(1, i64::try_from(dim).unwrap_or(i64::MAX));
    }
    message.int(2, dtype_number(tensor.dtype()));
    if tensor.dtype() == DType::String {
        tensor.texts().iter().for_each(|text| message.text(6, text));
    } else {
        message.bytes(9, tensor.contiguous().bytes().unwrap_or(&[]));
    }
    message.text(8, name);
    message
}

/// A `ValueInfoProto` of a tensor.
pub(crate) fn port(port: &Port) -> Message {
    let mut tensor = Message::default();
    tensor.int(1, dtype_number(port.dtype));
    if let Some(dims) = &port.dims {
        let mut shape = Message::default();
        for dim in dims {
            let mut message = Message::default();
            match dim {
                Ok(number) => message.int(1, *number),
                Err(name) if name.is_empty() => {}
                Err(name) => message.bytes(2, name.as_bytes()),
            }
            shape.message(1, &message);
        }
        tensor.message(2, &shape);
    }
    let mut ty = Message::default();
    ty.message(1, &tensor);
    let mut message = Message::default();
    message.bytes(1, port.name.as_bytes());
    message.message(2, &ty);
    message
}

/// A `ValueInfoProto` of an end of a body. Dimensions that are no numbers have no names: they may change
/// from one time around to the next.
pub(crate) fn value_info(name: &str, ty: Option<&ValueType>) -> Message {
    if let Some(ValueType::Tensor(TensorType { dtype, dims: Some(dims) })) = ty {
        let dim = |dim: &Dim| dim.as_i64().ok_or_else(CString::default);
        let dims = Some(dims.iter().map(dim).collect());
        return port(&Port { name: CString::new(name).unwrap_or_default(), dtype: *dtype, dims });
    }
    let mut message = Message::default();
    message.text(1, name);
    if let Some(ty) = ty.and_then(type_proto) {
        message.message(2, &ty);
    }
    message
}

/// A `TypeProto` without dimensions; none for states.
pub(crate) fn type_proto(ty: &ValueType) -> Option<Message> {
    let mut message = Message::default();
    let mut inner = Message::default();
    match ty {
        ValueType::Tensor(tensor) => {
            inner.int(1, dtype_number(tensor.dtype));
            message.message(1, &inner);
        }
        ValueType::Sequence(item) => {
            inner.message(1, &type_proto(item)?);
            message.message(4, &inner);
        }
        ValueType::Optional(item) => {
            inner.message(1, &type_proto(item)?);
            message.message(9, &inner);
        }
        ValueType::State(_) => return None,
    }
    Some(message)
}
