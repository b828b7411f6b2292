//! Selu: `gamma` times each element, or times an Elu of slope `alpha` below zero.

use remuda_ir::{
    Attr, AttrDef, AttrKind, Draft, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance,
    Traits, Types, Upgrade, Val,
};

use crate::support::elementwise::{map_floats, same_as_first};
use crate::support::upgrades::drop_consumed_inputs;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Selu",
    since: 1,
    upgrades: &[Upgrade { below: 6, apply: old_defaults }],
    inputs: &[InputDef::new("x", Types::FLOATS)],
    outputs: &[OutputDef::new("y")],
    attrs: &[AttrDef::new("alpha", AttrKind::Float), AttrDef::new("gamma", AttrKind::Float)],
    traits: Traits::ELEMENTWISE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("selu.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.673_263_2)?);
    let gamma = f64::from(ctx.attrs().float_or("gamma", 1.050_701)?);
    map_floats(ctx, |x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() })
}

/// Before opset 6, the defaults had fewer digits.
fn old_defaults(draft: &mut Draft<'_>) -> Result<(), OpError> {
    drop_consumed_inputs(draft)?;
    for (name, value) in [("alpha", 1.6732), ("gamma", 1.0507)] {
        if draft.node.attrs.float(name)?.is_none() {
            draft.node.attrs.set(name, Attr::Float(value));
        }
    }
    Ok(())
}
