//! `CategoryMapper`: texts to numbers, or numbers to texts, by two lists of the same length;
//! what is in neither has a default.

use remuda_base::Map;
use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "CategoryMapper",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::I64.or(Types::STRING))],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("cats_int64s", AttrKind::Ints),
        AttrDef::new("cats_strings", AttrKind::Texts),
        AttrDef::new("default_int64", AttrKind::Int),
        AttrDef::new("default_string", AttrKind::Text),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("category_mapper.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let to = if ctx.dtype(0)? == DType::String { DType::I64 } else { DType::String };
    Ok(vec![Inferred::maybe(to, ctx.dims(0)?.map(<[Dim]>::to_vec))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, attrs) = (ctx.tensor(0)?, ctx.attrs());
    let numbers = attrs.ints("cats_int64s")?.unwrap_or(&[]);
    let texts = attrs.texts("cats_strings")?.unwrap_or(&[]);
    if numbers.len() != texts.len() {
        return Err(OpError::Invalid(format!(
            "`cats_int64s` has {} entries, `cats_strings` {}",
            numbers.len(),
            texts.len()
        )));
    }
    let pairs = || numbers.iter().copied().zip(texts.iter().map(String::as_str));
    if x.dtype() == DType::String {
        let default = attrs.int_or("default_int64", -1)?;
        let by_text: Map<&str, i64> = pairs().map(|(number, text)| (text, number)).collect();
        let found = x.texts().into_iter().map(|text| by_text.get(text).copied().unwrap_or(default));
        return Ok(vec![Tensor::from_vec::<i64>(x.dims(), found.collect())?.into()]);
    }
    let default = attrs.text_or("default_string", "_Unused")?;
    let by_number: Map<i64, &str> = pairs().collect();
    let found = x.to_i64_vec()?.into_iter();
    let found = found.map(|number| (*by_number.get(&number).unwrap_or(&default)).to_owned());
    Ok(vec![Tensor::from_strings(x.dims(), found.collect())?.into()])
}
