//! Reshape: the same elements under other dimensions. A 0 keeps the dimension at its place (unless
//! `allowzero`), one -1 is what is left.

use remuda_ir::{
    AttrDef, AttrKind, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::Dim;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Reshape",
    since: 1,
    upgrades: &[Upgrade {
        below: 5,
        apply: |draft: &mut Draft<'_>| draft.ints_to_input("shape", 1),
    }],
    inputs: &[InputDef::new("data", Types::ANY), InputDef::new("shape", Types::I64).tied("")],
    outputs: &[OutputDef::new("reshaped")],
    attrs: &[AttrDef::new("allowzero", AttrKind::Int)],
    traits: Traits::VIEW,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("reshape.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(target) = ctx.content(1) else {
        // Only the number of dimensions may be known.
        let rank = ctx.dims(1)?.and_then(|dims| dims.first()?.as_usize());
        return Ok(vec![Inferred::maybe(dtype, rank.map(|rank| vec![Dim::Unknown; rank]))]);
    };
    let dims = resolve(ctx.dims(0)?, &target, ctx.attrs().bool_or("allowzero", false)?)?;
    let content = ctx.content(0).filter(|content| content.len() <= 64);
    Ok(vec![Inferred::tensor(dtype, dims).with_content(content)])
}

/// The dimensions that a request means.
fn resolve(data: Option<&[Dim]>, target: &[Dim], allow_zero: bool) -> Result<Vec<Dim>, OpError> {
    let mut dims = Vec::with_capacity(target.len());
    let mut rest = None;
    for (at, want) in target.iter().enumerate() {
        dims.push(match want.as_i64() {
            Some(0) if !allow_zero => match data {
                Some(data) => data.get(at).cloned().ok_or_else(|| no_such_axis(at, data.len()))?,
                None => Dim::Unknown,
            },
            Some(-1) if rest.is_some() => {
                return Err(OpError::invalid("`shape` holds -1 more than once"));
            }
            Some(-1) => {
                rest = Some(at);
                Dim::Known(1)
            }
            Some(size) if size < 0 => {
                return Err(OpError::Invalid(format!(
                    "`shape` holds {size}, expected sizes, 0 or one -1"
                )));
            }
            _ => want.clone(),
        });
    }
    let product = |dims: &[Dim]| dims.iter().fold(Dim::Known(1), |product, dim| product.mul(dim));
    if let Some(at) = rest {
        dims[at] = data.map_or(Dim::Unknown, |data| left_over(data, &dims));
    }
    if let Some(data) = data
        && product(data).differs(&product(&dims))
    {
        let (have, want) =
            (remuda_tensor::dim::DisplayDims(data), remuda_tensor::dim::DisplayDims(&dims));
        return Err(OpError::Invalid(format!("cannot reshape {have} to {want}")));
    }
    Ok(dims)
}

/// What the -1 stands for. Dimensions that appear on both sides cancel, which also keeps the answer
/// known when one of them is a symbol.
fn left_over(data: &[Dim], dims: &[Dim]) -> Dim {
    let mut given: Vec<&Dim> = data.iter().collect();
    let mut taken = Dim::Known(1);
    for dim in dims {
        if let Some(at) = given.iter().position(|have| have.same(dim)) {
            given.remove(at);
        } else {
            taken = taken.mul(dim);
        }
    }
    given.into_iter().fold(Dim::Known(1), |product, dim| product.mul(dim)).floor_div(&taken)
}

fn no_such_axis(at: usize, rank: usize) -> OpError {
    OpError::Invalid(format!("`shape` keeps axis {at} of a tensor of {rank} dimensions"))
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let data = ctx.tensor(0)?;
    let have: Vec<Dim> = data.dims().iter().map(|&dim| dim.into()).collect();
    let want: Vec<Dim> = ctx.ints(1)?.into_iter().map(Dim::Known).collect();
    let dims = resolve(Some(&have), &want, ctx.attrs().bool_or("allowzero", false)?)?;
    let dims = dims.iter().map(Dim::as_usize).collect::<Option<Vec<_>>>();
    let dims = dims.ok_or_else(|| OpError::invalid("`shape` leaves -1 undetermined"))?;
    Ok(vec![data.reshape(dims)?.into()])
}
