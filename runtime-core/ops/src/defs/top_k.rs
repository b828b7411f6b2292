//! `TopK:` the `k` greatest (or least) elements along an axis and their places; equal elements in order
//! of their places.

use remuda_ir::{
    AttrDef, AttrKind, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Dim, Tensor};
use std::cmp::Ordering;

use crate::support::array::element_count;
use crate::support::axes::{gather_flat, resolve_axis};
use crate::support::numbers::Numbers;
use crate::support::scalar_i64;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "TopK",
    since: 1,
    upgrades: &[Upgrade { below: 10, apply: k_to_input }],
    inputs: &[InputDef::new("x", Types::NUMBERS), InputDef::new("k", Types::I64).tied("")],
    outputs: &[OutputDef::new("values"), OutputDef::new("indices")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("largest", AttrKind::Int),
        AttrDef::new("sorted", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("top_k.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let dims = match ctx.dims(0)? {
        None => None,
        Some(dims) => {
            let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, dims.len())?;
            let mut dims = dims.to_vec();
            dims[axis] = ctx.content(1).and_then(|k| k.into_iter().next()).unwrap_or(Dim::Unknown);
            Some(dims)
        }
    };
    Ok(vec![Inferred::maybe(dtype, dims.clone()), Inferred::maybe(DType::I64, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, x.rank())?;
    let largest = ctx.attrs().bool_or("largest", true)?;
    let k = scalar_i64(ctx.tensor(1)?)?;
    let size = x.dims()[axis];
    let k = usize::try_from(k)
        .ok()
        .filter(|&k| k <= size)
        .ok_or_else(|| OpError::Invalid(format!("`k` is {k}, axis {axis} has {size} elements")))?;
    let numbers = Numbers::of(x)?;
    best(x, axis, k, |a, b| {
        let order = match &numbers {
            // NaN counts as the greatest, as sorting in NumPy has it.
            Numbers::Floats(values) => values[a]
                .partial_cmp(&values[b])
                .unwrap_or_else(|| values[a].is_nan().cmp(&values[b].is_nan())),
            Numbers::Ints(values) => values[a].cmp(&values[b]),
        };
        if largest { order.reverse() } else { order }
    })
}

fn best(
    x: &Tensor,
    axis: usize,
    k: usize,
    order: impl Fn(usize, usize) -> Ordering,
) -> Result<Vec<Val>, OpError> {
    let (size, inner) = (x.dims()[axis], x.dims()[axis + 1..].iter().product::<usize>());
    let outer: usize = x.dims()[..axis].iter().product();
    let mut dims = x.dims().to_vec();
    dims[axis] = k;
    let count = element_count(&dims)?;
    let (mut sources, mut places) = (vec![0; count], vec![0i64; count]);
    for line in 0..outer * inner {
        let (block, column) = (line / inner, line % inner);
        let offset = |at: usize| (block * size + at) * inner + column;
        let mut sorted: Vec<usize> = (0..size).collect();
        sorted.sort_by(|&a, &b| order(offset(a), offset(b)));
        for (rank, at) in sorted.into_iter().take(k).enumerate() {
            let slot = (block * k + rank) * inner + column;
            sources[slot] = offset(at);
            places[slot] = at as i64;
        }
    }
    let values = gather_flat(x, dims.clone(), sources.into_iter())?;
    Ok(vec![values.into(), Tensor::from_vec(dims, places)?.into()])
}

/// Before opset 10, `k` was an attribute.
fn k_to_input(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let k = draft.node.attrs.required_int("k")?;
    draft.node.attrs.take("k");
    let k = draft.constant(Tensor::vector(vec![k]));
    draft.set_input(1, k);
    Ok(())
}
