//! Loop: runs a body until a number of rounds is reached or a condition fails. The body gets the
//! round, the condition and the carried values; it gives the next condition, the carried values, and
//! values that are collected along a new first axis.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Presence, Tolerance, Traits, Types, Val, ValueType,
};
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::support::bodies::{body_output, collected, settle, stacked_type};
use crate::support::scalar_i64;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Loop",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::optional("m", Types::I64).tied(""),
        InputDef::optional("cond", Types::BOOL).tied(""),
        InputDef::variadic("v_initial", Types::ANY).tied(""),
    ],
    outputs: &[OutputDef { name: "v_final_and_scan_outputs", presence: Presence::Variadic }],
    attrs: &[AttrDef::required("body", AttrKind::Graph)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("loop.cases"),
};

/// Inputs in front of the carried values, outputs of the body in front of them.
const LEADING_INPUTS: usize = 2;
const LEADING_OUTPUTS: usize = 1;

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let initial: Vec<ValueType> = (LEADING_INPUTS..ctx.input_count())
        .map(|at| ctx.ty(at).cloned())
        .collect::<Result<_, _>>()?;
    let round = ValueType::from(TensorType::new(DType::I64, []));
    let settled = settle(ctx, initial, LEADING_OUTPUTS, |carried| {
        // The body's own condition may have another shape than the first one.
        [Some(round.clone()), None].into_iter().chain(carried.iter().cloned().map(Some)).collect()
    })?;
    let count = settled.carried.len();
    // Only without a condition is the number of rounds known beforehand.
    let rounds =
        ctx.content(0).filter(|_| !ctx.has(1)).and_then(|content| content.first().cloned());
    let rounds = rounds.map_or(Dim::Unknown, |rounds| rounds.greater(&Dim::Known(0)));
    let (carried, collected) = settled.outputs[LEADING_OUTPUTS..].split_at(count);
    let finals = settled.carried.iter().zip(carried).map(|(before, after)| match (before, after) {
        // What starts as an optional and is always there behind the body is no optional behind it.
        (ValueType::Optional(inner), ValueType::Tensor(_) | ValueType::Sequence(_)) => {
            (**inner).clone()
        }
        (joined, _) => joined.clone(),
    });
    let finals: Vec<ValueType> = finals.collect();
    let collected = collected.iter().map(|ty| stacked_type(ty, &rounds, |_| Ok(0)));
    finals.into_iter().map(Ok).chain(collected).map(|ty| ty.map(Inferred::from)).collect()
}

fn truth(tensor: &Tensor) -> Result<bool, OpError> {
    match tensor.to_vec::<bool>()?[..] {
        [value] => Ok(value),
        _ => Err(OpError::Invalid(format!(
            "the condition expected one element, got dimensions {:?}",
            tensor.dims()
        ))),
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let rounds = ctx.opt_tensor(0)?.map(scalar_i64).transpose()?;
    let heeds_condition = ctx.opt_tensor(1)?.is_some();
    if rounds.is_none() && !heeds_condition {
        return Err(OpError::invalid("without `m` and `cond` the loop never ends"));
    }
    let mut cond = ctx.opt_tensor(1)?.cloned().unwrap_or_else(|| Tensor::scalar(true));
    let count = ctx.inputs.len().saturating_sub(LEADING_INPUTS);
    let mut carried: Vec<Val> =
        (0..count).map(|at| ctx.val(LEADING_INPUTS + at).cloned()).collect::<Result<_, _>>()?;
    let extra = ctx.output_count().saturating_sub(count);
    let mut lists: Vec<Vec<Tensor>> = vec![Vec::new(); extra];
    let mut round = 0i64;
    while rounds.is_none_or(|rounds| round < rounds) && (!heeds_condition || truth(&cond)?) {
        let mut inputs = vec![Tensor::scalar(round).into(), cond.into()];
        inputs.append(&mut carried);
        let mut outputs = ctx.run_body("body", inputs)?.into_iter();
        let missing = || OpError::invalid("the body has fewer outputs than the loop needs");
        cond = outputs.next().ok_or_else(missing)?.tensor()?.clone();
        carried = outputs.by_ref().take(count).collect();
        for list in &mut lists {
            list.push(outputs.next().ok_or_else(missing)?.tensor()?.clone());
        }
        round += 1;
    }
    if round == 0 {
        unwrap_optionals(ctx, &mut carried)?;
    }
    let collected = lists
        .iter()
        .enumerate()
        .map(|(at, list)| collected(ctx, LEADING_OUTPUTS + count + at, list, |_| Ok(0)));
    carried.into_iter().map(Ok).chain(collected).collect()
}

/// A carried optional that the body turns into a plain value is one even if the body never ran.
fn unwrap_optionals(ctx: &KernelCtx<'_>, carried: &mut [Val]) -> Result<(), OpError> {
    for (at, value) in carried.iter_mut().enumerate() {
        let made = body_output(ctx, LEADING_OUTPUTS + at);
        let Val::Optional(inner) = value else { continue };
        if made.is_some_and(|made| !matches!(made, ValueType::Optional(_))) {
            let inner = inner.as_deref().ok_or_else(|| {
                OpError::Invalid(format!("carried value {at} is absent behind a loop of no rounds"))
            })?;
            *value = inner.clone();
        }
    }
    Ok(())
}
