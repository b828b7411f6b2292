//! Scan: runs a body for each place along an axis of some inputs. The body gets the carried values
//! and the inputs' parts at that place; it gives the carried values and values that are collected
//! along an axis.

mod batched;

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Presence, Tolerance, Traits, Types, Upgrade, Val, ValueType,
};
use remuda_tensor::{Dim, Tensor, TensorType};

use crate::support::axes::resolve_axis;
use crate::support::bodies::{collected, settle, stacked_type};
use crate::support::join::place;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Scan",
    since: 8,
    upgrades: &[Upgrade { below: 9, apply: batched::unbatch }],
    inputs: &[InputDef::variadic("initial_state_and_scan_inputs", Types::ANY).tied("")],
    outputs: &[OutputDef { name: "final_state_and_scan_outputs", presence: Presence::Variadic }],
    attrs: &[
        AttrDef::required("body", AttrKind::Graph),
        AttrDef::required("num_scan_inputs", AttrKind::Int),
        AttrDef::new("scan_input_axes", AttrKind::Ints),
        AttrDef::new("scan_input_directions", AttrKind::Ints),
        AttrDef::new("scan_output_axes", AttrKind::Ints),
        AttrDef::new("scan_output_directions", AttrKind::Ints),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("scan.cases"),
};

/// How many values are carried; the other inputs are scanned.
fn carried_count(attrs: &Attrs, inputs: usize) -> Result<usize, OpError> {
    let scanned = attrs.required_int("num_scan_inputs")?;
    let carried = usize::try_from(scanned).ok().filter(|&scanned| scanned > 0);
    carried.and_then(|scanned| inputs.checked_sub(scanned)).ok_or_else(|| {
        OpError::Invalid(format!(
            "attribute `num_scan_inputs` expected 1 to {inputs}, got {scanned}"
        ))
    })
}

/// The number at a place of a list attribute; 0 where there is none.
fn flag(attrs: &Attrs, name: &str, at: usize) -> Result<i64, OpError> {
    Ok(attrs.ints(name)?.and_then(|list| list.get(at).copied()).unwrap_or(0))
}

/// The axis along which input `at` of the scanned ones is walked.
fn input_axis(attrs: &Attrs, at: usize, rank: usize) -> Result<usize, OpError> {
    resolve_axis(flag(attrs, "scan_input_axes", at)?, rank)
}

/// The axis along which collected output `at` grows; `rank` counts it.
fn output_axis(attrs: &Attrs, at: usize, rank: usize) -> Result<usize, OpError> {
    resolve_axis(flag(attrs, "scan_output_axes", at)?, rank)
}

fn uneven(a: impl std::fmt::Display, b: impl std::fmt::Display) -> OpError {
    OpError::Invalid(format!("the scanned inputs are {a} and {b} long"))
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let count = carried_count(ctx.attrs(), ctx.input_count())?;
    let mut length = Dim::Unknown;
    let mut parts = Vec::new();
    for at in count..ctx.input_count() {
        let tensor = ctx.tensor(at)?;
        let mut dims = tensor.dims.clone();
        if let Some(dims) = &mut dims {
            let here = dims.remove(input_axis(ctx.attrs(), at - count, dims.len())?);
            if length.differs(&here) {
                return Err(uneven(length, here));
            }
            length = if length == Dim::Unknown || here.as_i64().is_some() { here } else { length };
        }
        parts.push(Some(ValueType::from(TensorType { dtype: tensor.dtype, dims })));
    }
    let initial = (0..count).map(|at| ctx.ty(at).cloned()).collect::<Result<Vec<_>, _>>()?;
    let settled = settle(ctx, initial, 0, |carried| {
        carried.iter().cloned().map(Some).chain(parts.iter().cloned()).collect()
    })?;
    let collected = settled.outputs[count..].iter().enumerate();
    let collected = collected
        .map(|(at, ty)| stacked_type(ty, &length, |rank| output_axis(ctx.attrs(), at, rank)));
    settled.carried.into_iter().map(Ok).chain(collected).map(|ty| ty.map(Inferred::from)).collect()
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let attrs = ctx.attrs();
    let count = carried_count(attrs, ctx.inputs.len())?;
    let scanned = ctx.tensors_from(count)?;
    let mut axes = Vec::new();
    let mut length: Option<usize> = None;
    for (at, tensor) in scanned.iter().enumerate() {
        let axis = input_axis(attrs, at, tensor.rank())?;
        let here = tensor.dims()[axis];
        if let Some(length) = length.filter(|&length| length != here) {
            return Err(uneven(length, here));
        }
        length = Some(here);
        axes.push((axis, flag(attrs, "scan_input_directions", at)? == 1));
    }
    let length = length.unwrap_or(0);
    let mut carried: Vec<Val> =
        (0..count).map(|at| ctx.val(at).cloned()).collect::<Result<_, _>>()?;
    let extra = ctx.output_count().saturating_sub(count);
    let mut lists: Vec<Vec<Tensor>> = vec![Vec::new(); extra];
    for step in 0..length {
        let mut inputs = std::mem::take(&mut carried);
        for (tensor, &(axis, backward)) in scanned.iter().zip(&axes) {
            let at = if backward { length - 1 - step } else { step };
            inputs.push(place(tensor, axis, at)?.into());
        }
        let mut outputs = ctx.run_body("body", inputs)?.into_iter();
        carried = outputs.by_ref().take(count).collect();
        for list in &mut lists {
            let made = outputs.next();
            let made =
                made.ok_or_else(|| OpError::invalid("the body has fewer outputs than the scan"))?;
            list.push(made.tensor()?.clone());
        }
    }
    for (at, list) in lists.iter_mut().enumerate() {
        if flag(attrs, "scan_output_directions", at)? == 1 {
            list.reverse();
        }
    }
    let collected = lists
        .iter()
        .enumerate()
        .map(|(at, list)| collected(ctx, count + at, list, |rank| output_axis(attrs, at, rank)));
    carried.into_iter().map(Ok).chain(collected).collect()
}
