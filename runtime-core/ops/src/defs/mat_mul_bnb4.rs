//! `MatMulBnb4`: data times the transpose of weights that name 16 floats by four bits each, the first in the
//! upper half of a byte, in blocks with a factor: the `FP4` and `NF4` of `bitsandbytes`.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::array::{Array, element_count};
use crate::support::matmul::{matmul, matmul_dims, transposed};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "MatMulBnb4",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::FLOATS),
        InputDef::new("b", Types::one(DType::U8)).tied(""),
        InputDef::new("absmax", Types::FLOATS).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::required("K", AttrKind::Int),
        AttrDef::required("N", AttrKind::Int),
        AttrDef::required("block_size", AttrKind::Int),
        AttrDef::required("quant_type", AttrKind::Int),
        AttrDef::new("training_mode", AttrKind::Int),
        AttrDef::new("transB", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("mat_mul_bnb4.cases"),
};

/// Floats of a sign, two bits of exponent and one of mantissa, with the greatest scaled to 1.
const FP4: [f64; 16] = {
    let halves = [0.0, 5.208_333_333e-3, 2.0 / 3.0, 1.0, 1.0 / 3.0, 0.5, 1.0 / 6.0, 0.25];
    let mut all = [0.0; 16];
    let mut at = 0;
    while at < 8 {
        all[at] = halves[at];
        all[at + 8] = -halves[at];
        at += 1;
    }
    all
};

/// The quantiles of a normal distribution.
const NF4: [f64; 16] = [
    -1.0,
    -0.696_192_800_998_687_7,
    -0.525_073_051_452_636_7,
    -0.394_917_488_098_144_53,
    -0.284_441_381_692_886_35,
    -0.184_773_430_228_233_34,
    -0.091_050_036_251_544_95,
    0.0,
    0.079_580_299_556_255_34,
    0.160_930_201_411_247_25,
    0.246_112_301_945_686_34,
    0.337_915_241_718_292_24,
    0.440_709_829_330_444_34,
    0.562_617_003_917_694_1,
    0.722_956_836_223_602_3,
    1.0,
];

struct Layout {
    rows: usize,
    columns: usize,
    block: usize,
    numbers: &'static [f64; 16],
}

fn layout(attrs: &Attrs) -> Result<Layout, OpError> {
    let size = |name: &str| -> Result<usize, OpError> {
        let value = attrs.required_int(name)?;
        usize::try_from(value).ok().filter(|&value| value > 0).ok_or_else(|| {
            OpError::Invalid(format!("`{name}` expected a positive integer, got {value}"))
        })
    };
    if !attrs.bool_or("transB", true)? {
        return Err(OpError::unsupported("attribute `transB` of 0"));
    }
    let numbers = match attrs.required_int("quant_type")? {
        0 => &FP4,
        1 => &NF4,
        other => {
            return Err(OpError::Invalid(format!("`quant_type` expected 0 or 1, got {other}")));
        }
    };
    Ok(Layout { rows: size("N")?, columns: size("K")?, block: size("block_size")?, numbers })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let Layout { rows, columns, .. } = layout(ctx.attrs())?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(ctx.dtype(0)?, None)]) };
    let weights = [Dim::from(columns), Dim::from(rows)];
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, matmul_dims(dims, &weights)?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let Layout { rows, columns, block, numbers } = layout(ctx.attrs())?;
    let (bytes, factors) = (ctx.tensor(1)?.to_vec::<u8>()?, ctx.tensor(2)?.to_f64_vec()?);
    let count = element_count(&[rows, columns])?;
    if bytes.len() != count.div_ceil(2) || factors.len() != count.div_ceil(block) {
        return Err(OpError::Invalid(format!(
            "`b` of {} and `absmax` of {} elements do not fit {rows} rows of {columns}",
            bytes.len(),
            factors.len()
        )));
    }
    let number = |at: usize| {
        let byte = bytes[at / 2];
        let name = if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
        numbers[usize::from(name)] * factors[at / block]
    };
    let weights = Array { dims: vec![rows, columns], values: (0..count).map(number).collect() };
    let y = matmul(&Array::of(ctx.tensor(0)?)?, &transposed(&weights)?)?;
    Ok(vec![y.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
