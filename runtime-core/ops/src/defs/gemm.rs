//! Gemm: `alpha * a * b + beta * c` of matrices that may be transposed. `b` may be weights in a block
//! format. Integers are computed exactly up to 2^53.

use remuda_ir::{
    AttrDef, AttrKind, Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Upgrade, Val,
};
use remuda_tensor::DType;

use crate::support::gemm::{gemm, infer_gemm};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Gemm",
    since: 1,
    upgrades: &[Upgrade {
        below: 7,
        apply: |draft: &mut Draft<'_>| {
            draft.node.attrs.take("broadcast");
            Ok(())
        },
    }],
    inputs: &[
        InputDef::new(
            "a",
            Types::FLOATS
                .or(Types::one(DType::I32))
                .or(Types::one(DType::I64))
                .or(Types::one(DType::U32))
                .or(Types::one(DType::U64)),
        ),
        InputDef::new(
            "b",
            Types::FLOATS
                .or(Types::one(DType::I32))
                .or(Types::one(DType::I64))
                .or(Types::one(DType::U32))
                .or(Types::one(DType::U64))
                .or(Types::BLOCK),
        )
        .tied(""),
        InputDef::optional(
            "c",
            Types::FLOATS
                .or(Types::one(DType::I32))
                .or(Types::one(DType::I64))
                .or(Types::one(DType::U32))
                .or(Types::one(DType::U64)),
        ),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("alpha", AttrKind::Float),
        AttrDef::new("beta", AttrKind::Float),
        AttrDef::new("transA", AttrKind::Int),
        AttrDef::new("transB", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("gemm.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_gemm(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![gemm(ctx)?.to_numbers(ctx.tensor(0)?.dtype())?.into()])
}
