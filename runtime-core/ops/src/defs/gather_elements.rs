//! `GatherElements:` for each place of `indices`, the element of `data` at the same place but for the axis,
//! where it is the index.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::axes::{element_places, gather_flat, resolve_axis};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GatherElements",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("data", Types::ANY),
        InputDef::new("indices", Types::INDEX).tied("Tind"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("gather_elements.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, ctx.dims(1)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (data, indices) = (ctx.tensor(0)?, ctx.tensor(1)?);
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, data.rank())?;
    let places = element_places(data.dims(), indices, axis)?;
    Ok(vec![gather_flat(data, indices.dims().to_vec(), places.into_iter())?.into()])
}
