//! `LinearAttention`: attention with a state of fixed size instead of a cache: each token decays the state,
//! writes its key and value into it, and reads it by its query.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Tensor;

use crate::support::array::{Array, positions};
use crate::support::attention::{heads_attr, merge_heads, read_scale, split_heads};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LinearAttention",
    since: 27,
    upgrades: &[],
    inputs: &[
        InputDef::new("query", Types::SHORT_FLOATS),
        InputDef::new("key", Types::SHORT_FLOATS),
        InputDef::new("value", Types::SHORT_FLOATS),
        InputDef::optional("past_state", Types::SHORT_FLOATS).tied("S"),
        InputDef::optional("decay", Types::SHORT_FLOATS),
        InputDef::optional("beta", Types::SHORT_FLOATS),
    ],
    outputs: &[OutputDef::new("output"), OutputDef::new("present_state")],
    attrs: &[
        AttrDef::new("chunk_size", AttrKind::Int),
        AttrDef::required("kv_num_heads", AttrKind::Int),
        AttrDef::required("q_num_heads", AttrKind::Int),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("update_rule", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("linear_attention.cases"),
};

/// Which inputs the recurrence uses.
#[derive(Clone, Copy)]
struct Rule {
    gated: bool,
    delta: bool,
}

fn rule(attrs: &Attrs) -> Result<Rule, OpError> {
    match attrs.text_or("update_rule", "gated_delta")? {
        "linear" => Ok(Rule { gated: false, delta: false }),
        "gated" => Ok(Rule { gated: true, delta: false }),
        "delta" => Ok(Rule { gated: false, delta: true }),
        "gated_delta" => Ok(Rule { gated: true, delta: true }),
        other => Err(OpError::Invalid(format!("`update_rule` has no rule `{other}`"))),
    }
}

fn heads(attrs: &Attrs) -> Result<(usize, usize), OpError> {
    let read = |name: &str| heads_attr(attrs, name).map(|heads| heads.unwrap_or(0));
    let (q, kv) = (read("q_num_heads")?, read("kv_num_heads")?);
    if kv > 0 && q > 0 && q.is_multiple_of(kv) {
        return Ok((q, kv));
    }
    Err(OpError::Invalid(format!("{q} query heads are no multiple of {kv} key heads")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (q_heads, kv_heads) = heads(ctx.attrs())?;
    let dtype = ctx.dtype(0)?;
    let state = if ctx.has(3) { ctx.dtype(3)? } else { dtype };
    let (Some([batch, length, hidden]), Some([_, _, values])) = (ctx.dims(0)?, ctx.dims(2)?) else {
        return Ok(vec![Inferred::maybe(dtype, None), Inferred::maybe(state, None)]);
    };
    let size_k = hidden.floor_div(&q_heads.into());
    let size_v = values.floor_div(&kv_heads.into());
    let out = [batch.clone(), length.clone(), size_v.mul(&q_heads.into())];
    let present = [batch.clone(), kv_heads.into(), size_k, size_v];
    Ok(vec![Inferred::tensor(dtype, out), Inferred::tensor(state, present)])
}

/// An input that the rule uses as `[batch, length, kv heads, one of `widths`]`, or none.
fn gate(
    ctx: &KernelCtx<'_>,
    (at, name): (usize, &str),
    used: bool,
    [batch, length]: [usize; 2],
    widths: [usize; 2],
) -> Result<Option<Array>, OpError> {
    let array = Array::of_optional(ctx.opt_tensor(at)?)?;
    if array.is_some() != used {
        let word = if used { "needs" } else { "does not use" };
        return Err(OpError::Invalid(format!("the update rule {word} `{name}`")));
    }
    let fits = |array: &Array| widths.iter().any(|&width| array.dims == [batch, length, width]);
    match array {
        Some(array) if !fits(&array) => Err(OpError::Invalid(format!(
            "`{name}` of {:?} does not fit {batch} sequences of {length} tokens",
            array.dims
        ))),
        array => Ok(array),
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (q_heads, kv_heads) = heads(ctx.attrs())?;
    let rule = rule(ctx.attrs())?;
    let q = split_heads(Array::of(ctx.tensor(0)?)?, q_heads, "query")?;
    let k = split_heads(Array::of(ctx.tensor(1)?)?, kv_heads, "key")?;
    let v = split_heads(Array::of(ctx.tensor(2)?)?, kv_heads, "value")?;
    let [batch, _, length, size_k] = q.with_rank("query")?;
    let [_, _, _, size_v] = v.with_rank("value")?;
    if k.dims != [batch, kv_heads, length, size_k] || v.dims != [batch, kv_heads, length, size_v] {
        let text = format!(
            "query {:?}, key {:?} and value {:?} do not fit each other",
            q.dims, k.dims, v.dims
        );
        return Err(OpError::Invalid(text));
    }
    let tokens = [batch, length];
    let per_key = kv_heads * size_k;
    let decay = gate(ctx, (4, "decay"), rule.gated, tokens, [kv_heads, per_key])?;
    let beta = gate(ctx, (5, "beta"), rule.delta, tokens, [kv_heads, 1])?;
    let state_dims = [batch, kv_heads, size_k, size_v];
    let past = ctx.opt_tensor(3)?;
    let mut state = match Array::of_optional(past)? {
        Some(state) if state.dims == state_dims => state,
        Some(state) => {
            let text = format!("`past_state` expected {state_dims:?}, got {:?}", state.dims);
            return Err(OpError::Invalid(text));
        }
        None => Array::filled(state_dims, 0.0)?,
    };
    let mut out = Array::filled([batch, q_heads, length, size_v], 0.0)?;
    let recurrence =
        Recurrence { q: &q, k: &k, v: &v, decay, beta, scale: read_scale(ctx.attrs(), size_k)? };
    for place in positions(&[batch, kv_heads, length]) {
        recurrence.step([place[0], place[1], place[2]], &mut state, &mut out);
    }
    let dtype = ctx.tensor(0)?.dtype();
    let state_dtype = past.map_or(dtype, Tensor::dtype);
    Ok(vec![merge_heads(&out)?.to_floats(dtype)?.into(), state.to_floats(state_dtype)?.into()])
}

struct Recurrence<'a> {
    q: &'a Array,
    k: &'a Array,
    v: &'a Array,
    decay: Option<Array>,
    beta: Option<Array>,
    scale: f64,
}

impl Recurrence<'_> {
    /// One token of one key head, and what its query heads read afterwards.
    fn step(&self, [b, h, t]: [usize; 3], state: &mut Array, out: &mut Array) {
        let [heads, length, size_k, size_v] =
            [self.k.dims[1], self.k.dims[2], self.k.dims[3], self.v.dims[3]];
        let line = (b * heads + h) * length + t;
        let (k, v) =
            (&self.k.values[line * size_k..][..size_k], &self.v.values[line * size_v..][..size_v]);
        let state = &mut state.values[(b * heads + h) * size_k * size_v..][..size_k * size_v];
        let token = b * length + t;
        if let Some(decay) = &self.decay {
            let per_head = decay.dims[2] / heads;
            for (at, row) in state.chunks_mut(size_v.max(1)).enumerate() {
                let place = (token * heads + h) * per_head + if per_head == 1 { 0 } else { at };
                row.iter_mut().for_each(|value| *value *= decay.values[place].exp());
            }
        }
        let mut write = v.to_vec();
        if let Some(beta) = &self.beta {
            let rate = beta.values[token * beta.dims[2] + if beta.dims[2] == 1 { 0 } else { h }];
            for (at, value) in write.iter_mut().enumerate() {
                let known: f64 = (0..size_k).map(|d| state[d * size_v + at] * k[d]).sum();
                *value = rate * (*value - known);
            }
        }
        for (row, k) in state.chunks_mut(size_v.max(1)).zip(k) {
            row.iter_mut().zip(&write).for_each(|(state, value)| *state += k * value);
        }
        let group = self.q.dims[1] / heads;
        for head in h * group..(h + 1) * group {
            let line = (b * self.q.dims[1] + head) * length + t;
            let q = &self.q.values[line * size_k..][..size_k];
            let out = &mut out.values[line * size_v..][..size_v];
            for (at, out) in out.iter_mut().enumerate() {
                *out = self.scale * (0..size_k).map(|d| q[d] * state[d * size_v + at]).sum::<f64>();
            }
        }
    }
}
