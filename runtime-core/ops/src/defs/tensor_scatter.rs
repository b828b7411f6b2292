//! `TensorScatter`: writes an update into a cache along the sequence axis, from a place of each sample on.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::{offset_of, positions};
use crate::support::axes::{gather_flat, joined, resolve_axis};
use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "TensorScatter",
    since: 24,
    upgrades: &[],
    inputs: &[
        InputDef::new("past_cache", Types::ANY),
        InputDef::new("update", Types::ANY),
        InputDef::optional("write_indices", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("present_cache")],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("mode", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!("tensor_scatter.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (cache, update) = (ctx.tensor(0)?, ctx.tensor(1)?);
    let axis = resolve_axis(ctx.attrs().int_or("axis", -2)?, cache.rank())?;
    let mut wanted = update.dims().to_vec();
    let length = wanted.get(axis).copied().unwrap_or(0);
    if wanted.len() == cache.rank() {
        wanted[axis] = cache.dims()[axis];
    }
    if wanted != cache.dims() || length > cache.dims()[axis] || axis == 0 {
        let (cache, update) = (cache.dims(), update.dims());
        return Err(OpError::Invalid(format!(
            "`update` of {update:?} does not fit {cache:?} along axis {axis}"
        )));
    }
    let circular = match ctx.attrs().text_or("mode", "linear")? {
        "linear" => false,
        "circular" => true,
        other => return Err(OpError::Invalid(format!("`mode` has no value `{other}`"))),
    };
    let (batch, size) = (cache.dims()[0], cache.dims()[axis]);
    let starts = ctx.opt_ints(2)?.unwrap_or_else(|| vec![0; batch]);
    if starts.len() != batch {
        let text = format!("`write_indices` expected {batch} elements, got {}", starts.len());
        return Err(OpError::Invalid(text));
    }
    let mut source: Vec<usize> = (0..cache.len()).collect();
    for (at, mut place) in positions(update.dims()).enumerate() {
        let to = starts[place[0]].checked_add(place[axis] as i64);
        let to = to.map(|to| if circular { to.rem_euclid(size as i64) } else { to });
        let to = to.and_then(|to| usize::try_from(to).ok()).filter(|&to| to < size);
        place[axis] = to.ok_or_else(|| {
            let (start, sample) = (starts[place[0]], place[0]);
            OpError::Invalid(format!(
                "sample {sample} writes {length} places from {start} on into {size}"
            ))
        })?;
        source[offset_of(&place, cache.dims())] = cache.len() + at;
    }
    Ok(vec![
        gather_flat(&joined(cache, update)?, cache.dims().to_vec(), source.into_iter())?.into(),
    ])
}
