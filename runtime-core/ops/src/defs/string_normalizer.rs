//! `StringNormalizer`: texts without stop words, in lower or upper case if asked. Nothing left is one
//! empty text.

use remuda_base::Set;
use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::dim::DisplayDims;
use remuda_tensor::{DType, Dim, Tensor};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "StringNormalizer",
    since: 10,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::STRING)],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("case_change_action", AttrKind::Text),
        AttrDef::new("is_case_sensitive", AttrKind::Int),
        AttrDef::new("locale", AttrKind::Text),
        AttrDef::new("stopwords", AttrKind::Texts),
    ],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("string_normalizer.cases"),
};

fn wrong_dims(dims: impl std::fmt::Display) -> OpError {
    OpError::Invalid(format!("expected dimensions [c] or [1, c], got {dims}"))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match ctx.dims(0)? {
        None => None,
        Some([_]) => Some(vec![Dim::Unknown]),
        Some([one, _]) if !one.differs(&Dim::Known(1)) => Some(vec![Dim::Known(1), Dim::Unknown]),
        Some(dims) => return Err(wrong_dims(DisplayDims(dims))),
    };
    Ok(vec![Inferred::maybe(DType::String, dims)])
}

/// What happens to the case of letters.
#[derive(Clone, Copy)]
enum CaseChange {
    None,
    Lower,
    Upper,
}

fn case_change(attrs: &Attrs) -> Result<CaseChange, OpError> {
    match attrs.text_or("case_change_action", "NONE")? {
        "NONE" => Ok(CaseChange::None),
        "LOWER" => Ok(CaseChange::Lower),
        "UPPER" => Ok(CaseChange::Upper),
        other => Err(OpError::Invalid(format!(
            "attribute `case_change_action` expected `LOWER`, `UPPER` or `NONE`, got `{other}`"
        ))),
    }
}

/// Letters change case as Unicode says, which is right for all but a few languages.
fn check_locale(attrs: &Attrs) -> Result<(), OpError> {
    let locale = attrs.text_or("locale", "")?;
    if ["tr", "az", "lt"].iter().any(|own_rules| locale.to_lowercase().starts_with(own_rules)) {
        return Err(OpError::Unsupported(format!("attribute `locale` of `{locale}`")));
    }
    Ok(())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let is_row = match x.dims() {
        [_] => false,
        [1, _] => true,
        dims => return Err(wrong_dims(format!("{dims:?}"))),
    };
    let change = case_change(ctx.attrs())?;
    check_locale(ctx.attrs())?;
    let sensitive = ctx.attrs().bool_or("is_case_sensitive", false)?;
    let key = |text: &str| if sensitive { text.to_owned() } else { text.to_lowercase() };
    let stops: Set<String> =
        ctx.attrs().texts("stopwords")?.unwrap_or(&[]).iter().map(|stop| key(stop)).collect();
    let kept = x.texts().into_iter().filter(|text| !stops.contains(&key(text)));
    let mut texts: Vec<String> = kept
        .map(|text| match change {
            CaseChange::None => text.to_owned(),
            CaseChange::Lower => text.to_lowercase(),
            CaseChange::Upper => text.to_uppercase(),
        })
        .collect();
    if texts.is_empty() {
        texts.push(String::new());
    }
    let dims = if is_row { vec![1, texts.len()] } else { vec![texts.len()] };
    Ok(vec![Tensor::from_strings(dims, texts)?.into()])
}
