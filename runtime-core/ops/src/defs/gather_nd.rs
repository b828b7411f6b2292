//! `GatherND:` the slices of `data` that the rows of `indices` name.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::axes::gather_flat;
use crate::support::index_rows::IndexRows;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "GatherND",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("data", Types::ANY), InputDef::new("indices", Types::I64).tied("")],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("batch_dims", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("gather_nd.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(data), Some(indices)) = (ctx.dims(0)?, ctx.dims(1)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let Some((row, lead)) = indices.split_last() else {
        return Err(OpError::invalid("`indices` has no dimensions"));
    };
    let batch = usize::try_from(ctx.attrs().int_or("batch_dims", 0)?).unwrap_or(usize::MAX);
    let Some(row) = row.as_usize() else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let rest = batch.checked_add(row).and_then(|start| data.get(start..)).ok_or_else(|| {
        OpError::Invalid(format!(
            "rows of {row} indices behind {batch} batch dimensions do not fit {} dimensions",
            data.len()
        ))
    })?;
    Ok(vec![Inferred::tensor(dtype, [lead, rest].concat())])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (data, indices) = (ctx.tensor(0)?, ctx.tensor(1)?);
    let batch = usize::try_from(ctx.attrs().int_or("batch_dims", 0)?).unwrap_or(usize::MAX);
    let rows = IndexRows::new(data.dims(), indices, batch)?;
    let dims = [rows.lead, rows.rest].concat();
    let starts = rows.starts()?;
    let source = starts.into_iter().flat_map(|start| start..start + rows.length);
    Ok(vec![gather_flat(data, dims, source)?.into()])
}
