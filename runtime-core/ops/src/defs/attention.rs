//! Attention: scaled dot products of queries with keys, softmax, and the sum of values by it. Keys and
//! values may be appended to a cache (`past_key`), or be a whole cache of which `nonpad_kv_seqlen` is used.
//! Soft cap comes before the mask; a query that may look at nothing gives zeros.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::{DType, Dim};

use crate::support::array::{Array, offset_of};
use crate::support::attention::{
    Attended, Attention, Stage, append, heads_attr, merge_heads, no_sink, read_scale, split_heads,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Attention",
    since: 23,
    upgrades: &[],
    inputs: &[
        InputDef::new("q", Types::FLOATS).tied("T1"),
        InputDef::new("k", Types::FLOATS).tied("T1"),
        InputDef::new("v", Types::FLOATS).tied("T2"),
        InputDef::optional("attn_mask", Types::NUMBERS.or(Types::BOOL)).tied(""),
        InputDef::optional("past_key", Types::FLOATS).tied("T1"),
        InputDef::optional("past_value", Types::FLOATS).tied("T2"),
        InputDef::optional("nonpad_kv_seqlen", Types::I64).tied(""),
    ],
    outputs: &[
        OutputDef::new("y"),
        OutputDef::optional("present_key"),
        OutputDef::optional("present_value"),
        OutputDef::optional("qk_matmul_output"),
    ],
    attrs: &[
        AttrDef::new("is_causal", AttrKind::Int),
        AttrDef::new("kv_num_heads", AttrKind::Int),
        AttrDef::new("left_window_size", AttrKind::Int),
        AttrDef::new("q_num_heads", AttrKind::Int),
        AttrDef::new("qk_matmul_output_mode", AttrKind::Int),
        AttrDef::new("right_window_size", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("softcap", AttrKind::Float),
        AttrDef::new("softmax_precision", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("attention.cases"),
};

/// Heads, length and size of an input of 4 dimensions, or of 3 with heads side by side.
fn head_dims(
    ctx: &InferCtx<'_>,
    at: usize,
    heads: Option<usize>,
) -> Result<Option<[Dim; 4]>, OpError> {
    match ctx.dims(at)? {
        None => Ok(None),
        Some([batch, heads, length, size]) => {
            Ok(Some([batch.clone(), heads.clone(), length.clone(), size.clone()]))
        }
        Some([batch, length, hidden]) => {
            let heads = heads.ok_or_else(missing_heads)?;
            let size = hidden.floor_div(&heads.into());
            Ok(Some([batch.clone(), heads.into(), length.clone(), size]))
        }
        Some(other) => Err(OpError::Invalid(format!(
            "input {at} expected 3 or 4 dimensions, got {}",
            DisplayDims(other)
        ))),
    }
}

fn missing_heads() -> OpError {
    OpError::invalid("inputs of 3 dimensions need `q_num_heads` and `kv_num_heads`")
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let heads = (heads_attr(ctx.attrs(), "q_num_heads")?, heads_attr(ctx.attrs(), "kv_num_heads")?);
    let (dtype, dtype_v) = (ctx.dtype(0)?, ctx.dtype(2)?);
    let q = head_dims(ctx, 0, heads.0)?;
    let (k, v) = (head_dims(ctx, 1, heads.1)?, head_dims(ctx, 2, heads.1)?);
    let (Some(q), Some(k), Some(v)) = (q, k, v) else {
        let unknown = |dtype| Inferred::maybe(dtype, None);
        return Ok(vec![unknown(dtype), unknown(dtype), unknown(dtype_v), unknown(dtype)]);
    };
    let past = match ctx.has(4) {
        true => ctx.dims(4)?.and_then(|dims| dims.get(2).cloned()).unwrap_or(Dim::Unknown),
        false => Dim::Known(0),
    };
    let total = past.add(&k[2]);
    let [batch, q_heads, length, _] = q;
    let y = match ctx.dims(0)?.map(<[_]>::len) {
        Some(3) => vec![batch.clone(), length.clone(), q_heads.mul(&v[3])],
        _ => vec![batch.clone(), q_heads.clone(), length.clone(), v[3].clone()],
    };
    let present = |of: [Dim; 4], dtype| {
        let [batch, heads, _, size] = of;
        Inferred::tensor(dtype, [batch, heads, total.clone(), size])
    };
    let scores = Inferred::tensor(dtype, [batch, q_heads, length, total.clone()]);
    Ok(vec![Inferred::tensor(dtype, y), present(k, dtype), present(v, dtype_v), scores])
}

/// An input as `[batch, heads, length, size]`.
fn heads_of(ctx: &KernelCtx<'_>, at: usize, heads: &str) -> Result<Array, OpError> {
    let array = Array::of(ctx.tensor(at)?)?;
    if array.dims.len() != 3 {
        return Ok(array);
    }
    let heads = heads_attr(ctx.attrs(), heads)?.ok_or_else(missing_heads)?;
    split_heads(array, heads, ["q", "k", "v"][at.min(2)])
}

/// The mask as numbers to add, padded with minus infinity to all keys and repeated to all scores.
fn mask(ctx: &KernelCtx<'_>, scores: &[usize; 4]) -> Result<Option<Array>, OpError> {
    let Some(tensor) = ctx.opt_tensor(3)? else { return Ok(None) };
    let mut mask = Array::of(tensor)?;
    if tensor.dtype() == DType::Bool {
        let allow = |value: &mut f64| *value = if *value > 0.0 { 0.0 } else { f64::NEG_INFINITY };
        mask.values.iter_mut().for_each(allow);
    }
    let refused = || {
        let got = tensor.dims();
        OpError::Invalid(format!("`attn_mask` of {got:?} does not broadcast to {scores:?}"))
    };
    let (keys, given) = (scores[3], *mask.dims.last().ok_or_else(refused)?);
    if given < keys {
        let rows = mask.values.chunks(given.max(1));
        let count: usize = mask.dims[..mask.dims.len() - 1].iter().product();
        let mut values = Vec::new();
        for row in
            rows.take(count).chain(std::iter::repeat_n(&[][..], if given == 0 { count } else { 0 }))
        {
            values.extend_from_slice(row);
            values.extend(std::iter::repeat_n(f64::NEG_INFINITY, keys - given));
        }
        if let Some(last) = mask.dims.last_mut() {
            *last = keys;
        }
        mask.values = values;
    }
    mask.broadcast_to(scores).map(Some).map_err(|_| refused())
}

/// Which keys a query may look at by its position.
struct Reach {
    causal: bool,
    left: i64,
    right: i64,
    /// For each sequence: how many keys stand before the first query.
    before: Vec<i64>,
    /// For each sequence: how many keys there are.
    valid: Option<Vec<i64>>,
}

impl Reach {
    fn read(
        ctx: &KernelCtx<'_>,
        [batch, _, queries, _]: [usize; 4],
        past: usize,
    ) -> Result<Self, OpError> {
        let window = |name: &str| match ctx.attrs().int_or(name, -1)? {
            size if size >= -1 => Ok(size),
            size => Err(OpError::Invalid(format!("`{name}` expected -1 or a size, got {size}"))),
        };
        let valid = ctx.opt_ints(6)?;
        let before = match &valid {
            Some(valid) if valid.len() != batch => {
                let text =
                    format!("`nonpad_kv_seqlen` expected {batch} elements, got {}", valid.len());
                return Err(OpError::Invalid(text));
            }
            Some(valid) => {
                valid.iter().map(|&valid| valid.saturating_sub(queries as i64)).collect()
            }
            None => vec![past as i64; batch],
        };
        Ok(Self {
            causal: ctx.attrs().bool_or("is_causal", false)?,
            left: window("left_window_size")?,
            right: window("right_window_size")?,
            before,
            valid,
        })
    }

    fn allows(&self, sequence: usize, query: usize, key: usize) -> bool {
        let (key, at) = (key as i64, self.before[sequence].saturating_add(query as i64));
        (!self.causal || key <= at)
            && (self.left < 0 || at.saturating_sub(key) <= self.left)
            && (self.right < 0 || key.saturating_sub(at) <= self.right)
            && self.valid.as_ref().is_none_or(|valid| key < valid[sequence])
    }
}

fn stage(attrs: &Attrs) -> Result<Stage, OpError> {
    match attrs.int_or("qk_matmul_output_mode", 0)? {
        0 => Ok(Stage::Products),
        1 => Ok(Stage::Capped),
        2 => Ok(Stage::Biased),
        3 => Ok(Stage::Probabilities),
        other => {
            Err(OpError::Invalid(format!("`qk_matmul_output_mode` expected 0 to 3, got {other}")))
        }
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let q = heads_of(ctx, 0, "q_num_heads")?;
    let (mut k, mut v) = (heads_of(ctx, 1, "kv_num_heads")?, heads_of(ctx, 2, "kv_num_heads")?);
    let [batch, heads, queries, size] = q.with_rank("q")?;
    let mut past = 0;
    match (Array::of_optional(ctx.opt_tensor(4)?)?, Array::of_optional(ctx.opt_tensor(5)?)?) {
        (Some(key), Some(value)) => {
            [_, _, past, _] = key.with_rank("past_key")?;
            (k, v) = (append(&key, &k, "key")?, append(&value, &v, "value")?);
        }
        (None, None) => {}
        _ => return Err(OpError::invalid("`past_key` and `past_value` come together")),
    }
    if past > 0 && ctx.opt_tensor(6)?.is_some() {
        return Err(OpError::invalid("`nonpad_kv_seqlen` is not for a past key"));
    }
    let [_, _, keys, _] = k.with_rank("k")?;
    let scores = [batch, heads, queries, keys];
    let (mask, reach) = (mask(ctx, &scores)?, Reach::read(ctx, scores, past)?);
    let bias = |place: [usize; 4]| {
        let [b, _, i, j] = place;
        if !reach.allows(b, i, j) {
            return f64::NEG_INFINITY;
        }
        mask.as_ref().map_or(0.0, |mask| mask.values[offset_of(&place, &scores)])
    };
    let attention = Attention {
        q: &q,
        k: &k,
        v: &v,
        scale: read_scale(ctx.attrs(), size)?,
        softcap: f64::from(ctx.attrs().float_or("softcap", 0.0)?),
        bias: &bias,
        sink: &no_sink,
    };
    let Attended { mut y, stage } = attention.run(stage(ctx.attrs())?)?;
    if ctx.tensor(0)?.rank() == 3 {
        y = merge_heads(&y)?;
    }
    let (dtype, dtype_v) = (ctx.tensor(0)?.dtype(), ctx.tensor(2)?.dtype());
    Ok(vec![
        y.to_floats(dtype)?.into(),
        k.to_floats(dtype)?.into(),
        v.to_floats(dtype_v)?.into(),
        stage.to_floats(dtype)?.into(),
    ])
}
