//! `CausalConvWithState`: a convolution of each channel over its past only, whose last places are carried
//! to the next call.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::activations::sigmoid;
use crate::support::array::Array;
use crate::support::normalize::channel_vector;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "CausalConvWithState",
    since: 27,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::SHORT_FLOATS),
        InputDef::new("weight", Types::SHORT_FLOATS),
        InputDef::optional("bias", Types::SHORT_FLOATS),
        InputDef::optional("past_state", Types::SHORT_FLOATS),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::new("present_state")],
    attrs: &[AttrDef::new("activation", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("causal_conv_with_state.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let present = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some([batch, channels, _]), Some([_, _, taps])) => {
            Some(vec![batch.clone(), channels.clone(), taps.sub(&Dim::Known(1))])
        }
        _ => None,
    };
    let output = ctx.dims(0)?.map(<[_]>::to_vec);
    Ok(vec![Inferred::maybe(dtype, output), Inferred::maybe(dtype, present)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dtype = ctx.tensor(0)?.dtype();
    let (input, weight) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let [batch, channels, length] = input.with_rank("input")?;
    let [outputs, one, taps] = weight.with_rank("weight")?;
    if (outputs, one) != (channels, 1) || taps == 0 {
        let text = format!("`weight` expected [{channels}, 1, taps], got {:?}", weight.dims);
        return Err(OpError::Invalid(text));
    }
    let silu = match ctx.attrs().text_or("activation", "none")? {
        "none" => false,
        "silu" | "swish" => true,
        other => return Err(OpError::Invalid(format!("`activation` has no function `{other}`"))),
    };
    let bias = match ctx.opt_tensor(2)? {
        Some(bias) => channel_vector(bias, "bias", channels)?,
        None => vec![0.0; channels],
    };
    let carried = [batch, channels, taps - 1];
    let past = match Array::of_optional(ctx.opt_tensor(3)?)? {
        Some(past) if past.dims == carried => past,
        Some(past) => {
            let text = format!("`past_state` expected {carried:?}, got {:?}", past.dims);
            return Err(OpError::Invalid(text));
        }
        None => Array::filled(carried, 0.0)?,
    };
    let (mut output, mut present) = (Array::filled([batch, channels, length], 0.0)?, Vec::new());
    for line in 0..batch * channels {
        let channel = line % channels;
        let mut all = past.values[line * (taps - 1)..][..taps - 1].to_vec();
        all.extend_from_slice(&input.values[line * length..][..length]);
        let weight = &weight.values[channel * taps..][..taps];
        for (at, out) in output.values[line * length..][..length].iter_mut().enumerate() {
            let sum: f64 = all[at..].iter().zip(weight).map(|(x, w)| x * w).sum();
            let value = sum + bias[channel];
            *out = if silu { value * sigmoid(value) } else { value };
        }
        present.extend_from_slice(&all[length..]);
    }
    let present = Array { dims: carried.to_vec(), values: present };
    Ok(vec![output.to_floats(dtype)?.into(), present.to_floats(dtype)?.into()])
}
