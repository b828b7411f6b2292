//! `RoiAlign`: pools regions of interest to one size, by samples that are interpolated in each bin.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::Dim;

use crate::support::array::{Array, positions};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "RoiAlign",
    since: 10,
    upgrades: &[Upgrade { below: 16, apply: upgrade }],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("rois", Types::FLOATS),
        InputDef::new("batch_indices", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("coordinate_transformation_mode", AttrKind::Text),
        AttrDef::new("mode", AttrKind::Text),
        AttrDef::new("output_height", AttrKind::Int),
        AttrDef::new("output_width", AttrKind::Int),
        AttrDef::new("sampling_ratio", AttrKind::Int),
        AttrDef::new("spatial_scale", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("roi_align.cases"),
};

/// Coordinates were not shifted by half an element.
fn upgrade(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let old = Attr::Text("output_half_pixel".into());
    draft.node.attrs.set("coordinate_transformation_mode", old);
    Ok(())
}

fn size(attrs: &Attrs, name: &str) -> Result<usize, OpError> {
    let size = attrs.int_or(name, 1)?;
    usize::try_from(size)
        .map_err(|_| OpError::Invalid(format!("`{name}` expected a size, got {size}")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let regions = ctx.dims(1)?.and_then(|dims| dims.first().cloned()).unwrap_or(Dim::Unknown);
    let channels = ctx.dims(0)?.and_then(|dims| dims.get(1).cloned()).unwrap_or(Dim::Unknown);
    let (height, width) = (size(ctx.attrs(), "output_height")?, size(ctx.attrs(), "output_width")?);
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [regions, channels, height.into(), width.into()])])
}

/// Where a region starts along an axis, how wide a bin is, and how many samples a bin has.
#[derive(Clone, Copy)]
struct Along {
    start: f64,
    bin: f64,
    samples: usize,
    size: usize,
}

impl Along {
    /// The two elements around a sample and their weights; none outside.
    fn taps(self, bin: usize, sample: usize) -> Option<[(usize, f64); 2]> {
        let step = (sample as f64 + 0.5) / self.samples as f64;
        let place = self.start + (bin as f64 + step) * self.bin;
        let last = self.size.checked_sub(1)?;
        if !(-1.0..=self.size as f64).contains(&place) {
            return None;
        }
        let place = place.max(0.0).min(last as f64);
        let (low, part) = (place as usize, place.fract());
        Some([(low, 1.0 - part), ((low + 1).min(last), part)])
    }
}

/// More samples along a side of a bin would take for ever; real models have a few.
const MAX_RATIO: i64 = 512;

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let attrs = ctx.attrs();
    let (x, rois, batches) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?, ctx.ints(2)?);
    let [images, channels, height, width] = x.with_rank("x")?;
    let [regions, four] = rois.with_rank("rois")?;
    if four != 4 || batches.len() != regions {
        let text = format!("rois {:?} do not fit {} batch indices", rois.dims, batches.len());
        return Err(OpError::Invalid(text));
    }
    let half_pixel = match attrs.text_or("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => {
            return Err(OpError::Invalid(format!(
                "`coordinate_transformation_mode` has no mode `{other}`"
            )));
        }
    };
    let greatest = match attrs.text_or("mode", "avg")? {
        "avg" => false,
        "max" => true,
        other => return Err(OpError::Invalid(format!("`mode` has no mode `{other}`"))),
    };
    let (rows, columns) = (size(attrs, "output_height")?, size(attrs, "output_width")?);
    let ratio = attrs.int_or("sampling_ratio", 0)?;
    if ratio > MAX_RATIO {
        let text = format!("`sampling_ratio` is {ratio}, expected at most {MAX_RATIO}");
        return Err(OpError::Invalid(text));
    }
    let scale = f64::from(attrs.float_or("spatial_scale", 1.0)?);
    let along = |from: f64, to: f64, bins: usize, size: usize| {
        let shift = if half_pixel { 0.5 } else { 0.0 };
        let (start, end) = (from * scale - shift, to * scale - shift);
        let extent = if half_pixel { end - start } else { (end - start).max(1.0) };
        let bin = extent / bins as f64;
        // A region far larger than the data needs no more samples than the data has elements.
        let adaptive = (bin.ceil().max(0.0) as usize).min(4 * size + 4);
        let samples = usize::try_from(ratio).ok().filter(|&ratio| ratio > 0).unwrap_or(adaptive);
        Along { start, bin, samples, size }
    };
    let mut y = Array::filled([regions, channels, rows, columns], 0.0)?;
    for (region, &batch) in batches.iter().enumerate().take(regions) {
        let image = usize::try_from(batch).ok().filter(|&image| image < images);
        let image = image.ok_or_else(|| {
            OpError::Invalid(format!("batch index {batch} is outside {images} images"))
        })?;
        let roi = &rois.values[region * 4..][..4];
        let (down, across) =
            (along(roi[1], roi[3], rows, height), along(roi[0], roi[2], columns, width));
        for place in positions(&[rows, columns]) {
            let taps = samples(down, across, place[0], place[1]);
            let count = (down.samples * across.samples).max(1) as f64;
            for channel in 0..channels {
                let x =
                    &x.values[(image * channels + channel) * height * width..][..height * width];
                let parts = taps.iter().map(|sample| sample.map(|(at, weight)| x[at] * weight));
                let value = if greatest {
                    parts
                        .map(|parts| parts.into_iter().fold(f64::NEG_INFINITY, f64::max))
                        .reduce(f64::max)
                        .unwrap_or(0.0)
                } else {
                    parts.map(|parts| parts.iter().sum::<f64>()).sum::<f64>() / count
                };
                y.values[((region * channels + channel) * rows + place[0]) * columns + place[1]] =
                    value;
            }
        }
    }
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}

/// The four elements around each sample of a bin, with their weights; none outside.
fn samples(down: Along, across: Along, row: usize, column: usize) -> Vec<[(usize, f64); 4]> {
    let mut all = Vec::new();
    for i in 0..down.samples {
        for j in 0..across.samples {
            let taps = match (down.taps(row, i), across.taps(column, j)) {
                (Some([a, b]), Some([c, d])) => {
                    let join =
                        |y: (usize, f64), x: (usize, f64)| (y.0 * across.size + x.0, y.1 * x.1);
                    [join(a, c), join(a, d), join(b, c), join(b, d)]
                }
                _ => [(0, 0.0); 4],
            };
            all.push(taps);
        }
    }
    all
}
