//! `SimplifiedLayerNormalization`, in the domain `com.microsoft`: divides by the root mean square and scales.

use remuda_ir::{AttrDef, AttrKind, InputDef, OpDef, OutputDef, Tolerance, Traits, Types};

use crate::support::simplified_norm::{infer_simplified, simplified};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "SimplifiedLayerNormalization",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS), InputDef::new("scale", Types::FLOATS).tied("V")],
    outputs: &[OutputDef::new("y"), OutputDef::optional("inv_std_var")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("stash_type", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(2.0),
    infer: infer_simplified,
    reference: simplified,
    cases: include_str!("microsoft_simplified_layer_normalization.cases"),
};
