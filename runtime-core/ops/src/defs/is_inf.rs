//! `IsInf`: which elements are infinite, of both signs or one.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::elementwise::{test_elements, truth_of_first};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "IsInf",
    since: 10,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS.or(Types::SMALL_FLOATS))],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("detect_negative", AttrKind::Int),
        AttrDef::new("detect_positive", AttrKind::Int),
    ],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer: truth_of_first,
    reference,
    cases: include_str!("is_inf.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let negative = ctx.attrs().bool_or("detect_negative", true)?;
    let positive = ctx.attrs().bool_or("detect_positive", true)?;
    test_elements(ctx, |x| x.is_infinite() && if x < 0.0 { negative } else { positive })
}
