//! `EmbedLayerNormalization`: sums the embeddings of words, positions and segments, and normalises.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::{Array, with_rank};
use crate::support::recurrent::expect_dims;
use crate::support::skip_norm::SkipNorm;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "EmbedLayerNormalization",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_ids", Types::one(DType::I32)).tied(""),
        InputDef::optional("segment_ids", Types::one(DType::I32)).tied(""),
        InputDef::new("word_embedding", Types::FLOATS),
        InputDef::new("position_embedding", Types::FLOATS),
        InputDef::optional("segment_embedding", Types::FLOATS),
        InputDef::new("gamma", Types::FLOATS),
        InputDef::new("beta", Types::FLOATS),
        InputDef::optional("mask", Types::one(DType::I32)).tied(""),
        InputDef::optional("position_ids", Types::one(DType::I32)).tied(""),
    ],
    outputs: &[
        OutputDef::new("output"),
        OutputDef::optional("mask_index"),
        OutputDef::optional("embedding_sum"),
    ],
    attrs: &[
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("mask_index_type", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("embed_layer_normalization.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(2)?;
    let ids = ctx.dims(0)?;
    let hidden = ctx.dims(2)?.and_then(|dims| dims.last().cloned()).unwrap_or(Dim::Unknown);
    let full = Inferred::maybe(dtype, ids.map(|ids| ids.iter().cloned().chain([hidden]).collect()));
    let batch = ids.and_then(|ids| ids.first().cloned()).unwrap_or(Dim::Unknown);
    Ok(vec![full.clone(), Inferred::tensor(DType::I32, [batch]), full])
}

/// Adds a row of a table to a place of the sum.
fn add_row(sum: &mut [f64], table: &Array, row: i64, name: &str) -> Result<(), OpError> {
    let [rows, width] = table.with_rank(name)?;
    let place = usize::try_from(row).ok().filter(|&row| row < rows && width == sum.len());
    let place = place.ok_or_else(|| {
        OpError::Invalid(format!(
            "row {row} of {} features is not in `{name}` {:?}",
            sum.len(),
            table.dims
        ))
    })?;
    let row = &table.values[place * width..][..width];
    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    Ok(())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let [batch, length] = with_rank(ctx.tensor(0)?.dims(), "input_ids")?;
    let expect = |at: usize, name: &str, width: usize| match ctx.opt_tensor(at)? {
        Some(ids) => {
            expect_dims(name, ids.dims(), &[ids.dims().first().copied().unwrap_or(0), width])
        }
        None => Ok(()),
    };
    let (ids, segments, positions) = (ctx.ints(0)?, ctx.opt_ints(1)?, ctx.opt_ints(8)?);
    expect(8, "position_ids", length)?;
    let word = Array::of(ctx.tensor(2)?)?;
    let position = Array::of(ctx.tensor(3)?)?;
    let segment = Array::of_optional(ctx.opt_tensor(4)?)?;
    let [_, hidden] = word.with_rank("word_embedding")?;
    let mut sum = Array::filled([batch, length, hidden], 0.0)?;
    for (at, sum) in sum.values.chunks_mut(hidden.max(1)).enumerate() {
        add_row(sum, &word, ids[at], "word_embedding")?;
        let place = match &positions {
            Some(given) if given.len() == length => given[at % length],
            Some(given) => {
                *given.get(at).ok_or_else(|| OpError::invalid("`position_ids` are too few"))?
            }
            None => (at % length) as i64,
        };
        add_row(sum, &position, place, "position_embedding")?;
        if let (Some(segments), Some(table)) = (&segments, &segment) {
            let id =
                segments.get(at).ok_or_else(|| OpError::invalid("`segment_ids` are too few"))?;
            add_row(sum, table, *id, "segment_embedding")?;
        }
    }
    let counts = match ctx.opt_ints(7)? {
        Some(mask) if mask.len() == batch * length => mask
            .chunks(length.max(1))
            .map(|row| row.iter().filter(|&&on| on != 0).count() as i32)
            .collect(),
        Some(_) => return Err(OpError::invalid("`mask` expected as many elements as `input_ids`")),
        None => vec![0; batch],
    };
    let dtype = ctx.tensor(2)?.dtype();
    let norm = SkipNorm { sum, gamma: ctx.tensor(5)?, beta: Some(ctx.tensor(6)?), center: true };
    let mut outputs = norm.run(ctx.attrs(), dtype)?;
    let sum = outputs.pop().ok_or_else(|| OpError::Bug("the sum is missing".into()))?;
    outputs.truncate(1);
    outputs.extend([Tensor::from_vec([batch], counts)?.into(), sum]);
    Ok(outputs)
}
