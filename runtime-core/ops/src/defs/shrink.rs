//! Shrink: each element moved by `bias` toward zero, and zero within `lambd` of it. Integers truncate.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Shrink",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::NUMBERS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("bias", AttrKind::Float), AttrDef::new("lambd", AttrKind::Float)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("shrink.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (bias, lambd) = (
        f64::from(ctx.attrs().float_or("bias", 0.0)?),
        f64::from(ctx.attrs().float_or("lambd", 0.5)?),
    );
    let shrink = |x: f64| {
        if x < -lambd {
            x + bias
        } else if x > lambd {
            x - bias
        } else {
            0.0
        }
    };
    let tensor = ctx.tensor(0)?;
    let mut y = Array::of(tensor)?;
    y.values.iter_mut().for_each(|x| *x = shrink(*x));
    Ok(vec![y.to_numbers(tensor.dtype())?.into()])
}
