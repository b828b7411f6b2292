//! `MaxRoiPool`: the greatest element of each of a grid of bins that is laid over regions of images. A
//! bin without elements gives zero.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;
use std::ops::Range;

use crate::support::array::{Array, positions};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MaxRoiPool",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS), InputDef::new("rois", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::required("pooled_shape", AttrKind::Ints),
        AttrDef::new("spatial_scale", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("max_roi_pool.cases"),
};

/// The rows and columns of bins.
fn bins(attrs: &Attrs) -> Result<[usize; 2], OpError> {
    let shape = attrs.ints("pooled_shape")?.unwrap_or(&[]);
    let sizes: Vec<usize> = shape.iter().filter_map(|&size| usize::try_from(size).ok()).collect();
    match sizes[..] {
        [rows, columns] if shape.len() == 2 && rows > 0 && columns > 0 => Ok([rows, columns]),
        _ => Err(OpError::Invalid(format!("`pooled_shape` expected two sizes, got {shape:?}"))),
    }
}

fn expect_rank(dims: &[Dim], name: &str, rank: usize) -> Result<(), OpError> {
    if dims.len() == rank {
        return Ok(());
    }
    let got = DisplayDims(dims);
    Err(OpError::Invalid(format!("`{name}` expected {rank} dimensions, got {got}")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let [rows, columns] = bins(ctx.attrs())?;
    let (x, rois) = (ctx.dims(0)?, ctx.dims(1)?);
    x.map_or(Ok(()), |dims| expect_rank(dims, "x", 4))?;
    rois.map_or(Ok(()), |dims| expect_rank(dims, "rois", 2))?;
    let channels = x.map_or(Dim::Unknown, |dims| dims[1].clone());
    let regions = rois.map_or(Dim::Unknown, |dims| dims[0].clone());
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [regions, channels, rows.into(), columns.into()])])
}

/// The places of one bin of a region along an axis.
fn bin(from: f64, to: f64, at: usize, bins: usize, size: usize) -> Range<usize> {
    let extent = (to - from + 1.0).max(1.0);
    let clamp = |edge: f64| (edge + from).clamp(0.0, size as f64) as usize;
    let start = (at as f64 * extent / bins as f64).floor();
    let end = ((at + 1) as f64 * extent / bins as f64).ceil();
    clamp(start)..clamp(end)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, rois) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let [images, channels, height, width] = x.with_rank::<4>("x")?;
    let [regions, five] = rois.with_rank::<2>("rois")?;
    if five != 5 {
        return Err(OpError::Invalid(format!("`rois` expected 5 columns, got {:?}", rois.dims)));
    }
    let scale = f64::from(ctx.attrs().float_or("spatial_scale", 1.0)?);
    let [rows, columns] = bins(ctx.attrs())?;
    let mut y = Array::filled([regions, channels, rows, columns], 0.0)?;
    if y.values.is_empty() {
        return Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()]);
    }
    let each =
        y.values.chunks_exact_mut(channels * rows * columns).zip(rois.values.chunks_exact(5));
    for (out, roi) in each {
        let image = roi[0] as usize;
        if roi[0].is_nan() || roi[0] < 0.0 || image >= images {
            return Err(OpError::Invalid(format!(
                "batch index {} is outside {images} images",
                roi[0]
            )));
        }
        let [left, top, right, bottom] = [1, 2, 3, 4].map(|at: usize| (roi[at] * scale).round());
        for (out, place) in out.iter_mut().zip(positions(&[channels, rows, columns])) {
            let down = bin(top, bottom, place[1], rows, height);
            let across = bin(left, right, place[2], columns, width);
            let channel = &x.values[(image * channels + place[0]) * height * width..];
            let under = down.flat_map(|row| channel[row * width..][across.clone()].iter().copied());
            *out = under.reduce(f64::max).unwrap_or(0.0);
        }
    }
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
