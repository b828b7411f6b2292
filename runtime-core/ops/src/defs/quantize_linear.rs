//! `QuantizeLinear`: real numbers to integers or small floats: divided by the scale, rounded to even, moved
//! by the zero point and clamped.

use remuda_ir::{AttrDef, AttrKind, InputDef, OpDef, OutputDef, Tolerance, Traits, Types};
use remuda_tensor::DType;

use crate::support::quantize_linear::{infer_quantize, quantize_linear};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "QuantizeLinear",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::SHORT_FLOATS.or(Types::one(DType::I32))),
        InputDef::new(
            "y_scale",
            Types::SHORT_FLOATS.or(Types::one(DType::I32)).or(Types::one(DType::F8E8M0)),
        )
        .tied(""),
        InputDef::optional(
            "y_zero_point",
            Types::BYTES
                .or(Types::one(DType::I16))
                .or(Types::one(DType::U16))
                .or(Types::SMALL_INTS)
                .or(Types::PACKED_FLOATS)
                .or(Types::FLOAT8),
        )
        .tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("block_size", AttrKind::Int),
        AttrDef::new("output_dtype", AttrKind::Int),
        AttrDef::new("precision", AttrKind::Int),
        AttrDef::new("saturate", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer: infer_quantize,
    reference: quantize_linear,
    cases: include_str!("quantize_linear.cases"),
};
