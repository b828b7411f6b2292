//! Multinomial: indices of classes, drawn as often as their unnormalised log-probabilities say. Each
//! is the class in whose share of the summed probabilities a number drawn as `RandomUniform` draws it
//! lies.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::dtypes::dtype_attr;
use crate::support::random::{Twister, draw};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Multinomial",
    since: 7,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::FLOATS)],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("dtype", AttrKind::Int),
        AttrDef::new("sample_size", AttrKind::Int),
        AttrDef::new("seed", AttrKind::Float),
    ],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Shape,
    infer,
    reference,
    cases: include_str!("multinomial.cases"),
};

/// The dtype and the number of samples that are asked for.
fn asked(attrs: &Attrs) -> Result<(DType, usize), OpError> {
    let dtype = dtype_attr(attrs, "dtype")?.unwrap_or(DType::I32);
    if !matches!(dtype, DType::I32 | DType::I64) {
        let text = format!("attribute `dtype` expected `i32` or `i64`, got `{dtype}`");
        return Err(OpError::Invalid(text));
    }
    let size = attrs.int_or("sample_size", 1)?;
    let count = usize::try_from(size).map_err(|_| {
        OpError::Invalid(format!("attribute `sample_size` expected a size, got {size}"))
    })?;
    Ok((dtype, count))
}

fn not_two(rank: usize) -> OpError {
    OpError::Invalid(format!("expected 2 dimensions, got {rank}"))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dtype, samples) = asked(ctx.attrs())?;
    let batch = match ctx.dims(0)? {
        None => Dim::Unknown,
        Some([batch, _]) => batch.clone(),
        Some(dims) => return Err(not_two(dims.len())),
    };
    Ok(vec![Inferred::tensor(dtype, [batch, samples.into()])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (dtype, samples) = asked(ctx.attrs())?;
    let input = ctx.tensor(0)?;
    let &[batch, classes] = input.dims() else { return Err(not_two(input.rank())) };
    if classes == 0 && batch > 0 && samples > 0 {
        return Err(OpError::invalid("there is no class to draw"));
    }
    let values = input.to_f64_vec()?;
    let rows: Vec<Vec<f64>> = values.chunks(classes.max(1)).map(running_shares).collect();
    let mut random = Twister::of_float_seed(ctx.attrs())?;
    let mut drawn = 0;
    draw(dtype, &[batch, samples], || {
        let row = &rows[drawn / samples];
        drawn += 1;
        let point = random.uniform() * row[classes - 1];
        row.iter().position(|&sum| point < sum).unwrap_or(classes - 1) as f64
    })
}

/// The running sums of the probabilities of one row, up to a common factor.
fn running_shares(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    row.iter()
        .map(|&x| {
            sum += if x == max { 1.0 } else { (x - max).exp() };
            sum
        })
        .collect()
}
