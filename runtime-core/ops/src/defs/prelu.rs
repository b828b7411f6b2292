//! `PRelu`: each element, below zero times a slope that broadcasts to the element's tensor.

use remuda_ir::{
    Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OpName, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::elementwise::{join_dims, zip_pair};
use crate::support::upgrades::{drop_consumed_inputs, known_rank};

const TYPES: Types =
    Types::FLOATS.or(Types::INDEX).or(Types::one(DType::U32)).or(Types::one(DType::U64));

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "PRelu",
    since: 1,
    upgrades: &[
        Upgrade { below: 6, apply: drop_consumed_inputs },
        Upgrade { below: 7, apply: align_slope_to_channels },
    ],
    inputs: &[InputDef::new("x", TYPES), InputDef::new("slope", TYPES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("prelu.cases"),
};

/// Before opset 7, a slope of one dimension held one slope for each channel: axis 1 of `x`.
fn align_slope_to_channels(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let Some(slope) = draft.node.input(1).filter(|_| known_rank(draft, 1) == Some(1)) else {
        return Ok(());
    };
    let rank = known_rank(draft, 0).ok_or_else(|| {
        OpError::unsupported("input `slope` of an opset below 7 with an `x` of unknown rank")
    })?;
    let axes = (1..rank.saturating_sub(1) as i64).collect();
    let axes = draft.constant(Tensor::vector::<i64>(axes));
    let wider = draft.before(OpName::onnx("Unsqueeze"), &[slope, axes], Attrs::default());
    draft.node.inputs[1] = Some(wider);
    Ok(())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    if let (Some(x), Some(slope)) = (ctx.dims(0)?, ctx.dims(1)?) {
        let joined = join_dims(x, slope)?;
        let grows = |(joined, x): (&Dim, &Dim)| joined.differs(x);
        if slope.len() > x.len() || joined.iter().zip(x).any(grows) {
            return Err(OpError::Invalid(format!(
                "`slope` of {} does not broadcast to `x` of {}",
                DisplayDims(slope),
                DisplayDims(x)
            )));
        }
    }
    Ok(vec![Inferred::from(ctx.ty(0)?.clone())])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let slope = ctx.tensor(1)?.broadcast_to(x.dims())?;
    zip_pair(
        x,
        &slope,
        |x, slope| if x < 0.0 { x * slope } else { x },
        |x, slope| Ok(if x < 0 { x * slope } else { x }),
    )
}
