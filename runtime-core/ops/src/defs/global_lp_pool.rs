//! `GlobalLpPool`: the p-norm of each channel.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Upgrade, Val,
};

use crate::support::norm::{norm_order, p_norm, upgrade_float_p};
use crate::support::pool::{infer_global, pool_globally};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GlobalLpPool",
    since: 1,
    upgrades: &[Upgrade { below: 2, apply: upgrade_float_p }],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("p", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: infer_global,
    reference,
    cases: include_str!("global_lp_pool.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let p = norm_order(ctx.attrs())?;
    pool_globally(ctx, |channel| p_norm(channel.iter().copied(), p))
}
