//! `IsNaN`: which elements are `NaN`.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::elementwise::{test_elements, truth_of_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "IsNaN",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS.or(Types::SMALL_FLOATS))],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: truth_of_first,
    reference,
    cases: include_str!("is_nan.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    test_elements(ctx, f64::is_nan)
}
