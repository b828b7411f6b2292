//! Equal: which elements of two tensors are the same, with broadcasting. `NaN` equals nothing.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::contents::{compare_with_content, is_equal};
use crate::support::elementwise::{
    broadcast_pair, compare_numbers, upgrade_axis_broadcast, zip_bools,
};

const TYPES: Types = Types::NUMBERS.or(Types::BOOL).or(Types::STRING);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Equal",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_axis_broadcast }],
    inputs: &[InputDef::new("a", TYPES), InputDef::new("b", TYPES)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: |ctx| compare_with_content(ctx, is_equal),
    reference,
    cases: include_str!("equal.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    match ctx.tensor(0)?.dtype() {
        DType::String => equal_texts(ctx),
        DType::Bool => zip_bools(ctx, |a, b| a == b),
        _ => compare_numbers(ctx, f64::eq, i128::eq),
    }
}

fn equal_texts(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (a, b) = broadcast_pair(ctx.tensor(0)?, ctx.tensor(1)?)?;
    let answers = a.texts().iter().zip(b.texts()).map(|(a, b)| *a == b).collect();
    Ok(vec![Tensor::from_vec::<bool>(a.dims(), answers)?.into()])
}
