//! Greater: which elements of a tensor are above those of another, with broadcasting.

use remuda_ir::{
    InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};

use crate::support::contents::{compare_with_content, is_less};
use crate::support::elementwise::{compare_numbers, upgrade_axis_broadcast};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Greater",
    since: 1,
    upgrades: &[Upgrade { below: 7, apply: upgrade_axis_broadcast }],
    inputs: &[InputDef::new("a", Types::NUMBERS), InputDef::new("b", Types::NUMBERS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: |ctx| compare_with_content(ctx, |a, b| is_less(b, a)),
    reference,
    cases: include_str!("greater.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    compare_numbers(ctx, f64::gt, i128::gt)
}
