//! `DequantizeLinear`: integers or small floats to the real numbers they stand for: `(x - zero) * scale`.

use remuda_ir::{AttrDef, AttrKind, InputDef, OpDef, OutputDef, Tolerance, Traits, Types};
use remuda_tensor::DType;

use crate::support::quantize_linear::{dequantize_linear, infer_dequantize};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "DequantizeLinear",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new(
            "x",
            Types::BYTES
                .or(Types::one(DType::I16))
                .or(Types::one(DType::U16))
                .or(Types::SMALL_INTS)
                .or(Types::PACKED_FLOATS)
                .or(Types::FLOAT8)
                .or(Types::one(DType::I32)),
        ),
        InputDef::new("x_scale", Types::SHORT_FLOATS.or(Types::one(DType::F8E8M0))).tied(""),
        InputDef::optional(
            "x_zero_point",
            Types::BYTES
                .or(Types::one(DType::I16))
                .or(Types::one(DType::U16))
                .or(Types::SMALL_INTS)
                .or(Types::PACKED_FLOATS)
                .or(Types::FLOAT8)
                .or(Types::one(DType::I32)),
        ),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("block_size", AttrKind::Int),
        AttrDef::new("output_dtype", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: infer_dequantize,
    reference: dequantize_linear,
    cases: include_str!("dequantize_linear.cases"),
};
