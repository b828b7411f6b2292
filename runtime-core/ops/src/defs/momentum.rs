//! `Momentum`: one step of gradient descent with momentum, standard or Nesterov's, for tensors,
//! their gradients and their momenta.

use remuda_ir::{
    AttrDef, AttrKind, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::training::{REALS, step, step_types};

pub(crate) static OP: OpDef = OpDef {
    domain: "ai.onnx.preview.training",
    name: "Momentum",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("r", REALS).tied(""),
        InputDef::new("t", Types::I64).tied(""),
        InputDef::variadic("inputs", REALS).tied(""),
    ],
    outputs: &[OutputDef::variadic("outputs")],
    attrs: &[
        AttrDef::required("alpha", AttrKind::Float),
        AttrDef::required("beta", AttrKind::Float),
        AttrDef::required("mode", AttrKind::Text),
        AttrDef::required("norm_coefficient", AttrKind::Float),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer: |ctx| step_types(ctx, 3),
    reference,
    cases: include_str!("momentum.cases"),
};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 0.0)?);
    let beta = f64::from(ctx.attrs().float_or("beta", 0.0)?);
    let norm = f64::from(ctx.attrs().float_or("norm_coefficient", 0.0)?);
    let nesterov = match ctx.attrs().text_or("mode", "")? {
        "nesterov" => true,
        "standard" => false,
        other => {
            let text = format!("attribute `mode` expected `nesterov` or `standard`, got `{other}`");
            return Err(OpError::Invalid(text));
        }
    };
    step(ctx, |rate, round, [x, gradient, momentum]| {
        let gradient = norm * x + gradient;
        let momentum = alpha * momentum + if round > 0 { beta } else { 1.0 } * gradient;
        let direction = if nesterov { gradient + alpha * momentum } else { momentum };
        [x - rate * direction, momentum]
    })
}
