//! `NegativeLogLikelihoodLoss`: minus the logarithm that the target class has, weighted and reduced.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::Array;
use crate::support::likelihood::{loss_dims, negative_log_likelihood};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "NegativeLogLikelihoodLoss",
    since: 12,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("target", Types::INDEX).tied(""),
        InputDef::optional("weight", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("loss")],
    attrs: &[
        AttrDef::new("ignore_index", AttrKind::Int),
        AttrDef::new("reduction", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("negative_log_likelihood_loss.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, loss_dims(ctx)?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let logs = Array::of(ctx.tensor(0)?)?;
    let loss = negative_log_likelihood(ctx.attrs(), &logs, ctx.tensor(1)?, ctx.opt_tensor(2)?)?;
    Ok(vec![loss.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
