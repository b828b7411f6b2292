//! `CumSum`: running sums along an axis, from the start or (`reverse`) the end, with the
//! element at each place or (`exclusive`) without it. Integers wrap.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::axes::along_axis_numbers;
use crate::support::elementwise::same_as_first;
use crate::support::reduce::{REDUCIBLE, running};
use crate::support::scalar_i64;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "CumSum",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("x", REDUCIBLE), InputDef::new("axis", Types::INDEX).tied("")],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("exclusive", AttrKind::Int), AttrDef::new("reverse", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("cum_sum.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let exclusive = ctx.attrs().bool_or("exclusive", false)?;
    let reverse = ctx.attrs().bool_or("reverse", false)?;
    along_axis_numbers(
        ctx.tensor(0)?,
        scalar_i64(ctx.tensor(1)?)?,
        |line| running(line, 0.0, exclusive, reverse, |a, b| a + b),
        |line| running(line, 0, exclusive, reverse, i128::wrapping_add),
    )
}
