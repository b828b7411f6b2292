//! `CastLike`: each element converted to the dtype of a second tensor.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Val,
};

use super::cast::{CASTABLE, infer_as, rounding};
use crate::support::convert::convert;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "CastLike",
    since: 15,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", CASTABLE).tied(""),
        InputDef::new("target_type", CASTABLE).tied(""),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("round_mode", AttrKind::Text), AttrDef::new("saturate", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: |ctx| infer_as(ctx, ctx.dtype(1)?),
    reference,
    cases: include_str!("cast_like.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let to = ctx.tensor(1)?.dtype();
    Ok(vec![convert(ctx.tensor(0)?, to, rounding(ctx.attrs())?)?.into()])
}
