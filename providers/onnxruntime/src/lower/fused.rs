//! `FusedConv`, `FusedLinear` and `Swish` as the operators that they were made of.

use remuda_sdk::ir::{Attrs, Node, OpError};
use remuda_sdk::tensor::{DType, Tensor, bf16, f16};

use super::attributes::{float_attr, text_attr};
use super::{Refusal, Scope, refuse};

fn wrong(error: &OpError) -> Refusal {
    refuse("attribute", error.to_string())
}

/// A convolution with its bias, then residual and activation.
pub(super) fn conv(scope: &mut Scope<'_>, node: &Node) -> Result<(), Refusal> {
    let inputs = scope.inputs(node)?;
    let mut attrs = node.attrs.clone();
    attrs.take("activation");
    attrs.take("activation_params");
    let attrs = scope.attributes(&attrs)?;
    let y = scope.step("Conv", inputs.get(..3).unwrap_or(&inputs), &attrs);
    finish(scope, node, y, inputs.get(3))
}

/// A product, then bias, residual and activation.
pub(super) fn linear(scope: &mut Scope<'_>, node: &Node) -> Result<(), Refusal> {
    let inputs = scope.inputs(node)?;
    let y = scope.step("MatMul", inputs.get(..2).unwrap_or(&inputs), &[]);
    let y = add(scope, y, inputs.get(2));
    finish(scope, node, y, inputs.get(3))
}

fn add(scope: &mut Scope<'_>, y: String, other: Option<&String>) -> String {
    match other {
        Some(other) if !other.is_empty() => scope.step("Add", &[y, other.clone()], &[]),
        _ => y,
    }
}

/// `x * sigmoid(alpha * x)`, of which no version of the library has a kernel of one piece.
pub(super) fn swish(scope: &mut Scope<'_>, node: &Node) -> Result<(), Refusal> {
    let alpha = node.attrs.float("alpha").map_err(|error| wrong(&error))?;
    let inputs = scope.inputs(node)?;
    let Some(x) = inputs.first().cloned() else {
        return Err(refuse("attribute", "`Swish` takes a value"));
    };
    let (x, gate) = swish_gate(scope, node, x, alpha)?;
    let outputs = scope.outputs(node)?;
    scope.emit(("", "Mul"), &[x, gate], &outputs, &[]);
    Ok(())
}

/// A value, and the sigmoid that `Swish` multiplies it with.
fn swish_gate(
    scope: &mut Scope<'_>,
    node: &Node,
    x: String,
    alpha: Option<f32>,
) -> Result<(String, String), Refusal> {
    let scaled = match alpha {
        None | Some(1.0) => x.clone(),
        Some(alpha) => {
            let alpha = scalar(scope, node, alpha)?;
            scope.step("Mul", &[x.clone(), alpha], &[])
        }
    };
    let gate = scope.step("Sigmoid", &[scaled], &[]);
    Ok((x, gate))
}

/// Adds the residual, applies the activation and names the result.
fn finish(
    scope: &mut Scope<'_>,
    node: &Node,
    y: String,
    residual: Option<&String>,
) -> Result<(), Refusal> {
    let y = add(scope, y, residual);
    let outputs = scope.outputs(node)?;
    let (op, inputs, attrs) = activation(scope, node, y)?;
    scope.emit(("", op), &inputs, &outputs, &attrs);
    Ok(())
}

type Step = (&'static str, Vec<String>, Vec<crate::proto::Message>);

/// The operator of the activation that the attributes name; `Identity` for none.
fn activation(scope: &mut Scope<'_>, node: &Node, y: String) -> Result<Step, Refusal> {
    let attrs: &Attrs = &node.attrs;
    let params = attrs.floats("activation_params").map_err(|error| wrong(&error))?.unwrap_or(&[]);
    let float = |name: &str, at: usize| params.get(at).map(|&value| float_attr(name, value));
    let known = ["Relu", "HardSwish", "Sigmoid", "Tanh", "Gelu", "LeakyRelu", "HardSigmoid"];
    let name = attrs.text("activation").map_err(|error| wrong(&error))?;
    let own = match name {
        Some("LeakyRelu") => float("alpha", 0).into_iter().collect(),
        Some("HardSigmoid") => float("alpha", 0).into_iter().chain(float("beta", 1)).collect(),
        _ => Vec::new(),
    };
    match name {
        None => Ok(("Identity", vec![y], own)),
        Some("Swish") => {
            let (y, gate) = swish_gate(scope, node, y, params.first().copied())?;
            Ok(("Mul", vec![y, gate], own))
        }
        Some("GeluTanh") => Ok(("Gelu", vec![y], vec![text_attr("approximate", "tanh")])),
        Some("Clip") => {
            let mut inputs = vec![y];
            for &bound in params.iter().take(2) {
                inputs.push(scalar(scope, node, bound)?);
            }
            Ok(("Clip", inputs, own))
        }
        Some(name) => match known.iter().find(|&&known| known == name) {
            Some(op) => Ok((op, vec![y], own)),
            None => Err(refuse("attribute", format!("`{name}` is no activation"))),
        },
    }
}

/// A constant of no dimensions, of the type of a node's output.
fn scalar(scope: &mut Scope<'_>, node: &Node, value: f32) -> Result<String, Refusal> {
    let tensor = match node.output(0).and_then(|output| scope.dtype(output)) {
        Some(DType::F32) => Tensor::scalar(value),
        Some(DType::F64) => Tensor::scalar(f64::from(value)),
        Some(DType::F16) => Tensor::scalar(f16::from_f32(value)),
        Some(DType::BF16) => Tensor::scalar(bf16::from_f32(value)),
        _ => return Err(refuse("dtype", "bounds of an activation are floats")),
    };
    let name = scope.fresh();
    scope.constant(&name, tensor)?;
    Ok(name)
}
