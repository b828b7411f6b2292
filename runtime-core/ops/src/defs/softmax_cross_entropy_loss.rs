//! `SoftmaxCrossEntropyLoss`: the negative log likelihood of target classes after a softmax over the
//! classes, whose logarithm is the second output.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::Array;
use crate::support::likelihood::{loss_dims, negative_log_likelihood};
use crate::support::normalize::channels_of;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SoftmaxCrossEntropyLoss",
    since: 12,
    upgrades: &[],
    inputs: &[
        InputDef::new("scores", Types::FLOATS),
        InputDef::new("labels", Types::INDEX).tied(""),
        InputDef::optional("weights", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::optional("log_prob")],
    attrs: &[
        AttrDef::new("ignore_index", AttrKind::Int),
        AttrDef::new("reduction", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(2.0),
    infer,
    reference,
    cases: include_str!("softmax_cross_entropy_loss.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let logs = Inferred::maybe(ctx.dtype(0)?, ctx.dims(0)?.map(<[_]>::to_vec));
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, loss_dims(ctx)?), logs])
}

/// The logarithm of the softmax along axis 1.
fn log_softmax(scores: &Array, classes: usize) -> Array {
    let plane: usize = scores.dims[2..].iter().product();
    let mut logs = scores.clone();
    for block in logs.values.chunks_mut((classes * plane).max(1)) {
        for start in 0..plane {
            let line = || (0..classes).map(|class| start + class * plane);
            let most = line().map(|at| block[at]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = line().map(|at| (block[at] - most).exp()).sum();
            line().for_each(|at| block[at] -= most + sum.ln());
        }
    }
    logs
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let scores = Array::of(ctx.tensor(0)?)?;
    let dtype = ctx.tensor(0)?.dtype();
    let logs = log_softmax(&scores, channels_of(&scores)?);
    let loss = negative_log_likelihood(ctx.attrs(), &logs, ctx.tensor(1)?, ctx.opt_tensor(2)?)?;
    Ok(vec![loss.to_floats(dtype)?.into(), logs.to_floats(dtype)?.into()])
}
