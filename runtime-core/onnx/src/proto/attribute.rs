//! `AttributeProto`.

use super::{GraphProto, SparseProto, TensorProto};
use crate::error::{At, ImportError, Result};
use crate::wire::Message;

/// An attribute of a node, or a default of a function.
#[derive(Debug)]
pub(crate) struct AttributeProto<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: AttributeValue<'a>,
}

/// What an attribute holds.
#[derive(Debug)]
pub(crate) enum AttributeValue<'a> {
    /// The value of this attribute of the function that the node is part of.
    Reference(&'a str),
    Int(i64),
    Float(f32),
    Text(&'a [u8]),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<&'a [u8]>),
    Tensor(Box<TensorProto<'a>>),
    Sparse(Box<SparseProto<'a>>),
    Graph(Box<GraphProto<'a>>),
    Type(Message<'a>),
    /// A list of something that no operator takes lists of.
    List(&'static str),
}

/// All that an `AttributeProto` has room for.
#[derive(Default)]
struct Parts<'a> {
    name: &'a str,
    reference: &'a str,
    kind: i32,
    int: Option<i64>,
    float: Option<f32>,
    text: Option<&'a [u8]>,
    ints: Vec<i64>,
    floats: Vec<f32>,
    texts: Vec<&'a [u8]>,
    tensor: Option<Box<TensorProto<'a>>>,
    sparse: Option<Box<SparseProto<'a>>>,
    graph: Option<Box<GraphProto<'a>>>,
    ty: Option<Message<'a>>,
    list: Option<&'static str>,
}

impl<'a> AttributeProto<'a> {
    pub(super) fn decode(message: Message<'a>, depth: usize) -> Result<Self> {
        let mut parts = Parts::default();
        parts.read(message, depth)?;
        let name = parts.name;
        let value = parts.into_value().at(|| format!("attribute `{name}`"))?;
        Ok(Self { name, value })
    }
}

impl<'a> Parts<'a> {
    fn read(&mut self, message: Message<'a>, depth: usize) -> Result<()> {
        let budget = message.budget;
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => self.name = field.text()?,
                2 => self.float = Some(field.float()?),
                3 => self.int = Some(field.int()?),
                4 => self.text = Some(field.bytes()?),
                5 => {
                    let tensor = TensorProto::decode(field.message("TensorProto")?)?;
                    self.tensor = Some(Box::new(tensor));
                }
                6 => {
                    let graph =
                        GraphProto::decode(field.message("GraphProto")?, depth.saturating_add(1))
                            .at(|| format!("attribute `{}`", self.name))?;
                    self.graph = Some(Box::new(graph));
                }
                7 => field
                    .fixed32(|bytes| budget.push(&mut self.floats, f32::from_le_bytes(bytes)))?,
                8 => field.ints(|value| budget.push(&mut self.ints, value.cast_signed()))?,
                9 => budget.push(&mut self.texts, field.bytes()?)?,
                10 => self.list = Some("tensors"),
                11 => self.list = Some("graphs"),
                14 => self.ty = Some(field.message("TypeProto")?),
                15 => self.list = Some("types"),
                20 => self.kind = field.int32()?,
                21 => self.reference = field.text()?,
                22 => {
                    let sparse = SparseProto::decode(field.message("SparseTensorProto")?)?;
                    self.sparse = Some(Box::new(sparse));
                }
                23 => self.list = Some("sparse tensors"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Chooses by the declared type; files of the first version declare none.
    fn into_value(self) -> Result<AttributeValue<'a>> {
        if !self.reference.is_empty() {
            return Ok(AttributeValue::Reference(self.reference));
        }
        let kind = if self.kind == 0 { self.guess() } else { self.kind };
        // Fields of zero may be left out of the file.
        Ok(match kind {
            1 => AttributeValue::Float(self.float.unwrap_or(0.0)),
            2 => AttributeValue::Int(self.int.unwrap_or(0)),
            3 => AttributeValue::Text(self.text.unwrap_or_default()),
            4 => AttributeValue::Tensor(self.tensor.ok_or_else(|| absent("a tensor"))?),
            5 => AttributeValue::Graph(self.graph.ok_or_else(|| absent("a graph"))?),
            6 => AttributeValue::Floats(self.floats),
            7 => AttributeValue::Ints(self.ints),
            8 => AttributeValue::Texts(self.texts),
            9 => AttributeValue::List("tensors"),
            10 => AttributeValue::List("graphs"),
            11 => AttributeValue::Sparse(self.sparse.ok_or_else(|| absent("a sparse tensor"))?),
            12 => AttributeValue::List("sparse tensors"),
            13 => AttributeValue::Type(self.ty.ok_or_else(|| absent("a type"))?),
            14 => AttributeValue::List("types"),
            0 => return Err(ImportError::invalid("it holds no value")),
            other => {
                return Err(ImportError::unsupported(format!("unknown attribute type {other}")));
            }
        })
    }

    /// The type that the fields which are there suggest; 0 if none is.
    fn guess(&self) -> i32 {
        let there = [
            (self.float.is_some(), 1),
            (self.int.is_some(), 2),
            (self.text.is_some(), 3),
            (self.tensor.is_some(), 4),
            (self.graph.is_some(), 5),
            (!self.floats.is_empty(), 6),
            (!self.ints.is_empty(), 7),
            (!self.texts.is_empty(), 8),
            (self.sparse.is_some(), 11),
            (self.ty.is_some(), 13),
            (self.list == Some("tensors"), 9),
            (self.list == Some("graphs"), 10),
            (self.list == Some("sparse tensors"), 12),
            (self.list == Some("types"), 14),
        ];
        there.into_iter().find(|(is_there, _)| *is_there).map_or(0, |(_, kind)| kind)
    }
}

fn absent(what: &str) -> ImportError {
    ImportError::invalid(format!("expected {what}, got nothing"))
}
