//! `ConvTranspose`: the transpose of a convolution, which enlarges its input. `output_shape` or
//! `auto_pad` choose the padding from the size that is wanted.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::Array;
use crate::support::convolve::{convolve_transposed, read_group, read_window};
use crate::support::window::{AutoPad, Grid, Window, explicit_pads, per_axis};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ConvTranspose",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::new("group", AttrKind::Int),
        AttrDef::new("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
        AttrDef::new("output_padding", AttrKind::Ints),
        AttrDef::new("output_shape", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("conv_transpose.cases"),
};

/// Strides, kernel and the like, and how the output's size is chosen.
struct Plan {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    output_padding: Vec<usize>,
    output_shape: Option<Vec<usize>>,
    pads: Vec<(usize, usize)>,
    auto_pad: AutoPad,
}

/// An attribute of sizes, one for each of the last `rank` axes.
fn sizes(attrs: &Attrs, name: &str, rank: usize) -> Result<Option<Vec<usize>>, OpError> {
    let Some(values) = attrs.ints(name)? else { return Ok(None) };
    let last = &values[values.len().saturating_sub(rank)..];
    let sizes: Option<Vec<usize>> = last.iter().map(|&size| usize::try_from(size).ok()).collect();
    sizes
        .filter(|sizes| sizes.len() == rank)
        .map(Some)
        .ok_or_else(|| OpError::Invalid(format!("`{name}` expected {rank} sizes, got {values:?}")))
}

impl Plan {
    fn read(attrs: &Attrs, kernel: Vec<usize>) -> Result<Self, OpError> {
        let rank = kernel.len();
        // Reads `kernel_shape` and refuses empty axes.
        read_window(attrs, &kernel)?;
        Ok(Self {
            strides: per_axis(attrs, "strides", rank)?,
            dilations: per_axis(attrs, "dilations", rank)?,
            output_padding: sizes(attrs, "output_padding", rank)?.unwrap_or_else(|| vec![0; rank]),
            output_shape: sizes(attrs, "output_shape", rank)?,
            pads: explicit_pads(attrs, rank)?,
            auto_pad: AutoPad::read(attrs)?,
            kernel,
        })
    }

    /// The size without any padding taken off.
    fn full(&self, axis: usize, input: &Dim) -> Dim {
        let one = Dim::Known(1);
        let extent = Dim::from(self.kernel[axis]).sub(&one).mul(&self.dilations[axis].into());
        let reach = input.sub(&one).mul(&self.strides[axis].into());
        reach.add(&extent).add(&one).add(&self.output_padding[axis].into())
    }

    fn output(&self, axis: usize, input: &Dim) -> Result<Dim, OpError> {
        if let Some(shape) = &self.output_shape {
            return Ok(shape[axis].into());
        }
        let size = match self.auto_pad {
            AutoPad::SameUpper | AutoPad::SameLower => input.mul(&self.strides[axis].into()),
            AutoPad::Valid => self.full(axis, input),
            AutoPad::NotSet => {
                let (begin, end) = self.pads[axis];
                self.full(axis, input).sub(&begin.into()).sub(&end.into())
            }
        };
        match size.as_i64() {
            Some(size) if size < 0 => Err(OpError::Invalid(format!(
                "`pads` {:?} take more than the output of axis {axis} has",
                self.pads
            ))),
            _ => Ok(size),
        }
    }

    /// How much is taken off in front.
    fn begin(&self, axis: usize, input: usize, output: usize) -> usize {
        let chosen = self.output_shape.is_some()
            || matches!(self.auto_pad, AutoPad::SameUpper | AutoPad::SameLower);
        if !chosen {
            return if self.auto_pad == AutoPad::Valid { 0 } else { self.pads[axis].0 };
        }
        let total = self.full(axis, &input.into()).sub(&output.into()).as_usize().unwrap_or(0);
        if self.auto_pad == AutoPad::SameUpper { total / 2 } else { total - total / 2 }
    }

    /// The convolution of which this operator is the transpose.
    fn grid(&self, input: &[usize]) -> Result<Grid, OpError> {
        let output = (0..input.len()).map(|axis| self.output(axis, &input[axis].into()));
        let output = output.collect::<Result<Vec<Dim>, _>>()?;
        let output: Option<Vec<usize>> = output.iter().map(Dim::as_usize).collect();
        let output = output.ok_or_else(|| OpError::invalid("the output is too large"))?;
        let pads = (0..input.len()).map(|axis| (self.begin(axis, input[axis], output[axis]), 0));
        let pads = pads.collect();
        let window = Window::plain(&self.kernel, &self.strides, &self.dilations);
        Ok(Grid { window, pads, input: output, output: input.to_vec() })
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(x), Some(w)) = (ctx.dims(0)?, ctx.dims(1)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    if x.len() < 3 || x.len() != w.len() || x[1].differs(&w[0]) {
        let (x, w) = (DisplayDims(x), DisplayDims(w));
        return Err(OpError::Invalid(format!("data {x} do not fit weights {w}")));
    }
    let kernel: Option<Vec<usize>> = w[2..].iter().map(Dim::as_usize).collect();
    let mut dims = vec![x[0].clone(), w[1].mul(&read_group(ctx.attrs())?.into())];
    match kernel {
        Some(kernel) => {
            let plan = Plan::read(ctx.attrs(), kernel)?;
            for (axis, dim) in x[2..].iter().enumerate() {
                dims.push(plan.output(axis, dim)?);
            }
        }
        None => dims.resize(x.len(), Dim::Unknown),
    }
    Ok(vec![Inferred::tensor(dtype, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, w) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let group = read_group(ctx.attrs())?;
    let fits = x.dims.len() >= 3
        && x.dims.len() == w.dims.len()
        && x.dims[1] == w.dims[0]
        && x.dims[1].is_multiple_of(group);
    if !fits {
        let text = format!("data {:?} do not fit weights {:?} in {group} groups", x.dims, w.dims);
        return Err(OpError::Invalid(text));
    }
    let grid = Plan::read(ctx.attrs(), w.dims[2..].to_vec())?.grid(&x.dims[2..])?;
    let bias = Array::of_optional(ctx.opt_tensor(2)?)?;
    let y = convolve_transposed(&grid, group, &x, &w, bias.as_ref())?;
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
