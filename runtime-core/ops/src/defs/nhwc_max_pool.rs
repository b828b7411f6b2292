//! `NhwcMaxPool`: the greatest element of each window of bytes whose channels come last.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::compose::step;
use crate::support::pool::pooled_dims;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "NhwcMaxPool",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::BYTES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("ceil_mode", AttrKind::Int),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("nhwc_max_pool.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let mut dims: Option<Vec<Dim>> = ctx.dims(0)?.map(<[_]>::to_vec);
    if let Some(dims) = &mut dims
        && dims.len() > 1
    {
        dims[1..].rotate_right(1);
        *dims = pooled_dims(ctx.attrs(), dims)?;
        dims[1..].rotate_left(1);
    }
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let rank = x.rank();
    if rank < 3 {
        let got = x.dims();
        return Err(OpError::Invalid(format!("expected at least 3 dimensions, got {got:?}")));
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order[1..].rotate_right(1);
    let pooled = step("MaxPool", Attrs::clone(ctx.attrs()), vec![Some(x.permute(&order)?.into())])?;
    let mut order: Vec<usize> = (0..rank).collect();
    order[1..].rotate_left(1);
    Ok(vec![pooled.tensor()?.permute(&order)?.into()])
}
