//! `DeformConv`: a convolution of images whose taps are moved by offsets and weighted by a mask.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::{Array, positions};
use crate::support::convolve::{conv_dims, read_group, read_window};
use crate::support::normalize::channel_vector;
use crate::support::recurrent::expect_dims;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "DeformConv",
    since: 19,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::new("offset", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
        InputDef::optional("mask", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::new("group", AttrKind::Int),
        AttrDef::new("kernel_shape", AttrKind::Ints),
        AttrDef::new("offset_group", AttrKind::Int),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("deform_conv.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, conv_dims(ctx, 0, 1)?)])
}

/// The element at a place between elements; zeros outside.
fn between(plane: &[f64], [height, width]: [usize; 2], y: f64, x: f64) -> f64 {
    let (top, left) = (y.floor(), x.floor());
    let element = |y: f64, x: f64| {
        let inside = y >= 0.0 && x >= 0.0 && y < height as f64 && x < width as f64;
        if inside { plane[y as usize * width + x as usize] } else { 0.0 }
    };
    let (down, across) = (y - top, x - left);
    let row = |y: f64| element(y, left) * (1.0 - across) + element(y, left + 1.0) * across;
    row(top) * (1.0 - down) + row(top + 1.0) * down
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, w) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    if x.dims.len() != 4 {
        return Err(OpError::Unsupported(format!("DeformConv of {} dimensions", x.dims.len())));
    }
    let [batch, channels, height, width] = x.with_rank("x")?;
    let [outputs, inputs, kernel_h, kernel_w] = w.with_rank("w")?;
    let group = read_group(ctx.attrs())?;
    let offset_group = ctx.attrs().int_or("offset_group", 1)?;
    let offset_group = usize::try_from(offset_group).unwrap_or(0);
    let fits = inputs.checked_mul(group) == Some(channels)
        && outputs.is_multiple_of(group)
        && offset_group > 0
        && channels.is_multiple_of(offset_group);
    if !fits {
        let text = format!("data {:?} do not fit weights {:?} in {group} groups", x.dims, w.dims);
        return Err(OpError::Invalid(text));
    }
    let grid = read_window(ctx.attrs(), &w.dims[2..])?.over(&x.dims[2..])?;
    let (rows, columns, taps) = (grid.output[0], grid.output[1], kernel_h * kernel_w);
    let offset = Array::of(ctx.tensor(2)?)?;
    expect_dims("offset", &offset.dims, &[batch, offset_group * taps * 2, rows, columns])?;
    let mask = Array::of_optional(ctx.opt_tensor(4)?)?;
    if let Some(mask) = &mask {
        expect_dims("mask", &mask.dims, &[batch, offset_group * taps, rows, columns])?;
    }
    let bias = match ctx.opt_tensor(3)? {
        Some(bias) => channel_vector(bias, "b", outputs)?,
        None => vec![0.0; outputs],
    };
    let window = &grid.window;
    let sample = |image: usize, channel: usize, tap: usize, [row, column]: [usize; 2]| {
        let part = channel / (channels / offset_group) * taps + tap;
        let at = |plane: usize| (plane * rows + row) * columns + column;
        let shift =
            |axis: usize| offset.values[at((image * offset_group * taps + part) * 2 + axis)];
        let start = |axis: usize, place: usize, tap: usize| {
            (place * window.strides[axis] + tap * window.dilations[axis]) as f64
                - grid.pads[axis].0 as f64
        };
        let y = start(0, row, tap / kernel_w) + shift(0);
        let x_at = start(1, column, tap % kernel_w) + shift(1);
        let plane = &x.values[(image * channels + channel) * height * width..][..height * width];
        let weight =
            mask.as_ref().map_or(1.0, |mask| mask.values[at(image * offset_group * taps + part)]);
        weight * between(plane, [height, width], y, x_at)
    };
    let mut y = Array::filled([batch, outputs, rows, columns], 0.0)?;
    for (out, place) in y.values.iter_mut().zip(positions(&[batch, outputs, rows, columns])) {
        let (image, output, at) = (place[0], place[1], [place[2], place[3]]);
        let first = output / (outputs / group) * inputs;
        let mut sum = bias[output];
        for input in 0..inputs {
            for tap in 0..taps {
                let weight = w.values[(output * inputs + input) * taps + tap];
                sum += weight * sample(image, first + input, tap, at);
            }
        }
        *out = sum;
    }
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
