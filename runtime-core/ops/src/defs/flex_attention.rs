//! `FlexAttention`: attention whose scores and probabilities bodies of the graph may change.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, TensorType};

use crate::support::array::Array;
use crate::support::attention::softmax;
use crate::support::dtypes::dtype_attr;
use crate::support::matmul::{matmul, transposed};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.preview",
    name: "FlexAttention",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("q", Types::FLOATS).tied("T1"),
        InputDef::new("k", Types::FLOATS).tied("T1"),
        InputDef::new("v", Types::FLOATS).tied("T1"),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("prob_mod", AttrKind::Graph),
        AttrDef::new("scale", AttrKind::Float),
        AttrDef::new("score_mod", AttrKind::Graph),
        AttrDef::new("softmax_precision", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("flex_attention.cases"),
};

/// The dtype in which the bodies see scores and probabilities.
fn precision(attrs: &Attrs, dtype: DType) -> Result<DType, OpError> {
    let default = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
    Ok(dtype_attr(attrs, "softmax_precision")?.unwrap_or(default))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some([batch, heads, queries, _]), Some([_, _, keys, _]), Some([.., size])) =
        (ctx.dims(0)?, ctx.dims(1)?, ctx.dims(2)?)
    else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let scores = [batch.clone(), heads.clone(), queries.clone(), keys.clone()];
    let scores = TensorType::new(precision(ctx.attrs(), dtype)?, scores);
    for body in ["score_mod", "prob_mod"] {
        if ctx.attrs().body(body)?.is_some() {
            ctx.body(body, &[Some(scores.clone().into())])?;
        }
    }
    Ok(vec![Inferred::tensor(dtype, [batch.clone(), heads.clone(), queries.clone(), size.clone()])])
}

/// What the body makes of the array, if there is that body.
fn modified(ctx: &KernelCtx<'_>, body: &str, array: Array, dtype: DType) -> Result<Array, OpError> {
    if ctx.attrs().body(body)?.is_none() {
        return Ok(array);
    }
    let given = ctx.run_body(body, vec![array.to_floats(dtype)?.into()])?;
    let [given] = &given[..] else {
        return Err(OpError::Invalid(format!("`{body}` expected one output, got {}", given.len())));
    };
    let changed = Array::of(given.tensor()?)?;
    if changed.dims != array.dims {
        let text = format!("`{body}` changed dimensions {:?} to {:?}", array.dims, changed.dims);
        return Err(OpError::Invalid(text));
    }
    Ok(changed)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dtype = ctx.tensor(0)?.dtype();
    let [q, k, v] =
        [Array::of(ctx.tensor(0)?)?, Array::of(ctx.tensor(1)?)?, Array::of(ctx.tensor(2)?)?];
    let [batch, heads, _, size] = q.with_rank("q")?;
    let [_, kv_heads, keys, size_k] = k.with_rank("k")?;
    let [_, _, _, size_v] = v.with_rank("v")?;
    let fits = k.dims[0] == batch
        && size == size_k
        && v.dims[..3] == k.dims[..3]
        && kv_heads > 0
        && heads.is_multiple_of(kv_heads);
    if !fits {
        let text =
            format!("q {:?}, k {:?} and v {:?} do not fit each other", q.dims, k.dims, v.dims);
        return Err(OpError::Invalid(text));
    }
    let group = heads / kv_heads;
    let (k, v) = (repeat_heads(k, group, keys * size)?, repeat_heads(v, group, keys * size_v)?);
    let mut scores = matmul(&q, &transposed(&k)?)?;
    let scale = match ctx.attrs().float("scale")? {
        Some(scale) => f64::from(scale),
        None => 1.0 / (size as f64).sqrt(),
    };
    scores.values.iter_mut().for_each(|score| *score *= scale);
    let precision = precision(ctx.attrs(), dtype)?;
    let mut probs = modified(ctx, "score_mod", scores, precision)?;
    probs.values.chunks_mut(keys.max(1)).for_each(|row| softmax(row, None));
    let probs = modified(ctx, "prob_mod", probs, precision)?;
    Ok(vec![matmul(&probs, &v)?.to_floats(dtype)?.into()])
}

/// Each head as often as query heads share it.
fn repeat_heads(array: Array, group: usize, size: usize) -> Result<Array, OpError> {
    let mut dims = array.dims.clone();
    dims[1] *= group;
    let chunks = array.values.chunks(size.max(1));
    let values = chunks.flat_map(|head| std::iter::repeat_n(head, group)).flatten().copied();
    Ok(Array { values: values.collect(), dims })
}
