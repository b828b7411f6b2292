//! `GroupQueryAttention`: causal attention of a decoder with a cache whose head groups share keys. Each
//! sequence says how many tokens it has; its new keys go behind those in the cache. May turn queries and
//! keys by their positions first.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::{Array, offset_of};
use crate::support::attention::{
    Attention, Stage, heads_attr, merge_heads, read_scale, split_heads,
};
use crate::support::normalize::channel_vector;
use crate::support::recurrent::expect_dims;
use crate::support::rotary::{Rotary, row_at};
use crate::support::signal::size_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "GroupQueryAttention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("query", Types::FLOATS),
        InputDef::optional("key", Types::FLOATS),
        InputDef::optional("value", Types::FLOATS),
        InputDef::optional("past_key", Types::FLOATS),
        InputDef::optional("past_value", Types::FLOATS),
        InputDef::new("seqlens_k", Types::one(DType::I32)).tied(""),
        InputDef::new("total_sequence_length", Types::one(DType::I32)).tied(""),
        InputDef::optional("cos_cache", Types::FLOATS),
        InputDef::optional("sin_cache", Types::FLOATS),
        InputDef::optional("position_ids", Types::I64).tied(""),
        InputDef::optional("attention_bias", Types::FLOATS),
        InputDef::optional("head_sink", Types::FLOATS),
    ],
    outputs: &[
        OutputDef::new("output"),
        OutputDef::optional("present_key"),
        OutputDef::optional("present_value"),
    ],
    attrs: &[
        AttrDef::new("do_rotary", AttrKind::Int),
        AttrDef::required("kv_num_heads", AttrKind::Int),
        AttrDef::new("local_window_size", AttrKind::Int),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::new("qk_output", AttrKind::Int),
        AttrDef::new("rotary_interleaved", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("smooth_softmax", AttrKind::Int),
        AttrDef::new("softcap", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("group_query_attention.cases"),
};

fn head_counts(attrs: &Attrs) -> Result<(usize, usize), OpError> {
    let read = |name: &str| heads_attr(attrs, name).map(|heads| heads.unwrap_or(0));
    let (q, kv) = (read("num_heads")?, read("kv_num_heads")?);
    if kv > 0 && q > 0 && q.is_multiple_of(kv) {
        return Ok((q, kv));
    }
    Err(OpError::Invalid(format!("{q} query heads are no multiple of {kv} key heads")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (q_heads, kv_heads) = head_counts(ctx.attrs())?;
    let dtype = ctx.dtype(0)?;
    let Some([batch, length, hidden]) = ctx.dims(0)? else {
        return Ok(vec![Inferred::maybe(dtype, None); 3]);
    };
    let heads = if ctx.has(1) { q_heads } else { q_heads + 2 * kv_heads };
    let size = hidden.floor_div(&heads.into());
    let output = [batch.clone(), length.clone(), size.mul(&q_heads.into())];
    let total = ctx.content(6).and_then(|total| total.first().cloned()).unwrap_or(Dim::Unknown);
    let past = match ctx.has(3) {
        true => ctx.dims(3)?.and_then(|dims| dims.get(2).cloned()).unwrap_or(Dim::Unknown),
        false => Dim::Known(0),
    };
    let present = [batch.clone(), kv_heads.into(), past.greater(&total), size];
    let present = Inferred::tensor(dtype, present);
    Ok(vec![Inferred::tensor(dtype, output), present.clone(), present])
}

/// Queries, keys and values as `[batch, heads, length, size]`, from three inputs or one.
fn projections(ctx: &KernelCtx<'_>) -> Result<[Array; 3], OpError> {
    let (q_heads, kv_heads) = head_counts(ctx.attrs())?;
    let query = Array::of(ctx.tensor(0)?)?;
    if let (Some(key), Some(value)) = (ctx.opt_tensor(1)?, ctx.opt_tensor(2)?) {
        return Ok([
            split_heads(query, q_heads, "query")?,
            split_heads(Array::of(key)?, kv_heads, "key")?,
            split_heads(Array::of(value)?, kv_heads, "value")?,
        ]);
    }
    let packed = split_heads(query, q_heads + 2 * kv_heads, "query")?;
    let [batch, heads, length, size] = packed.with_rank("query")?;
    let part = |from: usize, count: usize| {
        let blocks = packed.values.chunks((heads * length * size).max(1));
        let values = blocks
            .flat_map(|block| block[from * length * size..][..count * length * size].to_vec());
        Array { values: values.collect(), dims: vec![batch, count, length, size] }
    };
    Ok([part(0, q_heads), part(q_heads, kv_heads), part(q_heads + kv_heads, kv_heads)])
}

/// How many tokens of each sequence stand in the cache, and how many keys the cache then holds.
struct Cache {
    past: Vec<usize>,
    total: Vec<usize>,
    present: usize,
}

fn cache(ctx: &KernelCtx<'_>, batch: usize, length: usize) -> Result<Cache, OpError> {
    let given = ctx.ints(5)?;
    let longest = size_input(ctx.tensor(6)?, "total_sequence_length")?;
    let totals: Option<Vec<usize>> =
        given.iter().map(|&last| usize::try_from(last.checked_add(1)?).ok()).collect();
    let total = totals
        .filter(|totals| totals.len() == batch && totals.iter().all(|&total| total <= longest))
        .ok_or_else(|| {
            OpError::Invalid(format!(
                "`seqlens_k` {given:?} do not fit {batch} sequences of up to {longest}"
            ))
        })?;
    let buffer = ctx.opt_tensor(3)?.and_then(|past| past.dims().get(2).copied()).unwrap_or(0);
    let prompt = longest == length;
    let past: Vec<usize> =
        total.iter().map(|&total| if prompt { 0 } else { total.saturating_sub(length) }).collect();
    let present = longest.max(buffer);
    let fits = |past: &usize| *past <= buffer && past + length <= present;
    if !past.iter().all(fits) {
        return Err(OpError::Invalid(format!(
            "{past:?} past tokens do not fit a cache of {buffer}"
        )));
    }
    Ok(Cache { past, total, present })
}

impl Cache {
    /// The old tokens of each sequence and the new ones behind them, then zeros.
    fn extend(&self, old: Option<&Tensor>, new: &Array) -> Result<Array, OpError> {
        let [batch, heads, length, size] = new.with_rank("key")?;
        let mut out = Array::filled([batch, heads, self.present, size], 0.0)?;
        let old = Array::of_optional(old)?;
        let buffer = match &old {
            Some(old) => {
                let buffer = old.with_rank::<4>("past_key")?[2];
                expect_dims("past_key", &old.dims, &[batch, heads, buffer, size])?;
                buffer
            }
            None => 0,
        };
        for block in 0..batch * heads {
            let past = self.past[block / heads] * size;
            let out = &mut out.values[block * self.present * size..][..self.present * size];
            if let Some(old) = &old {
                out[..past].copy_from_slice(&old.values[block * buffer * size..][..past]);
            }
            out[past..][..length * size]
                .copy_from_slice(&new.values[block * length * size..][..length * size]);
        }
        Ok(out)
    }
}

/// Turns queries or keys by their positions, if that is asked for.
fn turn(ctx: &KernelCtx<'_>, x: &mut Array, cache: &Cache) -> Result<(), OpError> {
    if !ctx.attrs().bool_or("do_rotary", false)? {
        return Ok(());
    }
    let (cos, sin) = (Array::of(ctx.tensor(7)?)?, Array::of(ctx.tensor(8)?)?);
    let size = 2 * cos.dims.last().copied().unwrap_or(0);
    let interleaved = ctx.attrs().bool_or("rotary_interleaved", false)?;
    let rotary = Rotary { cos: &cos, sin: &sin, size, interleaved };
    let ids = ctx.opt_ints(9)?;
    let length = x.dims[2];
    rotary.turn(x, |sequence, at| match &ids {
        Some(ids) => {
            let id = ids.get(sequence * length + at);
            row_at(*id.ok_or_else(|| OpError::invalid("`position_ids` are too few"))?)
        }
        None => Ok(cache.past[sequence] + at),
    })
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let [mut q, mut k, v] = projections(ctx)?;
    let [batch, heads, length, size] = q.with_rank("query")?;
    let cache = cache(ctx, batch, length)?;
    if k.dims[0] != batch || k.dims[2] != length || v.dims != k.dims || k.dims[3] != size {
        let text = format!(
            "query {:?}, key {:?} and value {:?} do not fit each other",
            q.dims, k.dims, v.dims
        );
        return Err(OpError::Invalid(text));
    }
    if ctx.attrs().bool_or("qk_output", false)? {
        return Err(OpError::unsupported("attribute `qk_output`"));
    }
    turn(ctx, &mut q, &cache)?;
    turn(ctx, &mut k, &cache)?;
    let (k, v) = (cache.extend(ctx.opt_tensor(3)?, &k)?, cache.extend(ctx.opt_tensor(4)?, &v)?);
    let window = ctx.attrs().int_or("local_window_size", -1)?;
    let given = Array::of_optional(ctx.opt_tensor(10)?)?;
    let extra = given.as_ref().map(|bias| bias.with_rank::<4>("attention_bias")).transpose()?;
    if let Some([b, h, i, j]) = extra
        && ((b != 1 && b != batch) || (h != 1 && h != heads) || i != length || j > cache.present)
    {
        return Err(OpError::Invalid(format!(
            "`attention_bias` [{b}, {h}, {i}, {j}] does not fit the scores"
        )));
    }
    let bias = |[b, h, i, j]: [usize; 4]| {
        let at = cache.past[b] + i;
        let outside = j > at || (window >= 0 && at as i64 - j as i64 >= window);
        match (&given, extra) {
            _ if outside || j >= cache.total[b].max(at + 1) => f64::NEG_INFINITY,
            (Some(bias), Some(dims @ [batches, heads, _, keys])) if j < keys => {
                bias.values[offset_of(&[b % batches, h % heads, i, j], &dims)]
            }
            _ => 0.0,
        }
    };
    let sinks =
        ctx.opt_tensor(11)?.map(|sinks| channel_vector(sinks, "head_sink", heads)).transpose()?;
    let smooth = ctx.attrs().int_or("smooth_softmax", 0)? > 0;
    let sink =
        |head: usize| sinks.as_ref().map(|sinks| sinks[head]).or_else(|| smooth.then_some(0.0));
    let attention = Attention {
        q: &q,
        k: &k,
        v: &v,
        scale: read_scale(ctx.attrs(), size)?,
        softcap: f64::from(ctx.attrs().float_or("softcap", 0.0)?),
        bias: &bias,
        sink: &sink,
    };
    let y = merge_heads(&attention.run(Stage::Products)?.y)?;
    let dtype = ctx.tensor(0)?.dtype();
    Ok(vec![y.to_floats(dtype)?.into(), k.to_floats(dtype)?.into(), v.to_floats(dtype)?.into()])
}
