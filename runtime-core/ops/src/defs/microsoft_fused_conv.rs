//! `FusedConv` of com.microsoft: a convolution, a sum with `z`, and an activation, in one.

use remuda_ir::{
    Attr, AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::compose::{activate, add, step};
use crate::support::convolve::conv_dims;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "FusedConv",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
        InputDef::optional("z", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("activation", AttrKind::Text),
        AttrDef::new("activation_params", AttrKind::Floats),
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::new("group", AttrKind::Int),
        AttrDef::new("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("microsoft_fused_conv.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, conv_dims(ctx, 0, 1)?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut attrs = ctx.attrs().clone();
    let activation = attrs.take("activation").unwrap_or_else(|| Attr::Text(String::new()));
    attrs.take("activation_params");
    let inputs = ctx.inputs.iter().take(3).cloned().collect();
    let y = add(step("Conv", attrs, inputs)?, ctx.opt_val(3))?;
    // No activation is also written as an empty name.
    if activation == Attr::Text(String::new()) {
        return Ok(vec![y]);
    }
    Ok(vec![activate(y, ctx.attrs())?])
}
