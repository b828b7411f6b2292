//! `CDist`: the distances of each row of one matrix from each row of another, plain or squared.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::Array;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "CDist",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("a", Types::FLOATS), InputDef::new("b", Types::FLOATS)],
    outputs: &[OutputDef::new("c")],
    attrs: &[AttrDef::new("metric", AttrKind::Text)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("cdist.cases"),
};

/// Whether distances are squared.
fn squared(attrs: &Attrs) -> Result<bool, OpError> {
    match attrs.text_or("metric", "sqeuclidean")? {
        "sqeuclidean" => Ok(true),
        "euclidean" => Ok(false),
        other => Err(OpError::Unsupported(format!("attribute `metric` of `{other}`"))),
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some([rows, _]), Some([columns, _])) => Some(vec![rows.clone(), columns.clone()]),
        _ => None,
    };
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let squared = squared(ctx.attrs())?;
    let (a, b) = (Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?);
    let ([rows, width], [columns, other]) = (a.with_rank("a")?, b.with_rank("b")?);
    if width != other {
        return Err(OpError::Invalid(format!("rows of {width} and of {other} have no distance")));
    }
    let mut distances = Array::filled([rows, columns], 0.0)?;
    for (at, distance) in distances.values.iter_mut().enumerate() {
        let row = |array: &Array, at: usize| array.values[at * width..][..width].to_vec();
        let pairs = row(&a, at / columns).into_iter().zip(row(&b, at % columns));
        let sum: f64 = pairs.map(|(x, y)| (x - y) * (x - y)).sum();
        *distance = if squared { sum } else { sum.sqrt() };
    }
    Ok(vec![distances.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
