//! `LessOrEqual`: which elements of a tensor are at or below those of another, with
//! broadcasting.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::contents::{compare_with_content, is_less};
use crate::support::elementwise::compare_numbers;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LessOrEqual",
    since: 12,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::NUMBERS), InputDef::new("b", Types::NUMBERS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: |ctx| compare_with_content(ctx, |a, b| is_less(b, a).map(|less| !less)),
    reference,
    cases: include_str!("less_or_equal.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    compare_numbers(ctx, f64::le, i128::le)
}
