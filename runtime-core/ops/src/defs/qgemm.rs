//! `QGemm`: the product of quantised matrices that may be transposed, with a bias in units of both scales;
//! quantised again, or as real numbers where no output scale is given.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::array::{Array, with_rank};
use crate::support::gemm::gemm_dims;
use crate::support::matmul::matmul;
use crate::support::quantize::{centered, matrix_parameter, requantized, scalar_f64};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QGemm",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::BYTES).tied("TA"),
        InputDef::new("a_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("a_zero_point", Types::BYTES).tied("TA"),
        InputDef::new("b", Types::BYTES).tied("TB"),
        InputDef::new("b_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("b_zero_point", Types::BYTES).tied("TB"),
        InputDef::optional("c", Types::one(DType::I32)).tied(""),
        InputDef::optional("y_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("y_zero_point", Types::BYTES).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("alpha", AttrKind::Float),
        AttrDef::new("transA", AttrKind::Int),
        AttrDef::new("transB", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qgemm.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = match (ctx.has(7), ctx.has(8)) {
        (true, true) => ctx.dtype(8)?,
        (true, false) => ctx.dtype(0)?,
        (false, _) => DType::F32,
    };
    Ok(vec![Inferred::tensor(dtype, gemm_dims(ctx, [0, 3, 6])?)])
}

/// A side less its zero points, its axes exchanged if the attribute says so.
fn side(ctx: &KernelCtx<'_>, at: usize, attr: &str, by_column: bool) -> Result<Array, OpError> {
    let matrix = ctx.tensor(at)?;
    with_rank::<2>(matrix.dims(), if at == 0 { "a" } else { "b" })?;
    let transposed: Tensor;
    let matrix = if ctx.attrs().bool_or(attr, false)? {
        transposed = matrix.permute(&[1, 0])?;
        &transposed
    } else {
        matrix
    };
    centered(matrix, ctx.opt_tensor(at + 2)?, by_column)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut y = matmul(&side(ctx, 0, "transA", false)?, &side(ctx, 3, "transB", true)?)?;
    if let Some(c) = Array::of_optional(ctx.opt_tensor(6)?)? {
        let c = c.broadcast_to(&y.dims)?;
        y.values.iter_mut().zip(c.values).for_each(|(value, c)| *value += c);
    }
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.0)?);
    let scale = alpha * scalar_f64(ctx.tensor(1)?, "a_scale")?;
    let scales = matrix_parameter(ctx.tensor(4)?, "b_scale", &y.dims, true)?;
    y.values.iter_mut().zip(scales).for_each(|(value, own)| *value *= scale * own);
    if ctx.opt_val(7).is_some() {
        return requantized(ctx, y, [7, 8], ctx.tensor(0)?.dtype());
    }
    Ok(vec![y.to_floats(DType::F32)?.into()])
}
