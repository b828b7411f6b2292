//! `AveragePool`: the mean of each window. Padding counts as zeros only with `count_include_pad`; what
//! `ceil_mode` lets a window reach beyond the padding never counts.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::pool::{infer_pool, pool_floats};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "AveragePool",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("ceil_mode", AttrKind::Int),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
        AttrDef::new("count_include_pad", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: infer_pool,
    reference,
    cases: include_str!("average_pool.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let include_pads = ctx.attrs().bool_or("count_include_pad", false)?;
    pool_floats(ctx, |under| {
        let count = if include_pads { under.padded } else { under.offsets.len() as f64 };
        under.values().sum::<f64>() / count
    })
}
