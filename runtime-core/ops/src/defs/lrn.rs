//! LRN: divides each element by a power of the squares of the channels around it.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::array::Array;
use crate::support::elementwise::same_as_first;
use crate::support::normalize::channels_of;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LRN",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("alpha", AttrKind::Float),
        AttrDef::new("beta", AttrKind::Float),
        AttrDef::new("bias", AttrKind::Float),
        AttrDef::required("size", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("lrn.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let channels = channels_of(&x)?;
    let size = ctx.attrs().required_int("size")?;
    if size < 1 {
        return Err(OpError::Invalid(format!("`size` expected a positive integer, got {size}")));
    }
    let float = |name: &str, default: f32| ctx.attrs().float_or(name, default).map(f64::from);
    let (alpha, beta, bias) = (float("alpha", 1e-4)?, float("beta", 0.75)?, float("bias", 1.0)?);
    let reach = usize::try_from(size - 1).unwrap_or(usize::MAX);
    let (below, above) = (reach / 2, reach - reach / 2);
    let plane = x.dims[2..].iter().product::<usize>().max(1);
    let element = |(at, &value): (usize, &f64)| {
        let channel = at / plane % channels;
        let around =
            channel.saturating_sub(below)..=channel.saturating_add(above).min(channels - 1);
        let squares: f64 =
            around.map(|other| x.values[at + other * plane - channel * plane].powi(2)).sum();
        value / (bias + alpha / size as f64 * squares).powf(beta)
    };
    let values = x.values.iter().enumerate().map(element).collect();
    Ok(vec![Array { dims: x.dims.clone(), values }.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
