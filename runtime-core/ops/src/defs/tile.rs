//! Tile: a tensor repeated along each axis.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::axes::select;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Tile",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY), InputDef::new("repeats", Types::I64).tied("")],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("tile.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let Some(repeats) = ctx.content(1) else {
        return Ok(vec![Inferred::maybe(dtype, Some(vec![Dim::Unknown; dims.len()]))]);
    };
    check(dims.len(), repeats.len())?;
    Ok(vec![Inferred::tensor(dtype, dims.iter().zip(&repeats).map(|(dim, times)| dim.mul(times)))])
}

fn check(rank: usize, repeats: usize) -> Result<(), OpError> {
    if rank == repeats {
        return Ok(());
    }
    Err(OpError::Invalid(format!("`repeats` holds {repeats} numbers for {rank} dimensions")))
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut x = ctx.tensor(0)?.clone();
    let repeats = ctx.ints(1)?;
    check(x.rank(), repeats.len())?;
    for (axis, times) in repeats.into_iter().enumerate() {
        let times = usize::try_from(times)
            .map_err(|_| OpError::Invalid(format!("`repeats` holds {times}, expected counts")))?;
        let size = x.dims()[axis];
        let mut dims = x.dims().to_vec();
        dims[axis] = size.saturating_mul(times);
        Tensor::zeros(x.dtype(), dims)?;
        let places: Vec<usize> = (0..size * times).map(|at| at % size).collect();
        x = select(&x, axis, &places)?;
    }
    Ok(vec![x.into()])
}
