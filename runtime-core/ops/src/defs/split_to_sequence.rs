//! `SplitToSequence`: a tensor cut along an axis into a sequence: into single places (without the axis
//! unless `keepdims`), into pieces of one length, or into pieces of given lengths.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val, ValueType,
};
use remuda_tensor::{Dim, Tensor, TensorType};

use crate::support::axes::resolve_axis;
use crate::support::join::{part, place};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SplitToSequence",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::ANY),
        InputDef::optional("split", Types::INDEX).tied(""),
    ],
    outputs: &[OutputDef::new("output_sequence")],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("keepdims", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("split_to_sequence.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let ty = ctx.tensor(0)?;
    let mut dims = ty.dims.clone();
    if let Some(dims) = &mut dims {
        let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, dims.len())?;
        if ctx.has(1) {
            dims[axis] = piece_length(ctx, &dims[axis]);
        } else if ctx.attrs().bool_or("keepdims", true)? {
            dims[axis] = Dim::Known(1);
        } else {
            dims.remove(axis);
        }
    }
    let item = ValueType::from(TensorType { dtype: ty.dtype, dims });
    Ok(vec![ValueType::Sequence(item.into()).into()])
}

/// The length of every piece, if all have the same.
fn piece_length(ctx: &InferCtx<'_>, whole: &Dim) -> Dim {
    let Some(lengths) = ctx.ints(1).filter(|lengths| !lengths.is_empty()) else {
        return Dim::Unknown;
    };
    let is_one_length = ctx
        .input(1)
        .and_then(|input| input.ty.as_tensor()?.dims.as_ref())
        .is_some_and(Vec::is_empty);
    let length = lengths[0];
    let even = if is_one_length {
        whole.as_i64().and_then(|whole| whole.checked_rem(length)) == Some(0)
    } else {
        lengths.iter().all(|&other| other == length)
    };
    if even { Dim::Known(length) } else { Dim::Unknown }
}

/// The lengths of the pieces of an axis of `whole` places.
fn piece_lengths(split: &Tensor, whole: usize) -> Result<Vec<usize>, OpError> {
    let asked = split.to_i64_vec()?;
    let refused =
        || OpError::Invalid(format!("`split` of {asked:?} does not fit an axis of {whole}"));
    let lengths = asked.iter().map(|&length| usize::try_from(length));
    let lengths: Vec<usize> = lengths.collect::<Result<_, _>>().map_err(|_| refused())?;
    if split.rank() > 0 {
        let total = lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
        return if total == Some(whole) { Ok(lengths) } else { Err(refused()) };
    }
    let length = lengths.first().copied().filter(|&length| length > 0).ok_or_else(refused)?;
    Ok((0..whole.div_ceil(length)).map(|at| length.min(whole - at * length)).collect())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let input = ctx.tensor(0)?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", 0)?, input.rank())?;
    let whole = input.dims()[axis];
    let Some(split) = ctx.opt_tensor(1)? else {
        let keep = ctx.attrs().bool_or("keepdims", true)?;
        let piece = |at| if keep { part(input, axis, at, 1) } else { place(input, axis, at) };
        let items = (0..whole).map(|at| piece(at).map(Val::from));
        return Ok(vec![Val::sequence(items.collect::<Result<_, _>>()?)]);
    };
    let mut start = 0;
    let items = piece_lengths(split, whole)?.into_iter().map(|length| {
        let piece = part(input, axis, start, length)?;
        start += length;
        Ok(piece.into())
    });
    Ok(vec![Val::sequence(items.collect::<Result<_, OpError>>()?)])
}
