//! Resize: changes the size of axes by interpolation. The axes are independent: along each,
//! every output place is a weighted sum of input places, which [`ResizeTaps`] holds.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, Node, OpDef,
    OpError, OpName, OutputDef, Tolerance, Traits, Types, Upgrade, Val, ValueId,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::{Array, element_count};
use crate::support::axes::{gather_flat, resolve_axis, select};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Resize",
    since: 10,
    upgrades: &[Upgrade { below: 11, apply: upgrade }],
    inputs: &[
        InputDef::new("x", Types::NUMBERS.or(Types::BOOL).or(Types::STRING).or(Types::COMPLEX)),
        InputDef::optional(
            "roi",
            Types::one(DType::F16).or(Types::one(DType::F32)).or(Types::one(DType::F64)),
        )
        .tied(""),
        InputDef::optional("scales", Types::one(DType::F32)).tied(""),
        InputDef::optional("sizes", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("antialias", AttrKind::Int),
        AttrDef::new("axes", AttrKind::Ints),
        AttrDef::new("coordinate_transformation_mode", AttrKind::Text),
        AttrDef::new("cubic_coeff_a", AttrKind::Float),
        AttrDef::new("exclude_outside", AttrKind::Int),
        AttrDef::new("extrapolation_value", AttrKind::Float),
        AttrDef::new("keep_aspect_ratio_policy", AttrKind::Text),
        AttrDef::new("mode", AttrKind::Text),
        AttrDef::new("nearest_mode", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("resize.cases"),
};

/// Before opset 11 coordinates mapped asymmetrically, and the scales stood where the region of
/// interest is now. Which place is the nearest ONNX did not say: ONNX Runtime takes the one below
/// along axes that grow and the one above along axes that shrink.
fn upgrade(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let (x, scales) = (draft.node.input(0), draft.node.input(1));
    draft.node.attrs.set("coordinate_transformation_mode", Attr::Text("asymmetric".into()));
    draft.node.attrs.set("nearest_mode", Attr::Text("floor".into()));
    let (Some(x), Some(scales)) = (x, scales) else {
        return Err(OpError::invalid("`x` or `scales` is missing"));
    };
    draft.node.inputs = vec![Some(x), None, Some(scales)];
    let known = draft.graph.value(scales).constant().map(Tensor::to_f32_vec).transpose()?;
    let some = |which: fn(&f32) -> bool| known.as_ref().is_none_or(|all| all.iter().any(which));
    let (grows, shrinks) = (some(|&scale| scale > 1.0), some(|&scale| scale < 1.0));
    if !shrinks || draft.node.attrs.text_or("mode", "nearest")? != "nearest" {
        return Ok(());
    }
    if grows {
        let one = draft.constant(Tensor::scalar(1.0f32));
        let down = draft.before(OpName::onnx("Min"), &[scales, one], Attrs::default());
        let up = draft.before(OpName::onnx("Max"), &[scales, one], Attrs::default());
        let small = shrunk(draft, x, down);
        draft.node.inputs = vec![Some(small), None, Some(up)];
    } else {
        draft.node.attrs.set("nearest_mode", Attr::Text("ceil".into()));
    }
    Ok(())
}

/// A node in front of the one that grows axes: it shrinks the others.
fn shrunk(draft: &mut Draft<'_>, x: ValueId, scales: ValueId) -> ValueId {
    let small = draft.graph.add_pending("Resize_in");
    let inputs = vec![Some(x), None, Some(scales)];
    let mut node = Node::new(OpName::onnx("Resize"), inputs, vec![Some(small)]);
    node.attrs = draft.node.attrs.clone();
    node.attrs.set("nearest_mode", Attr::Text("ceil".into()));
    draft.graph.push(node);
    small
}

/// The attribute `axes`, or all axes.
fn axes(attrs: &Attrs, rank: usize) -> Result<Vec<usize>, OpError> {
    match attrs.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| resolve_axis(axis, rank)).collect(),
        None => Ok((0..rank).collect()),
    }
}

fn expect_one_for_each(name: &str, got: usize, axes: usize) -> Result<(), OpError> {
    if got == axes {
        return Ok(());
    }
    Err(OpError::Invalid(format!("`{name}` expected {axes} elements, got {got}")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let axes = axes(ctx.attrs(), dims.len())?;
    let mut out = dims.to_vec();
    axes.iter().for_each(|&axis| out[axis] = Dim::Unknown);
    let stretch = ctx.attrs().text_or("keep_aspect_ratio_policy", "stretch")? == "stretch";
    let given = |at: usize| ctx.constant(at).filter(|tensor| tensor.len() > 0);
    if let Some(scales) = given(2) {
        let scales = scales.to_f32_vec()?;
        expect_one_for_each("scales", scales.len(), axes.len())?;
        for (&axis, &scale) in axes.iter().zip(&scales) {
            out[axis] = scaled_dim(&dims[axis], scale)?;
        }
    } else if let Some(sizes) = ctx.content(3).filter(|_| stretch) {
        expect_one_for_each("sizes", sizes.len(), axes.len())?;
        axes.iter().zip(sizes).for_each(|(&axis, size)| out[axis] = size);
    }
    Ok(vec![Inferred::tensor(dtype, out)])
}

/// The size of an axis times a scale, rounded down.
fn scaled_dim(dim: &Dim, scale: f32) -> Result<Dim, OpError> {
    check_scale(scale)?;
    let whole = scale.fract() == 0.0 && scale < 1e9;
    Ok(match dim.as_usize() {
        Some(size) => Dim::from((size as f32 * scale).floor() as usize),
        None if whole => dim.mul(&Dim::Known(scale as i64)),
        None => Dim::Unknown,
    })
}

fn check_scale(scale: f32) -> Result<(), OpError> {
    if scale > 0.0 && scale.is_finite() {
        return Ok(());
    }
    Err(OpError::Invalid(format!("`scales` expected positive numbers, got {scale}")))
}

/// What happens along one axis.
#[derive(Clone, Copy)]
struct Along {
    input: usize,
    output: usize,
    scale: f64,
    roi: (f64, f64),
}

impl Along {
    fn moves(&self) -> bool {
        self.input != self.output || self.scale != 1.0 || self.roi != (0.0, 1.0)
    }
}

/// The inputs of `Resize` beside the tensor. One without elements is as good as none.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResizeInputs<'a> {
    /// Where the region of interest begins along each axis, then where it ends.
    pub roi: Option<&'a Tensor>,
    /// How many times its size each axis becomes.
    pub scales: Option<&'a Tensor>,
    /// How large each axis becomes.
    pub sizes: Option<&'a Tensor>,
}

/// Sizes and scales from the inputs.
fn plan(
    attrs: &Attrs,
    dims: &[usize],
    axes: &[usize],
    inputs: &ResizeInputs<'_>,
) -> Result<Vec<Along>, OpError> {
    let mut plan: Vec<Along> = dims
        .iter()
        .map(|&dim| Along { input: dim, output: dim, scale: 1.0, roi: (0.0, 1.0) })
        .collect();
    let is_given = |tensor: &&Tensor| tensor.len() > 0;
    match (inputs.scales.filter(is_given), inputs.sizes.filter(is_given)) {
        (Some(scales), None) => {
            let scales = scales.to_f32_vec()?;
            expect_one_for_each("scales", scales.len(), axes.len())?;
            for (&axis, &scale) in axes.iter().zip(&scales) {
                check_scale(scale)?;
                plan[axis].output = (dims[axis] as f32 * scale).floor() as usize;
                plan[axis].scale = f64::from(scale);
            }
        }
        (None, Some(sizes)) => {
            let sizes = sizes.to_i64_vec()?;
            expect_one_for_each("sizes", sizes.len(), axes.len())?;
            from_sizes(attrs, &mut plan, axes, &sizes)?;
        }
        _ => return Err(OpError::invalid("expected either `scales` or `sizes`")),
    }
    if let Some(roi) = inputs.roi.filter(is_given) {
        let roi = roi.to_f64_vec()?;
        expect_one_for_each("roi", roi.len(), 2 * axes.len())?;
        for (at, &axis) in axes.iter().enumerate() {
            plan[axis].roi = (roi[at], roi[axes.len() + at]);
        }
    }
    Ok(plan)
}

fn from_sizes(
    attrs: &Attrs,
    plan: &mut [Along],
    axes: &[usize],
    sizes: &[i64],
) -> Result<(), OpError> {
    let mut scales = Vec::with_capacity(axes.len());
    for (&axis, &size) in axes.iter().zip(sizes) {
        plan[axis].output = usize::try_from(size)
            .map_err(|_| OpError::Invalid(format!("`sizes` expected sizes, got {size}")))?;
        plan[axis].scale = size as f64 / plan[axis].input as f64;
        scales.push(plan[axis].scale);
    }
    let scale = match attrs.text_or("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => return Ok(()),
        "not_larger" => scales.into_iter().fold(f64::INFINITY, f64::min),
        "not_smaller" => scales.into_iter().fold(0.0, f64::max),
        other => return Err(unknown("keep_aspect_ratio_policy", other)),
    };
    for &axis in axes {
        plan[axis].scale = scale;
        plan[axis].output = (scale * plan[axis].input as f64 + 0.5) as usize;
    }
    Ok(())
}

fn unknown(attr: &str, value: &str) -> OpError {
    OpError::Invalid(format!("`{attr}` has no mode `{value}`"))
}

/// How coordinates map and what is interpolated.
struct Modes<'a> {
    coordinates: &'a str,
    mode: &'a str,
    nearest: &'a str,
    antialias: bool,
    exclude_outside: bool,
    cubic: f64,
}

impl<'a> Modes<'a> {
    fn read(attrs: &'a Attrs) -> Result<Self, OpError> {
        let modes = Self {
            coordinates: attrs.text_or("coordinate_transformation_mode", "half_pixel")?,
            mode: attrs.text_or("mode", "nearest")?,
            nearest: attrs.text_or("nearest_mode", "round_prefer_floor")?,
            antialias: attrs.bool_or("antialias", false)?,
            exclude_outside: attrs.bool_or("exclude_outside", false)?,
            cubic: f64::from(attrs.float_or("cubic_coeff_a", -0.75)?),
        };
        let known = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
        if !known.contains(&modes.nearest) {
            return Err(unknown("nearest_mode", modes.nearest));
        }
        if !["nearest", "linear", "cubic"].contains(&modes.mode) {
            return Err(unknown("mode", modes.mode));
        }
        Ok(modes)
    }

    /// The input coordinate of an output place.
    fn coordinate(&self, along: Along, place: usize) -> Result<f64, OpError> {
        let (place, input) = (place as f64, along.input as f64);
        let wanted = along.scale * input;
        let scaled = |place: f64| match self.mode {
            // As in f32, so that a scale like 0.7, which f32 does not hold, still meets whole places.
            "nearest" => f64::from((place / along.scale) as f32),
            _ => place / along.scale,
        };
        let half_pixel = scaled(place + 0.5) - 0.5;
        let (start, end) = along.roi;
        Ok(match self.coordinates {
            "half_pixel" => half_pixel,
            "pytorch_half_pixel" => {
                if wanted == 1.0 {
                    -0.5
                } else {
                    half_pixel
                }
            }
            "half_pixel_symmetric" => {
                input / 2.0 * (1.0 - along.output as f64 / wanted) + half_pixel
            }
            "tf_half_pixel_for_nn" => scaled(place + 0.5),
            "asymmetric" => scaled(place),
            "align_corners" if wanted == 1.0 => 0.0,
            "align_corners" => place * (input - 1.0) / (wanted - 1.0),
            "tf_crop_and_resize" if wanted == 1.0 => (start + end) * (input - 1.0) / 2.0,
            "tf_crop_and_resize" => {
                (start + place * (end - start) / (wanted - 1.0)) * (input - 1.0)
            }
            other => return Err(unknown("coordinate_transformation_mode", other)),
        })
    }

    /// The taps of one coordinate: the first input place and the weights from there on.
    fn weights(&self, scale: f64, coordinate: f64) -> (i64, Vec<f64>) {
        let below = coordinate.floor();
        // The place to the left is preferred, so that a whole coordinate is 1 away from it.
        let (left, ratio) =
            if coordinate == below { (below - 1.0, 1.0) } else { (below, coordinate - below) };
        let left = left as i64;
        let squeeze = if self.antialias { scale.min(1.0) } else { 1.0 };
        match self.mode {
            "nearest" => (left + i64::from(self.rounds_up(ratio)), vec![1.0]),
            "linear" => kernel(left, ratio, squeeze, 1.0, |x| (1.0 - x).max(0.0)),
            _ => kernel(left, ratio, squeeze, 2.0, |x| cubic(self.cubic, x)),
        }
    }

    fn rounds_up(&self, ratio: f64) -> bool {
        match self.nearest {
            _ if ratio == 1.0 => true,
            "round_prefer_floor" => ratio > 0.5,
            "round_prefer_ceil" => ratio >= 0.5,
            "floor" => false,
            _ => true,
        }
    }
}

/// The cubic convolution kernel at a distance.
fn cubic(a: f64, x: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// Weights by distance from the coordinate, with a support of `reach` input places to each side,
/// which grows as the kernel is squeezed.
fn kernel(
    left: i64,
    ratio: f64,
    squeeze: f64,
    reach: f64,
    weight: impl Fn(f64) -> f64,
) -> (i64, Vec<f64>) {
    let first = (-reach / squeeze).floor() as i64 + 1;
    let last = 1 - first;
    let mut weights: Vec<f64> =
        (first..=last).map(|at| weight(((at as f64 - ratio) * squeeze).abs())).collect();
    if squeeze < 1.0 {
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    (left.saturating_add(first), weights)
}

/// For each output place of an axis: input places and their weights, or nothing if the coordinate is
/// outside and the extrapolation value stands there.
pub type ResizeTaps = Vec<Option<Vec<(usize, f64)>>>;

/// What `Resize` makes each place of along each axis of a tensor of these dimensions; nothing for axes that
/// stay as they are.
///
/// # Errors
/// When the attributes, the inputs and the dimensions do not fit.
pub fn resize_taps(
    attrs: &Attrs,
    dims: &[usize],
    inputs: &ResizeInputs<'_>,
) -> Result<Vec<Option<ResizeTaps>>, OpError> {
    let modes = Modes::read(attrs)?;
    let plan = plan(attrs, dims, &axes(attrs, dims.len())?, inputs)?;
    plan.iter().map(|along| along.moves().then(|| taps(&modes, *along)).transpose()).collect()
}

fn taps(modes: &Modes<'_>, along: Along) -> Result<ResizeTaps, OpError> {
    let crop = modes.coordinates == "tf_crop_and_resize";
    let last = along.input.saturating_sub(1) as i64;
    let place = |place: usize| {
        let coordinate = modes.coordinate(along, place)?;
        if crop && !(0.0..=last as f64).contains(&coordinate) {
            return Ok(None);
        }
        if !coordinate.is_finite() {
            return Err(OpError::invalid("a coordinate is not finite"));
        }
        let (first, weights) = modes.weights(along.scale, coordinate);
        let mut taps: Vec<(i64, f64)> = (first..).zip(weights).collect();
        if modes.exclude_outside && modes.mode != "nearest" {
            taps.retain(|(at, _)| (0..=last).contains(at));
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        Ok(Some(
            taps.into_iter().map(|(at, weight)| (at.clamp(0, last) as usize, weight)).collect(),
        ))
    };
    (0..along.output).map(place).collect()
}

/// Applies the taps of one axis.
fn resize_axis(x: &Array, axis: usize, taps: &ResizeTaps, outside: f64) -> Result<Array, OpError> {
    let mut dims = x.dims.clone();
    dims[axis] = taps.len();
    let mut out = Array::filled(dims, outside)?;
    let inner: usize = x.dims[axis + 1..].iter().product();
    let (from, to) = (x.dims[axis] * inner, taps.len() * inner);
    if out.values.is_empty() {
        return Ok(out);
    }
    for (out, x) in out.values.chunks_exact_mut(to).zip(x.values.chunks_exact(from)) {
        for (out, taps) in out.chunks_exact_mut(inner).zip(taps) {
            let Some(taps) = taps else { continue };
            for (at, out) in out.iter_mut().enumerate() {
                *out = taps.iter().map(|&(place, weight)| x[place * inner + at] * weight).sum();
            }
        }
    }
    Ok(out)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let axes = axes(ctx.attrs(), x.rank())?;
    let modes = Modes::read(ctx.attrs())?;
    let (roi, scales, sizes) = (ctx.opt_tensor(1)?, ctx.opt_tensor(2)?, ctx.opt_tensor(3)?);
    let plan = plan(ctx.attrs(), x.dims(), &axes, &ResizeInputs { roi, scales, sizes })?;
    let dims: Vec<usize> = plan.iter().map(|along| along.output).collect();
    let count = element_count(&dims)?;
    if x.len() == 0 && plan.iter().any(|along| along.output > 0 && along.input == 0) {
        return Err(OpError::Invalid(format!("cannot resize the empty axes of {:?}", x.dims())));
    }
    if count == 0 {
        // The other axes may be of any size.
        return Ok(vec![gather_flat(x, dims, std::iter::empty())?.into()]);
    }
    let moving: Vec<usize> = (0..x.rank()).filter(|&axis| plan[axis].moves()).collect();
    if modes.mode == "nearest" && modes.coordinates != "tf_crop_and_resize" {
        return nearest(x, &moving, &plan, &modes);
    }
    let outside = f64::from(ctx.attrs().float_or("extrapolation_value", 0.0)?);
    let mut y = Array::of(x)?;
    for &axis in &moving {
        y = resize_axis(&y, axis, &taps(&modes, plan[axis])?, outside)?;
    }
    Ok(vec![y.to_numbers(x.dtype())?.into()])
}

/// Elements of any dtype, each copied from one place.
fn nearest(
    x: &Tensor,
    moving: &[usize],
    plan: &[Along],
    modes: &Modes<'_>,
) -> Result<Vec<Val>, OpError> {
    let mut y = x.clone();
    for &axis in moving {
        let places = taps(modes, plan[axis])?;
        let places: Vec<usize> = places.iter().flatten().flatten().map(|&(at, _)| at).collect();
        y = select(&y, axis, &places)?;
    }
    Ok(vec![y.into()])
}
