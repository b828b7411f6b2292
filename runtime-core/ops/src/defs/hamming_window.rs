//! `HammingWindow`: half a cosine wave on a pedestal, periodic or symmetric.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::signal::{cosine_window, infer_window};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "HammingWindow",
    since: 17,
    upgrades: &[],
    inputs: &[InputDef::new("size", Types::INDEX)],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("output_datatype", AttrKind::Int),
        AttrDef::new("periodic", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: infer_window,
    reference,
    cases: include_str!("hamming_window.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    cosine_window(ctx, [25.0 / 46.0, 21.0 / 46.0, 0.0])
}
