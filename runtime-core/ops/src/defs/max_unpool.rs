//! `MaxUnpool`: puts elements back where `MaxPool` found them, zeros elsewhere. Indices count
//! elements of the output as the attributes give it; `output_shape` may enlarge it.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use crate::support::array::{Array, element_count, offset_of, position_of};
use crate::support::window::{explicit_pads, per_axis};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MaxUnpool",
    since: 9,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("i", Types::I64).tied(""),
        InputDef::optional("output_shape", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("max_unpool.cases"),
};

/// The output dimensions without `output_shape`.
fn natural(attrs: &Attrs, x: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let rank = x.len().saturating_sub(2);
    if rank == 0 {
        let got = DisplayDims(x);
        return Err(OpError::Invalid(format!("expected at least 3 dimensions, got {got}")));
    }
    let kernel = per_axis(attrs, "kernel_shape", rank)?;
    let (strides, pads) = (per_axis(attrs, "strides", rank)?, explicit_pads(attrs, rank)?);
    let size = |axis: usize| {
        let reach = x[2 + axis].sub(&Dim::Known(1)).mul(&strides[axis].into());
        reach.add(&kernel[axis].into()).sub(&pads[axis].0.into()).sub(&pads[axis].1.into())
    };
    Ok(x[..2].iter().cloned().chain((0..rank).map(size)).collect())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(x) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let natural = natural(ctx.attrs(), x)?;
    if ctx.has(2) {
        let dims = ctx.content(2).unwrap_or_else(|| vec![Dim::Unknown; x.len()]);
        return Ok(vec![Inferred::tensor(dtype, dims)]);
    }
    Ok(vec![Inferred::tensor(dtype, natural)])
}

fn sizes(dims: impl Iterator<Item = Dim>) -> Result<Vec<usize>, OpError> {
    let sizes: Option<Vec<usize>> = dims.map(|dim| dim.as_usize()).collect();
    sizes.ok_or_else(|| OpError::invalid("the output has a negative dimension"))
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, indices) = (Array::of(ctx.tensor(0)?)?, ctx.ints(1)?);
    if indices.len() != x.values.len() {
        return Err(OpError::invalid("`i` expected as many elements as `x`"));
    }
    let symbolic: Vec<Dim> = x.dims.iter().map(|&dim| dim.into()).collect();
    let natural = sizes(natural(ctx.attrs(), &symbolic)?.into_iter())?;
    let dims = match ctx.opt_ints(2)? {
        Some(shape) => sizes(shape.into_iter().map(Dim::Known))?,
        None => natural.clone(),
    };
    let larger = dims.len() == natural.len() && dims.iter().zip(&natural).all(|(a, b)| a >= b);
    if !larger {
        let text = format!("`output_shape` expected at least {natural:?}, got {dims:?}");
        return Err(OpError::Invalid(text));
    }
    let count = element_count(&natural)?;
    let mut out = Array::filled(&dims[..], 0.0)?;
    for (&index, &value) in indices.iter().zip(&x.values) {
        let flat = usize::try_from(index).ok().filter(|&flat| flat < count).ok_or_else(|| {
            OpError::Invalid(format!(
                "index {index} is outside the {count} elements of {natural:?}"
            ))
        })?;
        let place = offset_of(&position_of(flat, &natural), &dims);
        out.values[place] = value;
    }
    Ok(vec![out.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
