//! `GroupNormalization`: normalises groups of channels of each image by their own statistics,
//! then scales and shifts each channel.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, Draft, InputDef, KernelCtx, OpDef, OpError, OpName, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::Tensor;

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;
use crate::support::normalize::{
    channel_vector, channels_of, normalize_chunks, read_epsilon, scale_channels, stash_dtype,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GroupNormalization",
    since: 18,
    upgrades: &[Upgrade { below: 21, apply: upgrade }],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("scale", Types::FLOATS),
        InputDef::new("bias", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::required("num_groups", AttrKind::Int),
        AttrDef::new("stash_type", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer: same_as_first,
    reference,
    cases: include_str!("group_normalization.cases"),
};

/// Before opset 21, scale and bias had one number for each group; now each channel has its own.
fn upgrade(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let groups = draft.node.attrs.required_int("num_groups")?;
    let x = draft.node.input(0).ok_or_else(|| OpError::invalid("input 0 is missing"))?;
    let mut channel_axis = Attrs::default();
    channel_axis.set("start", Attr::Int(1));
    channel_axis.set("end", Attr::Int(2));
    let channels = draft.before(OpName::onnx("Shape"), &[x], channel_axis);
    let groups = draft.constant(Tensor::vector(vec![groups]));
    let size = draft.before(OpName::onnx("Div"), &[channels, groups], Attrs::default());
    let one = draft.constant(Tensor::vector(vec![1i64]));
    let mut first = Attrs::default();
    first.set("axis", Attr::Int(0));
    let repeated = draft.before(OpName::onnx("Concat"), &[one, size], first);
    let column = draft.constant(Tensor::vector(vec![-1i64, 1]));
    let flat = draft.constant(Tensor::vector(vec![-1i64]));
    for at in [1, 2] {
        let given = draft.node.input(at);
        let given = given.ok_or_else(|| OpError::Invalid(format!("input {at} is missing")))?;
        let tall = draft.before(OpName::onnx("Reshape"), &[given, column], Attrs::default());
        let wide = draft.before(OpName::onnx("Expand"), &[tall, repeated], Attrs::default());
        let each = draft.before(OpName::onnx("Reshape"), &[wide, flat], Attrs::default());
        draft.node.inputs[at] = Some(each);
    }
    Ok(())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    let channels = channels_of(&x)?;
    let groups = ctx.attrs().required_int("num_groups")?;
    stash_dtype(ctx.attrs())?;
    let size = usize::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0)
        .and_then(|groups| channels.is_multiple_of(groups).then(|| channels / groups));
    let size = size.ok_or_else(|| {
        OpError::Invalid(format!("{channels} channels do not divide into {groups} groups"))
    })?;
    let scale = channel_vector(ctx.tensor(1)?, "scale", channels)?;
    let bias = channel_vector(ctx.tensor(2)?, "bias", channels)?;
    let plane: usize = x.dims[2..].iter().product();
    normalize_chunks(&mut x.values, size * plane, read_epsilon(ctx.attrs())?);
    scale_channels(&mut x, &scale, &bias);
    Ok(vec![x.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
