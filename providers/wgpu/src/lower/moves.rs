//! Operators that move elements and compute nothing: most of them only walk a space in another way.

use remuda_sdk::ir::{Node, ValueId, resolve_axis};
use remuda_sdk::tensor::DType;

use super::{Bound, Form, Lowering, Origin, Part, Refusal, Rows, Value, attribute, refuse};
use crate::shaders::{Blocks, Elem};

pub(super) fn same(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.attrs.bool_or("training_mode", false).map_err(attribute)? || node.input(2).is_some() {
        return Err(refuse("attribute", "the device does not train"));
    }
    if node.input(1).is_some() && lowering.dims_in(node, 1)?.iter().any(|&dim| dim != 1) {
        return Err(refuse("attribute", "the ratio is not one number"));
    }
    let x = lowering.part(node, 0)?;
    lowering.set_part(node, 0, x)
}

/// Other dimensions for the same elements: which ones, inference has found.
pub(super) fn reshape(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.part(node, 0)?;
    lowering.set_part(node, 0, x)
}

/// Repeated to dimensions that inference has found.
pub(super) fn expand(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.part(node, 0)?;
    let y = x.broadcast(&lowering.dims_out(node, 0)?)?;
    lowering.set(node, 0, Value::Part(y))
}

/// As often as inference has found; each repeated axis becomes two.
pub(super) fn tile(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.part(node, 0)?;
    let dims = lowering.dims_out(node, 0)?;
    let mut wide = x.clone();
    (wide.dims, wide.view.strides) = (Vec::new(), Vec::new());
    for ((&own, &stride), &to) in x.dims.iter().zip(&x.view.strides).zip(&dims) {
        wide.dims.extend([to / own.max(1), own]);
        wide.view.strides.extend([0, stride]);
    }
    let y = lowering.reshaped(wide, dims)?;
    lowering.set(node, 0, Value::Part(y))
}

impl Part {
    /// The axes in another order.
    pub(super) fn permuted(&self, order: &[usize]) -> Result<Self, Refusal> {
        let axis = |&from: &usize| Some((*self.dims.get(from)?, *self.view.strides.get(from)?));
        let axes: Option<Vec<_>> = order.iter().map(axis).collect();
        let axes = axes.filter(|axes| axes.len() == self.dims.len());
        let axes = axes.ok_or_else(|| refuse("attribute", format!("axes in order {order:?}")))?;
        let mut part = self.clone();
        (part.dims, part.view.strides) = axes.into_iter().unzip();
        Ok(part)
    }

    /// So many elements of an axis, from one on, in steps.
    pub(super) fn cut(
        &self,
        axis: usize,
        from: i64,
        step: i64,
        count: usize,
    ) -> Result<Self, Refusal> {
        let mut part = self.clone();
        let outside = || refuse("shape", format!("{count} elements from {from} on"));
        let size = i64::try_from(self.dims[axis]).map_err(|_| outside())?;
        let last = from + step * (i64::try_from(count).map_err(|_| outside())? - 1);
        if !(0..size).contains(&from) || !(0..size).contains(&last) {
            return Err(outside());
        }
        let stride = self.view.strides[axis];
        let moved = isize::try_from(from).map_err(|_| outside())? * stride;
        part.view.offset = part.view.offset.checked_add_signed(moved).ok_or_else(outside)?;
        part.view.strides[axis] = stride * isize::try_from(step).map_err(|_| outside())?;
        part.dims[axis] = count;
        Ok(part)
    }
}

pub(super) fn transpose(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.part(node, 0)?;
    let order = match node.attrs.ints("perm").map_err(attribute)? {
        None => (0..x.dims.len()).rev().collect(),
        Some(perm) => perm
            .iter()
            .map(|&axis| resolve_axis(axis, x.dims.len()).map_err(attribute))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let y = x.permuted(&order)?;
    lowering.set(node, 0, Value::Part(y))
}

pub(super) fn slice(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let missing = || refuse("attribute", "starts are left out");
    let starts = lowering.ints(node, 1)?.ok_or_else(missing)?;
    let count = i64::try_from(starts.len()).unwrap_or(0);
    let axes = lowering.ints(node, 3)?.unwrap_or_else(|| (0..count).collect());
    let steps = lowering.ints(node, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let dims = lowering.dims_out(node, 0)?;
    let mut y = lowering.part(node, 0)?;
    for ((&from, &axis), &step) in starts.iter().zip(&axes).zip(&steps) {
        let axis = resolve_axis(axis, y.dims.len()).map_err(attribute)?;
        let size = i64::try_from(y.dims[axis]).unwrap_or(i64::MAX);
        let from = if from < 0 { from.saturating_add(size) } else { from };
        let from = from.clamp(0, if step < 0 { size - 1 } else { size });
        y = y.cut(axis, from, step, dims[axis])?;
    }
    lowering.set(node, 0, Value::Part(y))
}

pub(super) fn split(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.outputs.iter().any(Option::is_none) {
        return Err(refuse("attribute", "parts that nobody wants have no known size"));
    }
    let x = lowering.part(node, 0)?;
    let axis = node.attrs.int_or("axis", 0).map_err(attribute)?;
    let axis = resolve_axis(axis, x.dims.len()).map_err(attribute)?;
    let mut from = 0;
    for at in 0..node.outputs.len() {
        let size = lowering.dims_out(node, at)?[axis];
        let part = x.cut(axis, from, 1, size)?;
        lowering.set(node, at, Value::Part(part))?;
        from += i64::try_from(size).unwrap_or(i64::MAX);
    }
    Ok(())
}

pub(super) fn concat(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let dims = lowering.dims_out(node, 0)?;
    let axis = node.attrs.int_or("axis", 0).map_err(attribute)?;
    let axis = resolve_axis(axis, dims.len()).map_err(attribute)?;
    let elem = if lowering.is_bool(node)? { Elem::Bool } else { Elem::F32 };
    let y = lowering.work(elem, dims)?;
    let mut from = 0;
    for at in 0..node.inputs.len() {
        let id = lowering.required(node, at)?;
        let own = lowering.dims(id)?;
        let place = y.cut(axis, from, 1, own[axis])?;
        from += i64::try_from(own[axis]).unwrap_or(i64::MAX);
        let lazy = lowering.lazy(id, &own)?;
        let lazy = lowering.combined(&[Some(lazy)], own, |exprs| {
            exprs[0].clone().ok_or_else(|| refuse("attribute", "an operand is left out"))
        })?;
        lowering.compute_into(&lazy, &place)?;
    }
    lowering.set(node, 0, Value::Part(y))
}

/// Every mode of padding, by a table per axis of the elements that come there.
pub(super) fn pad(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let mode = node.attrs.text_or("mode", "constant").map_err(attribute)?;
    let fill = lowering.scalar(node, 2)?.unwrap_or(0.0);
    let x = lowering.floats(node, 0)?;
    let rank = x.dims.len();
    let missing = || refuse("attribute", "pads are left out");
    let pads = lowering.ints(node, 1)?.ok_or_else(missing)?;
    let axes = lowering.ints(node, 3)?;
    let axes = axes.unwrap_or_else(|| (0..i64::try_from(rank).unwrap_or(0)).collect());
    let dims = lowering.dims_out(node, 0)?;
    let mut fronts = vec![0; rank];
    for (at, &axis) in axes.iter().enumerate() {
        let axis = resolve_axis(axis, rank).map_err(attribute)?;
        fronts[axis] = *pads.get(at).ok_or_else(|| refuse("attribute", "pads are too few"))?;
    }
    let mut tables = Vec::with_capacity(rank);
    for axis in 0..rank {
        let (size, stride) = (x.dims[axis], x.view.strides[axis].unsigned_abs());
        let step = |at: usize| Ok(padded(mode, at, fronts[axis], size)?.map(|from| from * stride));
        tables.push((0..dims[axis]).map(step).collect::<Result<Vec<_>, Refusal>>()?);
    }
    let y = lowering.work(Elem::F32, dims)?;
    let dispatch = crate::shaders::remap(x.view.elem, 0, &tables, fill.to_bits());
    lowering.launch(dispatch, &[x.bound()], &[y.bound()])?;
    lowering.set(node, 0, Value::Part(y))
}

/// Which of `size` elements comes to a place behind `front` padded ones, if any does.
fn padded(mode: &str, at: usize, front: i64, size: usize) -> Result<Option<usize>, Refusal> {
    let count = i64::try_from(size).unwrap_or(i64::MAX);
    let place = i64::try_from(at).unwrap_or(i64::MAX).saturating_sub(front);
    let from = match mode {
        "constant" => Some(place).filter(|place| (0..count).contains(place)),
        "edge" => Some(place.clamp(0, count - 1)),
        "wrap" => Some(place.rem_euclid(count)),
        "reflect" if count == 1 => Some(0),
        "reflect" => {
            let turn = place.rem_euclid(2 * (count - 1));
            Some(turn.min(2 * (count - 1) - turn))
        }
        other => return Err(refuse("attribute", format!("no kernel pads by `{other}`"))),
    };
    Ok(from.and_then(|from| usize::try_from(from).ok()))
}

/// Elements picked along an axis, by indices that the host gives; rows of a table may be in a block
/// format.
pub(super) fn gather(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let id = lowering.required(node, 0)?;
    let dims = lowering.dims(id)?;
    let axis = node.attrs.int_or("axis", 0).map_err(attribute)?;
    let axis = resolve_axis(axis, dims.len()).map_err(attribute)?;
    let indices = lowering.indices(node, 1, Rows { count: dims[axis], wraps: true })?;
    let count = indices.count();
    let (dispatch, table, elem) = if let Some(blocks) = lowering.block_format(id)? {
        let &[rows, width] = &dims[..] else {
            return Err(refuse("rank", "tables of blocks have 2 dimensions"));
        };
        if axis != 0 {
            return Err(refuse("attribute", "tables of blocks are picked from by rows"));
        }
        let bytes = rows * (width / blocks.elements()) * blocks.bytes();
        let space = lowering.space(Origin::Constant(id, Form::Plain), bytes)?;
        let dispatch = crate::shaders::gather_blocks(blocks, [rows, width], 0, count);
        (dispatch, Bound::whole(space), Elem::F32)
    } else {
        let x = lowering.part(node, 0)?;
        let x = if x.is_dense() { x } else { lowering.dense(x)? };
        let sizes = [dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product()];
        let elem = if x.view.elem == Elem::Bool { Elem::Bool } else { Elem::F32 };
        (crate::shaders::gather(x.view.elem, sizes, count), x.bound(), elem)
    };
    let y = lowering.work(elem, lowering.dims_out(node, 0)?)?;
    lowering.launch(dispatch, &[table, indices.bound()], &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

impl Lowering<'_> {
    /// The format of a constant of blocks.
    fn block_format(&self, id: ValueId) -> Result<Option<Blocks>, Refusal> {
        let Some(DType::Block(format)) = self.constant(id).map(|tensor| tensor.dtype()) else {
            return Ok(None);
        };
        let blocks = Blocks::of(format.format());
        let text = || format!("no kernel reads blocks of `{}`", format.format().name);
        blocks.map(Some).ok_or_else(|| refuse("dtype", text()))
    }

    fn is_bool(&self, node: &Node) -> Result<bool, Refusal> {
        let missing = || refuse("attribute", "output 0 is left out");
        let id = node.output(0).ok_or_else(missing)?;
        Ok(self.dtype(id)? == DType::Bool)
    }

    /// Integer indices of an input into so many rows, in one row.
    pub(super) fn indices(&mut self, node: &Node, at: usize, rows: Rows) -> Result<Part, Refusal> {
        let id = self.required(node, at)?;
        if self.is_computed(id) {
            // Only integers that the host has can be checked.
            return Err(refuse("dtype", "indices are computed on the device"));
        }
        let part = self.given(id, Form::Indices(rows))?;
        if part.view.elem != Elem::I32 {
            return Err(refuse("dtype", "indices are `i64` or `i32`"));
        }
        let count = part.count();
        self.reshaped(part, vec![count])
    }
}
