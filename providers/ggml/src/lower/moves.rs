//! Operators that move elements and compute nothing.

use remuda_sdk::ir::Node;
use remuda_sdk::tensor::DType;

use super::{Lowering, Rows, attribute, axis_of};
use crate::api::{Refusal, T, refuse};
use crate::lower::Form;

pub(super) fn same(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.attrs.bool_or("training_mode", false).map_err(attribute)? || node.input(2).is_some() {
        return Err(refuse("attribute", "ggml does not train"));
    }
    if node.input(1).is_some() && lowering.dims_in(node, 1)?.iter().any(|&dim| dim != 1) {
        return Err(refuse("attribute", "the ratio is not one number"));
    }
    let x = lowering.float(node, 0)?;
    lowering.set(node, 0, x)
}

/// Integers that the caller gives, or floats of 32 bits, as floats of 32 bits.
pub(super) fn cast(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let id = lowering.required(node, 0)?;
    let t = match lowering.dtype(id)? {
        DType::I64 | DType::I32 if lowering.constant(id).is_none() => lowering.numbers(node, 0)?,
        _ => lowering.float(node, 0)?,
    };
    lowering.set(node, 0, t)
}

/// Other dimensions for the same elements: which ones, inference has found.
pub(super) fn reshape(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    lowering.set_shaped(node, 0, x)
}

/// Repeated to dimensions that inference has found.
pub(super) fn expand(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    let y = lowering.context.repeat(x, lowering.ne_out(node, 0)?)?;
    lowering.set(node, 0, y)
}

pub(super) fn transpose(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let rank = lowering.dims_in(node, 0)?.len();
    let reversed: Vec<i64> = (0..rank).rev().map(|axis| axis.try_into().unwrap_or(0)).collect();
    let order = node.attrs.ints("perm").map_err(attribute)?.unwrap_or(&reversed);
    let mut places = [0, 1, 2, 3];
    for (to, &from) in order.iter().enumerate() {
        // Axis `from` of the input is axis `to` of the output.
        let place = places.get_mut(axis_of(from, rank)?);
        let place = place.ok_or_else(|| refuse("rank", "ggml has 4 dimensions"))?;
        *place = rank - 1 - to.min(rank - 1);
    }
    let x = lowering.float(node, 0)?;
    let y = lowering.context.permute(x, places)?;
    let y = lowering.context.together(y)?;
    lowering.set(node, 0, y)
}

pub(super) fn concat(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let rank = lowering.dims_in(node, 0)?.len();
    let axis = axis_of(node.attrs.int_or("axis", 0).map_err(attribute)?, rank)?;
    let mut y = lowering.float(node, 0)?;
    for at in 1..node.inputs.len() {
        let next = lowering.float(node, at)?;
        y = lowering.context.concat(y, next, axis)?;
    }
    lowering.set(node, 0, y)
}

pub(super) fn split(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let dims = lowering.dims_in(node, 0)?;
    let axis = axis_of(node.attrs.int_or("axis", 0).map_err(attribute)?, dims.len())?;
    let x = lowering.float(node, 0)?;
    let mut start = [0; 4];
    if node.outputs.iter().any(Option::is_none) {
        return Err(refuse("attribute", "parts that nobody wants have no known size"));
    }
    for at in 0..node.outputs.len() {
        let ne = lowering.ne_out(node, at)?;
        let part = lowering.context.cut(x, start, ne, [1; 4])?;
        let part = lowering.context.together(part)?;
        lowering.set(node, at, part)?;
        start[axis] += ne[axis];
    }
    Ok(())
}

pub(super) fn slice(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let dims = lowering.dims_in(node, 0)?;
    let missing = || refuse("attribute", "starts are left out");
    let starts = lowering.ints(node, 1)?.ok_or_else(missing)?;
    let count = i64::try_from(starts.len()).unwrap_or(0);
    let axes = lowering.ints(node, 3)?.unwrap_or_else(|| (0..count).collect());
    let steps = lowering.ints(node, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let (mut start, mut step) = ([0; 4], [1; 4]);
    for ((&from, &axis), &by) in starts.iter().zip(&axes).zip(&steps) {
        if by < 1 {
            return Err(refuse("attribute", format!("ggml takes no steps of {by}")));
        }
        let axis = axis_of(axis, dims.len())?;
        let size = i64::try_from(dims[dims.len() - 1 - axis]).unwrap_or(i64::MAX);
        let place = start.get_mut(axis).ok_or_else(|| refuse("rank", "ggml has 4 dimensions"))?;
        *place = if from < 0 { from.saturating_add(size) } else { from }.clamp(0, size);
        step[axis] = by;
    }
    let x = lowering.float(node, 0)?;
    let y = lowering.context.cut(x, start, lowering.ne_out(node, 0)?, step)?;
    let y = lowering.context.together(y)?;
    lowering.set(node, 0, y)
}

pub(super) fn pad(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let mode = node.attrs.text_or("mode", "constant").map_err(attribute)?;
    let value = lowering.scalar(node, 2)?.unwrap_or(0.0);
    if mode != "constant" || value != 0.0 {
        return Err(refuse("attribute", format!("ggml pads with zeros, not {mode} {value}")));
    }
    let rank = lowering.dims_in(node, 0)?.len();
    let missing = || refuse("attribute", "pads are left out");
    let pads = lowering.ints(node, 1)?.ok_or_else(missing)?;
    let axes = lowering.ints(node, 3)?;
    let axes = axes.unwrap_or_else(|| (0..i64::try_from(rank).unwrap_or(0)).collect());
    let mut both = [(0, 0); 4];
    for (at, &axis) in axes.iter().enumerate() {
        let (Some(&front), Some(&back)) = (pads.get(at), pads.get(at + axes.len())) else {
            return Err(refuse("attribute", "pads and axes do not fit each other"));
        };
        let place = both.get_mut(axis_of(axis, rank)?);
        *place.ok_or_else(|| refuse("rank", "ggml has 4 dimensions"))? = (front, back);
    }
    let x = lowering.float(node, 0)?;
    let y = lowering.context.pad(x, both)?;
    lowering.set(node, 0, y)
}

/// Rows of a table, which may be in a block format.
pub(super) fn gather(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let dims = lowering.dims_in(node, 0)?;
    let axis = node.attrs.int_or("axis", 0).map_err(attribute)?;
    if axis_of(axis, dims.len())? + 1 != dims.len() {
        return Err(refuse("attribute", "ggml picks along the first axis only"));
    }
    let table = lowering.table(node, dims[0])?;
    let indices = lowering.indices(node, 1, Rows { count: dims[0], wraps: true })?;
    let y = lowering.context.get_rows(table, indices)?;
    lowering.set_shaped(node, 0, y)
}

impl Lowering<'_> {
    /// The first input as rows to pick from.
    fn table(&mut self, node: &Node, rows: usize) -> Result<T, Refusal> {
        let id = self.required(node, 0)?;
        let t = match self.constant(id) {
            Some(tensor) if tensor.rank() == 2 => self.constant_raw(id, Form::Table)?,
            _ => self.float(node, 0)?,
        };
        if t.ne()[2..] == [1, 1] && self.dims(id)?.len() == 2 {
            return Ok(t);
        }
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.context.reshape(t, [t.elements() / rows.max(1), rows, 1, 1])
    }
}
