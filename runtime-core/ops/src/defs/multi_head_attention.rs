//! `MultiHeadAttention`: attention of heads that lie side by side in the last axis, with an optional bias of
//! the projections, padding mask, additive bias and cache.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::Array;
use crate::support::attention::{
    Attention, Stage, append, heads_attr, merge_heads, no_sink, read_scale, split_heads,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "MultiHeadAttention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("query", Types::FLOATS),
        InputDef::optional("key", Types::FLOATS),
        InputDef::optional("value", Types::FLOATS),
        InputDef::optional("bias", Types::FLOATS),
        InputDef::optional("key_padding_mask", Types::one(DType::I32)).tied(""),
        InputDef::optional("attention_bias", Types::FLOATS),
        InputDef::optional("past_key", Types::FLOATS),
        InputDef::optional("past_value", Types::FLOATS),
        InputDef::optional("past_sequence_length", Types::one(DType::I32)).tied(""),
        InputDef::optional("cache_indirection", Types::one(DType::I32)).tied(""),
    ],
    outputs: &[
        OutputDef::new("output"),
        OutputDef::optional("present_key"),
        OutputDef::optional("present_value"),
        OutputDef::optional("qk"),
    ],
    attrs: &[
        AttrDef::new("mask_filter_value", AttrKind::Float),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("unidirectional", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("multi_head_attention.cases"),
};

fn heads(attrs: &Attrs) -> Result<usize, OpError> {
    heads_attr(attrs, "num_heads")?
        .ok_or_else(|| OpError::invalid("`num_heads` expected a positive integer, got 0"))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dtype, heads) = (ctx.dtype(0)?, Dim::from(heads(ctx.attrs())?));
    let unknown = || vec![Inferred::maybe(dtype, None); 4];
    if !ctx.has(1) || !ctx.has(2) {
        return Ok(unknown());
    }
    let (Some([batch, length, hidden]), Some(key), Some(value)) =
        (ctx.dims(0)?, ctx.dims(1)?, ctx.dims(2)?)
    else {
        return Ok(unknown());
    };
    let (keys, hidden_v) = match (key, value) {
        ([_, keys, _], [_, _, hidden]) => (keys.clone(), hidden.clone()),
        ([_, _, keys, _], [_, heads, _, size]) => (keys.clone(), heads.mul(size)),
        _ => return Ok(unknown()),
    };
    let past = match ctx.has(6) {
        true => ctx.dims(6)?.and_then(|dims| dims.get(2).cloned()).unwrap_or(Dim::Unknown),
        false => Dim::Known(0),
    };
    let total = past.add(&keys);
    let present = |hidden: &Dim| {
        Inferred::tensor(
            dtype,
            [batch.clone(), heads.clone(), total.clone(), hidden.floor_div(&heads)],
        )
    };
    Ok(vec![
        Inferred::tensor(dtype, [batch.clone(), length.clone(), hidden_v.clone()]),
        present(hidden),
        present(&hidden_v),
        Inferred::tensor(dtype, [batch.clone(), heads.clone(), length.clone(), total.clone()]),
    ])
}

/// Part `which` of the last axis but one of a packed `[batch, length, heads, parts, size]`.
fn unpack(packed: &Array, which: usize) -> Result<Array, OpError> {
    let [batch, length, heads, parts, size] = packed.with_rank("query")?;
    let lines = packed.values.chunks((parts * size).max(1));
    let values = lines.flat_map(|line| line[which * size..][..size].to_vec()).collect();
    Array { dims: vec![batch, length, heads, size], values }.permuted(&[0, 2, 1, 3])
}

/// Adds the bias of a projection to `[batch, length, hidden]`.
fn add_bias(x: &mut Array, bias: Option<&[f64]>, from: usize) -> Result<(), OpError> {
    let Some(bias) = bias else { return Ok(()) };
    let hidden = x.dims.last().copied().unwrap_or(0);
    let bias = bias.get(from..).and_then(|bias| bias.get(..hidden));
    let bias = bias.ok_or_else(|| OpError::invalid("`bias` is shorter than the projections"))?;
    for line in x.values.chunks_mut(hidden.max(1)) {
        line.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    }
    Ok(())
}

/// Queries, keys and values as `[batch, heads, length, size]`, in every form they may come in.
fn projections(ctx: &KernelCtx<'_>) -> Result<[Array; 3], OpError> {
    let heads = heads(ctx.attrs())?;
    let mut query = Array::of(ctx.tensor(0)?)?;
    let bias = Array::of_optional(ctx.opt_tensor(3)?)?.map(|bias| bias.values);
    if query.dims.len() == 5 {
        if bias.is_some() || query.dims[3] != 3 {
            return Err(OpError::unsupported("input `bias` of a packed `query`"));
        }
        return Ok([unpack(&query, 0)?, unpack(&query, 1)?, unpack(&query, 2)?]);
    }
    let [_, _, hidden] = query.with_rank("query")?;
    add_bias(&mut query, bias.as_deref(), 0)?;
    let query = split_heads(query, heads, "query")?;
    let mut key = Array::of(ctx.tensor(1)?)?;
    if key.dims.len() == 5 {
        if key.dims[3] != 2 {
            return Err(OpError::Invalid(format!(
                "`key` expected 2 packed parts, got {:?}",
                key.dims
            )));
        }
        return Ok([query, unpack(&key, 0)?, unpack(&key, 1)?]);
    }
    let mut value = Array::of(ctx.tensor(2)?)?;
    if key.dims.len() == 4 {
        return Ok([query, key, value]);
    }
    add_bias(&mut key, bias.as_deref(), hidden)?;
    add_bias(&mut value, bias.as_deref(), 2 * hidden)?;
    Ok([query, split_heads(key, heads, "key")?, split_heads(value, heads, "value")?])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    for (at, name) in [(8, "past_sequence_length"), (9, "cache_indirection")] {
        if ctx.opt_tensor(at)?.is_some() {
            return Err(OpError::Unsupported(format!("input `{name}`")));
        }
    }
    let [q, mut k, mut v] = projections(ctx)?;
    if let (Some(key), Some(value)) = (ctx.opt_tensor(6)?, ctx.opt_tensor(7)?) {
        k = append(&Array::of(key)?, &k, "key")?;
        v = append(&Array::of(value)?, &v, "value")?;
    }
    let [batch, heads, queries, size] = q.with_rank("query")?;
    let keys = k.with_rank::<4>("key")?[2];
    let padding = Padding::read(ctx.opt_tensor(4)?, [batch, queries, keys])?;
    let added = match Array::of_optional(ctx.opt_tensor(5)?)? {
        Some(bias) => Some(bias.broadcast_to(&[batch, heads, queries, keys])?),
        None => None,
    };
    let causal = ctx.attrs().bool_or("unidirectional", false)?;
    let filter = f64::from(ctx.attrs().float_or("mask_filter_value", -10000.0)?);
    let bias = |[b, h, i, j]: [usize; 4]| {
        if causal && j + queries > i + keys {
            return f64::NEG_INFINITY;
        }
        let added = added
            .as_ref()
            .map_or(0.0, |added| added.values[((b * heads + h) * queries + i) * keys + j]);
        added + if padding.hides(b, i, j) { filter } else { 0.0 }
    };
    let scale = read_scale(ctx.attrs(), size)?;
    let attention =
        Attention { q: &q, k: &k, v: &v, scale, softcap: 0.0, bias: &bias, sink: &no_sink };
    let done = attention.run(Stage::Products)?;
    let dtype = ctx.tensor(0)?.dtype();
    Ok(vec![
        merge_heads(&done.y)?.to_floats(dtype)?.into(),
        k.to_floats(dtype)?.into(),
        v.to_floats(dtype)?.into(),
        done.stage.to_floats(dtype)?.into(),
    ])
}

/// Which keys are padding.
struct Padding {
    mask: Vec<i64>,
    queries: usize,
    keys: usize,
    form: Form,
}

enum Form {
    None,
    Lengths,
    /// The end of every sequence, then the start of every sequence.
    Bounds,
    Keys,
    Scores,
}

impl Padding {
    fn read(mask: Option<&Tensor>, [batch, queries, keys]: [usize; 3]) -> Result<Self, OpError> {
        let Some(mask) = mask else {
            return Ok(Self { mask: Vec::new(), queries, keys, form: Form::None });
        };
        let form = match *mask.dims() {
            [lengths] if lengths == batch => Form::Lengths,
            [bounds] if bounds == 2 * batch => Form::Bounds,
            [b, k] if b == batch && k == keys => Form::Keys,
            [b, i, k] if b == batch && i == queries && k == keys => Form::Scores,
            ref other => {
                return Err(OpError::Unsupported(format!("`key_padding_mask` of {other:?}")));
            }
        };
        Ok(Self { mask: mask.to_i64_vec()?, queries, keys, form })
    }

    fn hides(&self, sequence: usize, query: usize, key: usize) -> bool {
        match self.form {
            Form::None => false,
            Form::Lengths => key as i64 >= self.mask[sequence],
            Form::Bounds => {
                let batch = self.mask.len() / 2;
                let range = self.mask[batch + sequence]..self.mask[sequence];
                !range.contains(&(key as i64))
            }
            Form::Keys => self.mask[sequence * self.keys + key] == 0,
            Form::Scores => self.mask[(sequence * self.queries + query) * self.keys + key] == 0,
        }
    }
}
