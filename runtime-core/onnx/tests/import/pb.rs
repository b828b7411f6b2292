//! Writes protobuf messages, valid or not.

use std::sync::Arc;

use remuda_ir::{Attr, Graph, Node};
use remuda_onnx::{ImportError, ImportOptions, Model, import};
use remuda_tensor::Memory;

/// A message.
#[derive(Clone, Default)]
pub(crate) struct Pb(pub(crate) Vec<u8>);

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Pb {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        varint(field << 3, &mut self.0);
        varint(value.cast_unsigned(), &mut self.0);
        self
    }

    pub(crate) fn float(mut self, field: u64, value: f32) -> Self {
        varint(field << 3 | 5, &mut self.0);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        varint(field << 3 | 2, &mut self.0);
        varint(bytes.len() as u64, &mut self.0);
        self.0.extend(bytes);
        self
    }

    pub(crate) fn add(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// Packed integers.
    pub(crate) fn packed(self, field: u64, values: &[i64]) -> Self {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| varint(value.cast_unsigned(), &mut bytes));
        self.bytes(field, bytes)
    }
}

/// `NodeProto` with these attributes.
pub(crate) fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Pb]) -> Pb {
    node_in("", op, inputs, outputs, attributes)
}

/// The same of another domain.
pub(crate) fn node_in(
    domain: &str,
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Pb],
) -> Pb {
    let mut node = Pb::new();
    node = inputs.iter().fold(node, |node, input| node.bytes(1, input));
    node = outputs.iter().fold(node, |node, output| node.bytes(2, output));
    node = node.bytes(4, op).bytes(7, domain);
    attributes.iter().fold(node, |node, attribute| node.add(5, attribute))
}

/// `AttributeProto`.
pub(crate) fn attribute(name: &str, value: &Attribute<'_>) -> Pb {
    let attribute = Pb::new().bytes(1, name);
    match value {
        Attribute::Int(value) => attribute.int(3, *value).int(20, 2),
        Attribute::Ints(values) => {
            values.iter().fold(attribute, |attribute, value| attribute.int(8, *value)).int(20, 7)
        }
        Attribute::Text(bytes) => attribute.bytes(4, bytes).int(20, 3),
        Attribute::Tensor(tensor) => attribute.add(5, tensor).int(20, 4),
        Attribute::Graph(graph) => attribute.add(6, graph).int(20, 5),
        Attribute::Reference(name) => attribute.int(20, 2).bytes(21, name),
    }
}

/// What an attribute holds.
pub(crate) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a [u8]),
    Tensor(&'a Pb),
    Graph(&'a Pb),
    Reference(&'a str),
}

/// `ValueInfoProto` of a tensor. A dimension is a number or a symbol.
pub(crate) fn info(name: &str, element: i64, dims: &[&str]) -> Pb {
    let dimension = |dim: &&str| match dim.parse::<i64>() {
        Ok(size) => Pb::new().int(1, size),
        Err(_) => Pb::new().bytes(2, dim),
    };
    let shape = dims.iter().fold(Pb::new(), |shape, dim| shape.add(1, &dimension(dim)));
    let tensor = Pb::new().int(1, element).add(2, &shape);
    Pb::new().bytes(1, name).add(2, &Pb::new().add(1, &tensor))
}

/// `TensorProto` without elements.
pub(crate) fn tensor(name: &str, element: i64, dims: &[i64]) -> Pb {
    Pb::new().packed(1, dims).int(2, element).bytes(8, name)
}

/// A 32-bit float tensor.
pub(crate) fn floats(name: &str, dims: &[i64], values: &[f32]) -> Pb {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 1, dims).bytes(9, bytes)
}

/// `GraphProto`: parts are fields and messages.
pub(crate) fn graph(parts: &[(u64, Pb)]) -> Pb {
    let graph = Pb::new().bytes(2, "main");
    parts.iter().fold(graph, |graph, (field, part)| graph.add(*field, part))
}

pub(crate) const NODE: u64 = 1;
pub(crate) const INITIALIZER: u64 = 5;
pub(crate) const INPUT: u64 = 11;
pub(crate) const OUTPUT: u64 = 12;
pub(crate) const SPARSE: u64 = 15;

/// `ModelProto` of an operator set.
pub(crate) fn model_of(opset: i64, graph: &Pb) -> Pb {
    Pb::new().int(1, 10).add(8, &Pb::new().bytes(1, "").int(2, opset)).add(7, graph)
}

/// `ModelProto` of the newest operator set.
pub(crate) fn model(graph: &Pb) -> Pb {
    model_of(28, graph)
}

/// `FunctionProto` of domain `f`.
pub(crate) fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: &[Pb]) -> Pb {
    let function = Pb::new().bytes(1, name).bytes(10, "f");
    let function = inputs.iter().fold(function, |function, input| function.bytes(4, input));
    let function = outputs.iter().fold(function, |function, output| function.bytes(5, output));
    let function = nodes.iter().fold(function, |function, node| function.add(7, node));
    function.add(9, &Pb::new().bytes(1, "").int(2, 28))
}

/// Bytes as a file.
pub(crate) struct File(pub(crate) Vec<u8>);

impl Memory for File {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(crate) fn import_with(message: &Pb, options: &ImportOptions) -> Result<Model, ImportError> {
    import(Arc::new(File(message.0.clone())), options)
}

pub(crate) fn import_model(message: &Pb) -> Model {
    import_with(message, &ImportOptions::default()).expect("the model is valid")
}

/// What the importer says against a model.
pub(crate) fn refusal(message: &Pb) -> String {
    refusal_with(message, &ImportOptions::default())
}

pub(crate) fn refusal_with(message: &Pb, options: &ImportOptions) -> String {
    let error = import_with(message, options).expect_err("the model must be refused");
    let family = match error {
        ImportError::Invalid(_) => "invalid",
        ImportError::Unsupported(_) => "unsupported",
        ImportError::Resource(_) => "resource",
        ImportError::Bug(_) => "bug",
    };
    format!("{family}: {error}")
}

/// A graph of one node over the inputs `x` and `y` (`f32[n]`), with output `z`.
pub(crate) fn one_node(node: Pb) -> Pb {
    graph(&[
        (INPUT, info("x", 1, &["n"])),
        (INPUT, info("y", 1, &["n"])),
        (OUTPUT, info("z", 1, &["n"])),
        (NODE, node),
    ])
}

/// The operators of a graph in order.
pub(crate) fn operators(graph: &Graph) -> Vec<String> {
    graph.nodes().map(|(_, node)| node.op.to_string()).collect()
}

/// The only node of this operator.
pub(crate) fn only<'a>(graph: &'a Graph, op: &str) -> &'a Node {
    let mut nodes = graph.nodes().filter(|(_, node)| node.op.to_string() == op);
    let (_, node) = nodes.next().expect("the operator is there");
    assert!(nodes.next().is_none(), "{op} is there more than once");
    node
}

/// The attribute of a node.
pub(crate) fn attr<'a>(node: &'a Node, name: &str) -> Option<&'a Attr> {
    node.attrs.0.get(name)
}
