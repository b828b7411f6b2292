//! `TensorProto` and `SparseTensorProto`: everything but the elements, which stay where they are.

use crate::error::{At, ImportError, Result};
use crate::wire::Message;

/// A tensor whose elements are not decoded yet.
#[derive(Debug, Clone)]
pub(crate) struct TensorProto<'a> {
    pub(crate) name: &'a str,
    pub(crate) dims: Vec<i64>,
    pub(crate) data_type: i32,
    pub(crate) location: DataLocation<'a>,
    pub(crate) message: Message<'a>,
}

/// Where the elements are.
#[derive(Debug, Clone)]
pub(crate) enum DataLocation<'a> {
    /// Little-endian bytes in the file.
    Raw(&'a [u8]),
    /// A field of their own type, or nowhere.
    Typed,
    /// Another file: pairs of `location`, `offset`, `length`, `checksum`.
    External(Vec<(&'a str, &'a str)>),
}

/// A sparse tensor.
#[derive(Debug, Clone)]
pub(crate) struct SparseProto<'a> {
    pub(crate) values: TensorProto<'a>,
    pub(crate) indices: TensorProto<'a>,
    pub(crate) dims: Vec<i64>,
}

impl<'a> TensorProto<'a> {
    pub(crate) fn decode(message: Message<'a>) -> Result<Self> {
        let mut tensor = Self {
            name: "",
            dims: Vec::new(),
            data_type: 0,
            location: DataLocation::Typed,
            message,
        };
        let (mut raw, mut external, mut is_external, mut segment) =
            (None, Vec::new(), false, false);
        let budget = message.budget;
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => field.ints(|dim| budget.push(&mut tensor.dims, dim.cast_signed()))?,
                2 => tensor.data_type = field.int32()?,
                3 => segment = true,
                8 => tensor.name = field.text()?,
                9 => raw = Some(field.bytes()?),
                13 => {
                    let pair = super::text_pair(field.message("StringStringEntryProto")?)?;
                    budget.push(&mut external, pair)?;
                }
                14 => is_external = field.int32()? == 1,
                _ => {}
            }
        }
        if segment {
            let text = "tensors that are cut into segments are not supported";
            return Err(ImportError::unsupported(text).at(tensor.label()));
        }
        tensor.location = match raw {
            _ if is_external => DataLocation::External(external),
            Some(raw) => DataLocation::Raw(raw),
            None => DataLocation::Typed,
        };
        Ok(tensor)
    }

    /// How messages name the tensor.
    pub(crate) fn label(&self) -> String {
        if self.name.is_empty() {
            "a tensor without a name".to_owned()
        } else {
            format!("tensor `{}`", self.name)
        }
    }
}

impl<'a> SparseProto<'a> {
    pub(crate) fn decode(message: Message<'a>) -> Result<Self> {
        let (mut values, mut indices, mut dims) = (None, None, Vec::new());
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => values = Some(TensorProto::decode(field.message("TensorProto")?)?),
                2 => indices = Some(TensorProto::decode(field.message("TensorProto")?)?),
                3 => field.ints(|dim| message.budget.push(&mut dims, dim.cast_signed()))?,
                _ => {}
            }
        }
        let missing = |what: &str| ImportError::invalid(format!("it has no {what}"));
        let values = values.ok_or_else(|| missing("values")).at(|| "a sparse tensor".to_owned())?;
        let indices = indices
            .ok_or_else(|| missing("indices"))
            .at(|| format!("sparse tensor `{}`", values.name))?;
        Ok(Self { values, indices, dims })
    }
}
