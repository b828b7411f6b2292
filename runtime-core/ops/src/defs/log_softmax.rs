//! `LogSoftmax`: the logarithm of Softmax, without overflow.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Upgrade, Val,
};

use crate::support::activations::greater;
use crate::support::axes::{along_axis, upgrade_flattened_axis};
use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LogSoftmax",
    since: 1,
    upgrades: &[Upgrade { below: 13, apply: upgrade_flattened_axis }],
    inputs: &[InputDef::new("input", Types::FLOATS)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("log_softmax.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let axis = ctx.attrs().int_or("axis", -1)?;
    along_axis(ctx.tensor(0)?, axis, |line| {
        let max = line.iter().copied().fold(f64::NEG_INFINITY, greater);
        let log_sum = line.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
        line.iter_mut().for_each(|x| *x = *x - max - log_sum);
    })
}
