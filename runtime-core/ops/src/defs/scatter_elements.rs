//! `ScatterElements:` a copy of `data` in which the places that `indices` names along an axis hold the
//! elements of `updates`, put there or combined.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::axes::{element_places, resolve_axis};
use crate::support::elementwise::same_as_first;
use crate::support::scatter::scatter;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ScatterElements",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("data", Types::ANY),
        InputDef::new("indices", Types::INDEX).tied("Tind"),
        InputDef::new("updates", Types::ANY),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("reduction", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("scatter_elements.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    same_as_first(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (data, indices, updates) = (ctx.tensor(0)?, ctx.tensor(1)?, ctx.tensor(2)?);
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, data.rank())?;
    if indices.dims() != updates.dims() {
        let text = format!(
            "`indices` of {:?} and `updates` of {:?} differ",
            indices.dims(),
            updates.dims()
        );
        return Err(OpError::Invalid(text));
    }
    let places = element_places(data.dims(), indices, axis)?;
    scatter(data, &places, updates, ctx.attrs().text_or("reduction", "none")?)
}
