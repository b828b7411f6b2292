//! Attention to a key/value cache, in `f64`: what operators over caches share.

use remuda_ir::{InferCtx, OpError, StateType, ValueType};
use remuda_tensor::{Dim, Tensor};

use super::attention::softmax;

/// The type of the cache that is input 3.
pub(crate) fn cache_type<'a>(ctx: &InferCtx<'a>) -> Result<&'a StateType, OpError> {
    match ctx.ty(3)? {
        ValueType::State(state) => Ok(state),
        other => Err(OpError::Invalid(format!("`cache` expected a state, got `{other}`"))),
    }
}

/// How many heads queries have: a multiple of those of the cache.
pub(crate) fn query_heads(heads: Option<usize>, cache: &StateType) -> Result<usize, OpError> {
    heads.filter(|heads| heads.is_multiple_of(cache.heads)).ok_or_else(|| {
        OpError::Invalid(format!(
            "{} query heads are no multiple of {} key heads",
            heads.unwrap_or(0),
            cache.heads
        ))
    })
}

/// Checks the types of queries, keys and values, inputs 0 to 2; gives the number of queries.
pub(crate) fn query_count(
    ctx: &InferCtx<'_>,
    cache: &StateType,
    heads: usize,
) -> Result<Dim, OpError> {
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
    Ok(tokens)
}

/// The rows of a token matrix, checked.
pub(crate) fn matrix(tensor: &Tensor, name: &str, shape: [usize; 2]) -> Result<Vec<f32>, OpError> {
    if tensor.dims() != shape {
        return Err(OpError::Invalid(format!(
            "`{name}` expected dimensions {shape:?}, got {:?}",
            tensor.dims()
        )));
    }
    Ok(tensor.to_f32_vec()?)
}

/// The neutral form of the positions that some rows of keys and values are.
pub(crate) fn neutral(keys: &[f32], values: &[f32], cache: &StateType) -> Vec<f32> {
    let keys = keys.chunks(cache.heads * cache.key_dim);
    let values = values.chunks(cache.heads * cache.value_dim);
    keys.zip(values).flat_map(|(key, value)| [key, value].concat()).collect()
}

/// What the attributes of a node say.
pub(crate) struct Settings {
    pub(crate) heads: usize,
    pub(crate) scale: f64,
    /// 0 for none.
    pub(crate) softcap: f64,
}

/// What one token's heads get of the positions they reach; zeros where there are none. `bias` is what
/// is added to the score of a head with the position at a place.
pub(crate) fn attend(
    query: &[f32],
    reached: &[Vec<f32>],
    (cache, settings): (&StateType, &Settings),
    bias: &dyn Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let group = settings.heads / cache.heads;
    let mut out = Vec::with_capacity(settings.heads * cache.value_dim);
    for (head, query) in query.chunks(cache.key_dim).enumerate() {
        let kv = head / group;
        let score = |(place, position): (usize, &Vec<f32>)| {
            let key = &position[kv * cache.key_dim..][..cache.key_dim];
            let dot: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            let score = dot * settings.scale;
            let cap = settings.softcap;
            let score = if cap > 0.0 { cap * (score / cap).tanh() } else { score };
            score + bias(head, place)
        };
        let mut weights: Vec<f64> = reached.iter().enumerate().map(score).collect();
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
