//! `InstanceNormalization`: normalises each channel of each image by its own statistics.

use remuda_ir::{
    AttrDef, AttrKind, Draft, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits,
    Types, Upgrade, Val,
};

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;
use crate::support::normalize::{
    channel_vector, channels_of, normalize_chunks, read_epsilon, scale_channels,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "InstanceNormalization",
    since: 1,
    upgrades: &[Upgrade {
        below: 6,
        apply: |draft: &mut Draft<'_>| {
            draft.node.attrs.take("consumed_inputs");
            Ok(())
        },
    }],
    inputs: &[
        InputDef::new("input", Types::FLOATS),
        InputDef::new("scale", Types::FLOATS),
        InputDef::new("b", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("epsilon", AttrKind::Float)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer: same_as_first,
    reference,
    cases: include_str!("instance_normalization.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    let channels = channels_of(&x)?;
    let scale = channel_vector(ctx.tensor(1)?, "scale", channels)?;
    let bias = channel_vector(ctx.tensor(2)?, "b", channels)?;
    let plane = x.dims[2..].iter().product();
    normalize_chunks(&mut x.values, plane, read_epsilon(ctx.attrs())?);
    scale_channels(&mut x, &scale, &bias);
    Ok(vec![x.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
