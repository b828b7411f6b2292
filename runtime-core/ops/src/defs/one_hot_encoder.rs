//! `OneHotEncoder`: for each element a row of zeros with a one at its category. An element of
//! no category is all zeros, or an error if `zeros` is off.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::vec_of;
use crate::support::convert::{Rounding, convert};
use crate::support::ml::{FEATURES, Labels};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.ml",
    name: "OneHotEncoder",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", FEATURES.or(Types::STRING))],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("cats_int64s", AttrKind::Ints),
        AttrDef::new("cats_strings", AttrKind::Texts),
        AttrDef::new("zeros", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("one_hot_encoder.cases"),
};

fn categories(attrs: &Attrs) -> Result<Labels, OpError> {
    Labels::read(attrs, "cats_int64s", "cats_strings")
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let width = Dim::from(categories(ctx.attrs())?.len());
    let dims = ctx.dims(0)?.map(|dims| dims.iter().cloned().chain([width]).collect());
    Ok(vec![Inferred::maybe(DType::F32, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, categories) = (ctx.tensor(0)?, categories(ctx.attrs())?);
    let places: Vec<Option<usize>> = match (&categories, x.dtype()) {
        (Labels::Texts(known), DType::String) => {
            let find = |text: &str| known.iter().position(|known| known == text);
            x.texts().into_iter().map(find).collect()
        }
        (Labels::Ints(known), dtype) if dtype != DType::String => {
            let find = |x: i64| known.iter().position(|&known| known == x);
            let whole = convert(x, DType::I64, Rounding::DEFAULT)?;
            whole.to_i64_vec()?.into_iter().map(find).collect()
        }
        (_, dtype) => {
            return Err(OpError::Invalid(format!(
                "the categories are not of the input's `{dtype}`"
            )));
        }
    };
    if !ctx.attrs().bool_or("zeros", true)?
        && let Some(at) = places.iter().position(Option::is_none)
    {
        return Err(OpError::Invalid(format!("element {at} is of no category")));
    }
    let width = categories.len();
    let dims: Vec<usize> = x.dims().iter().copied().chain([width]).collect();
    let mut values = vec_of(&dims, 0f32)?;
    for (at, place) in places.into_iter().enumerate() {
        if let Some(place) = place {
            values[at * width + place] = 1.0;
        }
    }
    Ok(vec![Tensor::from_vec::<f32>(dims, values)?.into()])
}
