//! STFT: Fourier transforms of windows that step along a signal.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::array::{Array, positions};
use crate::support::normalize::channel_vector;
use crate::support::signal::{Complex, size_input, transform};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "STFT",
    since: 17,
    upgrades: &[],
    inputs: &[
        InputDef::new("signal", Types::FLOATS),
        InputDef::new("frame_step", Types::INDEX).tied("T2"),
        InputDef::optional("window", Types::FLOATS),
        InputDef::optional("frame_length", Types::INDEX).tied("T2"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("onesided", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("stft.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let first = |at: usize| ctx.content(at).and_then(|content| content.first().cloned());
    let batch = ctx.dims(0)?.and_then(|dims| dims.first().cloned()).unwrap_or(Dim::Unknown);
    let signal = ctx.dims(0)?.and_then(|dims| dims.get(1).cloned()).unwrap_or(Dim::Unknown);
    let window =
        if ctx.has(2) { ctx.dims(2)?.and_then(|dims| dims.first().cloned()) } else { None };
    let length = match (ctx.has(3), ctx.has(2)) {
        (true, _) => first(3).unwrap_or(Dim::Unknown),
        (false, true) => window.unwrap_or(Dim::Unknown),
        _ => signal.clone(),
    };
    let (one, two) = (Dim::Known(1), Dim::Known(2));
    let step = first(1).filter(|step| *step != Dim::Known(0)).unwrap_or(Dim::Unknown);
    let frames = signal.sub(&length).floor_div(&step).add(&one);
    let onesided = ctx.attrs().bool_or("onesided", true)?;
    let bins = if onesided { length.floor_div(&two).add(&one) } else { length };
    Ok(vec![Inferred::tensor(dtype, [batch, frames, bins, two])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let (batch, signal, parts) = match x.dims[..] {
        [batch, signal] => (batch, signal, 1),
        [batch, signal, parts @ (1 | 2)] => (batch, signal, parts),
        _ => {
            let text = format!("`signal` expected [batch, length, 1 or 2], got {:?}", x.dims);
            return Err(OpError::Invalid(text));
        }
    };
    let step = size_input(ctx.tensor(1)?, "frame_step")?;
    let window = Array::of_optional(ctx.opt_tensor(2)?)?;
    let length = match ctx.opt_tensor(3)? {
        Some(length) => size_input(length, "frame_length")?,
        None => window.as_ref().map_or(signal, |window| window.values.len()),
    };
    if step == 0 || length == 0 || length > signal {
        let text = format!("frames of {length} every {step} do not fit a signal of {signal}");
        return Err(OpError::Invalid(text));
    }
    let window = match window {
        Some(window) => channel_vector(ctx.tensor(2)?, "window", length).map(|_| window.values)?,
        None => vec![1.0; length],
    };
    let onesided = ctx.attrs().bool_or("onesided", true)?;
    if onesided && parts == 2 {
        return Err(OpError::invalid("`onesided` expected a real signal"));
    }
    let (frames, bins) =
        ((signal - length) / step + 1, if onesided { length / 2 + 1 } else { length });
    let mut out = Array::filled([batch, frames, bins, 2], 0.0)?;
    for (row, place) in positions(&[batch, frames]).enumerate() {
        let start = place[0] * signal + place[1] * step;
        let sample = |(at, weight): (usize, &f64)| {
            let value = &x.values[(start + at) * parts..][..parts];
            Complex { re: value[0] * weight, im: value.get(1).map_or(0.0, |im| im * weight) }
        };
        let mut frame: Vec<Complex> = window.iter().enumerate().map(sample).collect();
        transform(&mut frame, false);
        for (at, value) in frame.iter().take(bins).enumerate() {
            let to = (row * bins + at) * 2;
            (out.values[to], out.values[to + 1]) = (value.re, value.im);
        }
    }
    Ok(vec![out.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
