//! `QuantizeLinear` of the domain `com.microsoft`: as ONNX's own.

use remuda_ir::{AttrDef, AttrKind, InputDef, OpDef, OutputDef, Tolerance, Traits, Types};
use remuda_tensor::DType;

use crate::support::quantize_linear::{infer_quantize, quantize_linear};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QuantizeLinear",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::one(DType::F32).or(Types::one(DType::F16))),
        InputDef::new("y_scale", Types::one(DType::F32).or(Types::one(DType::F16))).tied(""),
        InputDef::optional(
            "y_zero_point",
            Types::one(DType::I8)
                .or(Types::one(DType::U8))
                .or(Types::one(DType::I16))
                .or(Types::one(DType::U16))
                .or(Types::one(DType::I4))
                .or(Types::one(DType::U4))
                .or(Types::one(DType::I2))
                .or(Types::one(DType::U2)),
        )
        .tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("block_size", AttrKind::Int),
        AttrDef::new("output_dtype", AttrKind::Int),
        AttrDef::new("saturate", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer: infer_quantize,
    reference: quantize_linear,
    cases: include_str!("microsoft_quantize_linear.cases"),
};
