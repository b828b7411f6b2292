//! `CachedAttention`: attention of a step's tokens, of any number of sequences, to a key/value cache.
//! Token `i` becomes position `positions[i]` of sequence `sequences[i]`: its key and value are appended
//! there, then its query looks at every position of its sequence up to its own, within the window of
//! the cache. Heads lie side by side; each key head serves as many neighbouring query heads as there
//! are for it.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    StateType, Tolerance, Traits, Types, Val, ValueType, appended,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::attention::{heads_attr, read_scale, softmax};

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

fn cache_type<'a>(ctx: &InferCtx<'a>) -> Result<&'a StateType, OpError> {
    match ctx.ty(3)? {
        ValueType::State(state) => Ok(state),
        other => Err(OpError::Invalid(format!("`cache` expected a state, got `{other}`"))),
    }
}

fn query_heads(heads: Option<usize>, cache: &StateType) -> Result<usize, OpError> {
    heads.filter(|heads| heads.is_multiple_of(cache.heads)).ok_or_else(|| {
        OpError::Invalid(format!(
            "{} query heads are no multiple of {} key heads",
            heads.unwrap_or(0),
            cache.heads
        ))
    })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let cache = cache_type(ctx)?;
    cache.check()?;
    let heads = query_heads(heads_attr(ctx.attrs(), "num_heads")?, cache)?;
    let features =
        [heads * cache.key_dim, cache.heads * cache.key_dim, cache.heads * cache.value_dim];
    let mut tokens = Dim::Unknown;
    for (at, expected) in features.into_iter().enumerate() {
        let Some(dims) = ctx.dims(at)? else { continue };
        let [count, got] = dims else {
            let text = format!("input {at} expected 2 dimensions, got {}", dims.len());
            return Err(OpError::Invalid(text));
        };
        if got.differs(&expected.into()) {
            let text = format!("input {at} expected {expected} features, got {got}");
            return Err(OpError::Invalid(text));
        }
        if at == 0 {
            tokens = count.clone();
        }
    }
    let features = heads.saturating_mul(cache.value_dim);
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, [tokens, features.into()])])
}

/// The rows of a token matrix, checked.
fn matrix(tensor: &Tensor, name: &str, shape: [usize; 2]) -> Result<Vec<f32>, OpError> {
    if tensor.dims() != shape {
        return Err(OpError::Invalid(format!(
            "`{name}` expected dimensions {shape:?}, got {:?}",
            tensor.dims()
        )));
    }
    Ok(tensor.to_f32_vec()?)
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
            state.append(run.sequence, &[keys, values].concat())?;
            let position = run.start + step;
            let mut reached: Vec<Vec<f32>> = Vec::new();
            state.export(run.sequence, cache.reach(position)..position + 1, &mut |position| {
                reached.push(position.to_vec());
            })?;
            out.extend(attend(&row(&query, heads * cache.key_dim), &reached, &cache, &settings));
        }
    }
    let dims = [tokens, heads * cache.value_dim];
    Ok(vec![
        crate::support::array::Array { dims: dims.to_vec(), values: out }
            .to_floats(ctx.tensor(0)?.dtype())?
            .into(),
    ])
}

struct Settings {
    heads: usize,
    scale: f64,
    softcap: f64,
}

/// What one token's heads get of the positions they reach.
fn attend(query: &[f32], reached: &[Vec<f32>], cache: &StateType, settings: &Settings) -> Vec<f64> {
    let group = settings.heads / cache.heads;
    let mut out = Vec::with_capacity(settings.heads * cache.value_dim);
    for (head, query) in query.chunks(cache.key_dim).enumerate() {
        let kv = head / group;
        let score = |position: &Vec<f32>| {
            let key = &position[kv * cache.key_dim..][..cache.key_dim];
            let dot: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            let score = dot * settings.scale;
            let cap = settings.softcap;
            if cap > 0.0 { cap * (score / cap).tanh() } else { score }
        };
        let mut weights: Vec<f64> = reached.iter().map(score).collect();
        softmax(&mut weights, None);
        let at = cache.heads * cache.key_dim + kv * cache.value_dim;
        let mut sums = vec![0.0; cache.value_dim];
        for (weight, position) in weights.iter().zip(reached) {
            let value = &position[at..][..cache.value_dim];
            sums.iter_mut().zip(value).for_each(|(sum, v)| *sum += weight * f64::from(*v));
        }
        out.extend(sums);
    }
    out
}
