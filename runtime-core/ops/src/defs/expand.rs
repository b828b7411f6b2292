//! Expand: a tensor repeated to the dimensions that it and `shape` broadcast to.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::index::{Offsets, contiguous_strides};
use remuda_tensor::{Dim, Tensor};

use crate::support::axes::gather_flat;
use crate::support::elementwise::{common_dims, join_dims};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Expand",
    since: 8,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY), InputDef::new("shape", Types::I64).tied("")],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("expand.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(dims), Some(shape)) = (ctx.dims(0)?, ctx.content(1)) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let out = join_dims(dims, &shape)?;
    let content = match (ctx.content(0), &out[..]) {
        (Some(content), [Dim::Known(count)]) if content.len() == 1 && *count <= 64 => {
            Some(vec![content[0].clone(); *count as usize])
        }
        (Some(content), [Dim::Known(count)]) if content.len() as i64 == *count => Some(content),
        _ => None,
    };
    Ok(vec![Inferred::tensor(dtype, out).with_content(content)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let shape = ctx.ints(1)?.into_iter().map(|size| {
        usize::try_from(size)
            .map_err(|_| OpError::Invalid(format!("`shape` holds {size}, expected sizes")))
    });
    let shape = shape.collect::<Result<Vec<_>, _>>()?;
    let dims = common_dims(x.dims(), &shape)?;
    Tensor::zeros(x.dtype(), dims.clone())?;
    let strides = contiguous_strides(x.dims());
    let fresh = dims.len() - x.rank();
    let strides: Vec<isize> = (0..dims.len())
        .map(|axis| match axis.checked_sub(fresh) {
            Some(at) if x.dims()[at] != 1 => strides[at],
            _ => 0,
        })
        .collect();
    Ok(vec![gather_flat(x, dims.clone(), Offsets::new(&dims, &strides, 0))?.into()])
}
