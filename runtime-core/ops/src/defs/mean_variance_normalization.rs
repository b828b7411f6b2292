//! `MeanVarianceNormalization`: gives the elements along the axes mean 0 and variance 1.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::Array;
use crate::support::axes::resolve_axis;
use crate::support::elementwise::same_as_first;
use crate::support::normalize::mean_and_variance;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MeanVarianceNormalization",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("axes", AttrKind::Ints)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer: same_as_first,
    reference,
    cases: include_str!("mean_variance_normalization.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let axes = ctx.attrs().ints("axes")?.unwrap_or(&[0, 2, 3]);
    let mut reduced = vec![false; x.dims.len()];
    for &axis in axes {
        reduced[resolve_axis(axis, x.dims.len())?] = true;
    }
    let (kept, gone): (Vec<usize>, Vec<usize>) = (0..x.dims.len()).partition(|&at| !reduced[at]);
    let order: Vec<usize> = kept.iter().chain(&gone).copied().collect();
    let size = gone.iter().map(|&axis| x.dims[axis]).product::<usize>();
    let mut y = x.permuted(&order)?;
    for chunk in y.values.chunks_mut(size.max(1)) {
        let (mean, variance) = mean_and_variance(chunk.iter().copied());
        let deviation = variance.sqrt() + 1e-9;
        chunk.iter_mut().for_each(|value| *value = (*value - mean) / deviation);
    }
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, &axis)| back[axis] = at);
    Ok(vec![y.permuted(&back)?.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
