//! `CachedAttention`: attention of a step's tokens, of any number of sequences, to a key/value cache.
//! Token `i` becomes position `positions[i]` of sequence `sequences[i]`: its key and value are appended
//! there, then its query looks at every position of its sequence up to its own, within the window of
//! the cache. Heads lie side by side; each key head serves as many neighbouring query heads as there
//! are for it. A `bias` is added to scores: it has a row for each query head, with a number for each
//! distance from the query back to the key, from 0 on; the last one is that of all farther keys, too.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val, appended,
};
use remuda_tensor::Tensor;

use crate::support::array::Array;
use crate::support::attention::{heads_attr, read_scale};
use crate::support::cached::{
    Settings, attend, cache_type, matrix, neutral, query_count, query_heads,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "remuda",
    name: "CachedAttention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("query", Types::FLOATS),
        InputDef::new("key", Types::FLOATS),
        InputDef::new("value", Types::FLOATS),
        InputDef::new("cache", Types::ANY).tied(""),
        InputDef::new("sequences", Types::INDEX).tied("I"),
        InputDef::new("positions", Types::INDEX).tied("I"),
        InputDef::optional("bias", Types::FLOATS).tied(""),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("softcap", AttrKind::Float),
    ],
    traits: Traits::IMPURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("cached_attention.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let cache = cache_type(ctx)?;
    cache.check()?;
    let heads = query_heads(heads_attr(ctx.attrs(), "num_heads")?, cache)?;
    let tokens = query_count(ctx, cache, heads)?;
    if ctx.has(6)
        && let Some(dims) = ctx.dims(6)?
    {
        let fits = match dims {
            [rows, distances] => !rows.differs(&heads.into()) && distances.as_usize() != Some(0),
            _ => false,
        };
        if !fits {
            let got: Vec<_> = dims.iter().map(ToString::to_string).collect();
            return Err(bad_bias(heads, &got.join(", ")));
        }
    }
    let features = heads.saturating_mul(cache.value_dim);
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [tokens, features.into()])])
}

fn bad_bias(heads: usize, got: &str) -> OpError {
    OpError::Invalid(format!("`bias` expected {heads} rows of at least 1 distance, got [{got}]"))
}

/// What is added to the scores of heads by the distance of the key.
struct Bias {
    values: Vec<f32>,
    distances: usize,
}

impl Bias {
    fn read(tensor: Option<&Tensor>, heads: usize) -> Result<Option<Self>, OpError> {
        let Some(tensor) = tensor else { return Ok(None) };
        match *tensor.dims() {
            [rows, distances] if rows == heads && distances > 0 => {
                Ok(Some(Self { values: tensor.to_f32_vec()?, distances }))
            }
            ref dims => {
                let got: Vec<_> = dims.iter().map(ToString::to_string).collect();
                Err(bad_bias(heads, &got.join(", ")))
            }
        }
    }

    fn of(&self, head: usize, distance: usize) -> f64 {
        f64::from(self.values[head * self.distances + distance.min(self.distances - 1)])
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let state = ctx.val(3)?.state()?;
    let cache = state.ty().clone();
    let heads = query_heads(heads_attr(ctx.attrs(), "num_heads")?, &cache)?;
    let (sequences, positions) = (ctx.ints(4)?, ctx.ints(5)?);
    let tokens = sequences.len();
    let query = matrix(ctx.tensor(0)?, "query", [tokens, heads * cache.key_dim])?;
    let key = matrix(ctx.tensor(1)?, "key", [tokens, cache.heads * cache.key_dim])?;
    let value = matrix(ctx.tensor(2)?, "value", [tokens, cache.heads * cache.value_dim])?;
    let bias = Bias::read(ctx.opt_tensor(6)?, heads)?;
    let settings = Settings {
        heads,
        scale: read_scale(ctx.attrs(), cache.key_dim)?,
        softcap: f64::from(ctx.attrs().float_or("softcap", 0.0)?),
    };
    let runs = appended(&**state, &sequences, &positions)?;
    let mut out = Vec::with_capacity(tokens * heads * cache.value_dim);
    for run in runs {
        for (step, token) in run.tokens.enumerate() {
            let row = |data: &[f32], size: usize| data[token * size..][..size].to_vec();
            let keys = row(&key, cache.heads * cache.key_dim);
            let values = row(&value, cache.heads * cache.value_dim);
            state.append(run.sequence, &neutral(&keys, &values, &cache))?;
            let position = run.start + step;
            let first = cache.reach(position);
            let mut reached: Vec<Vec<f32>> = Vec::new();
            state.export(run.sequence, first..position + 1, &mut |position| {
                reached.push(position.to_vec());
            })?;
            let of = |head: usize, place: usize| {
                bias.as_ref().map_or(0.0, |bias| bias.of(head, position - first - place))
            };
            let query = row(&query, heads * cache.key_dim);
            out.extend(attend(&query, &reached, (&cache, &settings), &of));
        }
    }
    let dims = vec![tokens, heads * cache.value_dim];
    Ok(vec![Array { dims, values: out }.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
