//! Nodes become operators of ggml.
//!
//! ONNX's dimensions are ggml's in reverse order, and there are four. One function per operator
//! (`lower/`) makes tensors out of tensors; sizes and types that it cannot serve are refused with a code.
//! The same functions answer whether a node can be taken and build what is run: only where constants and
//! caches come from differs ([`Sources`]).

use remuda_base::Map;
use remuda_sdk::ir::{Graph, Node, OpError, ValueId, ValueType};
use remuda_sdk::tensor::{DType, Dim, Tensor};

use crate::api::{Context, Kind, Library, Refusal, T, refuse};

mod activations;
mod attention;
mod constants;
mod images;
mod moves;
mod norms;
mod pointwise;
mod products;
mod rotary;
mod sums;
mod table;

pub(crate) use constants::{Form, Kept, Sources, cache_kind};
pub(crate) use table::OPERATORS;

/// What is written into a tensor before a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// The elements of an input, f32.
    Floats(ValueId),
    /// Integers of an input as f32.
    Numbers(ValueId),
    /// An input as i32 indices into so many rows.
    Indices(ValueId, Rows),
    /// Where a cache's new positions go, i64.
    Places(usize),
    /// Which positions of a cache each token sees, f16.
    Mask(usize),
}

/// What indices count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    /// Whether negative indices count from the end.
    pub(crate) wraps: bool,
}

/// A node that reads and writes a cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheUse {
    /// The state's value.
    pub(crate) state: ValueId,
    pub(crate) sequences: ValueId,
    pub(crate) positions: ValueId,
}

/// A graph on its way to ggml.
pub(crate) struct Lowering<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) context: Context,
    sources: Sources<'g>,
    values: Map<ValueId, T>,
    indices: Map<(ValueId, Rows), T>,
    /// What is written before a run.
    pub(crate) uploads: Vec<(T, Upload)>,
    /// The nodes with caches, in order.
    pub(crate) caches: Vec<CacheUse>,
    /// What has to be computed though no output needs it.
    pub(crate) effects: Vec<T>,
}

/// The size that symbols stand for while a question is answered.
const SAMPLE: i64 = 64;

/// Tensors that a node may take.
pub(crate) fn share(node: &Node) -> usize {
    const FIXED: usize = 48;
    const PER_VALUE: usize = 4;
    FIXED + PER_VALUE * (node.inputs.len() + node.outputs.len())
}

/// Tensors that a graph may take.
pub(crate) fn capacity(graph: &Graph) -> usize {
    let shares = graph.nodes().map(|(_, node)| share(node));
    1 + graph.outputs.len() + shares.sum::<usize>()
}

impl<'g> Lowering<'g> {
    pub(crate) fn new(
        library: &'static Library,
        graph: &'g Graph,
        tensors: usize,
        sources: Sources<'g>,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            graph,
            context: Context::new(library, tensors, true)?,
            sources,
            values: Map::new(),
            indices: Map::new(),
            uploads: Vec::new(),
            caches: Vec::new(),
            effects: Vec::new(),
        })
    }

    /// Lowers one node.
    pub(crate) fn node(&mut self, node: &'g Node) -> Result<(), Refusal> {
        let operator = table::find(&node.op).ok_or_else(|| {
            refuse("op-unsupported", format!("ggml has nothing like `{}`", node.op))
        })?;
        for (at, output) in node.outputs.iter().enumerate() {
            if output.is_some() && !operator.outputs.contains(&at) {
                return Err(refuse(
                    "attribute",
                    format!("output {at} of `{}` is not made", node.op),
                ));
            }
        }
        for &output in node.outputs.iter().flatten() {
            let dtype = self.dtype(output)?;
            if dtype != DType::F32 {
                let text = format!("`{}` of `{dtype}`: ggml computes in f32 here", node.op);
                return Err(refuse("dtype", text));
            }
            self.ne(output)?;
        }
        (operator.lower)(self, node)
    }

    /// The dtype of a tensor.
    pub(crate) fn dtype(&self, id: ValueId) -> Result<DType, Refusal> {
        match &self.graph.value(id).ty {
            Some(ValueType::Tensor(ty)) => Ok(ty.dtype),
            _ => Err(refuse("dtype", "only tensors are handed to ggml")),
        }
    }

    /// The dimensions of a value.
    pub(crate) fn dims(&self, id: ValueId) -> Result<Vec<usize>, Refusal> {
        let value = self.graph.value(id);
        if let Some(tensor) = value.constant() {
            return Ok(tensor.dims().to_vec());
        }
        let unknown =
            || refuse("shape-dynamic", format!("the dimensions of `{}` are not known", value.name));
        let dims = value.ty.as_ref().and_then(ValueType::as_tensor).and_then(|ty| ty.dims.as_ref());
        let number = |dim: &Dim| {
            let dim = dim.substitute(&|_| Some(Dim::Known(SAMPLE)));
            dim.as_usize().ok_or_else(unknown)
        };
        dims.ok_or_else(unknown)?.iter().map(number).collect()
    }

    /// The sizes of a value in ggml's order.
    pub(crate) fn ne(&self, id: ValueId) -> Result<[i64; 4], Refusal> {
        ne_of(&self.dims(id)?)
    }

    fn required(&self, node: &Node, at: usize) -> Result<ValueId, Refusal> {
        let missing = || refuse("attribute", format!("input {at} of `{}` is left out", node.op));
        node.input(at).ok_or_else(missing)
    }

    /// The dimensions of an input.
    pub(crate) fn dims_in(&self, node: &Node, at: usize) -> Result<Vec<usize>, Refusal> {
        self.dims(self.required(node, at)?)
    }

    /// The sizes of an output in ggml's order.
    pub(crate) fn ne_out(&self, node: &Node, at: usize) -> Result<[i64; 4], Refusal> {
        let missing = || refuse("attribute", format!("output {at} of `{}` is left out", node.op));
        self.ne(node.output(at).ok_or_else(missing)?)
    }

    /// An input in f32.
    pub(crate) fn float(&mut self, node: &Node, at: usize) -> Result<T, Refusal> {
        let id = self.required(node, at)?;
        self.float_value(id)
    }

    /// An input in f32, unless it is left out.
    pub(crate) fn optional(&mut self, node: &Node, at: usize) -> Result<Option<T>, Refusal> {
        node.input(at).map(|id| self.float_value(id)).transpose()
    }

    fn float_value(&mut self, id: ValueId) -> Result<T, Refusal> {
        if let Some(&t) = self.values.get(&id) {
            return Ok(t);
        }
        let ne = self.ne(id)?;
        let value = self.graph.value(id);
        let t = if let Some(tensor) = value.constant() {
            self.constant_floats(id, tensor)?
        } else {
            let dtype = self.dtype(id)?;
            if dtype != DType::F32 {
                let text = format!("`{}` is `{dtype}`: ggml computes in f32 here", value.name);
                return Err(refuse("dtype", text));
            }
            let t = self.context.tensor(Kind::F32, ne)?;
            self.context.set_input(t);
            self.uploads.push((t, Upload::Floats(id)));
            t
        };
        self.values.insert(id, t);
        Ok(t)
    }

    /// Integer indices of an input, in one row.
    pub(crate) fn indices(&mut self, node: &Node, at: usize, rows: Rows) -> Result<T, Refusal> {
        let id = self.required(node, at)?;
        self.indices_of(id, rows)
    }

    /// As [`Lowering::indices`], of a value.
    fn indices_of(&mut self, id: ValueId, rows: Rows) -> Result<T, Refusal> {
        if let Some(&t) = self.indices.get(&(id, rows)) {
            return Ok(t);
        }
        let count: i64 = self.ne(id)?.iter().product();
        if !matches!(self.dtype(id)?, DType::I64 | DType::I32) {
            return Err(refuse("dtype", "indices are `i64` or `i32`"));
        }
        let t = self.context.tensor(Kind::I32, [count, 1, 1, 1])?;
        self.context.set_input(t);
        self.uploads.push((t, Upload::Indices(id, rows)));
        self.indices.insert((id, rows), t);
        Ok(t)
    }

    /// Integers of an input as f32.
    pub(crate) fn numbers(&mut self, node: &Node, at: usize) -> Result<T, Refusal> {
        let id = self.required(node, at)?;
        let t = self.context.tensor(Kind::F32, self.ne(id)?)?;
        self.context.set_input(t);
        self.uploads.push((t, Upload::Numbers(id)));
        Ok(t)
    }

    /// The integers of a constant input; none where it is left out.
    pub(crate) fn ints(&self, node: &Node, at: usize) -> Result<Option<Vec<i64>>, Refusal> {
        let Some(id) = node.input(at) else { return Ok(None) };
        let tensor = self.constant(id).ok_or_else(|| {
            refuse("shape-dynamic", format!("input {at} of `{}` is computed", node.op))
        })?;
        tensor.to_i64_vec().map(Some).map_err(|error| refuse("dtype", error.to_string()))
    }

    /// The one number of a constant input; none where it is left out.
    pub(crate) fn scalar(&self, node: &Node, at: usize) -> Result<Option<f32>, Refusal> {
        let Some(id) = node.input(at) else { return Ok(None) };
        let values = self.constant(id).and_then(|tensor| tensor.to_f32_vec().ok());
        match values.as_deref() {
            Some([value]) => Ok(Some(*value)),
            _ => Err(refuse("attribute", format!("input {at} of `{}` is no constant", node.op))),
        }
    }

    pub(crate) fn constant(&self, id: ValueId) -> Option<&'g Tensor> {
        self.graph.value(id).constant()
    }

    /// Names an output, which has the sizes that inference found.
    pub(crate) fn set(&mut self, node: &Node, at: usize, t: T) -> Result<(), Refusal> {
        let Some(id) = node.output(at) else { return Ok(()) };
        let ne = self.ne(id)?;
        if t.ne() != ne {
            let text = format!("ggml makes {:?} elements of `{}`, not {ne:?}", t.ne(), node.op);
            return Err(refuse("shape", text));
        }
        self.values.insert(id, t);
        Ok(())
    }

    /// Names an output by sizes that fit but for axes of one element.
    pub(crate) fn set_shaped(&mut self, node: &Node, at: usize, t: T) -> Result<(), Refusal> {
        if node.output(at).is_none() {
            return Ok(());
        }
        let t = self.context.reshape(t, self.ne_out(node, at)?)?;
        self.set(node, at, t)
    }

    /// Has the first output of a node computed, whoever needs it.
    pub(crate) fn compute(&mut self, node: &Node) -> Result<(), Refusal> {
        if let Some(&id) = node.outputs.iter().flatten().next() {
            let t = self.value(id)?;
            self.effects.push(t);
        }
        Ok(())
    }

    /// The tensor of a value that was lowered, or of an input.
    pub(crate) fn value(&mut self, id: ValueId) -> Result<T, Refusal> {
        self.float_value(id)
    }

    /// The sizes of a value that is one row per token: all axes but the last in one.
    pub(crate) fn as_rows(&self, t: T) -> Result<T, Refusal> {
        let ne = t.ne();
        self.context.reshape(t, [ne[0], ne[1] * ne[2] * ne[3], 1, 1])
    }
}

/// Dimensions in ggml's order.
pub(crate) fn ne_of(dims: &[usize]) -> Result<[i64; 4], Refusal> {
    if dims.len() > 4 {
        return Err(refuse("rank", format!("ggml has 4 dimensions, not {}", dims.len())));
    }
    let mut ne = [1; 4];
    for (to, &dim) in ne.iter_mut().zip(dims.iter().rev()) {
        *to = i64::try_from(dim).unwrap_or(i64::MAX);
    }
    if ne.contains(&0) {
        return Err(refuse("shape", "ggml does not compute with no elements"));
    }
    Ok(ne)
}

/// An axis of ONNX as one of ggml's.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let axis = remuda_sdk::ir::resolve_axis(axis, rank).map_err(attribute)?;
    Ok(rank - 1 - axis)
}

/// An attribute that cannot be used.
pub(crate) fn attribute(error: OpError) -> Refusal {
    refuse("attribute", error.to_string())
}
