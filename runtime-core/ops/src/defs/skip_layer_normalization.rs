//! `SkipLayerNormalization`: normalises the sum of an input, a skip connection and a bias.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::Array;
use crate::support::skip_norm::{SkipNorm, add_input, infer_skip_norm};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "SkipLayerNormalization",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("skip", Types::FLOATS),
        InputDef::new("gamma", Types::FLOATS),
        InputDef::optional("beta", Types::FLOATS),
        InputDef::optional("bias", Types::FLOATS),
    ],
    outputs: &[
        OutputDef::new("output"),
        OutputDef::optional("mean"),
        OutputDef::optional("inv_std_var"),
        OutputDef::optional("input_skip_bias_sum"),
    ],
    attrs: &[AttrDef::new("epsilon", AttrKind::Float)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer: infer_skip_norm,
    reference,
    cases: include_str!("skip_layer_normalization.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut sum = Array::of(ctx.tensor(0)?)?;
    add_input(&mut sum, Some(ctx.tensor(1)?), "skip")?;
    add_input(&mut sum, ctx.opt_tensor(4)?, "bias")?;
    let (gamma, beta) = (ctx.tensor(2)?, ctx.opt_tensor(3)?);
    SkipNorm { sum, gamma, beta, center: true }.run(ctx.attrs(), ctx.tensor(0)?.dtype())
}
