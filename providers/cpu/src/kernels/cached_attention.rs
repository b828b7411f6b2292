//! `CachedAttention` of f32 on the provider's own caches: a step's keys and values go into pages, and
//! what each sequence reaches is gathered from them for the attention kernel.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use remuda_ir::{Appended, OpError, Val, appended};
use remuda_kernels::attention::{Heads, Inputs, Mask, Options, Order, Sizes, Window, attention};
use remuda_kernels::{Schedule, ThreadPool};
use remuda_simd::Element as Fast;
use remuda_tensor::storage::cast_mut;
use remuda_tensor::{DType, Element, Tensor, TensorError, f16, rows};

use crate::cache::{PageRows, PagedCache};
use crate::kernel::{Kernel, Preparation, Run, tensor, writable};

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
    let fits = (0..3).all(|at| preparation.dtype(at) == Some(DType::F32));
    fits.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

/// The rows of a token matrix, checked.
fn matrix(
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

impl Kernel for CachedAttention {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let missing = || OpError::Invalid("input 3 is missing".to_owned());
        let state = inputs.get(3).and_then(Option::as_ref).ok_or_else(missing)?.state()?.clone();
        let cache = state
            .as_any()
            .downcast_ref::<PagedCache>()
            .ok_or_else(|| OpError::Invalid("the cache was made by another provider".to_owned()))?;
        let ty = cache.layout().ty.clone();
        if self.heads == 0 || !self.heads.is_multiple_of(ty.heads) {
            let text =
                format!("{} query heads are no multiple of {} key heads", self.heads, ty.heads);
            return Err(OpError::Invalid(text));
        }
        let (sequences, positions) =
            (tensor(inputs, 4)?.to_i64_vec()?, tensor(inputs, 5)?.to_i64_vec()?);
        let tokens = sequences.len();
        let query = matrix(inputs, 0, [tokens, self.heads * ty.key_dim])?;
        let key = matrix(inputs, 1, [tokens, ty.heads * ty.key_dim])?;
        let value = matrix(inputs, 2, [tokens, ty.heads * ty.value_dim])?;
        let steps = appended(&*state, &sequences, &positions)?;
        let features = self.heads * ty.value_dim;
        let mut out = run.arena.tensor(DType::F32, &[tokens, features])?;
        for step in steps {
            let part =
                |tensor: &'_ Tensor| tensor.slice(0, step.tokens.start, step.tokens.len(), 1);
            let (query, key, value) = (part(&query)?, part(&key)?, part(&value)?);
            cache.append_rows(step.sequence, key.as_slice()?, value.as_slice()?)?;
            let out = &mut writable::<f32>(&mut out)?
                [step.tokens.start * features..step.tokens.end * features];
            // Caches of half precision are read as they are, others are decoded first.
            if ty.dtype == DType::F16 {
                self.attend::<f16>(run, cache, &step, query.as_slice()?, out)?;
            } else {
                self.attend::<f32>(run, cache, &step, query.as_slice()?, out)?;
            }
        }
        Ok(vec![out.into()])
    }
}

impl CachedAttention {
    fn attend<K: Element + Fast>(
        &self,
        run: &mut Run<'_>,
        cache: &PagedCache,
        step: &Appended,
        query: &[f32],
        out: &mut [f32],
    ) -> Result<(), OpError> {
        let ty = &cache.layout().ty;
        let end = step.start + step.tokens.len();
        let first = ty.reach(step.start);
        let keys = end - first;
        let mut key = run.arena.tensor(K::DTYPE, &[ty.heads, keys, ty.key_dim])?;
        let mut value = run.arena.tensor(K::DTYPE, &[ty.heads, keys, ty.value_dim])?;
        cache.with_pages(step.sequence, first..end, |layout, pages| {
            let keys = |head: usize, rows: &Range<usize>| layout.key_range(head, rows);
            gather(run.pool, ty.dtype, pages, keys, &mut key)?;
            let values = |head: usize, rows: &Range<usize>| layout.value_range(head, rows);
            gather(run.pool, ty.dtype, pages, values, &mut value)
        })?;
        let sizes = Sizes {
            batches: 1,
            heads: self.heads,
            kv_heads: ty.heads,
            queries: step.tokens.len(),
            keys,
            size: ty.key_dim,
            value_size: ty.value_dim,
        };
        let inputs = Inputs {
            query: Heads {
                data: query,
                batch: query.len(),
                head: ty.key_dim,
                position: self.heads * ty.key_dim,
            },
            key: side_by_side::<K>(&key)?,
            value: side_by_side::<K>(&value)?,
        };
        let offsets = [(step.start - first).cast_signed()];
        let left = ty.window.map(|window| window - 1);
        let options = Options {
            scale: self.scale.unwrap_or_else(|| 1.0 / (ty.key_dim as f32).sqrt()),
            softcap: self.softcap,
            window: Some(Window { offsets: &offsets, left, right: Some(0) }),
            mask: Mask::None,
            key_counts: None,
        };
        attention(run.context(), sizes, inputs, options, (out, Order::PositionsFirst));
        run.arena.reclaim(key.into());
        run.arena.reclaim(value.into());
        Ok(())
    }
}

/// Heads of `[heads, positions, elements]`.
fn side_by_side<K: Element>(tensor: &Tensor) -> Result<Heads<'_, K>, OpError> {
    let &[_, positions, size] = tensor.dims() else {
        return Err(OpError::Bug("gathered heads have 3 dimensions".to_owned()));
    };
    let data = tensor.as_slice()?;
    Ok(Heads { data, batch: data.len(), head: positions * size, position: size })
}

/// The rows of every head, one head after the other, from the pages that hold them.
fn gather(
    pool: &ThreadPool,
    dtype: DType,
    pages: &[PageRows<'_>],
    range_of: impl Fn(usize, &Range<usize>) -> Range<usize> + Sync,
    out: &mut Tensor,
) -> Result<(), OpError> {
    let into = out.dtype();
    let &[_, positions, size] = out.dims() else {
        return Err(OpError::Bug("gathered heads have 3 dimensions".to_owned()));
    };
    let head_bytes = into.bytes_for(positions * size).unwrap_or(0).max(1);
    let row_bytes = head_bytes / positions.max(1);
    let out = out.bytes_mut();
    let out = out.ok_or_else(|| OpError::Bug("a result is not writable".to_owned()))?;
    let failure = Mutex::new(None);
    pool.parallel_pieces(out, head_bytes, Schedule::Static, |head, mut piece| {
        for (page, rows) in pages {
            let (part, rest) = piece.split_at_mut(rows.len() * row_bytes);
            piece = rest;
            if let Err(error) = decode(dtype, &page[range_of(head, rows)], into, part) {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn decode(from: DType, bytes: &[u8], into: DType, out: &mut [u8]) -> Result<(), TensorError> {
    if from == into && bytes.len() == out.len() {
        out.copy_from_slice(bytes);
        return Ok(());
    }
    let floats = cast_mut::<f32>(out).filter(|_| into == DType::F32);
    rows::decode(from, bytes, floats.ok_or(TensorError::DType { expected: DType::F32, got: into })?)
}
