//! Scaled dot-product attention over heads, in `f64`: what every operator of that kind ends in.

use remuda_ir::{Attrs, OpError};

use super::array::{Array, positions};

/// What scores become on their way to probabilities; one stage may be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Products,
    Capped,
    Biased,
    Probabilities,
}

/// Queries `[batch, heads, queries, size]` against keys and values `[batch, kv heads, keys, ..]`;
/// each key head serves as many neighbouring query heads as there are for it.
pub(crate) struct Attention<'a> {
    pub(crate) q: &'a Array,
    pub(crate) k: &'a Array,
    pub(crate) v: &'a Array,
    pub(crate) scale: f64,
    /// 0 for none.
    pub(crate) softcap: f64,
    /// Added to the scores: batch, head, query, key.
    pub(crate) bias: &'a dyn Fn([usize; 4]) -> f64,
    /// An extra score that takes part in the sum of each head's softmax but has no value.
    pub(crate) sink: &'a dyn Fn(usize) -> Option<f64>,
}

/// Batch, heads, kv heads, queries, keys, head size and size of values.
struct Sizes([usize; 7]);

/// What attention gives: the result and the stage that was asked for.
pub(crate) struct Attended {
    pub(crate) y: Array,
    pub(crate) stage: Array,
}

/// No sinks.
pub(crate) fn no_sink(_head: usize) -> Option<f64> {
    None
}

impl Attention<'_> {
    fn sizes(&self) -> Result<Sizes, OpError> {
        let [batch, heads, queries, size] = self.q.with_rank("query")?;
        let [batch_k, kv_heads, keys, size_k] = self.k.with_rank("key")?;
        let [batch_v, heads_v, keys_v, size_v] = self.v.with_rank("value")?;
        let fits = batch == batch_k
            && batch == batch_v
            && kv_heads == heads_v
            && keys == keys_v
            && size == size_k
            && (kv_heads > 0 && heads.is_multiple_of(kv_heads));
        if !fits {
            return Err(OpError::Invalid(format!(
                "query {:?}, key {:?} and value {:?} do not fit each other",
                self.q.dims, self.k.dims, self.v.dims
            )));
        }
        Ok(Sizes([batch, heads, kv_heads, queries, keys, size, size_v]))
    }

    /// Runs it.
    pub(crate) fn run(&self, stage: Stage) -> Result<Attended, OpError> {
        let Sizes([batch, heads, kv_heads, queries, keys, size, size_v]) = self.sizes()?;
        let mut out = Array::filled([batch, heads, queries, keys], 0.0)?;
        let mut y = Array::filled([batch, heads, queries, size_v], 0.0)?;
        for (row, place) in positions(&[batch, heads, queries]).enumerate() {
            let [b, h, i] = [place[0], place[1], place[2]];
            let kv = b * kv_heads + h / (heads / kv_heads);
            let q = &self.q.values[row * size..][..size];
            let k = &self.k.values[kv * keys * size..][..keys * size];
            let v = &self.v.values[kv * keys * size_v..][..keys * size_v];
            let given = self.row(q, k, [b, h, i], stage);
            out.values[row * keys..][..keys].copy_from_slice(&given.stage);
            let y = &mut y.values[row * size_v..][..size_v];
            for (weight, v) in given.weights.iter().zip(v.chunks(size_v.max(1))) {
                y.iter_mut().zip(v).filter(|_| *weight != 0.0).for_each(|(y, v)| *y += weight * v);
            }
        }
        Ok(Attended { y, stage: out })
    }

    /// The probabilities of one query, and the stage that was asked for.
    fn row(&self, q: &[f64], k: &[f64], [b, h, i]: [usize; 3], stage: Stage) -> Row {
        let dot = |k: &[f64]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() * self.scale;
        let keys = k.len().checked_div(q.len()).unwrap_or(0);
        let mut scores: Vec<f64> = (0..keys).map(|j| dot(&k[j * q.len()..][..q.len()])).collect();
        let mut row = Row { weights: Vec::new(), stage: scores.clone() };
        if self.softcap > 0.0 {
            let cap = self.softcap;
            scores.iter_mut().for_each(|score| *score = cap * (*score / cap).tanh());
        }
        if stage == Stage::Capped {
            row.stage.clone_from(&scores);
        }
        let bias: Vec<f64> = (0..keys).map(|j| (self.bias)([b, h, i, j])).collect();
        scores.iter_mut().zip(&bias).for_each(|(score, bias)| *score += bias);
        if stage == Stage::Biased {
            row.stage.clone_from(&scores);
        }
        // A query that may look at no key gets nothing, whatever its scores.
        if bias.iter().all(|&bias| bias == f64::NEG_INFINITY) {
            scores.fill(0.0);
        } else {
            softmax(&mut scores, (self.sink)(h));
        }
        if stage == Stage::Probabilities {
            row.stage.clone_from(&scores);
        }
        Row { weights: scores, ..row }
    }
}

struct Row {
    weights: Vec<f64>,
    stage: Vec<f64>,
}

/// Softmax of a list, perhaps with one more score in the sum.
pub(crate) fn softmax(scores: &mut [f64], sink: Option<f64>) {
    let most = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
    let most = if most == f64::NEG_INFINITY { 0.0 } else { most };
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f64 = scores.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - most).exp());
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// `[batch, length, heads * size]` as `[batch, heads, length, size]`.
pub(crate) fn split_heads(array: Array, heads: usize, what: &str) -> Result<Array, OpError> {
    let [batch, length, hidden] = array.with_rank(what)?;
    if heads == 0 || !hidden.is_multiple_of(heads) {
        return Err(OpError::Invalid(format!(
            "{hidden} features of `{what}` do not divide into {heads} heads"
        )));
    }
    array.reshaped([batch, length, heads, hidden / heads])?.permuted(&[0, 2, 1, 3])
}

/// `[batch, heads, length, size]` as `[batch, length, heads * size]`.
pub(crate) fn merge_heads(array: &Array) -> Result<Array, OpError> {
    let [batch, heads, length, size] = array.with_rank("y")?;
    array.permuted(&[0, 2, 1, 3])?.reshaped([batch, length, heads * size])
}

/// Two arrays behind each other along axis 2 of 4.
pub(crate) fn append(past: &Array, new: &Array, what: &str) -> Result<Array, OpError> {
    let ([b, h, p, d], [b2, h2, n, d2]) = (past.with_rank(what)?, new.with_rank(what)?);
    if (b, h, d) != (b2, h2, d2) {
        return Err(OpError::Invalid(format!(
            "past `{what}` {:?} does not fit new {:?}",
            past.dims, new.dims
        )));
    }
    let mut values = Vec::with_capacity(past.values.len() + new.values.len());
    for block in 0..b * h {
        values.extend_from_slice(&past.values[block * p * d..][..p * d]);
        values.extend_from_slice(&new.values[block * n * d..][..n * d]);
    }
    Ok(Array { dims: vec![b, h, p + n, d], values })
}

/// The attribute of a number of heads, if it is there and not 0.
pub(crate) fn heads_attr(attrs: &Attrs, name: &str) -> Result<Option<usize>, OpError> {
    let Some(heads) = attrs.int(name)?.filter(|&heads| heads != 0) else { return Ok(None) };
    usize::try_from(heads)
        .map(Some)
        .map_err(|_| OpError::Invalid(format!("`{name}` expected a positive integer, got {heads}")))
}

/// The attribute `scale`, or one over the root of the head size.
pub(crate) fn read_scale(attrs: &Attrs, size: usize) -> Result<f64, OpError> {
    let given = attrs.float("scale")?.filter(|&scale| scale != 0.0);
    Ok(given.map_or_else(|| 1.0 / (size as f64).sqrt(), f64::from))
}
