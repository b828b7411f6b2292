//! `ScatterND:` a copy of `data` in which the slices that the rows of `indices` name hold those of
//! `updates`, put there or combined.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::elementwise::same_as_first;
use crate::support::index_rows::IndexRows;
use crate::support::scatter::scatter;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ScatterND",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("data", Types::ANY),
        InputDef::new("indices", Types::I64).tied(""),
        InputDef::new("updates", Types::ANY),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("reduction", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("scatter_nd.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    same_as_first(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (data, indices, updates) = (ctx.tensor(0)?, ctx.tensor(1)?, ctx.tensor(2)?);
    let rows = IndexRows::new(data.dims(), indices, 0)?;
    let expected = [rows.lead, rows.rest].concat();
    if updates.dims() != expected {
        return Err(OpError::Invalid(format!(
            "`updates` expected dimensions {expected:?}, got {:?}",
            updates.dims()
        )));
    }
    let places: Vec<usize> =
        rows.starts()?.into_iter().flat_map(|start| start..start + rows.length).collect();
    scatter(data, &places, updates, ctx.attrs().text_or("reduction", "none")?)
}
