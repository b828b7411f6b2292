//! Gather: the slices along an axis that `indices` names, in its shape. Rows of block formats come out
//! as `f32`.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::axes::{resolve_axis, resolve_index, select};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Gather",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("data", Types::ANY),
        InputDef::new("indices", Types::INDEX).tied("Tind"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("gather.cases"),
};

fn made_of(dtype: DType) -> DType {
    if matches!(dtype, DType::Block(_)) { DType::F32 } else { dtype }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = made_of(ctx.dtype(0)?);
    let (Some(data), Some(indices)) = (ctx.dims(0)?, ctx.dims(1)?) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, data.len())?;
    let dims = [&data[..axis], indices, &data[axis + 1..]].concat();
    let content = ctx.content(0).filter(|_| data.len() == 1).zip(ctx.ints(1)).and_then(
        |(content, indices)| {
            let place = |&index: &i64| {
                let at = if index < 0 { index.checked_add(content.len() as i64)? } else { index };
                content.get(usize::try_from(at).ok()?).cloned()
            };
            indices.iter().map(place).collect()
        },
    );
    Ok(vec![Inferred::tensor(dtype, dims).with_content(content)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (mut data, indices) = (ctx.tensor(0)?.clone(), ctx.tensor(1)?);
    if matches!(data.dtype(), DType::Block(_)) {
        data = Tensor::from_vec(data.dims(), data.to_f32_vec()?)?;
    }
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, data.rank())?;
    let size = data.dims()[axis];
    let places = indices.to_i64_vec()?.into_iter().map(|index| resolve_index(index, size));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    let dims = [&data.dims()[..axis], indices.dims(), &data.dims()[axis + 1..]].concat();
    Ok(vec![select(&data, axis, &places)?.reshape(dims)?.into()])
}
