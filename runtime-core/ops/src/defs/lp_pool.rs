//! `LpPool`: the p-norm of each window.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Upgrade, Val,
};

use crate::support::norm::{norm_order, p_norm, upgrade_float_p};
use crate::support::pool::{infer_pool, pool_floats};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LpPool",
    since: 1,
    upgrades: &[Upgrade { below: 2, apply: upgrade_float_p }],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("ceil_mode", AttrKind::Int),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
        AttrDef::new("p", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: infer_pool,
    reference,
    cases: include_str!("lp_pool.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let p = norm_order(ctx.attrs())?;
    pool_floats(ctx, |under| p_norm(under.values(), p))
}
