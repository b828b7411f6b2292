//! `CenterCropPad`: cuts axes to a size around their middle, or pads them with zeros to it.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::array::{element_count, offset_of, positions};
use crate::support::axes::{gather_flat, joined, resolve_axis};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "CenterCropPad",
    since: 18,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_data", Types::ANY),
        InputDef::new("shape", Types::INDEX).tied(""),
    ],
    outputs: &[OutputDef::new("output_data")],
    attrs: &[AttrDef::new("axes", AttrKind::Ints)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("center_crop_pad.cases"),
};

/// The sizes that are asked for, by axis.
fn wanted(attrs: &Attrs, rank: usize, sizes: Vec<Dim>) -> Result<Vec<(usize, Dim)>, OpError> {
    let axes: Vec<usize> = match attrs.ints("axes")? {
        Some(axes) => {
            axes.iter().map(|&axis| resolve_axis(axis, rank)).collect::<Result<_, _>>()?
        }
        None => (0..rank).collect(),
    };
    if axes.len() != sizes.len() {
        let text = format!("`shape` expected {} elements, got {}", axes.len(), sizes.len());
        return Err(OpError::Invalid(text));
    }
    Ok(axes.into_iter().zip(sizes).collect())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let mut out = dims.to_vec();
    match ctx.content(1) {
        Some(sizes) => {
            for (axis, size) in wanted(ctx.attrs(), dims.len(), sizes)? {
                out[axis] = size;
            }
        }
        None => out.fill(Dim::Unknown),
    }
    Ok(vec![Inferred::tensor(dtype, out)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let sizes = ctx.ints(1)?.into_iter().map(Dim::Known).collect();
    let mut dims = x.dims().to_vec();
    for (axis, size) in wanted(ctx.attrs(), x.rank(), sizes)? {
        dims[axis] = size
            .as_usize()
            .ok_or_else(|| OpError::Invalid(format!("`shape` expected sizes, got {size}")))?;
    }
    element_count(&dims)?;
    let zero = Tensor::zeros(x.dtype(), [1])?;
    let source = |axis: usize, at: usize| {
        let (from, to) = (x.dims()[axis], dims[axis]);
        let shifted =
            if from >= to { at + (from - to) / 2 } else { at.wrapping_sub((to - from) / 2) };
        Some(shifted).filter(|&at| at < from)
    };
    let places = positions(&dims).map(|place| {
        let inside: Option<Vec<usize>> =
            place.iter().enumerate().map(|(axis, &at)| source(axis, at)).collect();
        inside.map_or(x.len(), |inside| offset_of(&inside, x.dims()))
    });
    Ok(vec![gather_flat(&joined(x, &zero)?, dims.clone(), places)?.into()])
}
