//! `MultiHeadAttention` of com.microsoft, and the part of its `Attention` behind the projection: a bias
//! of the projections, a past, padding masks and summands of the scores.

use remuda_ir::{Attrs, OpError, Val};
use remuda_kernels::attention::{Mask, Options, Sizes, Window};
use remuda_kernels::elementwise::Binary;
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::attention::{Headed, attend, cache, mask, sizes};
use super::elementwise::{apply, is_fast, joined, with_fast};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor};

/// What both operators say of their attention.
pub(super) struct MultiHead {
    pub(super) heads: usize,
    scale: Option<f32>,
    causal: bool,
    /// What is added to the scores of keys that are padding.
    filter: f32,
    /// Whether keys and values, the past included, are results too.
    pub(super) presents: bool,
}

/// What comes beside queries, keys and values.
#[derive(Default)]
pub(super) struct Beside<'a> {
    pub(super) past: Option<[Tensor; 2]>,
    pub(super) padding: Option<&'a Tensor>,
    pub(super) added: Option<&'a Tensor>,
}

/// The result, and keys and values with their past.
pub(super) struct Attended {
    pub(super) out: Tensor,
    pub(super) key: Headed,
    pub(super) value: Headed,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let typed = [1, 2, 3, 5, 6, 7]
        .iter()
        .all(|&at| node.input(at).is_none() || preparation.dtype(at) == Some(dtype));
    let rank = preparation.rank(1);
    let plain = preparation.rank(0) == Some(3)
        && matches!(rank, Some(3 | 4))
        && preparation.rank(2) == rank
        && (8..10).all(|at| node.input(at).is_none())
        && node.output(3).is_none();
    let presents = (1..3).any(|at| node.output(at).is_some());
    let kernel = MultiHead::new(&node.attrs, presents)?;
    (typed && plain).then(|| Box::new(kernel) as Box<dyn Kernel>)
}

impl Kernel for MultiHead {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let bias = optional(inputs, 3)?;
        let (query, key, value) = (tensor(inputs, 0)?, tensor(inputs, 1)?, tensor(inputs, 2)?);
        let hidden = query.dims().last().copied().unwrap_or(0);
        let query = biased(run, query, bias, 0)?;
        let [key, value] = if key.rank() == 4 {
            [key.contiguous(), value.contiguous()]
        } else {
            [biased(run, key, bias, hidden)?, biased(run, value, bias, 2 * hidden)?]
        };
        let past = match (optional(inputs, 6)?, optional(inputs, 7)?) {
            (Some(key), Some(value)) => Some([key.clone(), value.clone()]),
            (None, None) => None,
            _ => return Err(OpError::invalid("`past_key` and `past_value` come together")),
        };
        let beside = Beside { past, padding: optional(inputs, 4)?, added: optional(inputs, 5)? };
        let Attended { out, key, value } = self.attend(run, [&query, &key, &value], beside)?;
        let mut results = vec![out.into()];
        if self.presents {
            results.push(cache::separate(run, key)?.into());
            results.push(cache::separate(run, value)?.into());
        }
        Ok(results)
    }
}

impl MultiHead {
    pub(super) fn new(attrs: &Attrs, presents: bool) -> Option<Self> {
        let heads = usize::try_from(attrs.required_int("num_heads").ok()?).ok()?;
        let scale = attrs.float("scale").ok()?.filter(|&scale| scale != 0.0);
        let causal = attrs.bool_or("unidirectional", false).ok()?;
        let filter = attrs.float_or("mask_filter_value", -10000.0).ok()?;
        (heads > 0).then_some(Self { heads, scale, causal, filter, presents })
    }

    pub(super) fn attend(
        &self,
        run: &mut Run<'_>,
        [query, key, value]: [&Tensor; 3],
        beside: Beside<'_>,
    ) -> Result<Attended, OpError> {
        let query = Headed::new(query, Some(self.heads))?;
        let mut key = Headed::new(key, Some(self.heads))?;
        let mut value = Headed::new(value, Some(self.heads))?;
        if let Some([past_key, past_value]) = &beside.past {
            key = cache::append(run, past_key, &key)?;
            value = cache::append(run, past_value, &value)?;
        }
        let sizes = sizes(&query, &key, &value)?;
        let added = self.summands(run, &beside, &sizes)?;
        let mask = added
            .filter(|_| sizes.keys > 0)
            .map(|added| mask::Prepared::new(&added, &sizes))
            .transpose()?;
        let offset = [sizes.keys.cast_signed() - sizes.queries.cast_signed()];
        let window = Window { offsets: &offset, left: None, right: Some(0) };
        let options = Options {
            scale: self.scale.unwrap_or_else(|| 1.0 / (sizes.size as f32).sqrt()),
            softcap: None,
            window: self.causal.then_some(window),
            mask: mask.as_ref().map_or(Ok(Mask::None), mask::Prepared::view)?,
            key_counts: None,
        };
        let out = attend(run, sizes, [&query, &key, &value], options)?;
        Ok(Attended { out, key, value })
    }

    /// What is added to the scores, of padding and of what the caller adds.
    fn summands(
        &self,
        run: &mut Run<'_>,
        beside: &Beside<'_>,
        sizes: &Sizes,
    ) -> Result<Option<Tensor>, OpError> {
        if let Some(added) = beside.added.filter(|added| added.dims().last() != Some(&sizes.keys)) {
            let got = added.dims();
            let text = format!("`attention_bias` {got:?} does not fit {} keys", sizes.keys);
            return Err(OpError::Invalid(text));
        }
        let padding = beside.padding.map(|padding| self.padding(padding, sizes)).transpose()?;
        let (Some(padding), Some(added)) = (&padding, beside.added) else {
            return Ok(padding.or_else(|| beside.added.cloned()));
        };
        let added = Tensor::from_vec(added.dims(), added.to_f32_vec()?)?;
        let dims = joined(&added, padding)?;
        let mut sum = run.arena.tensor(DType::F32, &dims)?;
        apply::<f32>(run, Binary::Add, (&added, padding), &mut sum, &dims)?;
        Ok(Some(sum))
    }

    /// The summands that stand for a mask of padding, by the mask's form.
    fn padding(&self, padding: &Tensor, sizes: &Sizes) -> Result<Tensor, OpError> {
        let (batches, queries, keys) = (sizes.batches, sizes.queries, sizes.keys);
        let given = padding.to_i64_vec()?;
        let hidden = |hidden: bool| if hidden { self.filter } else { 0.0 };
        let by_bounds = |starts: Option<&[i64]>, ends: &[i64]| -> Vec<f32> {
            (0..batches * keys)
                .map(|at| (at / keys, i64::try_from(at % keys).unwrap_or(i64::MAX)))
                .map(|(b, key)| key >= ends[b] || starts.is_some_and(|starts| key < starts[b]))
                .map(hidden)
                .collect()
        };
        let by_elements = || given.iter().map(|&seen| hidden(seen == 0)).collect();
        let (rows, values) = match *padding.dims() {
            [count] if count == batches => (1, by_bounds(None, &given)),
            [count] if count == 2 * batches => {
                (1, by_bounds(Some(&given[batches..]), &given[..batches]))
            }
            [b, k] if [b, k] == [batches, keys] => (1, by_elements()),
            [b, q, k] if [b, q, k] == [batches, queries, keys] => (queries, by_elements()),
            ref other => {
                return Err(OpError::Unsupported(format!("`key_padding_mask` of {other:?}")));
            }
        };
        Ok(Tensor::from_vec([batches, 1, rows, keys], values)?)
    }
}

/// A projection with its part of the bias added.
fn biased(
    run: &mut Run<'_>,
    x: &Tensor,
    bias: Option<&Tensor>,
    from: usize,
) -> Result<Tensor, OpError> {
    let (x, Some(bias)) = (x.contiguous(), bias) else { return Ok(x.contiguous()) };
    let width = x.dims().last().copied().unwrap_or(0);
    let bias = bias.slice(0, from, width, 1)?.contiguous();
    let mut out = run.arena.tensor(x.dtype(), x.dims())?;
    let dims = x.dims().to_vec();
    with_fast!(x.dtype(), T => apply::<T>(run, Binary::Add, (&x, &bias), &mut out, &dims))?;
    Ok(out)
}
