//! Sign: -1, 0 or 1 as each element is below, at or above zero; `NaN` stays `NaN`.

use remuda_ir::{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val};

use crate::support::elementwise::{map_numbers, same_as_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Sign",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::NUMBERS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("sign.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let float = |x: f64| if x == 0.0 || x.is_nan() { x } else { x.signum() };
    map_numbers(ctx.tensor(0)?, float, i128::signum)
}
