//! Sums and means along axes, and softmax.

use remuda_sdk::ir::{Node, resolve_axis};

use super::{Lowering, attribute, axis_of};
use crate::api::{Refusal, T, Unary, refuse};

pub(super) fn mean(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    let rows = lowering.reduced(node, x)?;
    let y = lowering.context.mean_rows(rows)?;
    lowering.set_shaped(node, 0, y)
}

pub(super) fn sum(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    let rows = lowering.reduced(node, x)?;
    let y = lowering.context.sum_rows(rows)?;
    lowering.set_shaped(node, 0, y)
}

pub(super) fn sum_square(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let y = lowering.squares(node)?;
    lowering.set_shaped(node, 0, y)
}

pub(super) fn l2(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let squares = lowering.squares(node)?;
    let y = lowering.context.unary(Unary::Sqrt, squares)?;
    lowering.set_shaped(node, 0, y)
}

impl Lowering<'_> {
    fn squares(&mut self, node: &Node) -> Result<T, Refusal> {
        let x = self.float(node, 0)?;
        let x = self.context.unary(Unary::Square, x)?;
        let rows = self.reduced(node, x)?;
        self.context.sum_rows(rows)
    }

    /// The elements that become one in one row.
    fn reduced(&self, node: &Node, x: T) -> Result<T, Refusal> {
        let rank = self.dims_in(node, 0)?.len();
        let axes = self.ints(node, 1)?.unwrap_or_default();
        let noop = node.attrs.bool_or("noop_with_empty_axes", false).map_err(attribute)?;
        if axes.is_empty() && noop {
            return Err(refuse("attribute", "nothing is reduced"));
        }
        let mut gone = [axes.is_empty(); 4];
        for &axis in &axes {
            let axis = resolve_axis(axis, rank).map_err(attribute)?;
            gone[rank - 1 - axis] = true;
        }
        // Axes that go come first, in their order; the others follow in theirs.
        let count = gone.iter().filter(|&&gone| gone).count();
        let (mut front, mut back) = (0, count);
        let mut places = [0; 4];
        for (axis, place) in places.iter_mut().enumerate() {
            let next = if gone[axis] { &mut front } else { &mut back };
            *place = *next;
            *next += 1;
        }
        let moved = self.context.permute(x, places)?;
        let moved = self.context.together(moved)?;
        let width: i64 = moved.ne()[..count].iter().product();
        self.context.reshape(moved, [width, x.elements() / width.max(1), 1, 1])
    }
}

pub(super) fn softmax(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let rank = lowering.dims_in(node, 0)?.len();
    let axis = axis_of(node.attrs.int_or("axis", -1).map_err(attribute)?, rank)?;
    let x = lowering.float(node, 0)?;
    let context = &lowering.context;
    let y = if axis == 0 {
        context.soft_max(x, None, 1.0)?
    } else {
        let mut places = [0, 1, 2, 3];
        places.swap(0, axis);
        let moved = context.copied(context.permute(x, places)?)?;
        let y = context.soft_max(moved, None, 1.0)?;
        context.together(context.permute(y, places)?)?
    };
    lowering.set(node, 0, y)
}
