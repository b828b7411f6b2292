//! Mod: the remainder of a division, element by element, with broadcasting. It has the sign of
//! the divisor, or with `fmod` that of the dividend; dividing an integer by zero is an error.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::elementwise::{broadcast_types, zip_numbers};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Mod",
    since: 10,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::NUMBERS), InputDef::new("b", Types::NUMBERS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[AttrDef::new("fmod", AttrKind::Int)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: broadcast_types,
    reference,
    cases: include_str!("modulo.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let fmod = ctx.attrs().bool_or("fmod", false)?;
    let zero = || OpError::invalid("an integer is divided by zero");
    if fmod {
        return zip_numbers(ctx, |a, b| a % b, |a, b| a.checked_rem(b).ok_or_else(zero));
    }
    zip_numbers(ctx, floor_mod, |a, b| {
        a.checked_rem(b).map(|r| with_sign_of(r, b)).ok_or_else(zero)
    })
}

/// The float remainder with the sign of the divisor, zero included.
fn floor_mod(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        rest.copysign(b)
    } else if (rest < 0.0) == (b < 0.0) {
        rest
    } else {
        rest + b
    }
}

/// The integer remainder moved to the sign of the divisor.
fn with_sign_of(rest: i128, divisor: i128) -> i128 {
    if rest != 0 && (rest < 0) != (divisor < 0) { rest + divisor } else { rest }
}
