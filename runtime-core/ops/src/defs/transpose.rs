//! Transpose: the axes in another order; by default reversed.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::index::{Offsets, contiguous_strides};

use crate::support::axes::gather_flat;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Transpose",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("data", Types::ANY)],
    outputs: &[OutputDef::new("transposed")],
    attrs: &[AttrDef::new("perm", AttrKind::Ints)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("transpose.cases"),
};

fn order(attrs: &Attrs, rank: usize) -> Result<Vec<usize>, OpError> {
    let Some(perm) = attrs.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let axes = perm.iter().map(|&axis| usize::try_from(axis)).collect::<Result<Vec<_>, _>>();
    let mut sorted = axes.clone().unwrap_or_default();
    sorted.sort_unstable();
    match axes {
        Ok(axes) if sorted == (0..rank).collect::<Vec<_>>() => Ok(axes),
        _ => Err(OpError::Invalid(format!(
            "attribute `perm` {perm:?} is no permutation of {rank} axes"
        ))),
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let order = order(ctx.attrs(), dims.len())?;
    let content = ctx.content(0).filter(|_| dims.len() <= 1);
    Ok(vec![
        Inferred::tensor(dtype, order.into_iter().map(|axis| dims[axis].clone()))
            .with_content(content),
    ])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let order = order(ctx.attrs(), x.rank())?;
    let dims: Vec<usize> = order.iter().map(|&axis| x.dims()[axis]).collect();
    let strides = contiguous_strides(x.dims());
    let strides: Vec<isize> = order.iter().map(|&axis| strides[axis]).collect();
    Ok(vec![gather_flat(x, dims.clone(), Offsets::new(&dims, &strides, 0))?.into()])
}
