//! Flatten: two dimensions, the product of those in front of `axis` and the product of the rest.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Flatten",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int)],
    traits: Traits::VIEW,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("flatten.cases"),
};

/// Where the dimensions are cut; the end is a legal place.
fn cut(attrs: &Attrs, rank: usize) -> Result<usize, OpError> {
    let axis = attrs.int_or("axis", 1)?;
    let shifted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(shifted).ok().filter(|&axis| axis <= rank).ok_or_else(|| {
        OpError::Invalid(format!("axis {axis} is outside a tensor of {rank} dimensions"))
    })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let Some(dims) = ctx.dims(0)? else {
        return Ok(vec![Inferred::tensor(ctx.dtype(0)?, [Dim::Unknown, Dim::Unknown])]);
    };
    let (front, back) = dims.split_at(cut(ctx.attrs(), dims.len())?);
    let product = |dims: &[Dim]| dims.iter().fold(Dim::Known(1), |product, dim| product.mul(dim));
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [product(front), product(back)])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let (front, back) = x.dims().split_at(cut(ctx.attrs(), x.rank())?);
    Ok(vec![x.reshape([front.iter().product(), back.iter().product()])?.into()])
}
