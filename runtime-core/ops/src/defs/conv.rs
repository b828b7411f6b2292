//! Conv: convolution over any number of spatial axes, with groups, strides, dilations and padding.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::Array;
use crate::support::convolve::{conv_dims, convolve};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Conv",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::new("group", AttrKind::Int),
        AttrDef::new("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("conv.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, conv_dims(ctx, 0, 1)?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, w) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let bias = Array::of_optional(ctx.opt_tensor(2)?)?;
    let y = convolve(ctx.attrs(), &x, &w, bias.as_ref())?;
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
