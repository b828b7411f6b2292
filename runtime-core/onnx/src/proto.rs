//! The structure of a model as the file holds it: names and texts are slices of the file, tensors
//! are left undecoded until they are wanted.
//!
//! Field numbers are those of `onnx.proto`. Fields that do not change what a model computes
//! (documentation, device configurations, quantisation annotations) are skipped. Nesting is bounded
//! by [`MAX_DEPTH`].

mod attribute;
mod tensor;

use remuda_base::Set;

pub(crate) use attribute::{AttributeProto, AttributeValue};
pub(crate) use tensor::{DataLocation, SparseProto, TensorProto};

use crate::error::{At, ImportError, Result};
use crate::wire::Message;

/// How deep bodies of control flow may nest; real models stay below five.
pub(crate) const MAX_DEPTH: usize = 32;

/// `ModelProto`.
#[derive(Debug, Default)]
pub(crate) struct ModelProto<'a> {
    pub(crate) ir_version: i64,
    pub(crate) producer_name: &'a str,
    pub(crate) producer_version: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) model_version: i64,
    pub(crate) doc: &'a str,
    pub(crate) graph: Option<GraphProto<'a>>,
    pub(crate) opsets: Vec<(&'a str, i64)>,
    pub(crate) properties: Vec<(&'a str, &'a str)>,
    pub(crate) functions: Vec<FunctionProto<'a>>,
    pub(crate) has_training: bool,
}

/// `FunctionProto`.
#[derive(Debug, Default)]
pub(crate) struct FunctionProto<'a> {
    pub(crate) name: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) overload: &'a str,
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) outputs: Vec<&'a str>,
    /// Attributes without a default.
    pub(crate) attributes: Vec<&'a str>,
    /// Attributes with a default.
    pub(crate) defaults: Vec<AttributeProto<'a>>,
    pub(crate) nodes: Vec<NodeProto<'a>>,
    pub(crate) opsets: Vec<(&'a str, i64)>,
}

/// `GraphProto`.
#[derive(Debug, Default)]
pub(crate) struct GraphProto<'a> {
    pub(crate) name: &'a str,
    pub(crate) doc: &'a str,
    pub(crate) nodes: Vec<NodeProto<'a>>,
    pub(crate) initializers: Vec<TensorProto<'a>>,
    pub(crate) sparse_initializers: Vec<SparseProto<'a>>,
    pub(crate) inputs: Vec<ValueInfoProto<'a>>,
    pub(crate) outputs: Vec<ValueInfoProto<'a>>,
    pub(crate) value_info: Vec<ValueInfoProto<'a>>,
    /// The names that the graph uses and does not define: what it captures as a body.
    pub(crate) free: Vec<&'a str>,
}

/// `NodeProto`.
#[derive(Debug, Default)]
pub(crate) struct NodeProto<'a> {
    pub(crate) name: &'a str,
    pub(crate) op_type: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) overload: &'a str,
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) outputs: Vec<&'a str>,
    pub(crate) attributes: Vec<AttributeProto<'a>>,
}

/// `ValueInfoProto`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ValueInfoProto<'a> {
    pub(crate) name: &'a str,
    pub(crate) doc: &'a str,
    pub(crate) ty: Option<Message<'a>>,
}

impl<'a> ModelProto<'a> {
    pub(crate) fn decode(message: Message<'a>) -> Result<Self> {
        let mut model = Self::default();
        let budget = message.budget;
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => model.ir_version = field.int()?,
                2 => model.producer_name = field.text()?,
                3 => model.producer_version = field.text()?,
                4 => model.domain = field.text()?,
                5 => model.model_version = field.int()?,
                6 => model.doc = field.text()?,
                7 => model.graph = Some(GraphProto::decode(field.message("GraphProto")?, 0)?),
                8 => {
                    budget.push(&mut model.opsets, opset(field.message("OperatorSetIdProto")?)?)?;
                }
                14 => budget.push(
                    &mut model.properties,
                    text_pair(field.message("StringStringEntryProto")?)?,
                )?,
                20 => model.has_training = true,
                25 => budget.push(
                    &mut model.functions,
                    FunctionProto::decode(field.message("FunctionProto")?)?,
                )?,
                _ => {}
            }
        }
        Ok(model)
    }
}

impl<'a> FunctionProto<'a> {
    fn decode(message: Message<'a>) -> Result<Self> {
        let mut function = Self::default();
        let budget = message.budget;
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => function.name = field.text()?,
                4 => budget.push(&mut function.inputs, field.text()?)?,
                5 => budget.push(&mut function.outputs, field.text()?)?,
                6 => budget.push(&mut function.attributes, field.text()?)?,
                7 => budget.push(
                    &mut function.nodes,
                    NodeProto::decode(field.message("NodeProto")?, 0)?,
                )?,
                9 => {
                    let opset = opset(field.message("OperatorSetIdProto")?)?;
                    budget.push(&mut function.opsets, opset)?;
                }
                10 => function.domain = field.text()?,
                11 => budget.push(
                    &mut function.defaults,
                    AttributeProto::decode(field.message("AttributeProto")?, 0)?,
                )?,
                13 => function.overload = field.text()?,
                _ => {}
            }
        }
        Ok(function)
    }
}

impl<'a> GraphProto<'a> {
    pub(crate) fn decode(message: Message<'a>, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(ImportError::unsupported(format!(
                "bodies of control flow nest deeper than {MAX_DEPTH}"
            )));
        }
        let mut graph = Self::default();
        let budget = message.budget;
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => budget.push(
                    &mut graph.nodes,
                    NodeProto::decode(field.message("NodeProto")?, depth)?,
                )?,
                2 => graph.name = field.text()?,
                5 => budget.push(
                    &mut graph.initializers,
                    TensorProto::decode(field.message("TensorProto")?)?,
                )?,
                10 => graph.doc = field.text()?,
                11 => {
                    budget
                        .push(&mut graph.inputs, value_info(field.message("ValueInfoProto")?)?)?;
                }
                12 => budget
                    .push(&mut graph.outputs, value_info(field.message("ValueInfoProto")?)?)?,
                13 => {
                    let info = value_info(field.message("ValueInfoProto")?)?;
                    budget.push(&mut graph.value_info, info)?;
                }
                15 => budget.push(
                    &mut graph.sparse_initializers,
                    SparseProto::decode(field.message("SparseTensorProto")?)?,
                )?,
                _ => {}
            }
        }
        graph.free = graph.free_names();
        budget.charge(size_of_val(&graph.free[..]))?;
        Ok(graph)
    }

    fn free_names(&self) -> Vec<&'a str> {
        let mut used: Set<&str> = self.nodes.iter().flat_map(NodeProto::uses).collect();
        used.extend(self.outputs.iter().map(|info| info.name));
        let made = self.nodes.iter().flat_map(|node| node.outputs.iter().copied());
        let given = self.inputs.iter().map(|info| info.name);
        let constants = self.initializers.iter().map(|tensor| tensor.name);
        let sparse = self.sparse_initializers.iter().map(|sparse| sparse.values.name);
        for name in made.chain(given).chain(constants).chain(sparse).chain([""]) {
            used.remove(name);
        }
        used.into_iter().collect()
    }
}

impl<'a> NodeProto<'a> {
    fn decode(message: Message<'a>, depth: usize) -> Result<Self> {
        let mut node = Self::default();
        let budget = message.budget;
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => budget.push(&mut node.inputs, field.text()?)?,
                2 => budget.push(&mut node.outputs, field.text()?)?,
                3 => node.name = field.text()?,
                4 => node.op_type = field.text()?,
                5 => {
                    let attribute = AttributeProto::decode(field.message("AttributeProto")?, depth)
                        .at(|| node.label())?;
                    budget.push(&mut node.attributes, attribute)?;
                }
                7 => node.domain = field.text()?,
                8 => node.overload = field.text()?,
                _ => {}
            }
        }
        if node.op_type.is_empty() {
            return Err(ImportError::invalid("the operator has no name").at(node.label()));
        }
        Ok(node)
    }

    /// Every name that the node uses, those that its bodies capture included.
    pub(crate) fn uses(&self) -> impl Iterator<Item = &'a str> {
        let captured = self.attributes.iter().flat_map(|attribute| match &attribute.value {
            AttributeValue::Graph(graph) => graph.free.as_slice(),
            _ => &[],
        });
        self.inputs.iter().chain(captured).copied()
    }

    /// How messages name the node.
    pub(crate) fn label(&self) -> String {
        let op = if self.op_type.is_empty() { "?" } else { self.op_type };
        match (self.name, self.outputs.first()) {
            ("", Some(output)) => format!("node `{op}` that makes `{output}`"),
            ("", None) => format!("node `{op}`"),
            (name, _) => format!("node `{name}` ({op})"),
        }
    }
}

fn value_info<'a>(message: Message<'a>) -> Result<ValueInfoProto<'a>> {
    let mut info = ValueInfoProto::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => info.name = field.text()?,
            2 => info.ty = Some(field.message("TypeProto")?),
            3 => info.doc = field.text()?,
            _ => {}
        }
    }
    Ok(info)
}

fn opset(message: Message<'_>) -> Result<(&str, i64)> {
    let (mut domain, mut version) = ("", 0);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => domain = field.text()?,
            2 => version = field.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn text_pair(message: Message<'_>) -> Result<(&str, &str)> {
    let (mut key, mut value) = ("", "");
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => key = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}
