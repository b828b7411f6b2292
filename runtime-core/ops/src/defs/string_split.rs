//! `StringSplit`: each text cut at a delimiter (at runs of white space without one), at most
//! `maxsplit` times. Shorter lists are filled with empty texts; the second output counts the
//! pieces.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::vec_of;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "StringSplit",
    since: 20,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::STRING)],
    outputs: &[OutputDef::new("y"), OutputDef::new("z")],
    attrs: &[AttrDef::new("delimiter", AttrKind::Text), AttrDef::new("maxsplit", AttrKind::Int)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("string_split.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = ctx.dims(0)?.map(<[Dim]>::to_vec);
    let pieces = dims.clone().map(|dims| dims.into_iter().chain([Dim::Unknown]).collect());
    Ok(vec![Inferred::maybe(DType::String, pieces), Inferred::maybe(DType::I64, dims)])
}

/// The pieces of one text; `limit` is the most there may be.
fn pieces<'a>(text: &'a str, delimiter: &str, limit: usize) -> Vec<&'a str> {
    if !delimiter.is_empty() {
        return text.splitn(limit, delimiter).collect();
    }
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).filter(|_| pieces.len() + 1 < limit);
        let (piece, tail) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = tail.trim_start();
    }
    pieces
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let delimiter = ctx.attrs().text_or("delimiter", "")?;
    // A negative number of splits is no limit.
    let splits = ctx.attrs().int("maxsplit")?.and_then(|splits| usize::try_from(splits).ok());
    let limit = splits.map_or(usize::MAX, |splits| splits.saturating_add(1));
    let lists: Vec<Vec<&str>> =
        x.texts().into_iter().map(|text| pieces(text, delimiter, limit)).collect();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let dims: Vec<usize> = x.dims().iter().copied().chain([longest]).collect();
    let mut texts = vec_of(&dims, String::new())?;
    for (slots, list) in texts.chunks_mut(longest.max(1)).zip(&lists) {
        slots.iter_mut().zip(list).for_each(|(slot, piece)| (*piece).clone_into(slot));
    }
    let counts = lists.iter().map(|list| list.len() as i64).collect();
    Ok(vec![
        Tensor::from_strings(dims, texts)?.into(),
        Tensor::from_vec::<i64>(x.dims(), counts)?.into(),
    ])
}
