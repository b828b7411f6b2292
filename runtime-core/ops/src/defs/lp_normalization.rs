//! `LpNormalization`: divides each line along an axis by its norm; a line of zeros stays one.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::axes::along_axis;
use crate::support::elementwise::same_as_first;
use crate::support::norm::{norm_order, p_norm};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LpNormalization",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::FLOATS)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("p", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: same_as_first,
    reference,
    cases: include_str!("lp_normalization.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let p = norm_order(ctx.attrs())?;
    along_axis(ctx.tensor(0)?, ctx.attrs().int_or("axis", -1)?, |line| {
        let norm = p_norm(line.iter().copied(), p);
        if norm != 0.0 {
            line.iter_mut().for_each(|value| *value /= norm);
        }
    })
}
