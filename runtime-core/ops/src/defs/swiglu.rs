//! `SwiGLU`: the Swish of a gate times a value, element by element; both have the same dimensions.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::activations::sigmoid;
use crate::support::elementwise::zip_numbers;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SwiGLU",
    since: 28,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::FLOATS), InputDef::new("b", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("alpha", AttrKind::Float)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("swiglu.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    if let (Some(a), Some(b)) = (ctx.dims(0)?, ctx.dims(1)?) {
        let apart = |(a, b): (&Dim, &Dim)| a.differs(b);
        if a.len() != b.len() || a.iter().zip(b).any(apart) {
            return Err(OpError::Invalid(format!(
                "`a` of {} and `b` of {} differ",
                DisplayDims(a),
                DisplayDims(b)
            )));
        }
    }
    Ok(vec![Inferred::from(ctx.ty(0)?.clone())])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (a, b) = (ctx.tensor(0)?.dims(), ctx.tensor(1)?.dims());
    if a != b {
        return Err(OpError::Invalid(format!("`a` of {a:?} and `b` of {b:?} differ")));
    }
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.0)?);
    zip_numbers(ctx, |a, b| a * sigmoid(alpha * a) * b, |a, _| Ok(a))
}
