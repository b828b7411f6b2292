//! Operators of one operand, and what is made of several such.

use remuda_sdk::ir::Node;

use super::{Lowering, attribute};
use crate::api::{Binary, Refusal, T, Unary, refuse};

pub(super) fn unary(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let op = match &*node.op.name {
        "Abs" => Unary::Abs,
        "Ceil" => Unary::Ceil,
        "Cos" => Unary::Cos,
        "Exp" => Unary::Exp,
        "Floor" => Unary::Floor,
        "HardSwish" => Unary::HardSwish,
        "Log" => Unary::Log,
        "Neg" => Unary::Neg,
        "Relu" => Unary::Relu,
        "Sigmoid" => Unary::Sigmoid,
        "Sign" => Unary::Sign,
        "Sin" => Unary::Sin,
        "Softplus" => Unary::Softplus,
        "Sqrt" => Unary::Sqrt,
        _ => Unary::Tanh,
    };
    let x = lowering.float(node, 0)?;
    let y = lowering.context.unary(op, x)?;
    lowering.set(node, 0, y)
}

pub(super) fn leaky_relu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let slope = node.attrs.float_or("alpha", 0.01).map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let y = lowering.context.leaky_relu(x, slope)?;
    lowering.set(node, 0, y)
}

pub(super) fn clip(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let low = lowering.scalar(node, 1)?.unwrap_or(f32::MIN);
    let high = lowering.scalar(node, 2)?.unwrap_or(f32::MAX);
    let x = lowering.float(node, 0)?;
    let y = lowering.clipped(x, low, high)?;
    lowering.set(node, 0, y)
}

pub(super) fn gelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let approximate = node.attrs.text_or("approximate", "none").map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let y = match approximate {
        "none" => lowering.context.unary(Unary::GeluErf, x)?,
        "tanh" => lowering.gelu_tanh(x)?,
        other => return Err(refuse("attribute", format!("`approximate` is `{other}`"))),
    };
    lowering.set(node, 0, y)
}

pub(super) fn bias_gelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let (x, bias) = (lowering.float(node, 0)?, lowering.float(node, 1)?);
    let x = lowering.combined(Binary::Add, x, bias, lowering.ne_out(node, 0)?)?;
    let y = lowering.context.unary(Unary::GeluErf, x)?;
    lowering.set(node, 0, y)
}

pub(super) fn fast_gelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let mut x = lowering.float(node, 0)?;
    if let Some(bias) = lowering.optional(node, 1)? {
        x = lowering.onto(Binary::Add, x, bias)?;
    }
    let y = lowering.gelu_tanh(x)?;
    lowering.set(node, 0, y)
}

pub(super) fn quick_gelu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let alpha = node.attrs.float_or("alpha", 1.702).map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let y = lowering.swished(x, alpha)?;
    lowering.set(node, 0, y)
}

pub(super) fn swish(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let alpha = node.attrs.float_or("alpha", 1.0).map_err(attribute)?;
    let x = lowering.float(node, 0)?;
    let y = lowering.swished(x, alpha)?;
    lowering.set(node, 0, y)
}

pub(super) fn swiglu(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let alpha = node.attrs.float_or("alpha", 1.0).map_err(attribute)?;
    let (a, b) = (lowering.float(node, 0)?, lowering.float(node, 1)?);
    let y = if alpha == 1.0 {
        lowering.context.swiglu(a, b)?
    } else {
        let gate = lowering.swished(a, alpha)?;
        lowering.onto(Binary::Mul, gate, b)?
    };
    lowering.set(node, 0, y)
}

pub(super) fn mish(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float(node, 0)?;
    let context = &lowering.context;
    let gate = context.unary(Unary::Tanh, context.unary(Unary::Softplus, x)?)?;
    let y = lowering.onto(Binary::Mul, gate, x)?;
    lowering.set(node, 0, y)
}

impl Lowering<'_> {
    /// `x` kept between two numbers.
    fn clipped(&self, x: T, low: f32, high: f32) -> Result<T, Refusal> {
        // Where bounds cross, ONNX gives the upper one.
        self.context.clamp(x, low.min(high), high)
    }

    /// `x * sigmoid(alpha * x)`.
    fn swished(&self, x: T, alpha: f32) -> Result<T, Refusal> {
        let context = &self.context;
        if alpha == 1.0 {
            return context.unary(Unary::Silu, x);
        }
        let gate = context.unary(Unary::Sigmoid, context.scale(x, alpha, 0.0)?)?;
        self.onto(Binary::Mul, gate, x)
    }

    /// Gelu by the hyperbolic tangent: ggml's own one reads a table of half precision.
    fn gelu_tanh(&self, x: T) -> Result<T, Refusal> {
        let context = &self.context;
        let square = context.unary(Unary::Square, x)?;
        let factor = context.scale(square, 0.044_715, 1.0)?;
        let inner = self.onto(Binary::Mul, factor, x)?;
        let root = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
        let tanh = context.unary(Unary::Tanh, context.scale(inner, root, 0.0)?)?;
        let share = context.scale(tanh, 0.5, 0.5)?;
        self.onto(Binary::Mul, share, x)
    }

    /// The activation that a fused node names, applied.
    pub(super) fn activated(&self, node: &Node, x: T) -> Result<T, Refusal> {
        let context = &self.context;
        let params = node.attrs.floats("activation_params").map_err(attribute)?.unwrap_or(&[]);
        let param = |at: usize, default: f32| params.get(at).copied().unwrap_or(default);
        match node.attrs.text("activation").map_err(attribute)? {
            None => Ok(x),
            Some("Relu") => context.unary(Unary::Relu, x),
            Some("Sigmoid") => context.unary(Unary::Sigmoid, x),
            Some("Tanh") => context.unary(Unary::Tanh, x),
            Some("HardSwish") => context.unary(Unary::HardSwish, x),
            Some("Gelu") => context.unary(Unary::GeluErf, x),
            Some("GeluTanh") => self.gelu_tanh(x),
            Some("LeakyRelu") => context.leaky_relu(x, param(0, 0.01)),
            Some("Clip") => self.clipped(x, param(0, f32::MIN), param(1, f32::MAX)),
            Some("Swish") => self.swished(x, param(0, 1.0)),
            Some("HardSigmoid") => {
                let line = context.scale(x, param(0, 0.2), param(1, 0.5))?;
                self.clipped(line, 0.0, 1.0)
            }
            Some(other) => Err(refuse("attribute", format!("ggml has no activation `{other}`"))),
        }
    }
}
