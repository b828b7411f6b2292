//! `Binarizer`: 1 for elements above `threshold`, 0 for others.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Val,
};

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;
use crate::support::ml::FEATURES;

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "Binarizer",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("threshold", AttrKind::Float)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("binarizer.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let threshold = f64::from(ctx.attrs().float_or("threshold", 0.0)?);
    let x = ctx.tensor(0)?;
    let mut y = Array::of(x)?;
    y.values.iter_mut().for_each(|x| *x = f64::from(u8::from(*x > threshold)));
    Ok(vec![y.to_numbers(x.dtype())?.into()])
}
