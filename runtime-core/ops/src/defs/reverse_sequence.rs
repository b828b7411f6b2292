//! `ReverseSequence:` along the time axis, the first so many places of each batch entry in reverse.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::{offset_of, positions};
use crate::support::axes::{gather_flat, resolve_axis};
use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "ReverseSequence",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("input", Types::ANY),
        InputDef::new("sequence_lens", Types::I64).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("batch_axis", AttrKind::Int), AttrDef::new("time_axis", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("reverse_sequence.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    same_as_first(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, lengths) = (ctx.tensor(0)?, ctx.ints(1)?);
    let batch = resolve_axis(ctx.attrs().int_or("batch_axis", 1)?, x.rank())?;
    let time = resolve_axis(ctx.attrs().int_or("time_axis", 0)?, x.rank())?;
    if batch == time || lengths.len() != x.dims()[batch] {
        let text = format!(
            "{} lengths do not fit batch axis {batch} and time axis {time} of {:?}",
            lengths.len(),
            x.dims()
        );
        return Err(OpError::Invalid(text));
    }
    let steps = x.dims()[time];
    let lengths = lengths.into_iter().map(|length| {
        usize::try_from(length).ok().filter(|&length| length <= steps).ok_or_else(|| {
            OpError::Invalid(format!("length {length} is outside a time axis of {steps}"))
        })
    });
    let lengths = lengths.collect::<Result<Vec<_>, _>>()?;
    let source = positions(x.dims()).map(|mut position| {
        let length = lengths[position[batch]];
        if position[time] < length {
            position[time] = length - 1 - position[time];
        }
        offset_of(&position, x.dims())
    });
    Ok(vec![gather_flat(x, x.dims().to_vec(), source)?.into()])
}
