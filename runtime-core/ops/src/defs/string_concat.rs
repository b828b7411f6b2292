//! `StringConcat`: the texts of two tensors put together, element by element, with broadcasting.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};
use remuda_tensor::Tensor;

use crate::support::elementwise::{broadcast_pair, broadcast_types};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "StringConcat",
    since: 20,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::STRING), InputDef::new("y", Types::STRING)],
    outputs: &[OutputDef::new("z")],
    attrs: &[],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: broadcast_types,
    reference,
    cases: include_str!("string_concat.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, y) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    let texts = x.texts().into_iter().zip(y.texts()).map(|(x, y)| format!("{x}{y}")).collect();
    Ok(vec![Tensor::from_strings(x.dims(), texts)?.into()])
}
