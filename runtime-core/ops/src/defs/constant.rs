//! Constant: a value that is part of the model. The importer turns nodes of it into constants of the
//! graph; the operator itself serves whoever builds one by hand.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, InferCtx, Inferred, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Constant",
    since: 1,
    upgrades: &[],
    inputs: &[],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("value", AttrKind::Tensor),
        AttrDef::new("value_float", AttrKind::Float),
        AttrDef::new("value_floats", AttrKind::Floats),
        AttrDef::new("value_int", AttrKind::Int),
        AttrDef::new("value_ints", AttrKind::Ints),
        AttrDef::new("value_string", AttrKind::Text),
        AttrDef::new("value_strings", AttrKind::Texts),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("constant.cases"),
};

fn value(attrs: &Attrs) -> Result<Tensor, OpError> {
    let mut attrs = attrs.0.values();
    let (Some(attr), None) = (attrs.next(), attrs.next()) else {
        return Err(OpError::invalid("expected exactly one attribute"));
    };
    Ok(match attr {
        Attr::Tensor(tensor) => tensor.clone(),
        Attr::Float(value) => Tensor::scalar(*value),
        Attr::Floats(values) => Tensor::vector(values.clone()),
        Attr::Int(value) => Tensor::scalar(*value),
        Attr::Ints(values) => Tensor::vector(values.clone()),
        Attr::Text(text) => Tensor::from_strings([], vec![text.clone()])?,
        Attr::Texts(texts) => Tensor::from_strings([texts.len()], texts.clone())?,
        Attr::Graph(_) | Attr::Type(_) => {
            return Err(OpError::invalid("expected a value, got a graph or type"));
        }
    })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let value = value(ctx.attrs())?;
    let ints = matches!(value.dtype(), DType::I64 | DType::I32) && value.len() <= 64;
    let content =
        if ints { Some(value.to_i64_vec()?.into_iter().map(Dim::Known).collect()) } else { None };
    let dims: Vec<Dim> = value.dims().iter().map(|&dim| dim.into()).collect();
    Ok(vec![Inferred::tensor(value.dtype(), dims).with_content(content)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![value(ctx.attrs())?.into()])
}
