//! `BitShift`: integers shifted by the bits that a second tensor says, with broadcasting.
//! Signed ones keep their sign to the right; an amount that is negative or not below the width
//! shifts every bit out.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::elementwise::{broadcast_types, zip_ints};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "BitShift",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::INTS), InputDef::new("b", Types::INTS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[AttrDef::required("direction", AttrKind::Text)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: broadcast_types,
    reference,
    cases: include_str!("bit_shift.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let left = match ctx.attrs().text("direction")? {
        Some("LEFT") => true,
        Some("RIGHT") => false,
        other => {
            let got = other.unwrap_or("nothing");
            let text = format!("attribute `direction` expected `LEFT` or `RIGHT`, got `{got}`");
            return Err(OpError::Invalid(text));
        }
    };
    let bits = ctx.tensor(0)?.dtype().bits() as i128;
    zip_ints(ctx, |x, by| match (left, (0..bits).contains(&by)) {
        (true, true) => x << by,
        (true, false) => 0,
        (false, true) => x >> by,
        (false, false) => x >> bits,
    })
}
