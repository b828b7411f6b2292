//! Nodes become launches of kernels.
//!
//! One function per operator (`lower/`) makes values out of values. Those that only move elements launch
//! nothing: a value is a part of a space, walked by strides, or an expression that is not computed yet.
//! Sizes and types that no kernel serves are refused with a code. The same functions answer whether a
//! node can be taken, with sizes made up for symbols, and plan what is run.

use remuda_base::Map;
use remuda_sdk::ir::{Def, Graph, Node, ValueId, ValueType};
use remuda_sdk::tensor::{DType, Dim, Tensor};

use crate::gpu::Limits;
use crate::shaders::{Dispatch, Elem, Expr, View};

mod activations;
mod attention;
mod dense_attention;
mod images;
mod lazy;
mod moves;
mod norms;
mod plan;
mod pointwise;
mod products;
mod refusal;
mod resize;
mod rotary;
mod sums;
mod table;

pub(crate) use attention::cache_elem;
use lazy::Lazy;
pub(crate) use plan::{Bound, CacheUse, Form, Origin, Plan, Rows, Space, SpaceId, Step};
use refusal::attribute;
pub(crate) use refusal::{Refusal, refuse};
pub(crate) use table::OPERATORS;

/// A tensor in a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) space: SpaceId,
    pub(crate) dims: Vec<usize>,
    pub(crate) view: View,
}

impl Part {
    fn bound(&self) -> Bound {
        Bound::whole(self.space)
    }

    pub(crate) fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether its elements lie in order from the beginning of its space.
    fn is_dense(&self) -> bool {
        self.view.offset == 0 && self.is_ordered()
    }

    /// Whether its elements lie in order.
    fn is_ordered(&self) -> bool {
        let plain = View::whole(self.view.elem, &self.dims).strides;
        let same = |((&dim, own), plain): ((&usize, &isize), &isize)| dim == 1 || own == plain;
        self.dims.iter().zip(&self.view.strides).zip(&plain).all(same)
    }
}

/// What is known of a value.
#[derive(Clone, Debug)]
enum Value {
    Part(Part),
    Lazy(Lazy),
}

/// A graph on its way to launches.
pub(crate) struct Lowering<'g> {
    graph: &'g Graph,
    limits: Limits,
    values: Map<ValueId, Value>,
    uses: Map<ValueId, usize>,
    pub(crate) plan: Plan,
}

/// The size that symbols stand for while a question is answered.
const SAMPLE: i64 = 64;

impl<'g> Lowering<'g> {
    pub(crate) fn new(graph: &'g Graph, limits: Limits) -> Self {
        let mut uses: Map<ValueId, usize> = Map::new();
        let used = graph.nodes().flat_map(|(_, node)| node.inputs.iter().flatten().copied());
        for id in used.chain(graph.outputs.iter().copied()) {
            *uses.entry(id).or_default() += 1;
        }
        Self { graph, limits, values: Map::new(), uses, plan: Plan::default() }
    }

    /// For asking about single nodes: nothing is known of who uses what.
    pub(crate) fn question(graph: &'g Graph, limits: Limits) -> Self {
        let plan = Plan::default();
        Self { graph, limits, values: Map::new(), uses: Map::new(), plan }
    }

    /// Lowers one node.
    pub(crate) fn node(&mut self, node: &'g Node) -> Result<(), Refusal> {
        let operator = table::find(&node.op).ok_or_else(|| {
            refuse("op-unsupported", format!("there are no kernels for `{}`", node.op))
        })?;
        for (at, output) in node.outputs.iter().enumerate() {
            if output.is_some() && !operator.outputs.contains(&at) {
                let text = format!("output {at} of `{}` is not made", node.op);
                return Err(refuse("attribute", text));
            }
        }
        for &output in node.outputs.iter().flatten() {
            computed_elem(self.dtype(output)?, node)?;
            self.dims(output)?;
        }
        (operator.lower)(self, node)
    }

    /// The dtype of a tensor.
    fn dtype(&self, id: ValueId) -> Result<DType, Refusal> {
        match &self.graph.value(id).ty {
            Some(ValueType::Tensor(ty)) => Ok(ty.dtype),
            _ => Err(refuse("dtype", "only tensors are handed to the device")),
        }
    }

    /// The dimensions of a value.
    pub(crate) fn dims(&self, id: ValueId) -> Result<Vec<usize>, Refusal> {
        let value = self.graph.value(id);
        let unknown =
            || refuse("shape-dynamic", format!("the dimensions of `{}` are not known", value.name));
        let dims = match value.constant() {
            Some(tensor) => tensor.dims().to_vec(),
            None => {
                let ty = value.ty.as_ref().and_then(ValueType::as_tensor);
                let dims = ty.and_then(|ty| ty.dims.as_ref()).ok_or_else(unknown)?;
                let number = |dim: &Dim| {
                    let dim = dim.substitute(&|_| Some(Dim::Known(SAMPLE)));
                    dim.as_usize().ok_or_else(unknown)
                };
                dims.iter().map(number).collect::<Result<_, _>>()?
            }
        };
        let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        match count {
            Some(0) => Err(refuse("shape", format!("`{}` has no elements", value.name))),
            Some(count) if i32::try_from(count).is_ok() => Ok(dims),
            _ => Err(refuse("memory", format!("`{}` has too many elements", value.name))),
        }
    }

    fn required(&self, node: &Node, at: usize) -> Result<ValueId, Refusal> {
        let missing = || refuse("attribute", format!("input {at} of `{}` is left out", node.op));
        node.input(at).ok_or_else(missing)
    }

    fn dims_in(&self, node: &Node, at: usize) -> Result<Vec<usize>, Refusal> {
        self.dims(self.required(node, at)?)
    }

    fn dims_out(&self, node: &Node, at: usize) -> Result<Vec<usize>, Refusal> {
        let missing = || refuse("attribute", format!("output {at} of `{}` is left out", node.op));
        self.dims(node.output(at).ok_or_else(missing)?)
    }

    /// How often a value is used.
    fn uses(&self, id: ValueId) -> usize {
        self.uses.get(&id).copied().unwrap_or(0)
    }

    /// Whether a node before made this value.
    fn is_computed(&self, id: ValueId) -> bool {
        matches!(self.graph.value(id).def, Def::Node(..)) && self.values.contains_key(&id)
    }

    /// A value: what was made of it, or an input or constant.
    fn value(&mut self, id: ValueId) -> Result<Value, Refusal> {
        if let Some(value) = self.values.get(&id) {
            return Ok(value.clone());
        }
        let part = self.given(id, Form::Plain)?;
        self.values.insert(id, Value::Part(part.clone()));
        Ok(Value::Part(part))
    }

    /// A value that the host has.
    fn given(&mut self, id: ValueId, form: Form) -> Result<Part, Refusal> {
        let dims = self.dims(id)?;
        let dtype = match self.constant(id) {
            Some(tensor) => tensor.dtype(),
            None => self.dtype(id)?,
        };
        let elem = match dtype {
            DType::F32 => Elem::F32,
            DType::F16 => Elem::F16,
            DType::BF16 => Elem::BF16,
            DType::Bool => Elem::Bool,
            DType::I32 | DType::I64 => Elem::I32,
            other => {
                return Err(refuse("dtype", format!("the device computes with no `{other}`")));
            }
        };
        let count: usize = dims.iter().product();
        let bytes = if matches!(elem, Elem::F16 | Elem::BF16) { count * 2 } else { count * 4 };
        let origin = match self.constant(id) {
            Some(_) => Origin::Constant(id, form),
            None => Origin::Input(id, form),
        };
        let space = self.space(origin, bytes)?;
        let view = View::whole(elem, &dims);
        Ok(Part { space, dims, view })
    }

    /// A space that one kernel can see.
    fn space(&mut self, origin: Origin, bytes: usize) -> Result<SpaceId, Refusal> {
        let bytes = (bytes as u64).next_multiple_of(4);
        if bytes > self.limits.binding_bytes {
            let most = self.limits.binding_bytes;
            let text = format!("{bytes} bytes in one tensor, a kernel sees {most} at most");
            return Err(refuse("memory", text));
        }
        Ok(self.plan.space(origin, bytes))
    }

    /// A new tensor for results.
    fn work(&mut self, elem: Elem, dims: Vec<usize>) -> Result<Part, Refusal> {
        let count: usize = dims.iter().product();
        let space = self.space(Origin::Work, count * 4)?;
        let view = View::whole(elem, &dims);
        Ok(Part { space, dims, view })
    }

    fn launch(
        &mut self,
        dispatch: Dispatch,
        reads: &[Bound],
        writes: &[Bound],
    ) -> Result<(), Refusal> {
        let bound = [reads, writes].concat();
        if bound.len() + 1 > self.limits.bindings {
            let text = format!(
                "a kernel of {} tensors, the device has {}",
                bound.len(),
                self.limits.bindings
            );
            return Err(refuse("memory", text));
        }
        if !dispatch.launch.groups.contains(&0) {
            self.plan.steps.push(Step { dispatch, bound });
        }
        Ok(())
    }

    /// The part that a value is, computed if it is not yet.
    pub(crate) fn part_of(&mut self, id: ValueId) -> Result<Part, Refusal> {
        let lazy = match self.value(id)? {
            Value::Part(part) => return Ok(part),
            Value::Lazy(lazy) => lazy,
        };
        let elem = match self.dtype(id)? {
            DType::Bool => Elem::Bool,
            _ => Elem::F32,
        };
        let part = self.computed(&lazy, elem)?;
        self.values.insert(id, Value::Part(part.clone()));
        Ok(part)
    }

    /// An input of a node.
    fn part(&mut self, node: &Node, at: usize) -> Result<Part, Refusal> {
        let id = self.required(node, at)?;
        self.part_of(id)
    }

    /// The part with its elements in f32 and in order, from the beginning of a space on.
    pub(crate) fn dense(&mut self, part: Part) -> Result<Part, Refusal> {
        if part.is_dense() && matches!(part.view.elem, Elem::F32 | Elem::Bool) {
            return Ok(part);
        }
        let made = self.work(part.view.elem.read_as(), part.dims.clone())?;
        self.compute_into(&Lazy::of(part), &made)?;
        Ok(made)
    }

    /// An input of a node in f32 and in order.
    fn floats(&mut self, node: &Node, at: usize) -> Result<Part, Refusal> {
        let part = self.part(node, at)?;
        if !matches!(part.view.elem, Elem::F32 | Elem::F16 | Elem::BF16) {
            return Err(refuse("dtype", format!("input {at} of `{}` is no float", node.op)));
        }
        self.dense(part)
    }

    /// As [`Lowering::floats`], unless it is left out.
    fn optional_floats(&mut self, node: &Node, at: usize) -> Result<Option<Part>, Refusal> {
        match node.input(at) {
            Some(_) => self.floats(node, at).map(Some),
            None => Ok(None),
        }
    }

    /// Other dimensions for the same elements.
    fn reshaped(&mut self, part: Part, dims: Vec<usize>) -> Result<Part, Refusal> {
        if part.count() != dims.iter().product::<usize>() {
            return Err(refuse("shape", format!("{:?} as {dims:?}", part.dims)));
        }
        let ordered = if part.is_ordered() { part } else { self.dense(part)? };
        let Part { space, view, .. } = ordered;
        let strides = View::whole(view.elem, &dims).strides;
        Ok(Part { space, dims, view: View { strides, ..view } })
    }

    /// The integers of a constant input; none where it is left out.
    fn ints(&self, node: &Node, at: usize) -> Result<Option<Vec<i64>>, Refusal> {
        let ints = self.known(node, at)?.map(Tensor::to_i64_vec).transpose();
        ints.map_err(|error| refuse("dtype", error.to_string()))
    }

    /// The one number of a constant input; none where it is left out.
    fn scalar(&self, node: &Node, at: usize) -> Result<Option<f32>, Refusal> {
        let Some(id) = node.input(at) else { return Ok(None) };
        let values = self.constant(id).and_then(|tensor| tensor.to_f32_vec().ok());
        match values.as_deref() {
            Some([value]) => Ok(Some(*value)),
            _ => Err(refuse("attribute", format!("input {at} of `{}` is no constant", node.op))),
        }
    }

    /// An input that is a constant; none where it is left out.
    fn known(&self, node: &Node, at: usize) -> Result<Option<&'g Tensor>, Refusal> {
        let Some(id) = node.input(at) else { return Ok(None) };
        let computed = || format!("input {at} of `{}` is computed", node.op);
        self.constant(id).map(Some).ok_or_else(|| refuse("shape-dynamic", computed()))
    }

    fn constant(&self, id: ValueId) -> Option<&'g Tensor> {
        self.graph.value(id).constant()
    }

    /// Names an output.
    fn set(&mut self, node: &Node, at: usize, value: Value) -> Result<(), Refusal> {
        let Some(id) = node.output(at) else { return Ok(()) };
        let dims = self.dims(id)?;
        let got = match &value {
            Value::Part(part) => &part.dims,
            Value::Lazy(lazy) => &lazy.dims,
        };
        if *got != dims {
            let text = format!("`{}` came out as {got:?}, expected {dims:?}", node.op);
            return Err(refuse("shape", text));
        }
        self.values.insert(id, value);
        Ok(())
    }

    /// Names an output whose dimensions differ from the part's by axes of one element or by their
    /// grouping.
    fn set_part(&mut self, node: &Node, at: usize, part: Part) -> Result<(), Refusal> {
        if node.output(at).is_none() {
            return Ok(());
        }
        let dims = self.dims_out(node, at)?;
        let part = if part.dims == dims { part } else { self.reshaped(part, dims)? };
        self.set(node, at, Value::Part(part))
    }

    /// Computes whatever the outputs of a node are.
    pub(crate) fn finish(&mut self, node: &Node) -> Result<(), Refusal> {
        for id in node.outputs.iter().flatten().copied() {
            let part = self.part_of(id)?;
            self.dense(part)?;
        }
        Ok(())
    }
}

/// How results of a type lie on the device.
fn computed_elem(dtype: DType, node: &Node) -> Result<Elem, Refusal> {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => Ok(Elem::F32),
        DType::Bool => Ok(Elem::Bool),
        other => {
            let text = format!("`{}` of `{other}`: the device computes floats", node.op);
            Err(refuse("dtype", text))
        }
    }
}

/// A float as an expression.
fn number(value: f32) -> Expr {
    Expr::float(value)
}
