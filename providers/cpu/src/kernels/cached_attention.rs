//! `CachedAttention` of f32 on the provider's own caches: a step's keys and values go into pages, and
//! queries of all sequences are answered from there.

use remuda_base::Set;
use remuda_ir::{Appended, OpError, State, StateRef, StateType, Val, ValueType, appended};
use remuda_kernels::attention::paged::{
    Bias, PagedOptions, Sequence, paged_attention, scratch_bytes,
};
use remuda_tensor::{DType, Tensor};

use crate::cache::PagedCache;
use crate::kernel::{Kernel, Needs, Preparation, Run, optional, tensor, writable};

struct CachedAttention {
    heads: usize,
    scale: Option<f32>,
    softcap: Option<f32>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let positive = |name: &str| Some(attrs.float(name).ok()?.filter(|&value| value != 0.0));
    let kernel = CachedAttention {
        heads: usize::try_from(attrs.required_int("num_heads").ok()?).ok()?,
        scale: positive("scale")?,
        softcap: positive("softcap")?.filter(|&cap| cap > 0.0),
    };
    let plain = |at: usize| preparation.dtype(at) == Some(DType::F32);
    let fits = (0..3).all(plain) && (preparation.input_type(6).is_none() || plain(6));
    fits.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

/// The rows of a token matrix, checked.
pub(super) fn matrix(
    inputs: &[Option<Val>],
    at: usize,
    [tokens, features]: [usize; 2],
) -> Result<Tensor, OpError> {
    let found = tensor(inputs, at)?;
    if found.dims() != [tokens, features] {
        return Err(OpError::Invalid(format!(
            "input {at} expected dimensions [{tokens}, {features}], got {:?}",
            found.dims()
        )));
    }
    Ok(found.contiguous())
}

/// Rows of some tokens.
pub(super) fn rows<'a>(of: &'a Tensor, step: &Appended) -> Result<&'a [f32], OpError> {
    let features = of.dims().last().copied().unwrap_or(0);
    Ok(&of.as_slice::<f32>()?[step.tokens.start * features..step.tokens.end * features])
}

/// How many of these steps come before a sequence occurs again: what one of them appends may push
/// out of a window what an earlier one reaches.
fn distinct(steps: &[Appended]) -> usize {
    let mut seen = Set::new();
    steps.iter().take_while(|step| seen.insert(step.sequence)).count()
}

/// The state that is input 3.
pub(super) fn state(inputs: &[Option<Val>]) -> Result<StateRef, OpError> {
    let missing = || OpError::Invalid("input 3 is missing".to_owned());
    Ok(inputs.get(3).and_then(Option::as_ref).ok_or_else(missing)?.state()?.clone())
}

/// The cache behind a state, which so many query heads look at.
pub(super) fn own(state: &StateRef, heads: usize) -> Result<&PagedCache, OpError> {
    let cache = state
        .as_any()
        .downcast_ref::<PagedCache>()
        .ok_or_else(|| OpError::Invalid("the cache was made by another provider".to_owned()))?;
    let kv_heads = cache.ty().heads;
    if heads == 0 || !heads.is_multiple_of(kv_heads) {
        let text = format!("{heads} query heads are no multiple of {kv_heads} key heads");
        return Err(OpError::Invalid(text));
    }
    Ok(cache)
}

impl Kernel for CachedAttention {
    fn needs(&self, preparation: &Preparation<'_>) -> Needs {
        let Some(ValueType::State(ty)) = preparation.input_type(3) else { return Needs::default() };
        Needs { thread_bytes: scratch_bytes(&self.options(ty, None)), ..Needs::default() }
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let state = state(inputs)?;
        let cache = own(&state, self.heads)?;
        let ty = cache.ty();
        let (sequences, positions) =
            (tensor(inputs, 4)?.to_i64_vec()?, tensor(inputs, 5)?.to_i64_vec()?);
        let tokens = sequences.len();
        let query = matrix(inputs, 0, [tokens, self.heads * ty.key_dim])?;
        let key = matrix(inputs, 1, [tokens, ty.heads * ty.key_dim])?;
        let value = matrix(inputs, 2, [tokens, ty.heads * ty.value_dim])?;
        let steps = appended(&*state, &sequences, &positions)?;
        let bias = optional(inputs, 6)?.map(Tensor::contiguous);
        let bias = bias.as_ref().map(|bias| self.bias(bias)).transpose()?;
        let options = self.options(ty, bias);
        let mut out = run.arena.tensor(DType::F32, &[tokens, self.heads * ty.value_dim])?;
        let mut steps = &steps[..];
        while !steps.is_empty() {
            let (together, later) = steps.split_at(distinct(steps));
            for step in together {
                cache.append_rows(step.sequence, rows(&key, step)?, rows(&value, step)?)?;
            }
            attend(run, cache, &options, together, &query, writable(&mut out)?)?;
            steps = later;
        }
        Ok(vec![out.into()])
    }
}

impl CachedAttention {
    fn options<'b>(&self, ty: &StateType, bias: Option<Bias<'b>>) -> PagedOptions<'b> {
        PagedOptions {
            heads: self.heads,
            kv_heads: ty.heads,
            size: ty.key_dim,
            value_size: ty.value_dim,
            scale: self.scale.unwrap_or_else(|| 1.0 / (ty.key_dim as f32).sqrt()),
            softcap: self.softcap,
            causal: true,
            window: ty.window,
            bias,
        }
    }

    /// The rows of heads that the scores of distances are in.
    fn bias<'b>(&self, table: &'b Tensor) -> Result<Bias<'b>, OpError> {
        match *table.dims() {
            [rows, distances] if rows == self.heads && distances > 0 => {
                Ok(Bias { values: table.as_slice::<f32>()?, distances })
            }
            ref dims => Err(OpError::Invalid(format!(
                "`bias` expected {} rows of at least 1 distance, got {dims:?}",
                self.heads
            ))),
        }
    }
}

/// Attention of steps whose tokens follow each other, all of which have been appended.
fn attend(
    run: &Run<'_>,
    cache: &PagedCache,
    options: &PagedOptions<'_>,
    steps: &[Appended],
    query: &Tensor,
    out: &mut [f32],
) -> Result<(), OpError> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(()) };
    let tokens = first.tokens.start..last.tokens.end;
    let queries = options.heads * options.size;
    let query = &query.as_slice::<f32>()?[tokens.start * queries..tokens.end * queries];
    let features = options.heads * options.value_size;
    let out = &mut out[tokens.start * features..tokens.end * features];
    cache.with_caches(steps.iter().map(|step| step.sequence), |caches| {
        let sequences = steps.iter().zip(caches).map(|(step, cache)| Sequence {
            cache: &**cache,
            keys: step.start + step.tokens.len(),
            queries: step.tokens.len(),
            first: step.start,
        });
        let sequences: Vec<_> = sequences.collect();
        paged_attention(run.context(), options, &sequences, query, out);
    })
}
