//! Sums, differences, products, quotients and powers, with broadcasting.

use remuda_sdk::ir::Node;

use super::Lowering;
use crate::api::{Binary, Refusal, T, Unary, refuse};

pub(super) fn binary(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let op = match &*node.op.name {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        _ => Binary::Div,
    };
    let (a, b) = (lowering.float(node, 0)?, lowering.float(node, 1)?);
    let ne = lowering.ne_out(node, 0)?;
    let y = lowering.combined(op, a, b, ne)?;
    lowering.set(node, 0, y)
}

/// Powers with a constant exponent that is a square, a root or nothing.
pub(super) fn pow(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let op = match lowering.scalar(node, 1)? {
        Some(2.0) => Unary::Square,
        Some(0.5) => Unary::Sqrt,
        _ => return Err(refuse("attribute", "ggml has powers of 2 and 0.5 only")),
    };
    let x = lowering.float(node, 0)?;
    let y = lowering.context.unary(op, x)?;
    lowering.set_shaped(node, 0, y)
}

impl Lowering<'_> {
    /// Two tensors combined element by element, both repeated to these sizes.
    pub(super) fn combined(&self, op: Binary, a: T, b: T, ne: [i64; 4]) -> Result<T, Refusal> {
        let context = &self.context;
        let (a, b) = (context.rows(a)?, context.rows(b)?);
        if a.ne() == ne {
            return context.binary(op, a, b);
        }
        if b.ne() == ne && matches!(op, Binary::Add | Binary::Mul) {
            return context.binary(op, b, a);
        }
        let a = context.repeat(a, ne)?;
        context.binary(op, a, b)
    }

    /// `a` plus or times something that repeats to it.
    pub(super) fn onto(&self, op: Binary, a: T, b: T) -> Result<T, Refusal> {
        self.combined(op, a, b, a.ne())
    }
}
