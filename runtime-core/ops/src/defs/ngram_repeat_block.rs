//! `NGramRepeatBlock`: scores of next tokens in which those that would repeat an n-gram of the text are minus
//! infinity.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::Array;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "NGramRepeatBlock",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_ids", Types::I64).tied(""),
        InputDef::new("scores", Types::FLOATS).tied(""),
    ],
    outputs: &[OutputDef::new("scores_out")],
    attrs: &[AttrDef::required("ngram_size", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("ngram_repeat_block.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::from(ctx.ty(1)?.clone())])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let size = ctx.attrs().required_int("ngram_size")?;
    let Some(known) = usize::try_from(size).ok().and_then(|size| size.checked_sub(1)) else {
        return Err(OpError::Invalid(format!(
            "`ngram_size` expected a positive integer, got {size}"
        )));
    };
    let (ids, mut scores) = (ctx.tensor(0)?, Array::of(ctx.tensor(1)?)?);
    let [rows, words] = scores.with_rank("scores")?;
    let &[texts, length] = ids.dims() else {
        return Err(OpError::Invalid(format!(
            "`input_ids` expected 2 dimensions, got {:?}",
            ids.dims()
        )));
    };
    if texts != rows {
        return Err(OpError::Invalid(format!("{rows} rows of scores do not fit {texts} texts")));
    }
    let ids = ids.to_i64_vec()?;
    for (row, text) in ids.chunks(length.max(1)).enumerate().filter(|_| length > known) {
        let end = &text[length - known..];
        for gram in text.windows(known + 1).filter(|gram| gram[..known] == *end) {
            let word = usize::try_from(gram[known]).ok().filter(|&word| word < words);
            let word = word.ok_or_else(|| {
                OpError::Invalid(format!("token {} is outside {words} scores", gram[known]))
            })?;
            scores.values[row * words + word] = f64::NEG_INFINITY;
        }
    }
    Ok(vec![scores.to_floats(ctx.tensor(1)?.dtype())?.into()])
}
