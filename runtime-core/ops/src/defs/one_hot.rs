//! `OneHot:` a new axis of `depth` places, `on` where the index says and `off` elsewhere.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::array::{element_count, offset_of, positions};
use crate::support::axes::{gather_flat, resolve_axis};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "OneHot",
    since: 9,
    upgrades: &[],
    inputs: &[
        InputDef::new("indices", Types::NUMBERS).tied("T1"),
        InputDef::new("depth", Types::NUMBERS).tied("T2"),
        InputDef::new("values", Types::ANY).tied("T3"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("one_hot.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(2)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, dims.len() + 1)?;
    let depth = ctx
        .constant(1)
        .and_then(|depth| depth.to_f64_vec().ok()?.first().map(|&depth| depth as i64));
    let mut out = dims.to_vec();
    out.insert(axis, depth.filter(|&depth| depth >= 0).map_or(Dim::Unknown, Dim::Known));
    Ok(vec![Inferred::tensor(dtype, out)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (indices, depth, values) = (ctx.tensor(0)?, ctx.tensor(1)?.to_f64_vec()?, ctx.tensor(2)?);
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, indices.rank() + 1)?;
    let [depth] = depth[..] else {
        return Err(OpError::Invalid(format!(
            "`depth` holds {} elements, expected one",
            depth.len()
        )));
    };
    if values.dims() != [2] {
        return Err(OpError::Invalid(format!(
            "`values` expected dimensions [2], got {:?}",
            values.dims()
        )));
    }
    let depth = if depth.is_finite() && depth >= 0.0 { depth as usize } else { 0 };
    let mut dims = indices.dims().to_vec();
    dims.insert(axis, depth);
    element_count(&dims)?;
    Tensor::zeros(values.dtype(), dims.clone())?;
    let wanted = indices.to_f64_vec()?;
    let wrapped: Vec<f64> =
        wanted.iter().map(|&at| if at < 0.0 { at + depth as f64 } else { at }).collect();
    let source = positions(&dims).map(|mut position| {
        let at = position.remove(axis);
        usize::from(wrapped[offset_of(&position, indices.dims())] == at as f64)
    });
    Ok(vec![gather_flat(values, dims.clone(), source)?.into()])
}
