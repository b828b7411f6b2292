//! `QLinearSigmoid`: the sigmoid of a quantised tensor, quantised again.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};
use remuda_tensor::DType;

use crate::support::activations::sigmoid;
use crate::support::elementwise::same_as_first;
use crate::support::quantize::{dequantized, requantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearSigmoid",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::BYTES),
        InputDef::new("x_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("x_zero_point", Types::BYTES),
        InputDef::new("y_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("y_zero_point", Types::BYTES),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("qlinear_sigmoid.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = dequantized(ctx, [0, 1, 2])?;
    x.values.iter_mut().for_each(|value| *value = sigmoid(*value));
    requantized(ctx, x, [3, 4], ctx.tensor(0)?.dtype())
}
