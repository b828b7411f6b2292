//! Operators of one operand.

use remuda_sdk::ir::Node;

use super::{Lowering, Refusal, attribute, number, refuse};
use crate::shaders::{Expr, Unary};

/// Functions that need no numbers beside their operand.
const PLAIN: &[(&str, Unary)] = &[
    ("Abs", Unary::Abs),
    ("Acos", Unary::Acos),
    ("Acosh", Unary::Acosh),
    ("Asin", Unary::Asin),
    ("Asinh", Unary::Asinh),
    ("Atan", Unary::Atan),
    ("Atanh", Unary::Atanh),
    ("Ceil", Unary::Ceil),
    ("Cos", Unary::Cos),
    ("Cosh", Unary::Cosh),
    ("Erf", Unary::Erf),
    ("Exp", Unary::Exp),
    ("Floor", Unary::Floor),
    ("IsNaN", Unary::IsNan),
    ("Log", Unary::Log),
    ("Mish", Unary::Mish),
    ("Neg", Unary::Neg),
    ("Not", Unary::Not),
    ("Reciprocal", Unary::Reciprocal),
    ("Round", Unary::Round),
    ("Sigmoid", Unary::Sigmoid),
    ("Sign", Unary::Sign),
    ("Sin", Unary::Sin),
    ("Sinh", Unary::Sinh),
    ("Softplus", Unary::Softplus),
    ("Softsign", Unary::Softsign),
    ("Sqrt", Unary::Sqrt),
    ("Tan", Unary::Tan),
    ("Tanh", Unary::Tanh),
];

pub(super) fn unary(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let expr = function(node)?;
    lowering.elementwise(node, |exprs| {
        let x = exprs.first().cloned().flatten();
        let x = x.ok_or_else(|| refuse("attribute", "there is no operand"))?;
        Ok(expr(x))
    })
}

/// What a node computes of its operand.
fn function(node: &Node) -> Result<Box<dyn FnOnce(Expr) -> Expr>, Refusal> {
    if let Some((_, op)) = PLAIN.iter().find(|(name, _)| *name == &*node.op.name) {
        let op = *op;
        return Ok(Box::new(move |x: Expr| x.unary(op)));
    }
    let float = |name: &str, default: f32| node.attrs.float_or(name, default).map_err(attribute);
    Ok(match &*node.op.name {
        "Relu" => Box::new(Expr::relu),
        "HardSwish" => Box::new(Expr::hard_swish),
        "IsInf" => {
            for sign in ["detect_negative", "detect_positive"] {
                if !node.attrs.bool_or(sign, true).map_err(attribute)? {
                    return Err(refuse("attribute", "infinities of one sign are not told apart"));
                }
            }
            Box::new(|x: Expr| x.unary(Unary::IsInf))
        }
        "LeakyRelu" => {
            let slope = float("alpha", 0.01)?;
            Box::new(move |x: Expr| x.leaky_relu(number(slope)))
        }
        "Elu" => {
            let alpha = float("alpha", 1.0)?;
            Box::new(move |x: Expr| x.elu(alpha))
        }
        "Celu" => {
            let alpha = float("alpha", 1.0)?;
            Box::new(move |x: Expr| x.celu(alpha))
        }
        "Selu" => {
            let (alpha, gamma) = (float("alpha", 1.673_263_2)?, float("gamma", 1.050_701)?);
            Box::new(move |x: Expr| x.selu(alpha, gamma))
        }
        "HardSigmoid" => {
            let (alpha, beta) = (float("alpha", 0.2)?, float("beta", 0.5)?);
            Box::new(move |x: Expr| x.hard_sigmoid(alpha, beta))
        }
        "ThresholdedRelu" => {
            let alpha = float("alpha", 1.0)?;
            Box::new(move |x: Expr| x.thresholded_relu(alpha))
        }
        "Shrink" => {
            let (lambda, bias) = (float("lambd", 0.5)?, float("bias", 0.0)?);
            Box::new(move |x: Expr| x.shrink(lambda, bias))
        }
        "Swish" => {
            let alpha = float("alpha", 1.0)?;
            Box::new(move |x: Expr| x.swish(alpha))
        }
        "QuickGelu" => {
            let alpha = float("alpha", 1.702)?;
            Box::new(move |x: Expr| x.swish(alpha))
        }
        "Gelu" => {
            let by = match node.attrs.text_or("approximate", "none").map_err(attribute)? {
                "none" => Unary::Gelu,
                "tanh" => Unary::GeluByTanh,
                other => return Err(refuse("attribute", format!("`approximate` is `{other}`"))),
            };
            Box::new(move |x: Expr| x.unary(by))
        }
        other => return Err(refuse("op-unsupported", format!("no kernel computes `{other}`"))),
    })
}

/// The activation that a fused node names, applied.
pub(super) fn activated(node: &Node, x: Expr) -> Result<Expr, Refusal> {
    let params = node.attrs.floats("activation_params").map_err(attribute)?.unwrap_or(&[]);
    let param = |at: usize, default: f32| params.get(at).copied().unwrap_or(default);
    Ok(match node.attrs.text("activation").map_err(attribute)? {
        None => x,
        Some("Relu") => x.relu(),
        Some("Sigmoid") => x.unary(Unary::Sigmoid),
        Some("Tanh") => x.unary(Unary::Tanh),
        Some("HardSwish") => x.hard_swish(),
        Some("Gelu") => x.unary(Unary::Gelu),
        Some("GeluTanh") => x.unary(Unary::GeluByTanh),
        Some("LeakyRelu") => x.leaky_relu(number(param(0, 0.01))),
        Some("Clip") => x.clip(number(param(0, f32::MIN)), number(param(1, f32::MAX))),
        Some("Swish") => x.swish(param(0, 1.0)),
        Some("HardSigmoid") => x.hard_sigmoid(param(0, 0.2), param(1, 0.5)),
        Some(other) => {
            return Err(refuse("attribute", format!("no kernel has the activation `{other}`")));
        }
    })
}
