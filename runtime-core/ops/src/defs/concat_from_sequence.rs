//! `ConcatFromSequence`: the tensors of a sequence joined along an axis, or with `new_axis`
//! stacked along a new one.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::axes::resolve_axis;
use crate::support::join::{concat, stack};
use crate::support::sequences::item_type;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ConcatFromSequence",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("input_sequence", Types::ANY)],
    outputs: &[OutputDef::new("concat_result")],
    attrs: &[AttrDef::required("axis", AttrKind::Int), AttrDef::new("new_axis", AttrKind::Int)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("concat_from_sequence.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let item = item_type(ctx, 0)?.as_tensor();
    let item = item.ok_or_else(|| OpError::invalid("the items expected tensors"))?;
    let mut dims = item.dims.clone();
    if let Some(dims) = &mut dims {
        let stacks = ctx.attrs().bool_or("new_axis", false)?;
        let axis = ctx.attrs().required_int("axis")?;
        if stacks {
            dims.insert(resolve_axis(axis, dims.len() + 1)?, Dim::Unknown);
        } else {
            let axis = resolve_axis(axis, dims.len())?;
            dims[axis] = Dim::Unknown;
        }
    }
    Ok(vec![Inferred::maybe(item.dtype, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let items = ctx.val(0)?.items()?;
    let parts = items.iter().map(|item| item.tensor().cloned()).collect::<Result<Vec<_>, _>>()?;
    let rank = parts.first().map_or(0, Tensor::rank);
    let axis = ctx.attrs().required_int("axis")?;
    let joined = if ctx.attrs().bool_or("new_axis", false)? {
        stack(&parts, resolve_axis(axis, rank + 1)?)?
    } else if parts.is_empty() {
        concat(&parts, 0)?
    } else {
        concat(&parts, resolve_axis(axis, rank)?)?
    };
    Ok(vec![joined.into()])
}
