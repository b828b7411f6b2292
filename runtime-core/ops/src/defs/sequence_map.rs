//! `SequenceMap`: runs a body for each item of a sequence. Further inputs are sequences of the
//! same length, or tensors that every round gets; the body's outputs make sequences.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val, ValueType,
};

use crate::support::sequences::item_type;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceMap",
    since: 17,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_sequence", Types::ANY).tied(""),
        InputDef::variadic("additional_inputs", Types::ANY).tied(""),
    ],
    outputs: &[OutputDef::variadic("out_sequence")],
    attrs: &[AttrDef::required("body", AttrKind::Graph)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("sequence_map.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    item_type(ctx, 0)?;
    let inputs = (0..ctx.input_count()).map(|at| {
        Ok(Some(match ctx.ty(at)? {
            ValueType::Sequence(item) => (**item).clone(),
            other => other.clone(),
        }))
    });
    let outputs = ctx.body("body", &inputs.collect::<Result<Vec<_>, OpError>>()?)?;
    Ok(outputs.into_iter().map(|item| ValueType::Sequence(item.into()).into()).collect())
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let length = ctx.val(0)?.items()?.len();
    let mut made: Vec<Vec<Val>> = vec![Vec::new(); ctx.output_count()];
    for round in 0..length {
        let inputs = (0..ctx.inputs.len()).map(|at| match ctx.val(at)? {
            Val::Sequence(items) if items.len() == length => Ok(items[round].clone()),
            Val::Sequence(items) => Err(OpError::Invalid(format!(
                "input {at} has {} items, expected {length} as input 0",
                items.len()
            ))),
            other => Ok(other.clone()),
        });
        let outputs = ctx.run_body("body", inputs.collect::<Result<_, _>>()?)?;
        for (list, item) in made.iter_mut().zip(outputs) {
            list.push(item);
        }
    }
    Ok(made.into_iter().map(Val::sequence).collect())
}
