//! `LabelEncoder`: each element replaced by the value that stands beside it in a list of keys.

use remuda_base::Map;
use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::convert::{Rounding, convert};
use crate::support::join::{concat, part};
use crate::support::ml::FEATURES;
use crate::support::upgrades::known_dtype;

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "LabelEncoder",
    since: 1,
    upgrades: &[Upgrade { below: 2, apply: two_lists }],
    inputs: &[InputDef::new("x", TYPES)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("default_float", AttrKind::Float),
        AttrDef::new("default_int64", AttrKind::Int),
        AttrDef::new("default_string", AttrKind::Text),
        AttrDef::new("default_tensor", AttrKind::Tensor),
        AttrDef::new("keys_floats", AttrKind::Floats),
        AttrDef::new("keys_int64s", AttrKind::Ints),
        AttrDef::new("keys_strings", AttrKind::Texts),
        AttrDef::new("keys_tensor", AttrKind::Tensor),
        AttrDef::new("values_floats", AttrKind::Floats),
        AttrDef::new("values_int64s", AttrKind::Ints),
        AttrDef::new("values_strings", AttrKind::Texts),
        AttrDef::new("values_tensor", AttrKind::Tensor),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("label_encoder.cases"),
};

const TYPES: Types = FEATURES.or(Types::one(DType::I16)).or(Types::STRING);

/// The list of attributes `keys_*` or `values_*`, whichever is there.
fn list(attrs: &Attrs, prefix: &str) -> Result<Tensor, OpError> {
    let name = |kind: &str| format!("{prefix}_{kind}");
    if let Some(tensor) = attrs.tensor(&name("tensor"))? {
        return Ok(tensor.clone());
    }
    if let Some(texts) = attrs.texts(&name("strings"))? {
        return Ok(Tensor::from_strings([texts.len()], texts.to_vec())?);
    }
    if let Some(ints) = attrs.ints(&name("int64s"))? {
        return Ok(Tensor::vector(ints.to_vec()));
    }
    let floats = attrs.floats(&name("floats"))?;
    let floats =
        floats.ok_or_else(|| OpError::Invalid(format!("no attribute `{prefix}_*` is there")))?;
    Ok(Tensor::vector(floats.to_vec()))
}

/// What elements that are no key become.
fn default_of(attrs: &Attrs, dtype: DType) -> Result<Tensor, OpError> {
    if let Some(tensor) = attrs.tensor("default_tensor")? {
        if tensor.dtype() != dtype || tensor.len() != 1 {
            let text = format!("attribute `default_tensor` expected one `{dtype}`, got {tensor:?}");
            return Err(OpError::Invalid(text));
        }
        return Ok(tensor.reshape([1])?);
    }
    Ok(match dtype {
        DType::String => {
            let text = attrs.text_or("default_string", "_Unused")?;
            Tensor::from_strings([1], vec![text.to_owned()])?
        }
        _ if dtype.is_float() => {
            let value = Tensor::vector(vec![attrs.float_or("default_float", -0.0)?]);
            convert(&value, dtype, Rounding::DEFAULT)?
        }
        _ => {
            let value = Tensor::vector(vec![attrs.int_or("default_int64", -1)?]);
            convert(&value, dtype, Rounding::DEFAULT)?
        }
    })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = list(ctx.attrs(), "values")?.dtype();
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

/// Elements in a form that compares as keys do: all NaN are one, and so are both zeros.
fn keys(tensor: &Tensor) -> Result<Vec<String>, OpError> {
    Ok(match tensor.dtype() {
        DType::String => tensor.texts().into_iter().map(str::to_owned).collect(),
        dtype if dtype.is_float() => {
            let bits = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() };
            tensor.to_f64_vec()?.into_iter().map(|x| bits(x).to_string()).collect()
        }
        _ => tensor.to_i64_vec()?.iter().map(ToString::to_string).collect(),
    })
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let (from, to) = (list(ctx.attrs(), "keys")?, list(ctx.attrs(), "values")?);
    if from.dtype() != x.dtype() || from.len() != to.len() {
        return Err(OpError::Invalid(format!(
            "expected as many keys of `{}` as values, got {} of `{}` and {}",
            x.dtype(),
            from.len(),
            from.dtype(),
            to.len()
        )));
    }
    // The default stands behind the values; of equal keys the last one counts.
    let values = concat(&[to.reshape([to.len()])?, default_of(ctx.attrs(), to.dtype())?], 0)?;
    let places: Map<String, usize> = keys(&from)?.into_iter().zip(0..).collect();
    let found = keys(x)?.into_iter().map(|key| places.get(&key).copied().unwrap_or(to.len()));
    let parts = found.map(|at| part(&values, 0, at, 1)).collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Ok(vec![Tensor::zeros(to.dtype(), x.dims())?.into()]);
    }
    Ok(vec![concat(&parts, 0)?.reshape(x.dims())?.into()])
}

/// Before version 2, one list of texts stood for both directions.
fn two_lists(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let Some(Attr::Texts(classes)) = draft.node.attrs.take("classes_strings") else {
        return Err(OpError::invalid("attribute `classes_strings` is missing"));
    };
    let numbers = Attr::Ints((0..classes.len() as i64).collect());
    let (keys, values) = match known_dtype(draft, 0) {
        Some(DType::String) => (("keys_strings", Attr::Texts(classes)), ("values_int64s", numbers)),
        Some(_) => (("keys_int64s", numbers), ("values_strings", Attr::Texts(classes))),
        None => {
            return Err(OpError::unsupported(
                "attribute `classes_strings` with an input of unknown dtype",
            ));
        }
    };
    draft.node.attrs.set(keys.0, keys.1);
    draft.node.attrs.set(values.0, values.1);
    Ok(())
}
