//! `CrossAttention`: attention of a step's tokens to what was encoded of another text. Row `j` of `key` and
//! `value` first becomes position `key_positions[j]` of sequence `key_sequences[j]`, as for
//! `CachedAttention`; then the query of token `i` looks at every position of sequence `sequences[i]`,
//! wherever the token itself stands. There may be none of either; a sequence without positions gives
//! zeros. Heads are those of `CachedAttention`; the cache has no window.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    StateType, Tolerance, Traits, Types, Val, appended,
};

use crate::support::array::Array;
use crate::support::attention::{heads_attr, read_scale};
use crate::support::cached::{
    Settings, attend, cache_type, matrix, neutral, query_count, query_heads,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "remuda",
    name: "CrossAttention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("query", Types::FLOATS),
        InputDef::new("key", Types::FLOATS),
        InputDef::new("value", Types::FLOATS),
        InputDef::new("cache", Types::ANY).tied(""),
        InputDef::new("sequences", Types::INDEX).tied("I"),
        InputDef::new("key_sequences", Types::INDEX).tied("I"),
        InputDef::new("key_positions", Types::INDEX).tied("I"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::required("num_heads", AttrKind::Int), AttrDef::new("scale", AttrKind::Float)],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("cross_attention.cases"),
};

fn check(cache: &StateType) -> Result<(), OpError> {
    cache.check()?;
    match cache.window {
        None => Ok(()),
        Some(window) => {
            Err(OpError::Invalid(format!("`cache` expected no window, got one of {window}")))
        }
    }
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let cache = cache_type(ctx)?;
    check(cache)?;
    let heads = query_heads(heads_attr(ctx.attrs(), "num_heads")?, cache)?;
    let tokens = query_count(ctx, cache, heads)?;
    let features = heads.saturating_mul(cache.value_dim);
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [tokens, features.into()])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let state = ctx.val(3)?.state()?;
    let cache = state.ty().clone();
    check(&cache)?;
    let heads = query_heads(heads_attr(ctx.attrs(), "num_heads")?, &cache)?;
    let sequences = ctx.ints(4)?;
    let (key_sequences, key_positions) = (ctx.ints(5)?, ctx.ints(6)?);
    let (tokens, rows) = (sequences.len(), key_sequences.len());
    let query = matrix(ctx.tensor(0)?, "query", [tokens, heads * cache.key_dim])?;
    let key = matrix(ctx.tensor(1)?, "key", [rows, cache.heads * cache.key_dim])?;
    let value = matrix(ctx.tensor(2)?, "value", [rows, cache.heads * cache.value_dim])?;
    let scale = read_scale(ctx.attrs(), cache.key_dim)?;
    let settings = Settings { heads, scale, softcap: 0.0 };
    for run in appended(&**state, &key_sequences, &key_positions)? {
        let of = |data: &[f32], size: usize| {
            data[run.tokens.start * size..run.tokens.end * size].to_vec()
        };
        let keys = of(&key, cache.heads * cache.key_dim);
        let values = of(&value, cache.heads * cache.value_dim);
        state.append(run.sequence, &neutral(&keys, &values, &cache))?;
    }
    let mut out = Vec::with_capacity(tokens * heads * cache.value_dim);
    for (query, sequence) in query.chunks(heads * cache.key_dim).zip(sequences) {
        let sequence = u32::try_from(sequence)
            .map_err(|_| OpError::Invalid(format!("there is no sequence {sequence}")))?;
        let mut reached: Vec<Vec<f32>> = Vec::new();
        state.export(sequence, 0..state.length(sequence)?, &mut |position| {
            reached.push(position.to_vec());
        })?;
        out.extend(attend(query, &reached, (&cache, &settings), &|_, _| 0.0));
    }
    let dims = vec![tokens, heads * cache.value_dim];
    Ok(vec![Array { dims, values: out }.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
