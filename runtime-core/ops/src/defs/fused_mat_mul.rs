//! `FusedMatMul`: `alpha` times a product of matrices that may be transposed.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::array::Array;
use crate::support::matmul::{matmul, matmul_dims};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "FusedMatMul",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::FLOATS),
        InputDef::new("b", Types::FLOATS.or(Types::BLOCK)).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("alpha", AttrKind::Float),
        AttrDef::new("transA", AttrKind::Int),
        AttrDef::new("transB", AttrKind::Int),
        AttrDef::new("transBatchA", AttrKind::Int),
        AttrDef::new("transBatchB", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("fused_mat_mul.cases"),
};

/// How the axes of one side are exchanged.
fn order(attrs: &Attrs, rank: usize, trans: &str, batch: &str) -> Result<Vec<usize>, OpError> {
    let mut axes: Vec<usize> = (0..rank).collect();
    if rank < 2 {
        return Ok(axes);
    }
    if attrs.bool_or(batch, false)? && rank > 2 {
        // The first axis moves behind the other batch axes.
        axes[..rank - 1].rotate_left(1);
    }
    if attrs.bool_or(trans, false)? {
        axes.swap(rank - 2, rank - 1);
    }
    Ok(axes)
}

const SIDES: [(&str, &str); 2] = [("transA", "transBatchA"), ("transB", "transBatchB")];

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let mut sides = Vec::new();
    for (at, (trans, batch)) in SIDES.into_iter().enumerate() {
        let Some(dims) = ctx.dims(at)? else {
            return Ok(vec![Inferred::maybe(ctx.dtype(0)?, None)]);
        };
        let order = order(ctx.attrs(), dims.len(), trans, batch)?;
        sides.push(order.into_iter().map(|axis| dims[axis].clone()).collect::<Vec<Dim>>());
    }
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, matmul_dims(&sides[0], &sides[1])?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let side = |at: usize| -> Result<Array, OpError> {
        let array = Array::of(ctx.tensor(at)?)?;
        let (trans, batch) = SIDES[at];
        let order = order(ctx.attrs(), array.dims.len(), trans, batch)?;
        array.permuted(&order)
    };
    let mut y = matmul(&side(0)?, &side(1)?)?;
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.0)?);
    y.values.iter_mut().for_each(|value| *value *= alpha);
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
