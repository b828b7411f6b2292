//! Operators of two and more operands, with broadcasting.

use remuda_sdk::ir::Node;
use remuda_sdk::tensor::{DType, bf16, f16};

use super::{Lowering, Refusal, attribute, number, refuse};
use crate::shaders::{Binary, Elem, Expr, Unary};

/// The operands that are there.
fn given(exprs: &[Option<Expr>]) -> Vec<Expr> {
    exprs.iter().flatten().cloned().collect()
}

/// The operands, of which there are so many.
fn exactly<const N: usize>(exprs: &[Option<Expr>]) -> Result<[Expr; N], Refusal> {
    let count = exprs.len();
    let all = given(exprs).try_into();
    all.map_err(|_| refuse("attribute", format!("{count} operands, expected {N}")))
}

pub(super) fn binary(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let op = match &*node.op.name {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Equal" => Binary::Equal,
        "Less" => Binary::Less,
        "LessOrEqual" => Binary::LessOrEqual,
        "Greater" => Binary::Greater,
        "GreaterOrEqual" => Binary::GreaterOrEqual,
        "And" => Binary::And,
        "Or" => Binary::Or,
        _ => Binary::Xor,
    };
    lowering.elementwise(node, |exprs| {
        let [a, b] = exactly(exprs)?;
        Ok(a.binary(op, b))
    })
}

/// One operand with an exponent of any number type.
pub(super) fn pow(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let exponent = lowering.required(node, 1)?;
    let whole = matches!(lowering.dtype(exponent)?, DType::I32 | DType::I64);
    let constant = lowering.scalar(node, 1).ok().flatten();
    lowering.elementwise(node, |exprs| {
        let [x, by] = exactly(exprs)?;
        Ok(match constant {
            Some(2.0) => x.clone().times(x),
            Some(0.5) => x.unary(Unary::Sqrt),
            _ => x.binary(Binary::Pow, if whole { by.cast(Elem::F32) } else { by }),
        })
    })
}

/// As many operands as there are, from left to right.
pub(super) fn many(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let op = match &*node.op.name {
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Add,
    };
    let mean = &*node.op.name == "Mean";
    lowering.elementwise(node, |exprs| {
        let all = given(exprs);
        let count = all.len();
        let folded = all.into_iter().reduce(|a, b| a.binary(op, b));
        let folded = folded.ok_or_else(|| refuse("attribute", "there are no operands"))?;
        Ok(if mean { folded.binary(Binary::Div, number(count as f32)) } else { folded })
    })
}

pub(super) fn choice(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    lowering.elementwise(node, |exprs| {
        let [condition, yes, no] = exactly(exprs)?;
        Ok(condition.select(yes, no))
    })
}

/// The least and the greatest finite number of a type of floats.
fn finite(dtype: DType) -> [f32; 2] {
    let most = match dtype {
        DType::F16 => f16::MAX.to_f32(),
        DType::BF16 => bf16::MAX.to_f32(),
        _ => f32::MAX,
    };
    [-most, most]
}

/// Bounds that may be tensors, or left out: then they are those of finite numbers.
pub(super) fn clip(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let [least, greatest] = finite(lowering.dtype(lowering.required(node, 0)?)?);
    lowering.elementwise(node, |exprs| {
        let bound =
            |at: usize, open: f32| exprs.get(at).cloned().flatten().unwrap_or_else(|| number(open));
        let x = exprs.first().cloned().flatten();
        let x = x.ok_or_else(|| refuse("attribute", "there is nothing to clip"))?;
        Ok(x.clip(bound(1, least), bound(2, greatest)))
    })
}

pub(super) fn prelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    lowering.elementwise(node, |exprs| {
        let [x, slope] = exactly(exprs)?;
        Ok(x.leaky_relu(slope))
    })
}

pub(super) fn swiglu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let alpha = node.attrs.float_or("alpha", 1.0).map_err(attribute)?;
    lowering.elementwise(node, |exprs| {
        let [gate, x] = exactly(exprs)?;
        Ok(gate.swish(alpha).times(x))
    })
}

pub(super) fn bias_gelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    lowering.elementwise(node, |exprs| {
        let [x, bias] = exactly(exprs)?;
        Ok(x.plus(bias).unary(Unary::Gelu))
    })
}

/// The bias may be left out.
pub(super) fn fast_gelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    lowering.elementwise(node, |exprs| {
        let sum = given(exprs).into_iter().reduce(Expr::plus);
        let sum = sum.ok_or_else(|| refuse("attribute", "there are no operands"))?;
        Ok(sum.unary(Unary::GeluByTanh))
    })
}

/// To floats and truth values; halves live as floats that were rounded.
pub(super) fn cast(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let from = lowering.dtype(lowering.required(node, 0)?)?;
    let missing = || refuse("attribute", "output 0 is left out");
    let to = lowering.dtype(node.output(0).ok_or_else(missing)?)?;
    lowering.elementwise(node, |exprs| {
        let x = exprs.first().cloned().flatten();
        let x = x.ok_or_else(|| refuse("attribute", "there is nothing to cast"))?;
        if to == DType::Bool {
            return Ok(x.cast(Elem::Bool));
        }
        let x = x.cast(Elem::F32);
        Ok(match to {
            DType::F16 if from != DType::F16 => x.unary(Unary::ToHalf),
            DType::BF16 if from != DType::BF16 => x.unary(Unary::ToBfloat),
            _ => x,
        })
    })
}
