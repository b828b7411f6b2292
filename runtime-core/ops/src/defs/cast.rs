//! Cast: each element converted to the dtype `to`.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Attrs, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError,
    OutputDef, Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::float8::Overflow;
use remuda_tensor::{DType, Dim};

use crate::support::contents::{any_content, checked};
use crate::support::convert::{PowerRounding, Rounding, convert};
use crate::support::dtypes::dtype_of;

/// Every dtype but complex numbers and block formats.
pub(super) const CASTABLE: Types =
    Types::NUMBERS.or(Types::SMALL_FLOATS).or(Types::SMALL_INTS).or(Types::BOOL).or(Types::STRING);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Cast",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: number_of_name }],
    inputs: &[InputDef::new("input", CASTABLE)],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("round_mode", AttrKind::Text),
        AttrDef::new("saturate", AttrKind::Int),
        AttrDef::required("to", AttrKind::Int),
    ],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("cast.cases"),
};

/// Before opset 6, `to` was the name of a dtype.
fn number_of_name(draft: &mut Draft<'_>) -> Result<(), OpError> {
    const NAMES: [&str; 16] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
    ];
    let Some(Attr::Text(name)) = draft.node.attrs.take("to") else {
        return Err(OpError::invalid("attribute `to` expected the name of a dtype"));
    };
    let number = NAMES.iter().position(|known| known.eq_ignore_ascii_case(&name));
    let number = number.ok_or_else(|| OpError::Invalid(format!("`{name}` names no dtype")))?;
    draft.node.attrs.set("to", Attr::Int(number as i64));
    Ok(())
}

/// How the attributes of Cast and `CastLike` ask to round.
pub(super) fn rounding(attrs: &Attrs) -> Result<Rounding, OpError> {
    let power = match attrs.text_or("round_mode", "up")? {
        "up" => PowerRounding::Up,
        "down" => PowerRounding::Down,
        "nearest" => PowerRounding::Nearest,
        other => {
            return Err(OpError::Invalid(format!(
                "attribute `round_mode` expected `up`, `down` or `nearest`, got `{other}`"
            )));
        }
    };
    let saturate = attrs.bool_or("saturate", true)?;
    Ok(Rounding { overflow: if saturate { Overflow::Saturate } else { Overflow::Special }, power })
}

/// The type of input 0 with another dtype; what shape computations know of it is kept.
pub(super) fn infer_as(ctx: &InferCtx<'_>, dtype: DType) -> Result<Vec<Inferred>, OpError> {
    let inferred = Inferred::maybe(dtype, ctx.dims(0)?.map(<[Dim]>::to_vec));
    let content = any_content(ctx, 0).and_then(|content| checked(&inferred.ty, content));
    Ok(vec![inferred.with_content(content)])
}

/// The dtype that `to` names, if Cast can make it.
fn target(attrs: &Attrs) -> Result<DType, OpError> {
    let dtype = dtype_of(attrs.required_int("to")?)?;
    if CASTABLE.contains(dtype) {
        return Ok(dtype);
    }
    Err(OpError::Invalid(format!("attribute `to` names `{dtype}`, which nothing is cast to")))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_as(ctx, target(ctx.attrs())?)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![convert(ctx.tensor(0)?, target(ctx.attrs())?, rounding(ctx.attrs())?)?.into()])
}
