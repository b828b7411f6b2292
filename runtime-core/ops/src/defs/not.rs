//! Not: the negation of each truth value.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};
use remuda_tensor::Tensor;

use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Not",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::BOOL)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("not.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let values = x.to_vec::<bool>()?.into_iter().map(|x| !x).collect();
    Ok(vec![Tensor::from_vec::<bool>(x.dims(), values)?.into()])
}
