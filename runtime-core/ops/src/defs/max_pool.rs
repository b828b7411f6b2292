//! `MaxPool`: the greatest element of each window, and where it lies. The index counts elements of the
//! whole tensor; with `storage_order` 1 the spatial axes count in column-major order.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::array::Array;
use crate::support::pool::{greatest, pool, pool_dims, pool_index, pool_input};
use crate::support::window::Window;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MaxPool",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new(
        "x",
        Types::FLOATS.or(Types::one(DType::I8)).or(Types::one(DType::U8)),
    )],
    outputs: &[OutputDef::new("y"), OutputDef::optional("indices")],
    attrs: &[
        AttrDef::new("auto_pad", AttrKind::Text),
        AttrDef::new("ceil_mode", AttrKind::Int),
        AttrDef::new("dilations", AttrKind::Ints),
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::new("pads", AttrKind::Ints),
        AttrDef::new("strides", AttrKind::Ints),
        AttrDef::new("storage_order", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("max_pool.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = pool_dims(ctx)?;
    let values = Inferred::maybe(ctx.dtype(0)?, dims.clone());
    Ok(vec![values, Inferred::maybe(DType::I64, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = pool_input(ctx)?;
    let window = Window::read_pool(ctx.attrs())?;
    let column_major = ctx.attrs().bool_or("storage_order", false)?;
    let spatial = &x.dims[2..];
    let (dims, found) = pool(&x, &window, |under, channel| {
        let (most, offset) = greatest(under).unwrap_or((f64::NEG_INFINITY, 0));
        (most, pool_index(offset, channel, spatial, column_major))
    })?;
    let (values, indices): (Vec<f64>, Vec<i64>) = found.into_iter().unzip();
    let values = Array { dims: dims.clone(), values }.to_numbers(ctx.tensor(0)?.dtype())?;
    Ok(vec![values.into(), Tensor::from_vec(dims, indices)?.into()])
}
