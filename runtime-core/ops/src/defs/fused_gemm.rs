//! `FusedGemm`: a general matrix product and an activation, in one.

use remuda_ir::{
    Attr, AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::compose::{activate, step};
use crate::support::gemm::infer_gemm;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "FusedGemm",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::FLOATS),
        InputDef::new("b", Types::FLOATS),
        InputDef::optional("c", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("activation", AttrKind::Text),
        AttrDef::new("activation_alpha", AttrKind::Float),
        AttrDef::new("activation_beta", AttrKind::Float),
        AttrDef::new("activation_gamma", AttrKind::Float),
        AttrDef::new("alpha", AttrKind::Float),
        AttrDef::new("beta", AttrKind::Float),
        AttrDef::new("transA", AttrKind::Int),
        AttrDef::new("transB", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("fused_gemm.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    infer_gemm(ctx)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut attrs = ctx.attrs().clone();
    let own = ["activation", "activation_alpha", "activation_beta", "activation_gamma"];
    own.iter().for_each(|name| drop(attrs.take(name)));
    let y = step("Gemm", attrs, ctx.inputs.to_vec())?;
    let mut attrs = ctx.attrs().clone();
    let mut params = Vec::new();
    for name in &own[1..3] {
        let Some(value) = attrs.float(name)? else { break };
        params.push(value);
    }
    if attrs.float("activation_gamma")?.is_some_and(|gamma| gamma != 0.0) {
        return Err(OpError::unsupported("attribute `activation_gamma`"));
    }
    attrs.set("activation_params", Attr::Floats(params));
    Ok(vec![activate(y, &attrs)?])
}
