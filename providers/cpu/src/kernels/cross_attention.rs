//! `CrossAttention` of f32 on the provider's own caches: what was encoded goes into pages, and queries look
//! at all that their sequences have there.

use remuda_ir::{OpError, State, StateType, Val, ValueType, appended};
use remuda_kernels::attention::paged::{PagedOptions, Sequence, paged_attention, scratch_bytes};
use remuda_tensor::DType;

use super::cached_attention::{matrix, own, rows, state};
use crate::kernel::{Kernel, Needs, Preparation, Run, tensor, writable};

struct CrossAttention {
    heads: usize,
    scale: Option<f32>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let attrs = &preparation.node.attrs;
    let kernel = CrossAttention {
        heads: usize::try_from(attrs.required_int("num_heads").ok()?).ok()?,
        scale: attrs.float("scale").ok()?.filter(|&scale| scale != 0.0),
    };
    let fits = (0..3).all(|at| preparation.dtype(at) == Some(DType::F32));
    fits.then(|| Box::new(kernel) as Box<dyn Kernel>)
}

/// Neighbouring queries of one sequence: which one, how many, and the positions that it has.
struct Asking {
    sequence: u32,
    queries: usize,
    keys: usize,
}

/// Who asks, in the order of the queries.
fn asking(state: &dyn State, sequences: &[i64]) -> Result<Vec<Asking>, OpError> {
    let mut all: Vec<Asking> = Vec::new();
    for &sequence in sequences {
        let sequence = u32::try_from(sequence)
            .map_err(|_| OpError::Invalid(format!("there is no sequence {sequence}")))?;
        match all.last_mut() {
            Some(last) if last.sequence == sequence => last.queries += 1,
            _ => all.push(Asking { sequence, queries: 1, keys: state.length(sequence)? }),
        }
    }
    Ok(all)
}

impl CrossAttention {
    fn options(&self, ty: &StateType) -> PagedOptions<'static> {
        PagedOptions {
            heads: self.heads,
            kv_heads: ty.heads,
            size: ty.key_dim,
            value_size: ty.value_dim,
            scale: self.scale.unwrap_or_else(|| 1.0 / (ty.key_dim as f32).sqrt()),
            softcap: None,
            causal: false,
            window: None,
            bias: None,
        }
    }
}

impl Kernel for CrossAttention {
    fn needs(&self, preparation: &Preparation<'_>) -> Needs {
        let Some(ValueType::State(ty)) = preparation.input_type(3) else { return Needs::default() };
        Needs { thread_bytes: scratch_bytes(&self.options(ty)), ..Needs::default() }
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let state = state(inputs)?;
        let cache = own(&state, self.heads)?;
        let ty = cache.ty();
        let list =
            |at: usize| -> Result<Vec<i64>, OpError> { Ok(tensor(inputs, at)?.to_i64_vec()?) };
        let (sequences, key_sequences, key_positions) = (list(4)?, list(5)?, list(6)?);
        let (tokens, encoded) = (sequences.len(), key_sequences.len());
        let query = matrix(inputs, 0, [tokens, self.heads * ty.key_dim])?;
        let key = matrix(inputs, 1, [encoded, ty.heads * ty.key_dim])?;
        let value = matrix(inputs, 2, [encoded, ty.heads * ty.value_dim])?;
        for part in appended(&*state, &key_sequences, &key_positions)? {
            cache.append_rows(part.sequence, rows(&key, &part)?, rows(&value, &part)?)?;
        }
        let mut out = run.arena.tensor(DType::F32, &[tokens, self.heads * ty.value_dim])?;
        let (asking, options) = (asking(&*state, &sequences)?, self.options(ty));
        let (query, into) = (query.as_slice::<f32>()?, writable(&mut out)?);
        cache.with_caches(asking.iter().map(|asking| asking.sequence), |caches| {
            let sequences = asking.iter().zip(caches).map(|(asking, cache)| Sequence {
                cache: &**cache,
                keys: asking.keys,
                queries: asking.queries,
                first: 0,
            });
            let sequences: Vec<_> = sequences.collect();
            paged_attention(run.context(), &options, &sequences, query, into);
        })?;
        Ok(vec![out.into()])
    }
}
