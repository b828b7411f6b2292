//! Where: elements of one tensor where a condition holds, of another where it does not, with
//! broadcasting.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::contents::{checked, flat_content, joint_length};
use crate::support::elementwise::{broadcast_dims, common_dims};
use crate::support::unsupported_dtype;

const TYPES: Types = Types::NUMBERS.or(Types::BOOL).or(Types::STRING).or(Types::COMPLEX);

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Where",
    since: 9,
    upgrades: &[],
    inputs: &[
        InputDef::new("condition", Types::BOOL).tied(""),
        InputDef::new("x", TYPES),
        InputDef::new("y", TYPES),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits { in_place: false, ..Traits::ELEMENTWISE },
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("where.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let inferred = Inferred::maybe(ctx.dtype(1)?, broadcast_dims(ctx, 0..3)?);
    let content = chosen(ctx).and_then(|content| checked(&inferred.ty, content));
    Ok(vec![inferred.with_content(content)])
}

/// The elements of a shape computation, where they follow.
fn chosen(ctx: &InferCtx<'_>) -> Option<Vec<Dim>> {
    let (cond, x, y) = (flat_content(ctx, 0)?, flat_content(ctx, 1)?, flat_content(ctx, 2)?);
    let length = joint_length(joint_length(cond.len(), x.len())?, y.len())?;
    let pick = |list: &[Dim], at: usize| list[if list.len() == 1 { 0 } else { at }].clone();
    let choose = |at| match (pick(&cond, at).as_i64(), pick(&x, at), pick(&y, at)) {
        (Some(0), _, y) => y,
        (Some(_), x, _) => x,
        (None, x, y) if x.same(&y) => x,
        _ => Dim::Unknown,
    };
    Some((0..length).map(choose).collect())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (cond, x, y) = (ctx.tensor(0)?, ctx.tensor(1)?, ctx.tensor(2)?);
    let dims = common_dims(&common_dims(cond.dims(), x.dims())?, y.dims())?;
    let cond = cond.broadcast_to(&dims)?.to_vec::<bool>()?;
    let (x, y) = (x.broadcast_to(&dims)?, y.broadcast_to(&dims)?);
    if x.dtype() == DType::String {
        let pairs = x.texts().into_iter().zip(y.texts());
        let texts = cond.iter().zip(pairs).map(|(&cond, (x, y))| if cond { x } else { y });
        let texts = texts.map(str::to_owned).collect();
        return Ok(vec![Tensor::from_strings(dims, texts)?.into()]);
    }
    let size = x.dtype().element_bytes().ok_or_else(|| unsupported_dtype(x.dtype()))?;
    let (mut bytes, other) = (x.to_le_bytes(), y.to_le_bytes());
    let slots = bytes.chunks_exact_mut(size).zip(other.chunks_exact(size));
    for (_, (slot, other)) in cond.iter().zip(slots).filter(|(cond, _)| !**cond) {
        slot.copy_from_slice(other);
    }
    Ok(vec![Tensor::from_bytes(x.dtype(), dims, &bytes)?.into()])
}
